"""From a source to its rows: folders, globs, lists, tables, webdataset shards, Hugging Face's folders.

What stands in a folder together, photos and tables and shards, is nobody's guess: it is refused. What earlier
runs of `cutline bulk` have written there is left out.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import importlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cutline.bulk import places
from cutline.bulk.rows import (
    Cell,
    Fetched,
    File,
    Member,
    Part,
    Place,
    Row,
    Stored,
    Unusable,
    arrow_batches,
    parquet_file,
)
from cutline.caption_files import csv_format
from cutline.errors import DataError, ImageMissing, OptionError
from cutline.file_names import Spellings, portable, without_braces
from cutline.junk_files import is_hidden
from cutline.photo_search import EXTENSIONS, PhotoSearch, folder_of_glob, names_in
from cutline.spreadsheet import unescape_formula
from cutline.text_files import text_lines
from cutline.training.examples import DataConfig, Problem
from cutline.training.photo_files import IMAGE_NAME, PhotoFiles, photo_files
from cutline.training.records import ADDRESS_COLUMNS, IMAGE_COLUMNS, photo_in
from cutline.training.shards import find_shards, plain_files, samples_in
from cutline.training.tables import csv_rows

COLUMNS = (*IMAGE_COLUMNS, *ADDRESS_COLUMNS)
"""The columns that are looked for where none is named."""

_LISTS = (".txt", ".lst", ".list")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow")
_COLUMNAR = (".parquet", ".arrow")
_SHARD = ".tar"


def rows_of(
    source: str,
    *,
    column: str | None = None,
    sink: str = "",
    search: PhotoSearch | None = None,
) -> Iterator[Row]:
    """Every photo of a source, in an order that is the same each time. A row in, a row out: copies stay.

    column: of tables, the one with the photos. sink: where the run writes, which is no part of the source.
    search: what finds the photos, and then knows what was left out. Raises DataError, also where there is no
    photo at all, OptionError and MissingExtra; a place that cannot be read is a row with its error.
    """
    is_empty = True
    search = search or PhotoSearch()
    for row in _rows(source, column, search, is_sink=bool(sink) and _is_same(source, sink)):
        is_empty = False
        yield row
    if is_empty:
        raise DataError(f"There are no photos in {source}.", hint="Check how it is written.")


def _is_same(source: str, sink: str) -> bool:
    if places.is_remote(source) or places.is_remote(sink):
        return places.absolute(source) == places.absolute(sink)
    return os.path.realpath(source) == os.path.realpath(sink)


def _rows(source: str, column: str | None, search: PhotoSearch, *, is_sink: bool) -> Iterator[Row]:
    if places.is_remote(source):
        yield from _remote(source, column, search, is_sink=is_sink)
    elif os.path.isdir(source):
        yield from _folder(source, column, search, is_sink=is_sink)
    elif places.scheme_of(source):
        raise DataError(f"{source} is no source.", hint="A photo's URL stands in a list file or in a column.")
    elif (ending := _ending(source)) == _SHARD:
        yield from _samples(os.path.abspath(shard) for name in _named(source) for shard in find_shards(name))
    elif ending in _LISTS + _TABLES:
        for name in _named(source):
            for file in _matching(name):
                yield from _file(file, column, search)
    else:
        for name in _named(source):
            yield from _searched(name, search)


def _named(source: str) -> list[str]:
    """What a name here means: itself, where there is such a file."""
    return [source] if os.path.lexists(source) else without_braces(source)


def _matching(name: str) -> list[str]:
    """The files of a glob, in order; a name that is none is itself."""
    return sorted(glob.glob(name)) if glob.has_magic(name) and not os.path.isfile(name) else [name]


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _file(name: str, column: str | None, search: PhotoSearch) -> Iterator[Row]:
    """A list is searched, as that of `cutline caption`; a table gives a row for each of its own."""
    if _ending(places.split_options(name)[0]) in _LISTS:
        return (row for row in _listed(name) if not search.is_excluded(row.file))
    return _table(name, column)


# Folders


def _folder(folder: str, column: str | None, search: PhotoSearch, *, is_sink: bool) -> Iterator[Row]:
    """Tables of a Hugging Face data set, shards, or photos: what the folder has."""
    exclude = search.exclude
    saved = _saved_below(Path(folder))
    tables = saved or _below(folder, ".parquet", exclude, is_sink=is_sink)
    shards = [] if saved else _below(folder, _SHARD, exclude, is_sink=is_sink)
    if not saved and (tables or shards):
        _check_alone(folder, tables, shards, next(_photos_below(folder, exclude), None))
    for table in tables:
        yield from _table(os.path.abspath(table), column)
    if shards:
        yield from _samples(map(os.path.abspath, shards))
    elif not tables:
        yield from _searched(folder, search)


def _saved_below(folder: Path) -> list[str]:
    """The Arrow files of a data set, as ``save_to_disk`` writes them."""
    if not (folder / "dataset_info.json").is_file() and not (folder / "dataset_dict.json").is_file():
        return []
    found = (path for path in folder.rglob("*.arrow") if not path.name.startswith(("cache-", ".")))
    return sorted(map(str, found))


def _below(folder: str, ending: str, exclude: Sequence[str], *, is_sink: bool) -> list[str]:
    """The files of that kind in a folder, and in those in it; none that a run of ours has written there."""
    search = PhotoSearch(exclude)
    found = sorted([*Path(folder).glob(f"*{ending}"), *Path(folder).glob(f"*/*{ending}")])
    own = {
        path
        for path in found
        if (is_sink and places.is_part(path.name) and path.parent == Path(folder))
        or (path.parent != Path(folder) and (path.parent / places.PLAN).is_file())
    }
    return [str(path) for path in found if path not in own and not _is_left_out(search, str(path), folder)]


def _is_left_out(search: PhotoSearch, name: str, top: str) -> bool:
    """Whether a file or an object below a folder is hidden or excluded."""
    return any(map(is_hidden, os.path.relpath(name, top).split(os.sep))) or search.is_excluded(name, top)


def _photos_below(folder: str, exclude: Sequence[str]) -> Iterator[str]:
    for found in PhotoSearch(exclude).find([folder]):
        if found.error is None:
            yield found.path


def _check_alone(source: str, tables: Sequence[str], shards: Sequence[str], photo: str | None) -> None:
    """Raises DataError where a source has more than one kind of thing with photos."""
    found = [*tables[:1], *shards[:1], *([photo] if photo else [])]
    if len(found) > 1:
        address, options = places.split_options(source)
        folder = os.path.dirname(address) if glob.has_magic(address) else address.rstrip("/")
        raise DataError(
            f"{source} has more than one kind of source, such as {' and '.join(found)}.",
            hint=f"Say which is meant by a glob, such as '{folder}/*{_ending(found[-1])}{options}', or leave"
            f" out the other: --exclude '*{_ending(found[0])}'.",
        )


def _searched(pattern: str, search: PhotoSearch) -> Iterator[Row]:
    for found in search.find([pattern]):
        if found.error is not None:
            if not isinstance(found.error, ImageMissing):
                raise found.error
            yield Row(file=found.path, place=Unusable(reason=str(found.error)))
        else:
            path = os.path.abspath(found.path)
            yield Row(file=path, place=File(path=path), size=_size(path))


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


# Lists and tables


def _listed(name: str) -> Iterator[Row]:
    photos = _Names(name)
    with _readable(name), places.opened(name) as file:
        yield from (photos.row(text) for text in names_in(file) if text.strip())


def named(text: str) -> Row:
    """The photo that a text names: an object, a URL, or a path from here."""
    return _Names("").row(text)


class _Names:
    """The photos that the cells of a table or the lines of a list name.

    beside: the table or the list.
    """

    def __init__(self, beside: str) -> None:
        self._beside = beside
        self._spellings = Spellings()

    def row(self, text: str) -> Row:
        """An object, a URL, or a path from here or from beside the table."""
        text = text.strip()
        if places.is_remote(text):
            return Row(file=text, place=Stored(url=text))
        if (scheme := places.scheme_of(text)) in ("http", "https"):
            importlib.import_module(
                "cutline.fetching"
            )  # now, so that a missing extra ends the run before it begins
            return Row(file=text, place=Fetched(url=text))
        if scheme not in ("", "file"):
            return Row(file=text, place=Unusable(reason=f"{text} is no photo: {scheme}:// is not read."))
        if places.is_remote(self._beside):
            address, options = places.split_options(self._beside)
            url = f"{address.rpartition('/')[0]}/{portable(text)}{options}"
            return Row(file=text, place=Stored(url=url))
        path = self._path(text)
        return Row(file=text, place=File(path=os.path.abspath(path)), size=_size(path))

    def _path(self, text: str) -> str:
        """Where a file is, whichever system's name it has; where it would be, if it is not here."""
        here = unquote(urlsplit(text).path) if places.scheme_of(text) else portable(text)
        near = os.path.join(os.path.dirname(self._beside), here)
        if found := next((path for path in (here, near) if os.path.lexists(path)), None):
            return found
        has_gone = os.path.isabs(here) and os.path.isdir(os.path.dirname(here))  # from where it is said to be
        spelt = self._photos.existing(text) if self._beside and not has_gone else None
        return str(spelt) if spelt else self._spellings.find(here) or here

    @functools.cached_property
    def _photos(self) -> PhotoFiles:
        """As trainings look for them: beside the table, and in folders such as images."""
        folder = os.path.dirname(self._beside) or os.curdir
        return photo_files(DataConfig(path=folder), Path(folder), strict=False)


