"""Text in CSV files that no spreadsheet runs, whatever it separates cells by."""

from __future__ import annotations

import csv
import io
import random

import pytest

from cutline.caption_files import CaptionLine, CsvLines, ScoredCaption
from cutline.spreadsheet import escape_formula, unescape_formula

SEPARATORS = ",;|\t"
TEXTS = [
    f"{before}{sign}1+1"
    for before in ("", " ", "a;", "a; ", 'a;"', "a,", "a|", "a\t", "a;;", "'", "a;'", "a\n", "a;\t ", '"')
    for sign in "=+-@\uff1d\uff0b\uff0d\uff20"
]


def cells(line: str, separator: str) -> list[str]:
    """What a spreadsheet with this separator makes of a line, without the spaces and quotes before a text."""
    rows = csv.reader(io.StringIO(line), delimiter=separator)
    return [cell.lstrip(' "\r') for row in rows for cell in row]


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("separator", SEPARATORS)
def test_no_cell_of_a_file_of_captions_is_a_formula(separator: str) -> None:
    for text in TEXTS:
        captions = (ScoredCaption(text=text, log_prob=-1.5),) * 2
        line = CsvLines(2).encode(CaptionLine(file=text, model=text, captions=captions)).decode()
        found = [cell for cell in cells(line, separator) if not is_number(cell)]
        assert [cell for cell in found if cell[:1] in "=+-@\uff1d\uff0b\uff0d\uff20" and cell] == []


@pytest.mark.parametrize("separator", SEPARATORS)
def test_no_text_becomes_a_formula_in_a_row_of_any_csv_file(separator: str) -> None:
    for text in TEXTS:
        line = io.StringIO()
        csv.writer(line).writerow(["id", escape_formula(text), escape_formula(text)])
        assert [
            c for c in cells(line.getvalue(), separator) if c and c[0] in "=+-@\uff1d\uff0b\uff0d\uff20"
        ] == []


def test_what_was_escaped_is_read_as_it_was() -> None:
    chosen = random.Random(9)
    made = ("".join(chosen.choices("a=-@;|'\t\r\n, \"", k=chosen.randint(0, 9))) for _ in range(5000))
    for text in [*TEXTS, *made]:
        assert unescape_formula(escape_formula(text)) == text


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("a black-and-white dog", "3 - 4 = -1", "me@example.org", "hot, -5 degrees", "a;b"):
        assert escape_formula(text) == text


def test_long_runs_take_no_long_time() -> None:
    for run in (" ", "\n", "; ", "'", '"', ';"', "\t"):
        escape_formula(run * 100_000 + "a")
