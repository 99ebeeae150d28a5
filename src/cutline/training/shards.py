"""Webdataset shards: tars in which 000012.jpg and 000012.txt (or .json) belong together.

They are read with tarfile, not with the webdataset library: a photo is only listed here, with its place
in the file, and read when it is needed, in any order.
"""

from __future__ import annotations

import glob
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Generic, TypeVar

from cutline.errors import DataError
from cutline.file_names import same_name, without_braces
from cutline.training.examples import DataConfig, Example, Report, TarMember, canonical_split
from cutline.training.photo_files import NO_IMAGES
from cutline.training.reading import (
    IMAGE_SUFFIXES,
    TEXT_SUFFIXES,
    caption_lines,
    complain,
    decoded,
    example_of,
    is_all_of,
    json_object,
    split_of,
    without_known,
)
from cutline.training.records import CAPTION_COLUMNS, row_captions

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_TEXT_SUFFIXES = (*TEXT_SUFFIXES, ".json")
_WHAT_IT_IS = re.compile(
    rf"(?:^|\.)(?:{'|'.join(CAPTION_COLUMNS)}|image|img|photo|jpe?g|png|webp)$", re.IGNORECASE
)
_SHARD_SPLIT = re.compile(r"[a-z]+")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member(Generic[_T]):
    """A file of a sample. inner: what stands between the key and the last dot, "" if nothing does."""

    inner: str
    suffix: str
    file: _T

    @property
    def is_image(self) -> bool:
        return self.suffix in IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFiles(Generic[_T]):
    """The files of one sample, own ones and such as masks (extras).

    inner: what of a name with dots in it stands between the key and the ending.
    """

    inner: str
    own: Sequence[_Member[_T]]
    extras: Sequence[_Member[_T]]

    @property
    def photo(self) -> _T | None:
        """The first photo: others are masks and the like."""
        return next((each.file for each in (*self.own, *self.extras) if each.is_image), None)

    @property
    def files(self) -> Sequence[_T]:
        """All of them."""
        return [each.file for each in (*self.own, *self.extras)]


def read_webdataset(config: DataConfig, report: Report) -> Iterator[Example]:
    """Shards hold a caption per line in .txt (or .caption), or "caption" or "captions" in .json."""
    shards = find_shards(config.path)
    stems = Counter(shard.stem for shard in shards)
    for shard in shards:
        split = _shard_split(shard)
        name = shard.stem if stems[shard.stem] == 1 else f"{shard.parent.name}/{shard.stem}"
        for sample in _samples(shard, report):
            where = f"{shard}!{sample.key}"
            if sample.image is None:
                if sample.captions:
                    complain(report, "caption_without_image", "these captions have no photo", where)
                continue
            image = None if config.images == NO_IMAGES else sample.image
            key = f"{name}/{sample.key}"  # keys may repeat from shard to shard
            found = split_of(sample.split, where, report) or split
            yield example_of(config, key, image, sample.captions, found)


@dataclass(slots=True, kw_only=True)
class _Sample:
    key: str
    image: TarMember | None = None
    captions: list[str] = field(default_factory=list)
    split: object = ""


def is_pattern(path: str) -> bool:
    return not Path(path).exists() and (glob.has_magic(path) or bool(_BRACES.search(path)))


def find_shards(path: str) -> list[Path]:
    """A shard, a folder's shards, or those of a pattern: train-*.tar, train-{0000..0009}.tar."""
    if Path(path).is_dir():
        shards = sorted([*Path(path).glob("*.tar"), *Path(path).glob("*/*.tar")])
    elif _BRACES.search(path):
        return [shard for name in without_braces(path) for shard in find_shards(name)]
    else:
        shards = sorted(map(Path, glob.glob(path))) if is_pattern(path) else [Path(path)]
    if not shards:
        raise DataError(f"{path} contains no .tar shards.")
    return shards


def _shard_split(shard: Path) -> str:
    """train-0001.tar and val/0001.tar say which split they are."""
    for name in (shard.stem.lower(), shard.parent.name.lower()):
        for word in _SHARD_SPLIT.findall(name):
            if split := canonical_split(word):
                return split
    return ""


def _samples(shard: Path, report: Report) -> Iterator[_Sample]:
    for key, found in samples_in(_files(shard, report), lambda file: file.name):
        for files in found:
            yield _sample(f"{key}.{files.inner}" if files.inner else key, files, report)


