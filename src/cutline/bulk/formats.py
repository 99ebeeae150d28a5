"""How a shard of captions is written: JSON Lines, CSV, Parquet, or webdataset with the photos in it."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, Protocol

from cutline.atomic_files import write_all
from cutline.bulk.batch import Done
from cutline.bulk.rows import Member, Row
from cutline.caption_files import CaptionFormat, CaptionLine, CsvLines, Failure, JsonLines, json_line
from cutline.errors import CutlineError, MissingExtra


class Writer(Protocol):
    """Writes one shard into a file that exists and is empty."""

    def add(self, row: Row, done: Done) -> Done:
        """Write one photo's captions, and give back what was written: an error, where the rest of its sample
        cannot be read. Raises OSError.
        """
        ...

    def keep(self, record: Any) -> None:
        """Write what an older shard has of a photo: a record of ``records_in``. Raises OSError."""
        ...

    def finish(self) -> None:
        """Write what is left. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of the file, finished or not."""
        ...


class _Lines:
    def __init__(self, path: str, format_: CaptionFormat) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed in close()
        self._format = format_
        write_all(self._file, format_.header())

    def add(self, row: Row, done: Done) -> Done:
        write_all(self._file, self._format.encode(done.line))
        return done

    def keep(self, record: Any) -> None:
        write_all(self._file, record)

    def finish(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()


_COLUMNS = (
    *("file", "model", "caption", "log_prob", "confidence", "captions", "styled"),
    *("error_code", "error_message"),
)


class _Parquet:
    """_COLUMNS: caption, log_prob and confidence are those of the first caption; captions has all."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []

    def add(self, row: Row, done: Done) -> Done:
        line = done.line
        self._rows.append(
            {
                "file": _utf8(line.file),
                "model": line.model or None,
                "caption": line.captions[0].text if line.captions else None,
                "log_prob": line.captions[0].log_prob if line.captions else None,
                "confidence": line.captions[0].confidence if line.captions else None,
                "captions": [each.text for each in line.captions],
                "styled": [str(each["text"]) for each in line.styled],
                "error_code": line.failure and line.failure.code,
                "error_message": line.failure and line.failure.message,
            }
        )
        return done

    def keep(self, record: Any) -> None:
        self._rows.append(record)

    def close(self) -> None:
        self._rows.clear()

    def finish(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        text, texts = pa.string(), pa.list_(pa.string())
        kinds = {"log_prob": pa.float64(), "confidence": pa.float64(), "captions": texts, "styled": texts}
        columns = {
            name: pa.array([row.get(name) for row in self._rows], kinds.get(name, text)) for name in _COLUMNS
        }
        parquet.write_table(pa.table(columns), self._path)


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class _Webdataset:
    """The photos, and beside each its captions: KEY.txt, a line each, and KEY.json, which is its JSON line.

    A sample that came of a shard keeps its key and all that it had; where it has a .txt or a .json already,
    ours are KEY.cutline.txt and KEY.cutline.json. Where several photos have names with dots that begin alike,
    such as IMG.4.jpg, a key is a number: whoever reads it would cut it at the first dot.
    """

    def __init__(self, path: str, shard: int) -> None:
        self._shard = shard
        self._tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 - closed in close()
        self._number = 0

    def add(self, row: Row, done: Done) -> Done:
        others: list[tuple[str, bytes]] = []
        if isinstance(row.place, Member):
            try:
                others = [(part.name, row.place.read(part)) for part in row.place.others]
            except CutlineError as error:
                if not done.line.is_failed:
                    failed = CaptionLine(file=done.line.file, failure=Failure.of(error))
                    done = replace(done, line=failed)
        line = done.line
        key, taken = f"{self._shard:05}-{self._number:06}", set[str]()
        self._number += 1
        if isinstance(row.place, Member):
            name, dots = row.place.photo.name, row.place.dots
            key, rest = key if dots else _key_of(name), _rest_of(name, dots)
            others = [(_rest_of(other, dots), data) for other, data in others]
            taken = {os.path.splitext(part.name)[1].lower() for part in row.place.others}
        else:
            rest = os.path.splitext(row.file)[1].lower() or ".jpg"
        if done.data is not None:
            self._write(key + rest, done.data)
        for other, data in others:
            self._write(key + other, data)
        texts = [str(each["text"]) for each in line.styled] or [each.text for each in line.captions]
        if texts:
            own = ".cutline.txt" if ".txt" in taken else ".txt"
            self._write(key + own, "".join(f"{text}\n" for text in texts).encode())
        own = ".cutline.json" if ".json" in taken else ".json"
        self._write(key + own, json_line(line).encode())
        return done

    def keep(self, record: Any) -> None:
        self._number += 1
        for name, data in record:
            self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        self._tar.addfile(entry, io.BytesIO(data))

    def finish(self) -> None:
        self._tar.close()

    def close(self) -> None:
        self._tar.close()


FORMATS: Mapping[str, tuple[str, Callable[[str, int, Mapping[str, Any]], Writer]]] = {
    "jsonl": (".jsonl", lambda path, shard, record: _Lines(path, JsonLines())),
    "csv": (".csv", lambda path, shard, record: _Lines(path, _csv_lines(record))),
    "parquet": (".parquet", lambda path, shard, record: _Parquet(path)),
    "webdataset": (".tar", lambda path, shard, record: _Webdataset(path, shard)),
}
"""The end of a shard's name, and its writer, by the name of the format."""


def records_in(path: str, format_: str) -> Iterator[Any]:
    """What a shard has of each photo, in order, for Writer.keep."""
    if format_ == "parquet":
        from pyarrow import parquet

        yield from parquet.read_table(path).to_pylist()
    elif format_ == "webdataset":
        yield from _samples_in(path)
    else:  # a line each, in CSV behind the header
        with open(path, "rb") as file:
            yield from islice(file, 1 if format_ == "csv" else 0, None)


def _samples_in(path: str) -> Iterator[list[tuple[str, bytes]]]:
    """As webdataset groups them: neighbours whose names are the same up to the first dot."""
    with tarfile.open(path) as tar:
        members = ((entry.name, tar.extractfile(entry)) for entry in tar)
        named = ((name, file.read()) for name, file in members if file is not None)
        for _, sample in groupby(named, key=lambda each: _key_of(each[0])):
            yield list(sample)


def _key_of(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.partition('.')[0]}"


def _rest_of(name: str, dots: int) -> str:
    """What of a member's name stands behind its key, with the dot. dots: how many of them the key has."""
    parts = name.rpartition("/")[2].split(".")
    return "".join(f".{each}" for each in parts[1 + dots :])


def _csv_lines(record: Mapping[str, Any]) -> CsvLines:
    n, confident = int(record.get("n", 1)), bool(record.get("confident"))
    if "voice" in record:
        return CsvLines(1, styled=n, confident=confident)
    return CsvLines(n, confident=confident)


def check_installed(format_: str) -> None:
    """Raises MissingExtra where a format wants a library that is not here."""
    if format_ != "parquet":
        return
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "Parquet needs pyarrow, which is not installed.",
            hint="Install it with: pip install 'cutline[bulk]'",
        ) from error
