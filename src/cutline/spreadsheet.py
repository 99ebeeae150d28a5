"""Text in CSV files that a spreadsheet shows, and never runs."""

from __future__ import annotations

import re

# Where a cell may begin: where it does, and after each character that some spreadsheet separates cells by.
# One that separates by semicolons, as in German, reads `"a;=1+1"` as two cells, whatever the quotes say. The
# bounds keep the search linear.
_START = r'(?:^|[;|\t\r\n])[\s"]{0,64}|,"{0,64}'
_SIGN = r"[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]"  # the last four are full-width
_FORMULA = re.compile(rf"({_START})('*{_SIGN})")
_ESCAPED = re.compile(rf"({_START})'('*{_SIGN})")


def escape_formula(cell: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula (CSV injection).

    For text alone: a negative number is meant to be a number. `unescape_formula` gives the text back.
    """
    return _FORMULA.sub(r"\1'\2", cell)


def unescape_formula(cell: str) -> str:
    """The text of a cell that `escape_formula` made."""
    return _ESCAPED.sub(r"\1\2", cell)