def samples_in(
    files: Iterable[_T], name_of: Callable[[_T], str]
) -> Iterator[tuple[str, Sequence[SampleFiles[_T]]]]:
    """Neighbours with one key, as webdataset defines it: the path up to the base name's first dot.

    Names that have dots in them give several photos one key so. They are told apart again.
    """
    for key, group in groupby(files, lambda file: _key_and_rest(name_of(file))[0]):
        members = []
        for file in group:
            inner, _, suffix = _key_and_rest(name_of(file))[1].rpartition(".")
            members.append(_Member(inner=inner, suffix=f".{suffix.lower()}", file=file))
        yield key, list(_told_apart(members))


def _key_and_rest(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    stem, _, rest = base.partition(".")
    return same_name(f"{folder}/{stem}" if folder else stem), same_name(rest)


def _told_apart(members: Sequence[_Member[_T]]) -> Iterator[SampleFiles[_T]]:
    """One sample; or several, where IMG.4.jpg and IMG.4.txt stand beside IMG.5.jpg and IMG.5.txt."""
    by_name = _by_name(members)
    whole = {name for name, own in by_name.items() if name and _is_whole(own)}
    extras: dict[str, list[_Member[_T]]] = {}
    for name in list(by_name):
        place = "" if "" in by_name and not whole else name  # c.mask.png belongs to c.jpg
        while whole and place and place not in whole:  # IMG.4.mask.png belongs to IMG.4
            place = place.rpartition(".")[0]
        if place != name and (place or not whole):  # else it is a photo without a caption, or the reverse
            extras.setdefault(place, []).extend(by_name.pop(name))
    for name, own in by_name.items():
        yield SampleFiles(inner=name, own=own, extras=extras.get(name, ()))


def _by_name(members: Sequence[_Member[_T]]) -> dict[str, list[_Member[_T]]]:
    """The files of each name but for the ending.

    Where a photo or a text has no other of its name, 4.image.jpg, 4.caption.txt and 4.jpg.txt are of 4.
    """
    exact: dict[str, list[_Member[_T]]] = {}
    for member in members:
        exact.setdefault(member.inner, []).append(member)
    found: dict[str, list[_Member[_T]]] = {}
    for name, own in exact.items():
        place = name if _is_whole(own) else _WHAT_IT_IS.sub("", name)
        before = found.get(place, [])
        found[place] = [*own, *before] if place == name else [*before, *own]
    return found


def _is_whole(members: Sequence[_Member[_T]]) -> bool:
    return any(each.is_image for each in members) and any(each.suffix in _TEXT_SUFFIXES for each in members)


def _sample(key: str, files: SampleFiles[TarMember], report: Report) -> _Sample:
    """The first photo counts, and what is written beside it."""
    sample = _Sample(key=key, image=files.photo)
    texts: list[str] = []
    listed: list[str] = []
    for member in files.own:
        if member.suffix == ".json":
            listed += _listed(sample, member.file, report)
        elif member.suffix in _TEXT_SUFFIXES:
            texts.append(decoded(member.file.read_bytes(), str(member.file), report))
    for text in texts:
        lines = caption_lines(text)
        if len(lines) == 1 or not is_all_of(text, listed):
            sample.captions += without_known(lines, sample.captions)
    sample.captions += without_known(listed, sample.captions)
    return sample


def _files(shard: Path, report: Report) -> Iterator[TarMember]:
    """Each regular file in a tar."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for entry in plain_files(tar):
                yield TarMember(archive=shard, name=entry.name, offset=entry.offset_data, size=entry.size)
    except tarfile.TarError as error:
        message = f"not a complete, uncompressed tar ({error}); unpack or copy it again"
        complain(report, "shard_damaged", message, str(shard))
    except OSError as error:
        raise DataError(f"{shard} cannot be read ({error.strerror}).") from error


def plain_files(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The regular files in a tar, without hidden ones: macOS adds ._photo.jpg."""
    return (
        entry
        for entry in tar
        if entry.isreg() and not entry.issparse() and not entry.name.rpartition("/")[2].startswith(".")
    )


def _listed(sample: _Sample, file: TarMember, report: Report) -> list[str]:
    """The captions in a JSON file; the split that it names becomes the sample's."""
    where = str(file)
    if row := json_object(file.read_bytes(), where, report):
        sample.split = row.get("split") or ""
    return [caption.strip() for caption in row_captions(row, where, report)]
