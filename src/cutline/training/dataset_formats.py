"""The layouts that data sets come in, one reader each.

A reader yields examples with the split that the layout gives them, or "" where it gives none, and reports
what is wrong inside the files. It lists photos but never opens them.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cutline.errors import DataError, MissingExtra
from cutline.file_names import same_name
from cutline.training.examples import (
    DEV,
    TEST,
    TRAIN,
    DataConfig,
    Example,
    Kind,
    Report,
    canonical_split,
)
from cutline.training.photo_files import NO_IMAGES, PhotoFiles, image_folder, photo_files
from cutline.training.reading import (
    collect,
    complain,
    example_of,
    expect,
    find,
    read_json,
    read_lines,
    split_of,
)
from cutline.training.records import row_captions
from cutline.training.shards import is_pattern, read_webdataset
from cutline.training.tables import TABLE_SUFFIXES, csv_rows, is_json_list, read_folder, tables_in
from cutline.training.text_beside import has_texts, read_text_beside

Reader = Callable[[DataConfig, Report], Iterator[Example]]


def read_layout(config: DataConfig, report: Report) -> Iterator[Example]:
    """The examples of a data set of any kind. Raises DataError when it is not there or of no known kind."""
    return READERS[resolve_kind(config)](config, report)


def resolve_kind(config: DataConfig) -> Kind:
    """The kind that is set, or that the files look like. Raises DataError when they look like none."""
    path = Path(config.path)
    if is_pattern(config.path) and config.kind in ("auto", "webdataset"):
        return "webdataset"
    if not path.exists():
        raise DataError(f"There is no data set at {path}.", hint="Check the path.")
    if config.kind != "auto":
        return config.kind
    kind = _guess_file(Path(config.captions)) if config.captions else None
    kind = kind or (_guess_folder(path) if path.is_dir() else _guess_file(path))
    if kind is None:
        raise DataError(
            f"{path} is not a data set of a kind that Cutline recognises.",
            hint=_hint_for(path),
        )
    return kind


def _hint_for(path: Path) -> str:
    archives = (".zip", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
    if path.suffix.lower() in archives:
        return "Unpack it first, and name the folder."
    packed = (
        sorted(each.name for each in path.iterdir() if each.suffix.lower() in archives)
        if path.is_dir()
        else []
    )
    if packed:
        return f"Unpack {' and '.join(packed[:2])} first."
    return f"Say which with kind: {', '.join(READERS)}."


def _guess_folder(path: Path) -> Kind | None:
    looks: tuple[tuple[Kind, Callable[[], object]], ...] = (
        ("webdataset", lambda: any(path.glob("*.tar")) or any(path.glob("*/*.tar"))),
        ("flickr8k", lambda: _flickr_file(path)),
        ("coco", lambda: _coco_files(path)),
        ("karpathy", lambda: any(path.glob("dataset_*.json"))),
        ("folder", lambda: tables_in(path)),
        ("caption-map", lambda: (path / "captions.json").is_file()),
        ("text-beside", lambda: has_texts(path)),
    )
    kind = next((kind for kind, look in looks if look()), None)
    return _guess_json(path / "captions.json") if kind == "caption-map" else kind


def _guess_file(path: Path) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix == ".tar":
        return "webdataset"
    if suffix in TABLE_SUFFIXES:
        return "folder"
    if _is_flickr_file(path):
        return "flickr8k"
    return _guess_json(path) if suffix == ".json" else None


def _guess_json(path: Path) -> Kind:
    if is_json_list(path):
        return "folder"
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
    path = Path(config.path)
    root = path if path.is_dir() else path.parent
    captions_file = Path(config.captions) if config.captions else _flickr_file(path)
    if captions_file is None:
        raise DataError(
            f"{root} has no captions file (Flickr8k.token.txt).", hint="Name it with captions: FILE."
        )
    captions = collect(_flickr_lines(captions_file, report))
    files = photo_files(config, root)
    splits = _flickr_splits(root, report)
    described = {same_name(name) for name in captions}
    for name in splits:
        if name not in described:
            captions[name] = []  # a photo that a split names but nobody described
    for name, texts in captions.items():
        yield example_of(config, name, files.find(name), texts, splits.get(same_name(name), ""))


def _flickr_file(root: Path) -> Path | None:
    if root.is_file():
        return root if _is_flickr_file(root) else None
    patterns = ("Flickr8k.token.txt", "*.token.txt", "*.token", "*token*.txt")
    found = next((file for pattern in patterns if (file := find(root, pattern))), None)
    return found or next((path for path in [root / "captions.txt"] if path.is_file()), None)


def _is_flickr_file(path: Path) -> bool:
    return ".token" in path.name or path.name == "captions.txt"


def _flickr_lines(path: Path, report: Report) -> Iterator[tuple[str, str]]:
    if path.suffix == ".csv" or path.name == "captions.txt":
        columns = 2  # a number of the caption may stand between the photo and the caption
        for place, row in enumerate(csv_rows(path, report)):
            if place == 0 and row.cells[-1].strip().lower() in ("caption", "comment"):
                columns = len(row.cells)
            elif len(row.cells) < columns:
                complain(report, "malformed", "expected image,caption", f"{path}, line {row.number}")
            else:  # some copies leave captions with commas unquoted
                caption = ",".join(row.cells[columns - 1 :])
                yield row.cells[0], caption if columns == 2 else caption.strip()
        return
    for number, line in enumerate(read_lines(path, report), 1):
        if match := _FLICKR_LINE.fullmatch(line):
            yield match["name"], match["caption"]
        elif line.strip():
            complain(
                report, "malformed", "expected NAME.jpg#0, a tab, and the caption", f"{path}, line {number}"
            )


def _flickr_splits(root: Path, report: Report) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, pattern in ((TRAIN, "*trainImages.txt"), (DEV, "*devImages.txt"), (TEST, "*testImages.txt")):
        path = find(root, pattern)
        for line in filter(None, map(str.strip, read_lines(path, report))) if path else ():
            name = same_name(line)
            if splits.setdefault(name, split) != split:
                complain(report, "split_overlap", f"listed in {splits[name]} and in {split}", name)
    return splits


# COCO captions: captions_train2014.json and captions_val2014.json (or 2017) beside folders of photos


_COCO_NAME = re.compile(r"captions_(?P<split>[a-z]+)(?P<year>\d{4})?\.json")


def _read_coco(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    files = _coco_files(path) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} has no captions_*.json.", hint="Name the file with captions: FILE.")
    years = {match["year"] for file in files if (match := _COCO_NAME.fullmatch(file.name))}
    if len(years) > 1:
        raise DataError(
            f"{path} has the captions of {' and '.join(sorted(map(str, years)))}.",
            hint="The years split the same photos differently: name one captions file.",
        )
    for file in files:
        yield from _coco_examples(file, config, report)


def _coco_examples(path: Path, config: DataConfig, report: Report) -> Iterator[Example]:
    match = _COCO_NAME.fullmatch(path.name)
    split = (canonical_split(match["split"]) or "") if match else ""
    index = _coco_index(path)
    for annotation in index.anns.values():
        if annotation["image_id"] not in index.imgs:
            where = f"{path}, annotation {annotation['id']}"
            complain(report, "caption_without_image", f"no image has the id {annotation['image_id']}", where)
    files = PhotoFiles(_coco_folders(path, config))
    for image_id, record in index.imgs.items():
        name = record["file_name"]
        captions = [annotation["caption"] for annotation in index.imgToAnns.get(image_id, ())]
        yield example_of(config, name, files.find(name), captions, split, image_id=image_id)


def _coco_index(path: Path) -> Any:
    """pycocotools' index over a captions file."""
    try:
        from pycocotools.coco import COCO  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra(
            "COCO captions need pycocotools.", hint="Install it with: pip install 'cutline[train]'"
        ) from error
    index = COCO()
    content = read_json(path)
    expect(isinstance(content, dict), path, "it is not a map with images and annotations")
    try:
        # Without the categories, for which it would ask of each annotation: captions have none.
        index.dataset = {
            "images": [{**each, "id": str(each["id"])} for each in content["images"]],
            "annotations": [{**each, "image_id": str(each["image_id"])} for each in content["annotations"]],
        }
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            index.createIndex()
        for record in index.dataset["images"]:
            expect(isinstance(record["file_name"], str), path, "an image's file_name is not a text")
        for annotation in index.dataset["annotations"]:
            expect(isinstance(annotation["caption"], str), path, "an annotation's caption is not a text")
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not a COCO captions file: {error!r} is missing or misplaced.") from error
    return index


