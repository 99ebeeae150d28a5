"""Webdataset shards: tars in which 000012.jpg and 000012.txt (or .json) belong together.

They are read with tarfile, not with the webdataset library: a photo is only listed here, with its place
in the file, and read when it is needed, in any order.
"""

from __future__ import annotations

import glob
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cutline.errors import DataError
from cutline.training.examples import DataConfig, Example, Report, TarMember, canonical_split
from cutline.training.reading import IMAGE_SUFFIXES, NO_IMAGES, complain, decoded, example_of, split_of
from cutline.training.tables import row_captions

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_SHARD_SPLIT = re.compile(r"[a-z]+")


@dataclass(slots=True)
class _Sample:
    key: str = ""
    image: TarMember | None = None
    captions: list[str] = field(default_factory=list)
    split: str = ""


def read_webdataset(config: DataConfig, report: Report) -> Iterator[Example]:
    """Shards hold a caption per line in .txt (or .caption), or "caption" or "captions" in .json."""
    for shard in _shards(config.path):
        split = _shard_split(shard)
        for sample in _samples(shard, report):
            where = f"{shard}!{sample.key}"
            if sample.image is None:
                complain(report, "caption_without_image", "these captions have no photo", where)
                continue
            image = None if config.images == NO_IMAGES else sample.image
            key = f"{shard.stem}/{sample.key}"  # keys may repeat from shard to shard
            found = split_of(sample.split, where, report) or split
            yield example_of(config, key, image, sample.captions, found)


def is_pattern(path: str) -> bool:
    return not Path(path).exists() and (glob.has_magic(path) or bool(_BRACES.search(path)))


def _shards(path: str) -> list[Path]:
    """A shard, a folder's shards, or those of a pattern: train-*.tar, train-{0000..0009}.tar."""
    if Path(path).is_dir():
        shards = sorted([*Path(path).glob("*.tar"), *Path(path).glob("*/*.tar")])
    elif match := _BRACES.search(path):
        width, (first, last) = len(match[1]), (int(match[1]), int(match[2]))
        numbers = (f"{number:0{width}d}" for number in range(first, last + 1))
        return [shard for number in numbers for shard in _shards(path.replace(match[0], number, 1))]
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
    """Neighbours with one key, as webdataset defines it: the path up to the base name's first dot."""
    sample = _Sample()
    for member, read in _members(shard, report):
        folder, _, base = member.name.rpartition("/")
        stem, _, suffix = base.partition(".")
        key = f"{folder}/{stem}" if folder else stem
        if key != sample.key:
            if sample.key:
                yield sample
            sample = _Sample(key=key)
        _add_member(sample, f".{suffix.lower()}", member, read, report)
    if sample.key:
        yield sample


def _members(shard: Path, report: Report) -> Iterator[tuple[TarMember, Callable[[], bytes]]]:
    """Each regular file in a tar, with a way to read it now."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for entry in tar:
                if not entry.isreg() or entry.issparse() or not entry.name.rpartition("/")[2].strip("."):
                    continue
                member = TarMember(archive=shard, name=entry.name, offset=entry.offset_data, size=entry.size)
                yield member, member.read_bytes
    except tarfile.TarError as error:
        message = f"not a complete, uncompressed tar ({error}); unpack or copy it again"
        complain(report, "shard_damaged", message, str(shard))
    except OSError as error:
        raise DataError(f"{shard} cannot be read ({error.strerror}).") from error


def _add_member(
    sample: _Sample, suffix: str, member: TarMember, read: Callable[[], bytes], report: Report
) -> None:
    if f".{suffix.rpartition('.')[2]}" in IMAGE_SUFFIXES:
        sample.image = member
    elif suffix in (".txt", ".caption"):
        sample.captions += filter(None, map(str.strip, decoded(read(), str(member), report).splitlines()))
    elif suffix == ".json":
        try:
            row = json.loads(decoded(read(), str(member), report))
        except ValueError as error:
            complain(report, "malformed", f"not JSON ({error})", str(member))
            return
        if isinstance(row, dict):
            sample.captions += row_captions(row, str(member), report)
            sample.split = row.get("split") or ""
