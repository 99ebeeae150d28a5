"""Photos with their captions in text files beside them: photo.jpg and photo.txt, as `--sidecar` writes them.

Trainers of image models (kohya's sd-scripts and its kin) read them, too; a folder named 10_cat then says that
an epoch has each of its photos ten times.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cutline.errors import DataError
from cutline.file_names import folded, same_name
from cutline.junk_files import is_left_out
from cutline.training.examples import DataConfig, Example, Report, canonical_split
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
)
from cutline.training.records import row_captions

_REPEATS = re.compile(r"([1-9]\d{0,2})_.+")  # no years


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The captions of one photo, as files."""

    lines: Path | None
    others: tuple[Path, ...]  # that would be taken if there were no ``lines``
    data: Path | None  # img2dataset's JSON


def has_texts(root: Path) -> bool:
    """Whether a photo in the folder, or in one below, has a text beside it."""
    return any(texts.lines for _, found in _folders(root) for _, texts in found)


def read_text_beside(config: DataConfig, report: Report) -> Iterator[Example]:
    """A caption a line; a folder called train, val or test is a split."""
    root = Path(config.path)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder of photos with texts beside them.")
    for folder, found in _folders(root):
        below = folder.relative_to(root)
        split = next(filter(None, map(canonical_split, below.parts)), "") or ""
        repeats = _REPEATS.fullmatch(folder.name or folder.resolve().name)
        if repeats and found:
            message = f"each photo counts {repeats[1]} times in a training"
            complain(report, "photos_repeated", message, str(folder), severity="note")
        for text in _without_photo(folder, found):
            complain(report, "caption_without_image", "no photo has this name", str(text), severity="note")
        for photo, texts in found:
            yield example_of(
                config,
                str(below / photo.name),
                None if config.images == NO_IMAGES else photo,
                _captions(texts, report),
                split,
                repeats=int(repeats[1]) if repeats else 1,
            )


def _folders(root: Path) -> Iterator[tuple[Path, list[tuple[Path, _Texts]]]]:
    """Each folder with its photos, in order; hidden ones, and those of photo software, are left out."""
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_left_out(name))
        names = [name for name in names if not is_left_out(name)]
        yield Path(place), list(_photos_in(Path(place), names))


def _photos_in(folder: Path, names: list[str]) -> Iterator[tuple[Path, _Texts]]:
    spelt = {folded(name): name for name in names} | {same_name(name): name for name in names}

    def beside(*stems: str, suffixes: Sequence[str]) -> list[Path]:
        wanted = [same_name(f"{stem}{suffix}") for stem in stems for suffix in suffixes]
        found = (spelt.get(each) or spelt.get(folded(each)) for each in wanted)
        return [folder / each for each in dict.fromkeys(found) if each]

    for name in sorted(names):
        photo = folder / name
        if photo.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        # photo.png.txt is for photo.png where photo.txt is photo.jpg's.
        texts = beside(name, photo.stem, suffixes=TEXT_SUFFIXES)
        data = next(iter(beside(photo.stem, suffixes=(".json",))), None)
        yield photo, _Texts(lines=next(iter(texts), None), others=tuple(texts[1:]), data=data)


def _without_photo(folder: Path, found: list[tuple[Path, _Texts]]) -> Iterator[Path]:
    """Texts beside photos that belong to none."""
    used = {path for _, texts in found for path in (texts.lines, *texts.others)}
    if used - {None}:
        texts = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in TEXT_SUFFIXES)
        yield from (path for path in texts if path not in used and not path.name.startswith("."))


def _captions(texts: _Texts, report: Report) -> list[str]:
    if texts.lines is None:
        return _listed(texts.data, report) if texts.data else []
    text = decoded(_read(texts.lines), str(texts.lines), report)
    captions = caption_lines(text)
    if len(captions) > 1 and texts.data and is_all_of(text, listed := _listed(texts.data, lambda _: None)):
        return listed
    return captions


def _listed(data: Path, report: Report) -> list[str]:
    return row_captions(json_object(_read(data), str(data), report), str(data), report)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