def _coco_folders(path: Path, config: DataConfig) -> list[Path] | None:
    """Where the photos of captions_train2017.json may lie, likeliest first; None for captions alone."""
    if config.images == NO_IMAGES:
        return None
    stem = path.stem.removeprefix("captions_")
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    base = image_folder(config, root) if config.images else root
    assert base is not None
    candidates = [base / stem, base / "images" / stem, base / "images", base]
    return [folder for folder in candidates if folder.is_dir()]


def _coco_files(root: Path) -> list[Path]:
    return sorted([*root.glob("captions_*.json"), *root.glob("annotations/captions_*.json")])


# Karpathy's split file: dataset_coco.json, dataset_flickr8k.json, dataset_flickr30k.json


def _read_karpathy(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    if path.is_dir():
        found = sorted(path.glob("dataset_*.json"))
        if len(found) != 1:
            raise DataError(
                f"{path} has {len(found)} files named dataset_*.json.", hint="Name one with captions: FILE."
            )
        path = found[0]
    content = read_json(path)
    images = content.get("images") if isinstance(content, dict) else None
    expect(isinstance(images, list), path, "it has no list of images")
    files = photo_files(config, path.parent, strict=False)
    for number, record in enumerate(images or (), 1):
        where = f"{path}, image {number}"
        try:
            name = str(PurePosixPath(record.get("filepath", ""), record["filename"]))
            captions = row_captions({"sentences": record["sentences"]}, where, report)
            split = record.get("split", "")
            number = record.get("cocoid", record.get("imgid", ""))
        except (KeyError, TypeError, AttributeError) as error:
            complain(report, "malformed", f"{error!r} is missing or misplaced", where)
            continue
        split = split_of(split, where, report)
        yield example_of(config, name, files.find(name), captions, split, image_id=number)


# A map: {"photo.jpg": ["caption", ...]}


def _read_caption_map(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    path = path / "captions.json" if path.is_dir() else path
    content = read_json(path)
    expect(isinstance(content, dict), path, "it is not a map from names to captions")
    files = photo_files(config, path.parent)
    for name, texts in content.items():
        if isinstance(texts, dict) and isinstance(texts.get("caption"), str):
            texts = texts["caption"]  # kohya's metadata: {"photo.jpg": {"caption": ..., "tags": ...}}
        texts = [texts] if isinstance(texts, str) else texts
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            complain(report, "malformed", "its captions are not a list of texts", name)
            continue
        yield example_of(config, name, files.find(name), texts, "")


READERS: Mapping[Kind, Reader] = {
    "flickr8k": _read_flickr8k,
    "coco": _read_coco,
    "karpathy": _read_karpathy,
    "folder": read_folder,
    "webdataset": read_webdataset,
    "caption-map": _read_caption_map,
    "text-beside": read_text_beside,
}
