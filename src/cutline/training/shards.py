"""Webdataset shards: tars in which 000012.jpg and 000012.txt (or .json) belong together.

They are read with tarfile, not with the webdataset library: a photo is only listed here, with its place
in the file, and read when it is needed, in any order.
"""

from __future__ import annotations

import glob
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cutline.errors import DataError
from cutline.file_names import same_name, without_braces
from cutline.training.examples import DataConfig, Example, Report, TarMember, canonical_split
from cutline.training.photo_files import NO_IMAGES
from cutline.training.reading import IMAGE_SUFFIXES, complain, decoded, example_of, split_of
from cutline.training.records import row_captions

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_TEXT_SUFFIXES = (".txt", ".caption", ".json")
_SHARD_SPLIT = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A file of a sample. inner: what stands between the key and the last dot, "" if nothing does."""

    inner: str
    suffix: str
    file: TarMember
    text: bytes = b""  # read at once, unless it is a photo

    @property
    def is_image(self) -> bool:
        return self.suffix in IMAGE_SUFFIXES


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
    """Neighbours with one key, as webdataset defines it: the path up to the base name's first dot.

    Names that have dots in them give several photos one key so. They are told apart again.
    """
    group: list[_Member] = []
    key = ""
    for file in _files(shard, report):
        folder, _, base = file.name.rpartition("/")
        stem, _, rest = base.partition(".")
        if (own := same_name(f"{folder}/{stem}" if folder else stem)) != key:
            yield from _samples_of(key, group, report)
            key, group = own, []
        inner, _, suffix = same_name(rest).rpartition(".")
        suffix = f".{suffix.lower()}"
        text = file.read_bytes() if suffix in _TEXT_SUFFIXES else b""
        group.append(_Member(inner=inner, suffix=suffix, file=file, text=text))
    yield from _samples_of(key, group, report)


def _samples_of(key: str, members: Sequence[_Member], report: Report) -> Iterator[_Sample]:
    """One sample; or several, where IMG.4.jpg and IMG.4.txt stand beside IMG.5.jpg and IMG.5.txt."""
    by_name: dict[str, list[_Member]] = {}
    for member in members:
        by_name.setdefault(member.inner, []).append(member)
    rest: list[_Member] = []
    for inner, own in by_name.items():
        is_whole = any(each.is_image for each in own) and any(each.suffix in _TEXT_SUFFIXES for each in own)
        if is_whole and inner:
            yield _sample(f"{key}.{inner}", own, report)
        else:
            rest += own
    plain = [member for member in rest if not member.inner]
    if plain or len(rest) == len(members) > 0:
        yield _sample(key, plain + [member for member in rest if member.inner], report)


def _sample(key: str, members: Sequence[_Member], report: Report) -> _Sample:
    """The first photo counts (others are masks and the like), and what is written beside it."""
    sample = _Sample(key=key, image=next((each.file for each in members if each.is_image), None))
    for member in sorted(members, key=lambda member: member.suffix == ".json"):
        if member.inner == members[0].inner:
            _add_text(sample, member, report)
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


def _add_text(sample: _Sample, member: _Member, report: Report) -> None:
    where = str(member.file)
    if member.suffix in (".txt", ".caption"):
        sample.captions += filter(None, map(str.strip, decoded(member.text, where, report).splitlines()))
    elif member.suffix == ".json":
        try:
            row = json.loads(decoded(member.text, where, report))
        except (ValueError, RecursionError) as error:
            complain(report, "malformed", f"not JSON ({error})", where)
            return
        if isinstance(row, dict):
            captions = map(str.strip, row_captions(row, where, report))
            # img2dataset writes a caption twice: as text, and as JSON.
            sample.captions += [caption for caption in captions if caption not in sample.captions]
            sample.split = row.get("split") or ""
