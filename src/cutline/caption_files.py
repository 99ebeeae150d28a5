"""Files of captions, one line for each photo, as JSON Lines or CSV: the one definition of both formats.

`cutline caption --output` and the service's results of bulks write them; `cutline evaluate` and trainings
read them.

    {"file": "a.jpg", "model": "base@1", "captions": [{"text": "A dog.", "log_prob": -3.1, "confidence": 1}]}
    {"file": "b.jpg", "error": {"code": "image_unreadable", "message": "..."}}

    file,model,caption,log_prob[,caption_2,log_prob_2,...],error_code,error_message
        [,styled[,styled_2,...],styled_model,styled_error][,confidence[,confidence_2,...]][,sha256]

A relative file is one below the folder of the file of captions (`file_names.relative_to`). Older versions of
`cutline caption` wrote names as they were typed, so that newer files say it: by "base" in JSON, and in CSV by
quotes around the first column's name, which mean nothing to other readers.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from cutline.errors import CaptionUnsure, CutlineError, DataError
from cutline.spreadsheet import escape_formula, unescape_formula
from cutline.text_files import text_lines

REFUSED = "caption_refused"
"""The code of a caption in a voice of which nothing could be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCaption:
    """A caption as it is written down. log_prob: natural logarithm; None or nan where nobody knows it.

    confidence: the probability that it is acceptable; None where the model does not say.
    """

    text: str
    log_prob: float | None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a photo has no captions: an error's stable code, and its message."""

    code: str
    message: str

    @classmethod
    def of(cls, error: CutlineError) -> Failure:
        """What is written down of an error."""
        return cls(code=error.code, message=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionLine:
    """One photo's captions, best first, or why it has none. model: "name@version", "" where none wrote.

    sha256: of the photo's bytes, in hexadecimal; "" where nobody asked for it. sha256_before: what it was,
    where the description was then written into the photo; in a CSV file, it follows the other in one cell.
    base: the folder that a relative file is from, from that of the file of captions: "."; "" if nobody says.
    styled: captions in a voice, written from the first of ``captions``; voice: that voice; both as JSON has
    them. A CSV file has the texts of those that were not refused, and their model. styled_failure: why there
    are none, though they were wanted.
    """

    file: str
    model: str = ""
    captions: tuple[ScoredCaption, ...] = ()
    styled: tuple[Mapping[str, Any], ...] = ()
    voice: Mapping[str, Any] | None = None
    styled_failure: Failure | None = None
    failure: Failure | None = None
    sha256: str = ""
    sha256_before: str = ""
    base: str = ""

    @property
    def is_unsure(self) -> bool:
        """Whether it was skipped, because the model was not sure enough: that is no failure."""
        return self.failure is not None and self.failure.code == CaptionUnsure.code

    @property
    def is_failed(self) -> bool:
        """Whether something was wrong with the photo."""
        return self.failure is not None and not self.is_unsure


class CaptionFormat(Protocol):
    """How photos become lines of a file, and lines become photos again."""

    def header(self) -> bytes:
        """What a new file starts with."""
        ...

    def encode(self, line: CaptionLine) -> bytes:
        """One whole line, its line end included."""
        ...

    def parse(self, raw: bytes) -> CaptionLine:
        """The inverse of ``encode``. Raises ValueError for a line of another format, or one cut short."""
        ...

    def may_begin(self, raw: bytes) -> bool:
        """Whether these bytes may be the beginning of a line of this format."""
        ...

    def amended(self, raw: bytes, line: CaptionLine) -> bytes:
        """A whole line as it is, but with the file, the base and the hashes of ``line``."""
        ...


class JsonLines:
    """One JSON object for each photo."""

    def header(self) -> bytes:
        """JSON Lines have no header: every line stands alone."""
        return b""

    def encode(self, line: CaptionLine) -> bytes:
        """One photo as one line of UTF-8."""
        return json_line(line).encode("utf-8") + b"\n"

    def parse(self, raw: bytes) -> CaptionLine:
        """Read one line; unknown keys are ignored. Raises ValueError."""
        fields = json.loads(raw)
        if not isinstance(fields, dict) or not isinstance(fields.get("file"), str):
            raise ValueError("not a caption: it has no file")
        line = CaptionLine(
            file=fields["file"],
            model=str(fields.get("model", "")),
            sha256=str(fields.get("sha256", "")),
            sha256_before=str(fields.get("sha256_before", "")),
            base=str(fields.get("base", "")),
        )
        if "error" in fields:
            code, message = (str(_item(fields, "error", name)) for name in ("code", "message"))
            return replace(line, failure=Failure(code=code, message=message))
        found = fields.get("captions")
        if not isinstance(found, list):
            raise ValueError("there is no list of captions")
        captions = tuple(_caption_of(fields, place) for place in range(len(found)))
        return replace(line, captions=captions)

    def may_begin(self, raw: bytes) -> bool:
        """A line begins with the photo's file."""
        start = b'{"file": "'
        return raw.startswith(start) or start.startswith(raw)

    def amended(self, raw: bytes, line: CaptionLine) -> bytes:
        """As CaptionFormat; unknown keys stay."""
        fields = json.loads(raw) | {"file": line.file} | _last_fields(line)
        return _json_text(fields, line.file).encode("utf-8") + b"\n"


def json_line(line: CaptionLine) -> str:
    """One photo as one JSON object, without a line end."""
    fields: dict[str, Any] = {"file": line.file}
    if line.failure is None:
        fields["model"] = line.model
        fields["captions"] = [
            {"text": caption.text, "log_prob": _rounded(caption.log_prob)} | _confidence_field(caption)
            for caption in line.captions
        ]
        if line.voice is not None:
            fields |= {"voice": line.voice, "styled": list(line.styled)}
        if line.styled_failure is not None:
            fields["styled_error"] = _error(line.styled_failure)
    else:
        fields["error"] = _error(line.failure)
    return _json_text(fields | _last_fields(line), line.file)


def _last_fields(line: CaptionLine) -> dict[str, str]:
    known = {"base": line.base, "sha256": line.sha256, "sha256_before": line.sha256_before}
    return {name: value for name, value in known.items() if value}


def _json_text(fields: Mapping[str, Any], file: str) -> str:
    # A file name that is not UTF-8 can only be written escaped.
    return json.dumps(fields, ensure_ascii=not _is_utf8(file), allow_nan=False)


def _confidence_field(caption: ScoredCaption) -> dict[str, Any]:
    return {} if caption.confidence is None else {"confidence": _rounded(caption.confidence)}


def _error(failure: Failure) -> dict[str, str]:
    return {"code": failure.code, "message": failure.message}


def _caption_of(fields: Mapping[str, Any], place: int) -> ScoredCaption:
    text = _item(fields, "captions", place, "text")
    if not isinstance(text, str):
        raise ValueError(f"captions.{place}.text is not text")
    log_prob, confidence = (
        number if isinstance(number, (int, float)) else None
        for number in map(fields["captions"][place].get, ("log_prob", "confidence"))
    )
    return ScoredCaption(text=text, log_prob=log_prob, confidence=confidence)


def _item(fields: Any, *steps: str | int) -> object:
    for step in steps:
        try:
            fields = fields[step]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"there is no {'.'.join(map(str, steps))}") from error
    found: object = fields
    return found


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class CsvLines:
    """One row for each photo. Captions after the first have columns of their own, up to ``n`` captions.

    styled: how many columns there are for captions in a voice. confident: each caption has its confidence in
    a column of its own. hashed: a last column holds the SHA-256 of the photos. based: the header says that
    relative files are from the folder of the file.
    """

    def __init__(
        self, n: int, *, styled: int = 0, confident: bool = False, hashed: bool = False, based: bool = False
    ) -> None:
        more = [f"{column}_{rank}" for rank in range(2, n + 1) for column in ("caption", "log_prob")]
        voiced = [
            "styled",
            *(f"styled_{rank}" for rank in range(2, styled + 1)),
            "styled_model",
            "styled_error",
        ]
        sure = ["confidence", *(f"confidence_{rank}" for rank in range(2, n + 1))]
        last = [
            *(voiced if styled else []),
            *(sure if confident else []),
            *(["sha256"] if hashed else []),
        ]
        self.columns = ("file", "model", "caption", "log_prob", *more, "error_code", "error_message", *last)
        self.n = n
        self.styled = styled
        self.confident = confident
        self.hashed = hashed
        self.based = based

    def header(self) -> bytes:
        """The columns' names."""
        names = _csv_row(self.columns)
        return b'"file"' + names.removeprefix(b"file") if self.based else names

    def encode(self, line: CaptionLine) -> bytes:
        """One row, always in one line. Line breaks in texts become spaces, and formulas are escaped."""
        cells: list[str] = []
        for caption in line.captions[: self.n]:
            log_prob = _rounded(caption.log_prob)
            cells += [_text_cell(caption.text), "" if log_prob is None else str(log_prob)]
        cells += [""] * (2 * self.n - len(cells))
        failure = line.failure
        cells += [failure.code, _text_cell(failure.message)] if failure else ["", ""]
        cells += self._styled_cells(line) if self.styled else []
        cells += self._confidence_cells(line) if self.confident else []
        cells += [_hashes(line)] if self.hashed else []
        return _csv_row([escape_formula(one_line(line.file)), _text_cell(line.model), *cells])

    def _styled_cells(self, line: CaptionLine) -> list[str]:
        kept = [each for each in line.styled if not each.get("refused")]
        texts = [_text_cell(str(each["text"])) for each in kept[: self.styled]]
        model = _text_cell(str(line.styled[0]["model"])) if line.styled else ""
        refused = REFUSED if len(kept) < len(line.styled) else ""
        failure = line.styled_failure.code if line.styled_failure else refused
        return [*texts, *[""] * (self.styled - len(texts)), model, failure]

    def _confidence_cells(self, line: CaptionLine) -> list[str]:
        known = [_rounded(caption.confidence) for caption in line.captions[: self.n]]
        return ["" if each is None else str(each) for each in known] + [""] * (self.n - len(known))

    def parse(self, raw: bytes) -> CaptionLine:
        """Read one row, but for captions in a voice. Raises ValueError."""
        return self.parse_cells(_csv_cells(raw))

    def parse_cells(self, cells: Sequence[str]) -> CaptionLine:
        """A row whose cells are read already. Raises ValueError where they are more or fewer."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} columns, not {len(self.columns)}")
        *cells, hashes = cells if self.hashed else [*cells, ""]
        sha256, _, sha256_before = hashes.partition(" ")
        sure = [""] * self.n
        if self.confident:
            cells, sure = cells[: -self.n], list(cells[-self.n :])
        cells = cells[: len(cells) - self.styled - 2] if self.styled else cells
        file, model, *scored, code, message = map(unescape_formula, cells)
        texts, numbers = scored[::2], scored[1::2]
        captions = tuple(
            ScoredCaption(
                text=text,
                log_prob=float(number) if number else None,
                confidence=float(confidence) if confidence else None,
            )
            for text, number, confidence in zip(texts, numbers, sure, strict=True)
            if text or number
        )
        failure = Failure(code=code, message=message) if code else None
        return CaptionLine(
            file=file,
            model=model,
            captions=captions,
            failure=failure,
            sha256=sha256,
            sha256_before=sha256_before,
            base="." if self.based and not os.path.isabs(file) else "",
        )

    def may_begin(self, raw: bytes) -> bool:
        """Any text may begin a row; a file of another format is seen by its header."""
        return True

    def amended(self, raw: bytes, line: CaptionLine) -> bytes:
        """As CaptionFormat. A row without a column of hashes gets one where there is one now."""
        _, *cells = _csv_cells(raw)
        if self.hashed:
            cells[len(self.columns) - 2 :] = [_hashes(line)]
        return _csv_row([escape_formula(one_line(line.file)), *cells])


def csv_format(columns: Sequence[str]) -> CsvLines | None:
    """The format whose columns these are; None if they are not those of a file of captions."""
    hashed = list(columns[-1:]) == ["sha256"]
    voiced = sum(column.startswith("styled") for column in columns)
    sure = sum(column.startswith("confidence") for column in columns)
    n = max(1, (len(columns) - voiced - sure - hashed - 4) // 2)
    lines = CsvLines(n, styled=max(0, voiced - 2), confident=bool(sure), hashed=hashed)
    return lines if tuple(columns) == lines.columns else None


def _hashes(line: CaptionLine) -> str:
    return f"{line.sha256} {line.sha256_before}".strip()


def _text_cell(text: str) -> str:
    return escape_formula(" ".join(text.splitlines()))


def _csv_row(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([one_line(cell) for cell in cells])
    return buffer.getvalue().encode("utf-8", "surrogateescape")


def _csv_cells(raw: bytes) -> list[str]:
    try:
        return next(csv.reader([raw.decode("utf-8", "surrogateescape")], strict=True), [])
    except csv.Error as error:
        raise ValueError(str(error)) from error


def one_line(name: str) -> str:
    """A file name with its control characters spelt out, for they would break a line or a column."""
    return "".join(ascii(char)[1:-1] if char < " " or char == "\x7f" else char for char in name)


FORMATS: Mapping[str, Callable[[int], CaptionFormat]] = {".jsonl": lambda n: JsonLines(), ".csv": CsvLines}
"""By the end of a file's name; made for the most captions that a photo has."""