def _table(name: str, column: str | None) -> Iterator[Row]:
    ending = _ending(places.split_options(name)[0])
    with _readable(name):
        if ending == ".parquet":
            yield from _parquet(name, column)
        elif ending == ".arrow":
            yield from _arrow(name, column)
        elif ending in (".jsonl", ".ndjson"):
            yield from _json_lines(name, column)
        else:
            yield from _csv(name, column)


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns what libraries raise about a table into DataError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(f"{name} cannot be read ({error}).") from error


def _csv(name: str, column: str | None) -> Iterator[Row]:
    photos = _Names(name)
    with places.opened(name) as file:
        rows = csv_rows(Path(places.split_options(name)[0]), _ignore, text_lines(file))
        first = next(rows, None)
        if first is None:
            return
        names = [cell.strip() for cell in first.cells]
        at = _place_without_header(names) if column is None else None
        if at is None:
            at = names.index(_chosen(names, column, name))
        else:
            rows = chain([first], rows)
        is_own = csv_format(names) is not None  # what `cutline caption` wrote
        for row in rows:
            cell = row.cells[at] if at < len(row.cells) else None
            yield _named_or_missing(
                unescape_formula(cell) if cell and is_own else cell, photos, name, row.number
            )


def _ignore(problem: Problem) -> None:
    """Captions are not read: what is wrong with them is no matter here."""


