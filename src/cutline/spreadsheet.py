"""Text in CSV files that a spreadsheet shows, and never runs."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"'+[=+\-@\t\r]")


def escape_formula(cell: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula (CSV injection).

    For text alone: a negative number is meant to be a number. `unescape_formula` gives the text back.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """The text of a cell that `escape_formula` made."""
    return cell[1:] if _QUOTED.match(cell) else cell
