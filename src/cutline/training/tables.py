"""A folder with a table of captions: JSONL, CSV or TSV, with a row for each caption or for each photo."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from cutline.caption_files import csv_format
from cutline.errors import DataError
from cutline.file_names import folded, portable, same_name
from cutline.spreadsheet import unescape_formula
from cutline.text_files import encoding_of
from cutline.training.delimited import Row, guess_delimiter, named_delimiter, read_rows
from cutline.training.examples import DataConfig, Example, Report, canonical_split
from cutline.training.photo_files import IMAGE_NAME, has_photos, is_whole, photo_files
from cutline.training.reading import complain, example_of, read_json, read_lines, split_of
from cutline.training.records import (
    ADDRESS_COLUMNS,
    IMAGE_COLUMNS,
    PHOTO_COLUMNS,
    Record,
    names_photos,
    read_record,
    texts_in_cell,
)

_SAMPLE_BYTES = 4096
_DATA_LIST = re.compile(r'"data"\s*:\s*\[\s*\{')
_FIRST_LINES = 20
_DELIMITERS_OF_QUOTED_CELLS = ",;"  # tabs and | are in no sentence: most who use them never quote
TABLE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
_TABLE_NAMES = ("captions", "metadata", "annotations", "data")


@dataclass(slots=True)
class _Photo:
    name: str
    image: Path | None
    captions: list[str] = field(default_factory=list)
    split: str = ""
    number: str = ""


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
    loose = sorted(path for path in root.iterdir() if _is_table(path))
    inner = (_table_in(folder) for folder in sorted(root.glob("*/")))
    found = {table: canonical_split(_said_split(table)) for table in (*loose, *inner) if table}
    by_split = {table: split for table, split in found.items() if split}
    if not by_split and len(loose) > 1:  # BLIP's coco_karpathy_train.json, coco_karpathy_val.json
        ends = {table: canonical_split(re.split("[_-]", table.stem)[-1]) for table in loose}
        by_split = {table: split for table, split in ends.items() if split}
    if by_split:
        return by_split
    if not loose and not has_photos(root):  # an unpacked archive within its folder
        inside = [path for path in root.glob("*/*") if path.suffix.lower() in TABLE_SUFFIXES]
        loose = [path for path in inside if _is_table(path) and is_table_of_captions(path)]
    return {loose[0]: ""} if len(loose) == 1 else {}


def is_table_of_captions(table: Path) -> bool:
    """Whether a table's name says so, or its first row is a photo with captions."""
    if table.stem in _TABLE_NAMES:
        return True
    first = next(read_records(table, lambda _: None), None)
    return first is not None and first[1].names_a_photo and bool(first[1].captions)


def _is_table(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.suffix.lower() in TABLE_SUFFIXES or (path.suffix.lower() == ".json" and is_json_list(path))


def is_json_list(path: Path) -> bool:
    """Whether a JSON file holds a list, as LLaVA, BLIP, Label Studio and COCO's results do: by its start.

    TextCaps calls the list "data".
    """
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE_BYTES)
    except OSError:
        return False
    text = start.decode(encoding_of(start), "ignore").lstrip("\ufeff \t\r\n")
    return text.startswith("[") or (text.startswith("{") and bool(_DATA_LIST.search(text)))


def _said_split(table: Path) -> str:
    """The name that may be a split's: the table's own, or its folder's where the name is any table's."""
    return table.parent.name if table.stem in _TABLE_NAMES else table.stem


