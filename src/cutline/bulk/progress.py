"""How far a run is: a bar on a terminal, a line now and then elsewhere, and a summary."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cutline.bulk.sink import ShardDone
from cutline.terminal import bar_size

EVERY_S = 10.0


class Progress:
    """Counts photos of a run, whose photos of earlier runs are ``before``. quiet: says nothing."""

    def __init__(self, total: int, before: int, *, quiet: bool, say: Callable[[str], None]) -> None:
        self._total = total
        self._before = before
        self._count = 0
        self._failed: Counter[str] = Counter()
        self._say = say
        self._quiet = quiet
        self._began = self._said = time.monotonic()
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=before, unit="photo", smoothing=0.1, **bar_size())

    def add(self, failure: str | None) -> None:
        """Count one photo; failure: its error's code."""
        self._count += 1
        if failure is not None:
            self._failed[failure] += 1
        if self._bar is not None:
            if failure is not None:
                self._bar.set_postfix_str(by_code(self._failed), refresh=False)
            self._bar.update()
        elif not self._quiet and time.monotonic() - self._said >= EVERY_S:
            self._said = time.monotonic()
            self._say(self.line())

    def line(self) -> str:
        """How far it is, the rate, what is left, and what failed."""
        done, rate = self._before + self._count, self.rate
        share = 100 * done / max(self._total, 1)
        left = duration((self._total - done) / rate) if rate else "unknown"
        failed = f"; failed: {by_code(self._failed)}" if self._failed else ""
        return f"{done:,} of {self._total:,} ({share:.0f} %), {rate:,.0f} photos/s, {left} left{failed}"

    @property
    def rate(self) -> float:
        """Photos a second in this run."""
        return self._count / self.seconds

    @property
    def seconds(self) -> float:
        """How long this run has taken."""
        return max(time.monotonic() - self._began, 1e-9)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


def by_code(failed: Mapping[str, int]) -> str:
    """The counts of failures, most frequent first."""
    ordered = sorted(failed.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{code} {count:,}" for code, count in ordered)


def duration(seconds: float) -> str:
    """A time for people: "8 s", "5 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def totals(shards: Iterable[ShardDone]) -> ShardDone:
    """All shards as one."""
    failed: Counter[str] = Counter()
    photos = captioned = unsure = incomplete = written = 0
    for shard in shards:
        failed.update(shard.failed)
        photos += shard.photos
        captioned += shard.captioned
        unsure += shard.unsure
        incomplete += shard.incomplete
        written += shard.bytes
    return ShardDone(
        file="",
        photos=photos,
        captioned=captioned,
        failed=failed,
        unsure=unsure,
        incomplete=incomplete,
        bytes=written,
    )
