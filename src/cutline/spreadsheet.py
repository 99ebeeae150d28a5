"""Text in CSV files that a spreadsheet shows, and never runs."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"'+[=+\-@\t\r]")


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that looks like it gets an apostrophe in front.

    For text alone: a negative number is meant to be a number. `as_written` gives the text back.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def as_written(cell: str) -> str:
    """The text of a cell that `harmless` made."""
    return cell[1:] if _QUOTED.match(cell) else cell
