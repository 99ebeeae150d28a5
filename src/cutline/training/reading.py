"""What the readers of data sets share: finding files, reading text and JSON, and saying what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cutline.errors import DataError
from cutline.images import RAW_ENDINGS
from cutline.training.examples import DataConfig, Example, ImageFile, Problem, Report, canonical_split

IMAGE_SUFFIXES = RAW_ENDINGS | {
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"
}  # fmt: skip
NO_IMAGES = "none"
_IMAGE_FOLDERS = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "images", "img")


def example_of(
    config: DataConfig, key: str, image: ImageFile | None, captions: Iterable[str], split: str
) -> Example:
    """One example of the data set that the settings name."""
    return Example(key=key, image=image, captions=tuple(captions), split=split, source=config.name)


def collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Captions by photo, in order of first appearance."""
    captions: dict[str, list[str]] = {}
    for name, caption in pairs:
        captions.setdefault(name, []).append(caption)
    return captions


def complain(report: Report, code: str, message: str, where: str) -> None:
    """Report an error inside the files."""
    report(Problem(code=code, severity="error", message=message, where=where))


def expect(condition: bool, path: Path, what_is_wrong: str) -> None:
    """Raise DataError about a whole file unless the condition holds."""
    if not condition:
        raise DataError(f"{path} cannot be used: {what_is_wrong}.", hint="Is it the right kind of data set?")


def split_of(name: object, where: str, report: Report) -> str:
    """A split's name as we know it; an unknown one is reported."""
    if not name:
        return ""
    split = canonical_split(str(name))
    if split is None:
        complain(report, "unknown_split", f"the split {name!r} is not train, dev (val) or test", where)
    return split or ""


def locate(folders: list[Path] | None, name: str) -> Path | None:
    """The photo of that name in the first folder that has it; else where it was most likely to be."""
    if folders is None:
        return None
    paths = [folder / name for folder in folders]
    return next((path for path in paths if path.is_file()), paths[0])


def image_folder(config: DataConfig, root: Path, *, strict: bool = True) -> Path | None:
    """The folder of photos; None when only captions are wanted, or (not strict) when none is known."""
    if config.images == NO_IMAGES:
        return None
    if config.images:
        folder = Path(config.images)
        if not folder.is_dir():
            raise DataError(f"There is no folder of photos at {folder}.")
        return folder
    for name in _IMAGE_FOLDERS:
        if (root / name).is_dir():
            return root / name
    if not strict:
        return None
    if root.is_dir() and any(path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir()):
        return root
    raise DataError(
        f"{root} has no photos.",
        hint="Name their folder with images: FOLDER, or read captions alone with images: none.",
    )


def find(root: Path, pattern: str) -> Path | None:
    """The first file that matches, in the folder or one below."""
    return next((path for depth in (pattern, f"*/{pattern}") for path in sorted(root.glob(depth))), None)


def read_lines(path: Path, report: Report) -> Iterator[str]:
    """The lines of a text file, UTF-8 with or without a byte order mark; what is not UTF-8 is reported."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                yield decoded(raw.rstrip(b"\r\n"), f"{path}, line {number}", report)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def decoded(raw: bytes, where: str, report: Report) -> str:
    """UTF-8 as text; anything else is reported, and read as Latin-1 so that the report can continue."""
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        complain(report, "wrong_encoding", "not UTF-8; save the file as UTF-8", where)
        return raw.decode("latin-1")


def read_json(path: Path) -> Any:
    """A JSON file's content. Raises DataError when it cannot be read, is not UTF-8, or is not JSON."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start:,}).", hint="Save it as UTF-8.") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}.") from error