READABLE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".json")
"""What the names of files end in whose captions can be evaluated, ours or another program's."""


# Reading whole files


def read_caption_lines(path: Path) -> Iterator[tuple[int, CaptionLine]]:
    """Every photo of a file of captions, with its line's number; blank lines are skipped.

    The file may be in UTF-8, UTF-16 or UTF-32. Raises DataError, with the line, for a file that cannot be
    read or is of another format.
    """
    try:
        with path.open("rb") as file:
            lines = (line.encode("utf-8", "surrogateescape") for line in text_lines(file))
            first = next(lines, b"")
            format_ = _format_of(path, first)
            start = 2 if format_.header() else 1
            for number, raw in enumerate(lines if format_.header() else chain([first], lines), start):
                if raw.strip():
                    yield number, _parse(format_, raw, path, number)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def is_caption_file(path: Path) -> bool:
    """Whether a file's first line is of one of these formats. Raises DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            first = next((line for line in text_lines(file) if line.strip()), "")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    if path.suffix.lower() == ".csv":
        return csv_format(next(csv.reader([first]), [])) is not None
    try:
        fields = json.loads(first)
    except ValueError:
        return False
    if not isinstance(fields, dict) or "file" not in fields:
        return False
    captions = fields.get("captions")
    is_texts = isinstance(captions, list) and any(isinstance(each, str) for each in captions)
    return ("captions" in fields and not is_texts) or "error" in fields


def _format_of(path: Path, first: bytes) -> CaptionFormat:
    if os.path.splitext(path)[1].lower() != ".csv":
        return JsonLines()
    found = csv_format(_csv_cells(first))
    if found is None:
        columns = ",".join(CsvLines(1).columns)
        raise DataError(f"{path} is not a file of captions.", hint=f"Its first line should be {columns}.")
    return found


def _parse(format_: CaptionFormat, raw: bytes, path: Path, number: int) -> CaptionLine:
    try:
        return format_.parse(raw)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: not JSON ({error}).") from error
    except ValueError as error:
        raise DataError(
            f"{path}, line {number}: {error}.",
            hint='A line is {"file": ..., "model": ..., "captions": [{"text": ...}]}.',
        ) from error
