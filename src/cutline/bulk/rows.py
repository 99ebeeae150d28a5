"""One photo of a source: what it is called in the output, and where its bytes are."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from cutline.bulk import places
from cutline.errors import DataError, ImageMissing
from cutline.images import Limits, Source
from cutline.settings import from_environment


class Place(Protocol):
    """Where a photo's bytes are. Places are frozen dataclasses, for they travel between processes."""

    def source(self, limits: Limits) -> Source:
        """The photo, for `open_image`. Raises CutlineError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One photo, which becomes one row. size: its bytes; -1 where nobody knows without reading it."""

    file: str
    place: Place
    size: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file here."""

    path: str

    def source(self, limits: Limits) -> Source:
        """The path: `open_image` reads it."""
        return self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object in a store."""

    url: str

    def source(self, limits: Limits) -> Source:
        """The bytes."""
        return places.read_photo(self.url, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A photo on the web, for which only servers on the open internet are asked."""

    url: str

    def source(self, limits: Limits) -> Source:
        """The bytes. Raises AddressForbidden and FetchFailed."""
        from cutline import fetching

        return fetching.fetch_photo(self.url, max_bytes=limits.max_file_bytes, rules=_web_rules())[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Web:
    """CUTLINE_FETCH_ALLOW and CUTLINE_FETCH_TIMEOUT_S, as the service has them."""

    fetch_allow: str = ""
    fetch_timeout_s: float = 15.0


@functools.cache
def _web_rules() -> Any:
    from cutline import fetching

    web = from_environment(_Web())
    networks = tuple(filter(None, map(str.strip, web.fetch_allow.split(","))))
    return fetching.Rules(allow=networks, timeout_s=web.fetch_timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file in a tar."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The photo of a sample in a webdataset shard. others: what else the sample has.

    dots: of a name with dots in it, how many belong to the name: samples beside it have the same key.
    """

    archive: str
    photo: Part
    others: tuple[Part, ...] = ()
    dots: int = 0

    def source(self, limits: Limits) -> Source:
        """The bytes."""
        return self.read(self.photo)

    def read(self, part: Part) -> bytes:
        """One file of the sample. Raises ImageMissing."""
        return places.read_range(self.archive, part.offset, part.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The photo in a column of a Parquet or Arrow file. group: the row group or record batch."""

    table: str
    group: int
    row: int
    column: str

    def source(self, limits: Limits) -> Source:
        """The bytes, or the path that stands in their place."""
        with _TABLES:
            try:
                value = _column(self.table, self.group, self.column)[self.row].as_py()
            except (IndexError, KeyError) as error:
                raise ImageMissing(f"{self.table} has changed: row {self.row} is not there.") from error
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict):  # Hugging Face's images
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return value
        if not value:
            raise ImageMissing(f"{self.table} has no photo in row {self.row}.")
        return bytes(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """A photo in memory, or whatever else an engine hands over."""

    data: Source

    def source(self, limits: Limits) -> Source:
        """The photo."""
        return self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """No photo, for a reason that the source has shown."""

    reason: str

    def source(self, limits: Limits) -> Source:
        """Raises ImageMissing."""
        raise ImageMissing(self.reason)


def encoded(row: Row) -> bytes:
    """A row of a source as a line of JSON."""
    return json.dumps([row.file, row.size, type(row.place).__name__, asdict(row.place)]).encode() + b"\n"  # type: ignore[call-overload]


def decoded(line: bytes) -> Row:
    """What ``encoded`` has made. Raises ValueError, TypeError and KeyError for anything else."""
    file, size, kind, fields = json.loads(line)
    if kind == Member.__name__:
        fields["photo"] = Part(**fields["photo"])
        fields["others"] = tuple(Part(**other) for other in fields["others"])
    return Row(file=file, place=_KINDS[kind](**fields), size=size)


_KINDS: Mapping[str, type[File | Stored | Fetched | Member | Cell | Unusable]] = {
    place.__name__: place for place in (File, Stored, Fetched, Member, Cell, Unusable)
}
"""The places that a source's rows have."""

# One thread at a time reads tables: rows are asked for in order, so that few groups are in memory.
_TABLES = threading.Lock()


@functools.lru_cache(maxsize=2)
def _column(table: str, group: int, column: str) -> Any:
    try:
        if table.endswith(".arrow"):
            return arrow_batch(table, group).column(column)
        with parquet_file(table) as file:
            return file.read_row_group(group, columns=[column]).column(0)
    except (OSError, ValueError) as error:
        raise DataError(f"{table} cannot be read ({error}).") from error


@contextlib.contextmanager
def parquet_file(table: str) -> Iterator[Any]:
    """A Parquet file, opened. Raises OSError and ValueError, or ModuleNotFoundError."""
    from pyarrow.parquet import ParquetFile

    with places.opened(table) as file, ParquetFile(file) as parquet:
        yield parquet


def arrow_batch(table: str, group: int) -> Any:
    """A record batch of an Arrow file or stream."""
    for number, batch in enumerate(arrow_batches(table)):
        if number == group:
            return batch
    raise DataError(f"{table} has become shorter.")


def arrow_batches(table: str) -> Iterator[Any]:
    """The record batches of an Arrow file or stream, as Hugging Face's ``save_to_disk`` writes them."""
    import pyarrow as pa

    source = places.opened(table) if places.is_remote(table) else pa.memory_map(table)
    with source:
        try:
            reader = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            source.seek(0)
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
            return
        yield from reader