def _table_in(root: Path) -> Path | None:
    paths = (root / f"{name}{suffix}" for name in _TABLE_NAMES for suffix in TABLE_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _table_examples(table: Path, folder_split: str, config: DataConfig, report: Report) -> Iterator[Example]:
    files = photo_files(config, table.parent, strict=False)
    found: dict[tuple[str, str], _Photo] = {}
    photos: dict[tuple[str, str], _Photo] = {}
    for where, record in read_records(table, report):
        if not record.names_a_photo:
            complain(report, "malformed", f"no photo is named ({' or '.join(IMAGE_COLUMNS[:4])})", where)
            continue
        name = portable(record.name) or record.number
        asked = (record.name, "" if record.name else record.number)
        if asked not in found:
            image = files.find(record.name) if record.name else files.of_id(name) or files.find(name)
            found[asked] = photos.setdefault(_spelling(name, image), _Photo(name=name, image=image))
        photo = found[asked]
        photo.captions += record.captions
        photo.number = photo.number or record.number
        split = split_of(record.split or folder_split, where, report)
        if photo.split and split and split != photo.split:
            complain(report, "split_overlap", f"listed in {photo.split} and in {split}", name)
        photo.split = photo.split or split
    for photo in photos.values():
        key = f"{_said_split(table)}/{photo.name}" if folder_split else photo.name  # names may repeat
        yield example_of(config, key, photo.image, photo.captions, photo.split, image_id=photo.number)


def _spelling(name: str, image: Path | None) -> tuple[str, str]:
    """What the spellings of one photo's name have in common."""
    if image is None or not image.is_file():
        return "", same_name(name)
    return os.path.normpath(image), folded(name) if is_whole(name) else ""


def read_records(table: Path, report: Report) -> Iterator[tuple[str, Record]]:
    """(file and line, what it says) for each row of a table in any of its formats."""
    for where, row in _rows(table, report):
        if isinstance(row, dict):
            if (record := read_record(row, where, report)) is not None:
                yield where, record
        else:
            complain(report, "malformed", "expected an object with an image and a caption", where)


def _rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    if table.suffix.lower() == ".json":
        content = read_json(table)
        if isinstance(content, dict) and isinstance(content.get("data"), list):  # TextCaps
            content = content["data"]
        entries = content if isinstance(content, list) else [content]
        yield from ((f"{table}, entry {number}", row) for number, row in enumerate(entries, 1))
    elif table.suffix.lower() in (".csv", ".tsv"):
        yield from _csv_rows(table, report)
    else:
        yield from _jsonl_rows(table, report)


def _jsonl_rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(read_lines(table, report), 1):
        where = f"{table}, line {number}"
        if not line.strip():
            continue
        try:
            yield where, json.loads(line)
        except (ValueError, RecursionError) as error:
            complain(report, "malformed", f"not JSON ({error})", where)


def _csv_rows(table: Path, report: Report) -> Iterator[tuple[str, Any]]:
    rows = csv_rows(table, report)
    first = next(rows, None)
    if first is None:
        return
    names = _column_names(first.cells)
    if names is None:
        complain(
            report,
            "malformed",
            f"no column is named {' or '.join(IMAGE_COLUMNS[:4])}",
            f"{table}, line {first.number}",
        )
        return
    is_header = names_photos([cell.strip().lower() for cell in first.cells])
    for row in rows if is_header else chain([first], rows):
        where = f"{table}, line {row.number}"
        cells = _fitted(row.cells, names)
        if len(cells) == len(names):
            yield where, _as_dict(names, cells)
        else:
            expected = f"{len(cells)} columns where the header has {len(names)}; is a comma unquoted?"
            complain(report, "malformed", expected, where)


def csv_rows(table: Path, report: Report, lines: Iterator[str] | None = None) -> Iterator[Row]:
    """The rows of a CSV or TSV file, the header included; a stray quotation mark is reported.

    lines: those of the file, where it is read already.
    """
    lines = read_lines(table, report) if lines is None else lines
    header = next(lines, "")
    delimiter = named_delimiter(header)
    if delimiter is not None:
        skipped, header = 1, next(lines, "")
    elif table.suffix.lower() == ".tsv" and "\t" in header:
        skipped, delimiter = 0, "\t"
    else:
        skipped, delimiter = 0, guess_delimiter(header, _may_be_first)
    cells = header.split(delimiter)
    skip_spaces = len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:])
    first = list(islice(lines, _FIRST_LINES))
    is_row = _row_test(delimiter, cells, first)
    whole = chain([header], first, lines)
    for row in read_rows(whole, delimiter, is_row=is_row, skip_spaces=skip_spaces):
        row = replace(row, number=row.number + skipped)
        if row.is_stray:
            _report_quote(row, f"{table}, line {row.number}", delimiter, report)
        yield row


