"""The size of the terminal, for progress bars."""

from __future__ import annotations

import os
import sys
from typing import Any


def bar_size() -> dict[str, Any]:
    """The arguments that make tqdm follow the terminal's size, or assume 80 columns where it has none.

    Recorders and containers often open terminals of 0 x 0, in which tqdm would draw nothing at all.
    """
    try:
        known = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return {}
    return {"dynamic_ncols": True} if known.columns and known.lines else {"ncols": 80, "nrows": 20}
