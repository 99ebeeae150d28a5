"""The lines that `cutline restyle` reads and writes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from cutline.atomic_files import open_to_append, output_errors, write_all
from cutline.errors import CutlineError, DataError
from cutline.styles.records import styled_record

if TYPE_CHECKING:
    from cutline.styles import Styled

MAX_LINE_BYTES = 2**20
_DESCRIPTIONS = ("description", "caption", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the input. number: from 1. record: its object; None for a plain line."""

    number: int
    source: str
    record: Mapping[str, Any] | None
    is_json: bool

    def sentences(self) -> list[str]:
        """The description, then what else is said of the photo. Raises DataError where there is none."""
        if self.record is None:
            return [self.source]
        named = next((self.record[name] for name in _DESCRIPTIONS if name in self.record), None)
        captions = self.record.get("captions")
        found = [named] if named is not None else []
        if isinstance(captions, list):
            found += [each.get("text") if isinstance(each, dict) else each for each in captions]
        sentences = [each for each in found if isinstance(each, str) and each.strip()]
        if not sentences:
            raise DataError(f"It has no description under {', '.join(_DESCRIPTIONS)} or captions.")
        return sentences

    def restyled(self, styled: Sequence[Styled], voice: Mapping[str, Any]) -> str:
        """The line of the output: the text; or the object with the voice and the captions."""
        if not self.is_json:
            return "\t".join(each.text for each in styled)
        return self._line({"voice": voice, "styled": [styled_record(each) for each in styled]})

    def failed(self, error: CutlineError) -> str:
        """The line of the output where there is no caption: the description, or the object with the error."""
        if not self.is_json:
            return " ".join(self.source.split())
        return self._line({"error": {"code": error.code, "message": str(error)}})

    def _line(self, added: Mapping[str, Any]) -> str:
        start = {"description": self.source} if self.record is None else self.record
        return json.dumps({**start, **added}, ensure_ascii=False)


def read_rows(lines: BinaryIO, name: str, *, as_json: bool) -> Iterator[Row]:
    """The lines of a file. Raises DataError for one that is not UTF-8, or longer than 1 MiB."""
    for number, raw in enumerate(iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), 1):
        if len(raw) > MAX_LINE_BYTES:
            raise DataError(f"Line {number} of {name} is longer than {MAX_LINE_BYTES:,} bytes.")
        try:
            source = raw.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"Line {number} of {name} is not UTF-8.", hint="Convert the file first."
            ) from error
        record = _record(source)
        yield Row(number=number, source=source, record=record, is_json=as_json or record is not None)


def _record(source: str) -> Mapping[str, Any] | None:
    if not source.lstrip().startswith("{"):
        return None
    try:
        record = json.loads(source)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


class StyledFile:
    """The file that --output appends to: one line for each line of the input.

    lines: how many it had whole when it was opened; what a killed run left of a further one is cut off.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = 0

    def __enter__(self) -> StyledFile:
        """Open, lock and repair the file."""
        with output_errors(self.path):
            self._file = open_to_append(self.path)
            self._repair()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sync to disk, and close."""
        with output_errors(self.path):
            os.fsync(self._file.fileno())
            self._file.close()

    def append(self, line: str) -> None:
        """Write one line."""
        with output_errors(self.path):
            write_all(self._file, line.encode() + b"\n")

    def _repair(self) -> None:
        self._file.seek(0)
        whole = 0
        while block := self._file.read(2**20):
            self.lines += block.count(b"\n")
            end = block.rfind(b"\n")
            whole = self._file.tell() - len(block) + end + 1 if end >= 0 else whole
        self._file.truncate(whole)