def _report_quote(row: Row, where: str, delimiter: str, report: Report) -> None:
    if row.is_unclosed and delimiter in _DELIMITERS_OF_QUOTED_CELLS:
        complain(report, "malformed", "a quotation mark is opened and never closed", where)
    else:
        message = "a quotation mark at the start of a cell, read as part of its text"
        complain(report, "stray_quote", message, where, severity="warning")


def _row_test(delimiter: str, header: Sequence[str], first: Sequence[str]) -> Callable[[str], bool]:
    """A test for lines that begin a row: where the header names photos, the line names one.

    first: the first lines behind the header. Where they name no file, photos are numbers or single words.
    """
    names = [cell.strip('" ').lower() for cell in header]
    rows = [line.split(delimiter) for line in (delimiter.join(header), *first)]
    known = [names.index(name) for name in (*PHOTO_COLUMNS, *ADDRESS_COLUMNS) if name in names]
    named = {at for cells in rows for at, cell in enumerate(cells) if IMAGE_NAME.search(cell.strip('" '))}
    place = [*(at for at in known if at in named), *known, *sorted(named), 0][0]
    has_names = bool(named)
    has_numbers = any(cells[place].strip('" ').isdecimal() for cells in rows[1:2] if len(cells) > place)
    is_spaced = any(cells[place + 1].startswith(" ") for cells in rows[:2] if len(cells) > place + 1)

    def is_row(line: str) -> bool:
        cells = line.split(delimiter)
        if not len(cells) >= len(names) > 1:
            return False
        name = cells[place].strip('" ')
        if has_names:
            return bool(IMAGE_NAME.search(name))
        # Behind a comma within a sentence is a space.
        is_sentence = not is_spaced and any(cell.startswith(" ") for cell in cells[1:])
        is_word = len(cells) == len(names) and len(name.split()) == 1
        return (name.isdecimal() if has_numbers else is_word) and not is_sentence

    return is_row


def _may_be_first(cell: str) -> bool:
    return names_photos([cell.lower()]) or bool(IMAGE_NAME.search(cell))


def _column_names(first: Sequence[str]) -> list[str] | None:
    """The columns' names, in lower case, from a table's first row; None if they cannot be told.

    Without a header, the first row is a photo and its caption, perhaps with the caption's number in between.
    """
    names = [cell.strip().lower() for cell in first]
    if names_photos(names):
        return names
    if IMAGE_NAME.search(names[0]):
        if len(names) == 2:
            return ["image", "caption"]
        if len(names) == 3 and names[1].isdecimal():
            return ["image", "comment_number", "caption"]
    return None


def _fitted(cells: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """A row's cells without empty ones beyond the header, as spreadsheets write them.

    Kaggle's copy of Flickr30k lacks one delimiter, behind a caption's number: it is put back.
    """
    while len(cells) > len(names) and not cells[-1].strip():
        cells = cells[:-1]
    is_short = len(cells) == len(names) - 1 and names[-2:] == ["comment_number", "comment"]
    if is_short and (match := re.fullmatch(r"\s*(\d+)\s+(.+)", cells[-1])):
        return [*cells[:-1], match[1], match[2]]
    return cells


def _as_dict(names: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    if csv_format(names) is not None:  # what `cutline caption` wrote
        return dict(zip(names, map(unescape_formula, cells), strict=True))
    return {name: texts_in_cell(cell) for name, cell in zip(names, cells, strict=True)}
