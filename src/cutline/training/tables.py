"""A folder with a table of captions: JSONL, CSV or TSV, with a row for each caption or for each photo."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutline.caption_files import csv_format
from cutline.errors import DataError
from cutline.spreadsheet import unescape_formula
from cutline.training.examples import DataConfig, Example, Report, canonical_split
from cutline.training.reading import (
    NO_IMAGES,
    complain,
    example_of,
    image_folder,
    locate,
    read_json,
    read_lines,
    split_of,
)

TABLE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
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
_TEXT_FIELDS = ("text", "caption", "raw")
_NUMBERED_CAPTION = re.compile(r"(?:caption|text|sentence|comment)s?[_ -]?\d+")


@dataclass(slots=True)
class _Photo:
    captions: list[str] = field(default_factory=list)
    split: str = ""


def read_folder(config: DataConfig, report: Report) -> Iterator[Example]:
    path = Path(config.captions or config.path)
    tables = tables_in(path) if path.is_dir() else {path: ""}
    if not tables:
        names = ", ".join(f"{name}.jsonl" for name in _TABLE_NAMES)
        raise DataError(
            f"{path} has no table of captions ({names}, or .csv).", hint="Name it with captions: FILE."
        )
    for table, split in tables.items():
        yield from _table_examples(table, split, config, report)


def tables_in(root: Path) -> dict[Path, str]:
    """Tables, and the split that each stands for: captions.jsonl; train.jsonl, val.jsonl, ...; train/, ...

    Where there is none of these, a folder's only table is it, whatever its name.
    """
    if table := _table_in(root):
        return {table: ""}
    loose = sorted(path for path in root.iterdir() if path.suffix in TABLE_SUFFIXES and path.is_file())
    inner = (_table_in(folder) for folder in sorted(root.glob("*/")))
    found = {table: canonical_split(_said_split(table)) for table in (*loose, *inner) if table}
    by_split = {table: split for table, split in found.items() if split}
    return by_split or ({loose[0]: ""} if len(loose) == 1 else {})


def _said_split(table: Path) -> str:
    """What may name its split: the table's own name, or its folder's where the name is any table's."""
    return table.parent.name if table.stem in _TABLE_NAMES else table.stem


def _table_in(root: Path) -> Path | None:
    paths = (root / f"{name}{suffix}" for name in _TABLE_NAMES for suffix in TABLE_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _table_examples(table: Path, folder_split: str, config: DataConfig, report: Report) -> Iterator[Example]:
    photos: dict[str, _Photo] = {}
    for where, row in _rows(table, report):
        name, captions = _row_image(row), row_captions(row, where, report)
        if not name:
            complain(report, "malformed", f"no photo is named ({' or '.join(_IMAGE_COLUMNS[:4])})", where)
            continue
        photo = photos.setdefault(name, _Photo())
        photo.captions += captions
        split = split_of(row.get("split") or folder_split, where, report)
        if photo.split and split and split != photo.split:
            complain(report, "split_overlap", f"listed in {photo.split} and in {split}", name)
        photo.split = photo.split or split
    folders = _table_folders(table, config)
    for name, photo in photos.items():
        key = f"{_said_split(table)}/{name}" if folder_split else name  # names may repeat
        yield example_of(config, key, locate(folders, name), photo.captions, photo.split)


def _table_folders(table: Path, config: DataConfig) -> list[Path] | None:
    if config.images == NO_IMAGES:
        return None
    folder = image_folder(config, table.parent, strict=False)
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
            complain(report, "malformed", "expected an object with an image and a caption", where)


def _jsonl_rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(read_lines(table, report), 1):
        where = f"{table}, line {number}"
        if not line.strip():
            continue
        try:
            yield where, json.loads(line)
        except ValueError as error:
            complain(report, "malformed", f"not JSON ({error})", where)


def _csv_rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    lines = (f"{line}\n" for line in read_lines(table, report))  # a quoted caption may go over lines
    header = next(lines, "")
    delimiter = "\t" if table.suffix == ".tsv" else max(",;|\t", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    reader = csv.reader(lines, delimiter=delimiter)
    ours = csv_format(names) is not None
    try:
        for row in reader:
            where = f"{table}, line {reader.line_num + 1}"
            if len(row) == len(names):
                row = [unescape_formula(cell) for cell in row] if ours else row
                yield where, dict(zip(names, row, strict=True))
            elif row:
                expected = f"{len(row)} columns where the header has {len(names)}; is a comma unquoted?"
                complain(report, "malformed", expected, where)
    except csv.Error as error:
        complain(report, "malformed", f"not CSV ({error})", f"{table}, line {reader.line_num + 1}")


def _row_image(row: Mapping[str, Any]) -> str:
    return next((str(row[name]).strip() for name in _IMAGE_COLUMNS if row.get(name)), "")


def row_captions(row: Mapping[str, Any], where: str, report: Report) -> list[str]:
    """Every caption of a row: one text, a list of them, or several columns."""
    columns = [name for name in row if name in _CAPTION_COLUMNS or _NUMBERED_CAPTION.fullmatch(name)]
    values = [row[name] for name in columns if row[name] is not None]
    found = [_text(each) for value in values for each in (value if isinstance(value, list) else [value])]
    if None in found:
        complain(report, "malformed", "a caption is not a text", where)
    return [text for text in found if text is not None]


def _text(caption: object) -> str | None:
    """A caption as a text; of an object, such as `cutline caption --json` and Karpathy write, its text."""
    if isinstance(caption, dict):
        caption = next((caption[name] for name in _TEXT_FIELDS if name in caption), None)
    return None if caption is None or isinstance(caption, (dict, list)) else str(caption)
