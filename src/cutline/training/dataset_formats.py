"""The layouts that data sets come in, one reader each.

A reader yields examples with the split that the layout gives them, or "" where it gives none, and reports what
is wrong inside the files. It lists photos but never opens them.
"""

from __future__ import annotations

import csv
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from cutline.errors import DataError, MissingExtra
from cutline.training.datasets import (
    DEV,
    TEST,
    TRAIN,
    DataConfig,
    Example,
    ImageFile,
    Kind,
    Problem,
    Report,
    TarMember,
    canonical_split,
)

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
_NO_IMAGES = "none"
_IMAGE_FOLDERS = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "images", "img")

Reader = Callable[[DataConfig, Report], Iterator[Example]]


def read_layout(config: DataConfig, report: Report) -> Iterator[Example]:
    """The examples of a data set of any kind. Raises DataError when it is not there or of no known kind."""
    return READERS[resolve_kind(config)](config, report)


def resolve_kind(config: DataConfig) -> Kind:
    """The kind that is set, or the one that the files look like. Raises DataError when they look like none."""
    path = Path(config.path)
    if not path.exists() and not ("*" in config.path and config.kind in ("auto", "webdataset")):
        raise DataError(f"There is no data set at {path}.", hint="Check the path.")
    return _guess(path) if config.kind == "auto" else config.kind


def _guess(path: Path) -> Kind:
    if path.suffix == ".tar" or (path.is_dir() and any(path.glob("*.tar"))):
        return "webdataset"
    if path.is_dir():
        if _find(path, "*token*.txt") or (path / "captions.txt").is_file():
            return "flickr8k"
        if _coco_files(path):
            return "coco"
        if len(list(path.glob("dataset_*.json"))) == 1:
            return "karpathy"
        if _table_in(path):
            return "folder"
        if (path / "captions.json").is_file():
            return "caption-map"
    elif path.suffix in (".jsonl", ".ndjson", ".csv", ".tsv"):
        return "folder"
    elif path.suffix == ".json":
        return _guess_json(path)
    raise DataError(
        f"{path} looks like no kind of data set that Cutline knows.",
        hint="Say which with kind: flickr8k, coco, karpathy, folder, webdataset or caption-map.",
    )


def _guess_json(path: Path) -> Kind:
    content = read_json(path)
    if isinstance(content, dict) and "annotations" in content:
        return "coco"
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        return "karpathy"
    return "folder" if isinstance(content, list) else "caption-map"


# Flickr8k: a file of captions, a file of names for each split, a folder of photos


_FLICKR_LINE = re.compile(r"(?P<name>[^\t#]+)#(?P<number>\d+)\t(?P<caption>.*)")


def _read_flickr8k(config: DataConfig, report: Report) -> Iterator[Example]:
    """Flickr8k and Flickr30k as published, and Kaggle's copy (captions.txt, a CSV, and Images/)."""
    root = Path(config.path)
    captions_file = Path(config.captions) if config.captions else _flickr_captions(root)
    captions = _collect(_flickr_lines(captions_file, report))
    images = _image_folder(config, root)
    splits = _flickr_splits(root, report)
    for name in splits:
        captions.setdefault(name, [])  # a photo that a split names but nobody described
    for name, texts in captions.items():
        image = images / name if images else None
        yield _example(config, name, image, texts, splits.get(name, ""))


def _flickr_captions(root: Path) -> Path:
    for pattern in ("Flickr8k.token.txt", "*.token.txt", "*token*.txt", "captions.txt"):
        if found := _find(root, pattern):
            return found
    raise DataError(f"{root} has no captions file (Flickr8k.token.txt).", hint="Name it with captions: FILE.")


