"""Again and again, until a signal: a process of its own that runs the learner every so often."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from cutline.errors import CutlineError, OptionError
from cutline.learning.challenger import Interrupted
from cutline.stop_requests import stop_requested

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_INTERVAL = re.compile(r"(\d{1,6})([smhd])")
_log = logging.getLogger("cutline.learning")


def parse_interval(text: str) -> float:
    """24h, 90m, 3600s or 7d in seconds. Raises OptionError."""
    found = _INTERVAL.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise OptionError(f"{text!r} is no time between runs.", hint="Use 24h, 90m, 3600s or 7d.")
    return float(int(found[1]) * _UNITS[found[2]])


def repeat(run: Callable[[], None], *, every_s: float) -> None:
    """Run, and again ``every_s`` after the last run began, until SIGTERM or SIGINT.

    What a run raises is logged, mistakes of ours too; the next one tries again. A training that a signal
    interrupts ends all.
    """
    stop = stop_requested()
    while not stop.is_set:
        began = time.monotonic()
        try:
            run()
        except Interrupted as error:
            _log.info("%s", error)
            return
        except CutlineError as error:
            _log.error("%s", error)
        except Exception:
            _log.exception("The run failed.")
        stop.wait(began + every_s - time.monotonic())
