"""What a terminal can show: the size of progress bars, lines on standard output, and warnings."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from cutline.errors import OutputError


def bar_size() -> dict[str, Any]:
    """The arguments that make tqdm follow the terminal's size, or assume 80 columns where it has none.

    Recorders and containers often open terminals of 0 x 0, in which tqdm would draw nothing at all.
    """
    try:
        known = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return {}
    return {"dynamic_ncols": True} if known.columns and known.lines else {"ncols": 80, "nrows": 20}


def write_line(text: str) -> None:
    """Print a line that may contain file names of any bytes. Raises OutputError; BrokenPipeError passes."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"Standard output cannot be written ({error.strerror}).") from error


def name_the_command_in_warnings() -> None:
    """Have warnings that are logged begin with "cutline:", where nobody says otherwise how they look."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(logging.Formatter("cutline: %(message)s"))
