"""Rows of CSV and TSV files as people and programs write them, stray quotes included.

The csv module takes any quotation mark at the start of a cell for the beginning of a quoted text, and
swallows rows until the next one. Here a cell is quoted only where its closing mark ends the cell, too. A mark
in it is doubled; or it follows a backslash, as databases write it, where it would close nothing otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

DELIMITERS = ",;|\t"
_MOST_LINES = 100  # of one quoted cell
_ESCAPE = re.compile(r'\\(["\\])')
_SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)  # what Excel takes the delimiter from


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. number: that of its first line.

    is_stray: a quotation mark at the start of a cell quotes nothing, and is part of its text. is_unclosed:
    and there is no other mark behind it.
    """

    number: int
    cells: Sequence[str]
    is_stray: bool = False
    is_unclosed: bool = False


@dataclass(slots=True, kw_only=True)
class _Cell:
    text: str
    end: int  # the index of the delimiter behind it, or the length of the line


def guess_delimiter(header: str, is_first_cell: Callable[[str], bool]) -> str:
    """The delimiter of a table by its first line. ``is_first_cell`` says what a table may begin with."""
    fitting = [
        each for each in DELIMITERS if each in header and is_first_cell(header.split(each)[0].strip('" '))
    ]
    return max(fitting or DELIMITERS, key=header.count)


def named_delimiter(line: str) -> str | None:
    """The delimiter that a line such as ``sep=;`` names, which Excel reads before the header."""
    match = _SEPARATOR_LINE.fullmatch(line.strip())
    return match[1] if match else None


def read_rows(
    lines: Iterable[str], delimiter: str, *, is_row: Callable[[str], bool], skip_spaces: bool = False
) -> Iterator[Row]:
    """The rows of a table, header included; rows without any text are left out.

    ``is_row`` tells of a line whether it certainly is a row of its own: such a line is never part of a quoted
    cell. skip_spaces: spaces behind a delimiter belong to no cell.
    """
    reader = _Reader(lines, delimiter, is_row, skip_spaces)
    while (row := reader.next_row()) is not None:
        if any(cell.strip() for cell in row.cells):
            yield row


class _Reader:
    def __init__(
        self, lines: Iterable[str], delimiter: str, is_row: Callable[[str], bool], skip_spaces: bool
    ) -> None:
        self._lines = iter(lines)
        self._ahead: list[str] = []  # lines looked at already, the next one last
        self._number = 0
        self._delimiter = delimiter
        self._is_row = is_row
        self._skip_spaces = skip_spaces

    def next_row(self) -> Row | None:
        """The next row; None at the end."""
        line = self._next_line()
        if line is None:
            return None
        number = self._number
        if '"' not in line:
            return Row(number=number, cells=[self._trimmed(cell) for cell in line.split(self._delimiter)])
        cells: list[str] = []
        is_stray = is_unclosed = False
        at = 0
        while at <= len(line):
            start = _without_spaces(line, at) if self._skip_spaces else at
            if line.startswith('"', start):
                line, cell = self._quoted(line, start)
                if cell is not None:
                    cells.append(cell.text)
                    at = cell.end + 1
                    continue
                is_stray = True
                is_unclosed = is_unclosed or line.find('"', start + 1) < 0
            end = line.find(self._delimiter, start)
            end = len(line) if end < 0 else end
            cells.append(line[start:end])
            at = end + 1
        return Row(number=number, cells=cells, is_stray=is_stray, is_unclosed=is_unclosed)

    def _trimmed(self, cell: str) -> str:
        return cell.lstrip(" ") if self._skip_spaces else cell

    def _next_line(self) -> str | None:
        line = self._ahead.pop() if self._ahead else next(self._lines, None)
        self._number += line is not None
        return line

    def _quoted(self, line: str, start: int) -> tuple[str, _Cell | None]:
        """The quoted cell that begins here, and the line with those that the cell goes over.

        None, and the line as it was, where the mark at the start is not the beginning of a quoted cell.
        """
        whole, taken = line, [line]
        searched = start + 1
        escapes = False
        while True:
            end, searched = _closing_mark(whole, searched, escapes)
            if end is not None:
                after = _without_spaces(whole, end + 1)
                if after < len(whole) and not whole.startswith(self._delimiter, after):
                    if not escapes and _is_escaped(whole, end, start):
                        escapes, searched = True, end + 1
                        continue
                    break  # text behind the mark: it closes nothing
                text = whole[start + 1 : end]
                text = _ESCAPE.sub(r"\1", text) if escapes else text.replace('""', '"')
                return whole, _Cell(text=text, end=after)
            more = self._next_line() if len(taken) < _MOST_LINES else None
            if more is None:
                break
            taken.append(more)
            if self._is_row(more):
                break
            searched = len(whole)
            whole = f"{whole}\n{more}"
        for each in reversed(taken[1:]):
            self._ahead.append(each)
            self._number -= 1
        return line, None


def _without_spaces(text: str, at: int) -> int:
    """The place of the next character that is no space."""
    while text.startswith(" ", at):
        at += 1
    return at


def _closing_mark(text: str, at: int, escapes: bool) -> tuple[int | None, int]:
    """The next quotation mark that is not doubled, None where there is none; and where to search on.

    escapes: that has no backslash before it.
    """
    while (found := text.find('"', at)) >= 0:
        if escapes and _is_escaped(text, found, at - 1):
            at = found + 1
        elif escapes or not text.startswith('"', found + 1):
            return found, found
        else:
            at = found + 2
    return None, len(text)


def _is_escaped(text: str, mark: int, after: int) -> bool:
    """Whether an odd number of backslashes stands before a mark, behind another place."""
    backslashes = mark - 1
    while backslashes > after and text[backslashes] == "\\":
        backslashes -= 1
    return (mark - 1 - backslashes) % 2 == 1
