"""The layouts that data sets come in, one reader each.

A reader yields examples with the split that the layout gives them, or "" where it gives none, and reports
what is wrong inside the files. It lists photos but never opens them.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from cutline.training.photo_files import NO_IMAGES, PhotoFiles, has_photos, image_folder, photo_files
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
from cutline.training.records import id_text, row_captions
from cutline.training.shards import is_pattern, read_webdataset
from cutline.training.tables import (
    TABLE_SUFFIXES,
    csv_rows,
    is_json_list,
    is_table_of_captions,
    read_folder,
    tables_in,
)
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
        ("coco", lambda: _named_coco_files(path)),
        ("karpathy", lambda: any(path.glob("dataset_*.json"))),
        ("folder", lambda: _has_tables(path)),
        ("coco", lambda: _other_coco_files(path)),
        ("caption-map", lambda: (path / "captions.json").is_file()),
        ("text-beside", lambda: has_texts(path)),
    )
    kind = next((kind for kind, look in looks if look()), None)
    return _guess_json(path / "captions.json") if kind == "caption-map" else kind


def _has_tables(path: Path) -> bool:
    """Whether there are tables of captions. Beside photos with texts, one table may be of anything."""
    tables = tables_in(path)
    return len(tables) > 1 or any(not has_texts(path) or is_table_of_captions(table) for table in tables)


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
    beside = captions_file.parent  # an unpacked archive within its folder
    is_within = image_folder(config, root, strict=False) is None and not has_photos(root)
    files = photo_files(config, beside if is_within and image_folder(config, beside, strict=False) else root)
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
_ROBOFLOW = "_annotations.coco.json"


def _read_coco(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    files = (_named_coco_files(path) or _other_coco_files(path)) if path.is_dir() else [path]
    if not files and (path / "captions.json").is_file():
        files = [path / "captions.json"]
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
    index = _coco_index(path, report)
    files = PhotoFiles(_coco_folders(path, config))
    split = _coco_split(path)
    for image_id, record in index.imgs.items():
        name = _coco_name(record)
        captions = [
            text for annotation in index.imgToAnns.get(image_id, ()) for text in annotation["captions"]
        ]
        yield example_of(config, name, files.find(name), captions, split, image_id=image_id)


def _coco_index(path: Path, report: Report) -> Any:
    """pycocotools' index over a captions file, without what is wrong in it."""
    try:
        from pycocotools.coco import COCO  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra(
            "COCO captions need pycocotools.", hint="Install it with: pip install 'cutline[train]'"
        ) from error
    content = read_json(path)
    expect(isinstance(content, dict), path, "it is not a map with images and annotations")
    images, annotations = content.get("images"), content.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise DataError(f"{path} is not a COCO captions file: it has no list of images, or of annotations.")
    are_captions = not annotations or any(
        isinstance(each, dict) and "caption" in each for each in annotations
    )
    expect(are_captions, path, "no annotation has a caption")
    index = COCO()
    # Without the categories, for which it would ask of each annotation: captions have none.
    index.dataset = {"images": list(_coco_images(images, path, report))}
    ids = _IdsAsWritten(image["id"] for image in index.dataset["images"])
    index.dataset["annotations"] = list(_coco_annotations(annotations, ids, path, report))
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        index.createIndex()
    return index


def _coco_images(images: Iterable[Any], path: Path, report: Report) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(images, 1):
        if isinstance(image, dict) and "id" in image and _coco_name(image):
            yield {**image, "id": id_text(image["id"])}
        else:
            complain(report, "malformed", "its id or its file_name is missing", f"{path}, image {number}")


def _coco_annotations(
    annotations: Iterable[Any], ids: _IdsAsWritten, path: Path, report: Report
) -> Iterator[dict[str, Any]]:
    for number, annotation in enumerate(annotations, 1):
        where = (
            f"{path}, annotation {annotation.get('id', number) if isinstance(annotation, dict) else number}"
        )
        if not isinstance(annotation, dict) or not {"image_id", "caption"} <= annotation.keys():
            complain(report, "malformed", "its image_id or its caption is missing", where)
            continue
        captions = row_captions({"caption": annotation["caption"]}, where, report)
        image_id = ids.find(annotation["image_id"])
        if image_id is None:
            message = f"no image has the id {annotation['image_id']}"
            complain(report, "caption_without_image", message, where)
        else:
            yield {"id": number, "image_id": image_id, "captions": captions}


def _coco_name(image: Mapping[str, Any]) -> str:
    """The photo's name; its address where there is no name."""
    names = (image.get(field) for field in ("file_name", "coco_url", "flickr_url", "url"))
    return next((name for name in names if isinstance(name, str) and name.strip()), "")


class _IdsAsWritten:
    """The ids of images, found where annotations write them as text, or with zeros before them."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._exact = set(ids)
        self._numbers: dict[int, str | None] = {}
        for each in self._exact:
            if each.isdecimal():
                self._numbers[int(each)] = None if int(each) in self._numbers else each

    def find(self, written: object) -> str | None:
        """The id as the images have it; None if none has it."""
        wanted = id_text(written)
        if wanted in self._exact:
            return wanted
        return self._numbers.get(int(wanted)) if wanted.isdecimal() else None


def _coco_split(path: Path) -> str:
    """The split that captions_train2017.json, val.json, or train/_annotations.coco.json names."""
    words = [path.parent.name] if path.name == _ROBOFLOW else re.findall("[a-z]+", path.stem.lower())
    return next(filter(None, map(canonical_split, words)), None) or ""


def _coco_folders(path: Path, config: DataConfig) -> list[Path] | None:
    """Where the photos of captions_train2017.json may lie, likeliest first; None for captions alone."""
    if config.images == NO_IMAGES:
        return None
    stem = path.stem.removeprefix("captions_")
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    base = image_folder(config, root) if config.images else root
    assert base is not None
    words = [word for word in re.findall("[a-z]+", stem.lower()) if canonical_split(word)]
    names = [stem, f"images/{stem}", "images", ".", *words]
    return [base / name for name in names if (base / name).is_dir()]


def _named_coco_files(root: Path) -> list[Path]:
    return sorted([*root.glob("captions_*.json"), *root.glob("annotations/captions_*.json")])


def _other_coco_files(root: Path) -> list[Path]:
    """Files of COCO's form by other names: captions.json, annotations/train.json, Roboflow's."""
    paths = sorted([*root.glob("*.json"), *root.glob("annotations/*.json"), *root.glob(f"*/{_ROBOFLOW}")])
    return [path for path in paths if _may_be_coco(path.stem.lower()) and _is_coco(path)]


def _may_be_coco(stem: str) -> bool:
    words = re.findall("[a-z]+", stem)
    return any(word in ("captions", "annotations", "coco") or canonical_split(word) for word in words)


def _is_coco(path: Path) -> bool:
    """Whether COCO's fields of captions are in a file, which may be large."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            fields = (b'"images"', b'"annotations"', b'"caption"')
            return not is_json_list(path) and all(content.find(field) >= 0 for field in fields)
    except (OSError, ValueError):  # no file with anything in it
        return False


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
    captions: dict[str, tuple[str, list[str]]] = {}
    for name, texts in content.items():
        if isinstance(texts, dict) and isinstance(texts.get("caption"), str):
            texts = texts["caption"]  # kohya's metadata: {"photo.jpg": {"caption": ..., "tags": ...}}
        texts = [texts] if isinstance(texts, str) else texts
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            complain(report, "malformed", "its captions are not a list of texts", name)
            continue
        captions.setdefault(same_name(name), (name, []))[1].extend(texts)
    for name, texts in captions.values():
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
