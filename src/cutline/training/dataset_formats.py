"""The layouts that data sets come in, one reader each.

A reader yields examples with the split that the layout gives them, or "" where it gives none, and reports
what is wrong inside the files. It lists photos but never opens them.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cutline.errors import DataError, MissingExtra
from cutline.training.examples import (
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
NO_IMAGES = "none"
_IMAGE_FOLDERS = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "images", "img")

Reader = Callable[[DataConfig, Report], Iterator[Example]]


def read_layout(config: DataConfig, report: Report) -> Iterator[Example]:
    """The examples of a data set of any kind. Raises DataError when it is not there or of no known kind."""
    return READERS[resolve_kind(config)](config, report)


def resolve_kind(config: DataConfig) -> Kind:
    """The kind that is set, or that the files look like. Raises DataError when they look like none."""
    path = Path(config.path)
    if _is_pattern(config.path) and config.kind in ("auto", "webdataset"):
        return "webdataset"
    if not path.exists():
        raise DataError(f"There is no data set at {path}.", hint="Check the path.")
    if config.kind != "auto":
        return config.kind
    kind = _guess_folder(path) if path.is_dir() else _guess_file(path)
    if kind is None:
        raise DataError(
            f"{path} looks like no kind of data set that Cutline knows.",
            hint="Say which with kind: flickr8k, coco, karpathy, folder, webdataset or caption-map.",
        )
    return kind


def _guess_folder(path: Path) -> Kind | None:
    looks: tuple[tuple[Kind, Callable[[], object]], ...] = (
        ("webdataset", lambda: any(path.glob("*.tar")) or any(path.glob("*/*.tar"))),
        ("flickr8k", lambda: _find(path, "*.token.txt") or (path / "captions.txt").is_file()),
        ("coco", lambda: _coco_files(path)),
        ("karpathy", lambda: any(path.glob("dataset_*.json"))),
        ("folder", lambda: _tables_in(path)),
        ("caption-map", lambda: (path / "captions.json").is_file()),
    )
    return next((kind for kind, look in looks if look()), None)


def _guess_file(path: Path) -> Kind | None:
    if path.suffix == ".tar":
        return "webdataset"
    if path.suffix in _TABLE_SUFFIXES:
        return "folder"
    return _guess_json(path) if path.suffix == ".json" else None


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
                _report(report, "malformed", "expected image,caption", f"{path}, line {number}")
        return
    for number, line in lines:
        if match := _FLICKR_LINE.fullmatch(line):
            yield match["name"], match["caption"]
        elif line.strip():
            _report(
                report, "malformed", "expected NAME.jpg#0, a tab, and the caption", f"{path}, line {number}"
            )


def _flickr_splits(root: Path, report: Report) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, pattern in ((TRAIN, "*trainImages.txt"), (DEV, "*devImages.txt"), (TEST, "*testImages.txt")):
        path = _find(root, pattern)
        for name in filter(None, map(str.strip, _lines(path, report))) if path else ():
            if splits.setdefault(name, split) != split:
                _report(report, "split_overlap", f"listed in {splits[name]} and in {split}", name)
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
            f"{path} holds the captions of {' and '.join(sorted(map(str, years)))}.",
            hint="They are the same photos, dealt anew: name one captions file.",
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
            _report(report, "caption_without_image", f"no image has the id {annotation['image_id']}", where)
    folders = _coco_folders(path, config)
    for image_id, record in index.imgs.items():
        name = record["file_name"]
        captions = [annotation["caption"] for annotation in index.imgToAnns.get(image_id, ())]
        yield _example(config, name, _locate(folders, name), captions, split)


def _coco_index(path: Path) -> Any:
    """pycocotools' index over a captions file."""
    try:
        from pycocotools.coco import COCO  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("COCO captions need pycocotools.", hint="pip install 'cutline[train]'") from error
    index = COCO()
    index.dataset = read_json(path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            index.createIndex()
        for record in index.dataset["images"]:
            _expect(isinstance(record["file_name"], str), path, "an image's file_name is not a text")
        for annotation in index.dataset["annotations"]:
            _expect(isinstance(annotation["caption"], str), path, "an annotation's caption is not a text")
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not a COCO captions file: {error!r} is missing or misplaced.") from error
    return index


def _coco_folders(path: Path, config: DataConfig) -> list[Path] | None:
    """Where the photos of captions_train2017.json may lie, likeliest first; None for captions alone."""
    if config.images == NO_IMAGES:
        return None
    stem = path.stem.removeprefix("captions_")
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    base = _image_folder(config, root) if config.images else root
    assert base is not None
    candidates = [base / stem, base / "images" / stem, base / "images", base]
    return [folder for folder in candidates if folder.is_dir()]


def _coco_files(root: Path) -> list[Path]:
    return sorted([*root.glob("captions_*.json"), *root.glob("annotations/captions_*.json")])


# Karpathy's split file: dataset_coco.json, dataset_flickr8k.json, dataset_flickr30k.json


def _read_karpathy(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    if path.is_dir():
        files = sorted(path.glob("dataset_*.json"))
        if len(files) != 1:
            raise DataError(
                f"{path} holds {len(files)} files named dataset_*.json.", hint="Name one with captions: FILE."
            )
        path = files[0]
    content = read_json(path)
    images = content.get("images") if isinstance(content, dict) else None
    _expect(isinstance(images, list), path, "it has no list of images")
    folders = _karpathy_folders(path, config)
    for number, record in enumerate(images or (), 1):
        where = f"{path}, image {number}"
        try:
            name = str(PurePosixPath(record.get("filepath", ""), record["filename"]))
            captions = [str(sentence["raw"]) for sentence in record["sentences"]]
            split = record.get("split", "")
        except (KeyError, TypeError, AttributeError) as error:
            _report(report, "malformed", f"{error!r} is missing or misplaced", where)
            continue
        yield _example(config, name, _locate(folders, name), captions, _split(split, where, report))


def _karpathy_folders(path: Path, config: DataConfig) -> list[Path] | None:
    folder = _image_folder(config, path.parent, strict=False)
    if config.images == NO_IMAGES:
        return None
    return [folder, path.parent] if folder else [path.parent]


# A folder with a table: JSONL, CSV or TSV, a row a caption or a row a photo


_TABLE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
_TABLE_NAMES = ("captions", "metadata", "annotations", "data")
_IMAGE_COLUMNS = (
    "image",
    "file_name",
    "filename",
    "file",
    "image_path",
    "path",
    "image_name",
    "img",
    "photo",
)
_CAPTION_COLUMNS = ("caption", "captions", "text", "sentence", "sentences", "description")
_NUMBERED_CAPTION = re.compile(r"(?:caption|text|sentence|comment)s?[_ -]?\d+")


@dataclass(slots=True)
class _Photo:
    captions: list[str] = field(default_factory=list)
    split: str = ""


def _read_folder(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    tables = _tables_in(path) if path.is_dir() else {path: ""}
    if not tables:
        names = ", ".join(f"{name}.jsonl" for name in _TABLE_NAMES)
        raise DataError(
            f"{path} has no table of captions ({names}, or .csv).", hint="Name it with captions: FILE."
        )
    for table, split in tables.items():
        yield from _table_examples(table, split, config, report)


def _tables_in(root: Path) -> dict[Path, str]:
    """Tables, and the split that their folder stands for: the folder's own, or those in train/, val/, ..."""
    if table := _table_in(root):
        return {table: ""}
    found = ((_table_in(folder), canonical_split(folder.name)) for folder in sorted(root.glob("*/")))
    return {table: split for table, split in found if table and split}


def _table_in(root: Path) -> Path | None:
    paths = (root / f"{name}{suffix}" for name in _TABLE_NAMES for suffix in _TABLE_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _table_examples(table: Path, folder_split: str, config: DataConfig, report: Report) -> Iterator[Example]:
    photos: dict[str, _Photo] = {}
    for where, row in _rows(table, report):
        name, captions = _row_image(row), _row_captions(row)
        if not name:
            _report(report, "malformed", f"no photo is named ({' or '.join(_IMAGE_COLUMNS[:4])})", where)
            continue
        photo = photos.setdefault(name, _Photo())
        photo.captions += captions
        split = _split(row.get("split") or folder_split, where, report)
        if photo.split and split and split != photo.split:
            _report(report, "split_overlap", f"listed in {photo.split} and in {split}", name)
        photo.split = photo.split or split
    folders = _table_folders(table, config)
    for name, photo in photos.items():
        key = f"{table.parent.name}/{name}" if folder_split else name  # names may repeat
        yield _example(config, key, _locate(folders, name), photo.captions, photo.split)


def _table_folders(table: Path, config: DataConfig) -> list[Path] | None:
    if config.images == NO_IMAGES:
        return None
    folder = _image_folder(config, table.parent, strict=False)
    return [folder, table.parent] if folder else [table.parent]


def _rows(table: Path, report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, row) of a table in any of its formats; column names in lower case."""
    rows: Iterator[tuple[str, Any]]
    if table.suffix == ".json":
        rows = ((f"{table}, entry {number}", row) for number, row in enumerate(read_json(table), 1))
    elif table.suffix in (".csv", ".tsv"):
        rows = _csv_rows(table, report)
    else:
        rows = _jsonl_rows(table, report)
    for where, row in rows:
        if isinstance(row, dict):
            yield where, {str(name).strip().lower(): value for name, value in row.items()}
        else:
            _report(report, "malformed", "expected an object with an image and a caption", where)


def _jsonl_rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_lines(table, report), 1):
        where = f"{table}, line {number}"
        if not line.strip():
            continue
        try:
            yield where, json.loads(line)
        except ValueError as error:
            _report(report, "malformed", f"not JSON ({error})", where)


def _csv_rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    lines = (f"{line}\n" for line in _lines(table, report))  # a quoted caption may go over lines
    header = next(lines, "")
    delimiter = "\t" if table.suffix == ".tsv" else max(",;|\t", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            where = f"{table}, line {reader.line_num + 1}"
            if len(row) == len(names):
                yield where, dict(zip(names, row, strict=True))
            elif row:
                expected = f"{len(row)} columns where the header has {len(names)}; is a comma unquoted?"
                _report(report, "malformed", expected, where)
    except csv.Error as error:
        _report(report, "malformed", f"not CSV ({error})", f"{table}, line {reader.line_num + 1}")


def _row_image(row: Mapping[str, Any]) -> str:
    return next((str(row[name]).strip() for name in _IMAGE_COLUMNS if row.get(name)), "")


def _row_captions(row: Mapping[str, Any]) -> list[str]:
    """Every caption of a row: one text, a list of them, or several columns."""
    columns = [name for name in row if name in _CAPTION_COLUMNS or _NUMBERED_CAPTION.fullmatch(name)]
    values = [row[name] for name in columns if row[name] is not None]
    return [str(text) for value in values for text in (value if isinstance(value, list) else [value])]


# Webdataset: tar shards in which 000012.jpg and 000012.txt (or .json) belong together


_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_SHARD_SPLIT = re.compile(r"[a-z]+")


@dataclass(slots=True)
class _Sample:
    key: str = ""
    image: TarMember | None = None
    captions: list[str] = field(default_factory=list)
    split: str = ""


def _read_webdataset(config: DataConfig, report: Report) -> Iterator[Example]:
    """Shards hold a caption per line in .txt (or .caption), or "caption" or "captions" in .json."""
    for shard in _shards(config.path):
        split = _shard_split(shard)
        for sample in _samples(shard, report):
            where = f"{shard}!{sample.key}"
            if sample.image is None:
                _report(report, "caption_without_image", "no photo goes with these captions", where)
                continue
            image = None if config.images == NO_IMAGES else sample.image
            key = f"{shard.stem}/{sample.key}"  # keys may repeat from shard to shard
            found = _split(sample.split, where, report) or split
            yield _example(config, key, image, sample.captions, found)


def _is_pattern(path: str) -> bool:
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
        shards = sorted(map(Path, glob.glob(path))) if _is_pattern(path) else [Path(path)]
    if not shards:
        raise DataError(f"{path} holds no .tar shards.")
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
        message = f"not a whole, uncompressed tar ({error}); unpack or copy it again"
        _report(report, "shard_damaged", message, str(shard))
    except OSError as error:
        raise DataError(f"{shard} cannot be read ({error.strerror}).") from error


def _add_member(
    sample: _Sample, suffix: str, member: TarMember, read: Callable[[], bytes], report: Report
) -> None:
    if f".{suffix.rpartition('.')[2]}" in IMAGE_SUFFIXES:
        sample.image = member
    elif suffix in (".txt", ".caption"):
        sample.captions += filter(None, map(str.strip, _decoded(read(), str(member), report).splitlines()))
    elif suffix == ".json":
        try:
            row = json.loads(_decoded(read(), str(member), report))
        except ValueError as error:
            _report(report, "malformed", f"not JSON ({error})", str(member))
            return
        if isinstance(row, dict):
            sample.captions += _row_captions(row)
            sample.split = row.get("split") or ""


# A map: {"photo.jpg": ["caption", ...]}


def _read_caption_map(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    path = path / "captions.json" if path.is_dir() else path
    content = read_json(path)
    _expect(isinstance(content, dict), path, "it is not a map from names to captions")
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


def _report(report: Report, code: str, message: str, where: str) -> None:
    report(Problem(code=code, severity="error", message=message, where=where))


def _expect(condition: bool, path: Path, what_is_wrong: str) -> None:
    if not condition:
        raise DataError(f"{path} cannot be used: {what_is_wrong}.", hint="Is it the right kind of data set?")


def _split(name: object, where: str, report: Report) -> str:
    """A split's name as we know it; an unknown one is reported."""
    if not name:
        return ""
    split = canonical_split(str(name))
    if split is None:
        _report(report, "unknown_split", f"the split {name!r} is not train, dev (val) or test", where)
    return split or ""


def _locate(folders: list[Path] | None, name: str) -> Path | None:
    """The photo of that name in the first folder that has it; else where it was most likely to be."""
    if folders is None:
        return None
    paths = [folder / name for folder in folders]
    return next((path for path in paths if path.is_file()), paths[0])


def _image_folder(config: DataConfig, root: Path, *, strict: bool = True) -> Path | None:
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
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir()):
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
                yield _decoded(raw.rstrip(b"\r\n"), f"{path}, line {number}", report)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _decoded(raw: bytes, where: str, report: Report) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        _report(report, "wrong_encoding", "not UTF-8; save the file as UTF-8", where)
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


READERS: Mapping[Kind, Reader] = {
    "flickr8k": _read_flickr8k,
    "coco": _read_coco,
    "karpathy": _read_karpathy,
    "folder": _read_folder,
    "webdataset": _read_webdataset,
    "caption-map": _read_caption_map,
}