def _flickr_lines(path: Path, report: Report) -> Iterator[tuple[str, str]]:
    lines = enumerate(_lines(path, report), 1)
    if path.suffix == ".csv" or path.name == "captions.txt":
        rows = csv.reader(line for _, line in lines)
        for number, row in enumerate(rows, 1):
            if len(row) == 2 and (number > 1 or row[1].strip() != "caption"):
                yield row[0], row[1]
            elif len(row) != 2 and row:
                _malformed(report, path, number, "expected image,caption")
        return
    for number, line in lines:
        if match := _FLICKR_LINE.fullmatch(line):
            yield match["name"], match["caption"]
        elif line.strip():
            _malformed(report, path, number, "expected NAME.jpg#0, a tab, and the caption")


def _flickr_splits(root: Path, report: Report) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, pattern in ((TRAIN, "*trainImages.txt"), (DEV, "*devImages.txt"), (TEST, "*testImages.txt")):
        path = _find(root, pattern)
        for name in filter(None, map(str.strip, _lines(path, report))) if path else ():
            if splits.setdefault(name, split) != split:
                report(
                    Problem(
                        code="split_overlap",
                        severity="error",
                        message=f"listed in {splits[name]} and in {split}",
                        where=name,
                    )
                )
    return splits


# A map: {"photo.jpg": ["caption", ...]}


def _read_caption_map(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    path = path / "captions.json" if path.is_dir() else path
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a map from names to captions.")
    images = _image_folder(config, path.parent)
    for name, texts in content.items():
        texts = [texts] if isinstance(texts, str) else texts
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            report(
                Problem(
                    code="malformed",
                    severity="error",
                    message="its captions are not a list of texts",
                    where=name,
                )
            )
            continue
        yield _example(config, name, images / name if images else None, texts, "")


# What readers share


def _example(
    config: DataConfig, key: str, image: ImageFile | None, captions: Iterable[str], split: str
) -> Example:
    return Example(key=key, image=image, captions=tuple(captions), split=split, source=config.name)


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Captions by photo, in order of first appearance."""
    captions: dict[str, list[str]] = {}
    for name, caption in pairs:
        captions.setdefault(name, []).append(caption)
    return captions


def _image_folder(config: DataConfig, root: Path) -> Path | None:
    """The folder of photos; None when the captions are all there is, or all that is wanted."""
    if config.images == _NO_IMAGES:
        return None
    if config.images:
        folder = Path(config.images)
        if not folder.is_dir():
            raise DataError(f"There is no folder of photos at {folder}.")
        return folder
    for name in _IMAGE_FOLDERS:
        if (root / name).is_dir():
            return root / name
    has_photos = any(path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir())
    if has_photos:
        return root
    raise DataError(
        f"{root} has no photos.",
        hint="Name their folder with images: FOLDER; images: none reads the captions alone.",
    )


def _find(root: Path, pattern: str) -> Path | None:
    """The first file that matches, in the folder or one below."""
    return next((path for depth in (pattern, f"*/{pattern}") for path in sorted(root.glob(depth))), None)


def _lines(path: Path, report: Report) -> Iterator[str]:
    """The lines of a text file, UTF-8 with or without a byte order mark; what is not UTF-8 is reported."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                yield _decoded(raw.rstrip(b"\r\n"), path, number, report)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _decoded(raw: bytes, path: Path, number: int, report: Report) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        report(
            Problem(
                code="wrong_encoding",
                severity="error",
                message="not UTF-8; save the file as UTF-8",
                where=f"{path}, line {number}",
            )
        )
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


def _malformed(report: Report, path: Path, number: int, expected: str) -> None:
    report(Problem(code="malformed", severity="error", message=expected, where=f"{path}, line {number}"))


def _coco_files(root: Path) -> list[Path]:
    return sorted([*root.glob("captions_*.json"), *root.glob("annotations/captions_*.json")])


def _table_in(root: Path) -> Path | None:
    names = ("captions", "metadata", "data", "annotations")
    suffixes = (".jsonl", ".csv", ".tsv")
    return next((p for n in names for s in suffixes if (p := root / f"{n}{s}").is_file()), None)


READERS: Mapping[str, Reader] = {
    "flickr8k": _read_flickr8k,
    "caption-map": _read_caption_map,
}