def _place_without_header(cells: Sequence[str]) -> int | None:
    """The column with the photos, by a first row that is a photo's; None where it is a header."""
    if {cell.lower() for cell in cells} & set(COLUMNS):
        return None
    named = [place for place, cell in enumerate(cells) if IMAGE_NAME.search(cell)]
    return named[0] if named and (named[0] == 0 or len(named) == 1) else None


def _json_lines(name: str, column: str | None) -> Iterator[Row]:
    photos = _Names(name)
    is_first = True
    with places.opened(name) as file:
        for number, line in enumerate(text_lines(file), 1):
            if line.strip():
                fields = json.loads(line)
                if not isinstance(fields, dict):
                    raise DataError(f"{name}, line {number}: not a JSON object.")
                if column is None and is_first:
                    _chosen(list(fields), None, name)
                is_first = False
                value = _first_photo(fields) if column is None else photo_in(fields.get(column))
                yield _named_or_missing(value, photos, name, number)


def _first_photo(fields: Mapping[str, object]) -> object:
    """The photo in the first of the known columns that has one."""
    by_name = {str(name).strip().lower(): photo_in(value) for name, value in fields.items()}
    return next((by_name[each] for each in COLUMNS if by_name.get(each)), None)


def _named_or_missing(value: object, photos: _Names, table: str, number: int) -> Row:
    if isinstance(value, str) and value.strip():
        return photos.row(value)
    reason = f"Row {number} of {table} names no photo."
    return Row(file=f"{table}#{number}", place=Unusable(reason=reason))


def _chosen(names: Sequence[str], column: str | None, table: str) -> str:
    """The column with the photos. Raises OptionError."""
    if column is not None:
        if column in names:
            return column
        raise OptionError(f"{table} has no column {column!r}.", hint=f"It has {', '.join(names)}.")
    by_name = {name.strip().lower(): name for name in reversed(names)}
    for known in COLUMNS:
        if known in by_name:
            return by_name[known]
    raise OptionError(f"Which column of {table} has the photos?", hint=f"--column: {', '.join(names)}.")


def _parquet(name: str, column: str | None) -> Iterator[Row]:
    import pyarrow as pa

    photos = _Names(name)
    with parquet_file(name) as table:
        chosen = _chosen(table.schema_arrow.names, column, name)
        kind = table.schema_arrow.field(chosen).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        has_path = pa.types.is_struct(kind) and kind.get_field_index("path") >= 0
        number = 0
        for group in range(table.num_row_groups):
            count = table.metadata.row_group(group).num_rows
            names: list[Any] = [None] * count
            if is_text:
                names = table.read_row_group(group, columns=[chosen]).column(0).to_pylist()
            elif has_path:  # without the bytes beside it
                read = table.read_row_group(group, columns=[f"{chosen}.path"]).column(0).to_pylist()
                names = [value and value.get("path") for value in read]
            yield from _cells(photos, name, group, chosen, names, number, is_text=is_text)
            number += count


def _arrow(name: str, column: str | None) -> Iterator[Row]:
    import pyarrow as pa

    photos = _Names(name)
    number = 0
    for group, batch in enumerate(arrow_batches(name)):
        chosen = _chosen(batch.schema.names, column, name)
        values = batch.column(chosen)
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        names: list[Any] = [None] * len(values)
        if is_text:
            names = values.to_pylist()
        elif pa.types.is_struct(values.type) and values.type.get_field_index("path") >= 0:
            names = values.field("path").to_pylist()
        yield from _cells(photos, name, group, chosen, names, number, is_text=is_text)
        number += len(values)


def _cells(
    photos: _Names, table: str, group: int, column: str, names: Sequence[Any], start: int, *, is_text: bool
) -> Iterator[Row]:
    for row, named in enumerate(names):
        if is_text:
            yield _named_or_missing(named, photos, table, start + row)
        else:
            place = Cell(
                table=os.path.abspath(table) if not places.is_remote(table) else table,
                group=group,
                row=row,
                column=column,
            )
            yield Row(file=named or f"{table}#{start + row}", place=place)


# Webdataset


def _samples(shards: Iterable[str]) -> Iterator[Row]:
    for shard in shards:
        try:
            with places.opened_to_skim(shard) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                yield from _samples_in(tar, shard)
        except (tarfile.TarError, OSError) as error:
            reason = f"{shard} is not a complete, uncompressed tar ({error})."
            yield Row(file=shard, place=Unusable(reason=reason))


def _samples_in(tar: tarfile.TarFile, shard: str) -> Iterator[Row]:
    """Of each sample the first photo; others are masks and the like."""
    for _, found in samples_in(_parts_in(tar), lambda part: part.name):
        for sample in found:
            if (photo := sample.photo) is not None:
                others = tuple(part for part in sample.files if part is not photo)
                dots = sample.inner.count(".") + 1 if sample.inner and len(found) > 1 else 0
                place: Place = Member(archive=shard, photo=photo, others=others, dots=dots)
                yield Row(file=f"{shard}!{photo.name}", place=place, size=photo.size)


def _parts_in(tar: tarfile.TarFile) -> Iterator[Part]:
    for entry in plain_files(tar):
        yield Part(name=entry.name, offset=entry.offset_data, size=entry.size)
        tar.members = []  # type: ignore[attr-defined]  # it would keep all of them


# Object stores


def _remote(source: str, column: str | None, search: PhotoSearch, *, is_sink: bool) -> Iterator[Row]:
    address, options = places.split_options(source)
    names = without_braces(address)
    if _ending(address) in _LISTS + _TABLES and not glob.has_magic(address):
        for name in names:
            yield from _file(name + options, column, search)
        return
    found: dict[str, int] = {}
    lost: list[str] = []
    for name in names:
        objects = dict(_objects(name + options))
        if not objects and len(names) > 1 and not glob.has_magic(name):
            lost.append(name)
            objects = {name: -1}  # a row with an error, as it is for a shard that is not here
        top = folder_of_glob(name) if glob.has_magic(name) else name
        own = _not_written(objects, address, is_sink=is_sink)
        found |= {each: size for each, size in own.items() if not _is_left_out(search, each, top)}
    if len(lost) == len(names):
        return
    tables = [name for name in found if _ending(name) in _COLUMNAR]
    shards = [name for name in found if _ending(name) == _SHARD]
    photos = {name: size for name, size in found.items() if _ending(name) in EXTENSIONS}
    for name in found:
        search.note_other(name)
    _check_alone(source, tables, shards, next(iter(photos), None))
    for table in tables:
        yield from _table(table + options, column)
    yield from _samples(name + options for name in shards)
    for name, size in photos.items():
        yield Row(file=name, place=Stored(url=name + options), size=size)
    for name in lost:
        if _ending(name) not in (*_COLUMNAR, _SHARD, *EXTENSIONS):
            yield Row(file=name, place=Unusable(reason=f"There is nothing at {name}."))


def _not_written(found: dict[str, int], address: str, *, is_sink: bool) -> dict[str, int]:
    """Without what runs of ours have written there."""
    top = address.rstrip("/")
    plan = f"/{places.PLAN}"
    sinks = {name.removesuffix(plan) for name in found if name.endswith(plan)} - {top}
    return {
        name: size
        for name, size in found.items()
        if not any(name.startswith(f"{each}/") for each in sinks)
        and not (is_sink and places.is_part(name.removeprefix(f"{top}/")))
    }


def _objects(source: str) -> Iterator[tuple[str, int]]:
    """Names in the store with their scheme, and their sizes, in order."""
    store, path = places.located(source)
    try:
        if glob.has_magic(path):
            found = store.glob(path, detail=True)
        elif store.isfile(path):
            found = {path: store.info(path)}
        else:
            found = store.find(path, detail=True)
    except Exception as error:  # each store's library has errors of its own
        raise DataError(f"{source} cannot be listed ({error}).") from error
    for name in sorted(found):
        if found[name].get("type") == "file":
            yield f"{places.scheme_of(source)}://{name.lstrip('/')}", int(found[name].get("size") or 0)
