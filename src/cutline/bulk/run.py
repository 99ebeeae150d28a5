"""A run of `cutline bulk`: the shards that are not done yet, each written whole."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Protocol, TypeAlias

from cutline.bulk import places
from cutline.bulk.batch import Done, Settings
from cutline.bulk.listing import Listing
from cutline.bulk.listing import Shards as Rows
from cutline.bulk.progress import Progress, duration, size
from cutline.bulk.rows import Row
from cutline.bulk.sink import Sink
from cutline.bulk.worker import Isolated
from cutline.captioning.protocol import ModelInfo
from cutline.errors import CutlineError

_SAMPLE = 48

ShardRows: TypeAlias = Iterator[tuple[Row, Done]]
Shards: TypeAlias = Generator[tuple[int, ShardRows], None, None]


class Engine(Protocol):
    """What captions the shards of a listing."""

    @property
    def about(self) -> ModelInfo:
        """The model."""
        ...

    def shards(self, listing: Rows, numbers: list[int]) -> Shards:
        """Each of these shards with its photos, in any order; one is taken whole before the next."""
        ...


class InProcess:
    """One captioner, in a child, that is given photo after photo across all shards. Use it in a ``with``."""

    def __init__(self, settings: Settings) -> None:
        self._captions = Isolated(settings)

    def __enter__(self) -> InProcess:
        """Start the child."""
        self._captions.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        """End the child."""
        self._captions.__exit__(*raised)

    @property
    def about(self) -> ModelInfo:
        """The model."""
        return self._captions.about

    def captioned(self, rows: Sequence[Row]) -> list[tuple[Row, Done]]:
        """A few photos."""
        return list(self._captions.over(rows))

    def shards(self, listing: Rows, numbers: list[int]) -> Shards:
        """As Engine."""
        rows = (row for number in numbers for row in listing.shard(number))
        with closing(self._captions.over(rows)) as done:
            for number in numbers:
                yield number, islice(done, listing.size_of(number))


def plan_of(
    source: str, listing: Listing, settings: Settings, about: ModelInfo, *, format_: str
) -> dict[str, Any]:
    """What makes a run the same as another: source, options and model; its photos may come and go."""
    return {
        "source": places.absolute(source),
        "photos": listing.photos,
        "source_sha256": listing.sha256,
        "shard_size": listing.shard_size,
        "format": format_,
        "model": about.label,
        "bundle_hash": about.bundle_hash,
        "options": settings.record(),
    }


def run(
    engine: Engine,
    listing: Listing,
    sink: Sink,
    progress: Progress,
    *,
    retry_failed: bool = False,
) -> None:
    """Caption and write every shard that is not done, then the manifest. Raises CutlineError.

    retry_failed: in those that are done, caption again what failed.
    """
    again = {number: shard.again for number, shard in sorted(sink.done.items()) if shard.again}
    open_ = [number for number in range(listing.shards) if number not in sink.done]
    try:
        with closing(engine.shards(listing, open_)) as shards:
            for number, photos in shards:
                sink.write(number, _counted(photos, progress))
        if retry_failed and again:
            with closing(engine.shards(listing.only(again), list(again))) as shards:
                for number, photos in shards:
                    sink.mend(number, _counted(photos, progress))
    except CutlineError as error:
        if sink.done and not error.kept:
            error.kept = f"{len(sink.done):,} of {listing.shards:,} shards are written in {sink.place}."
            error.hint = error.hint or "The same command continues from there."
        raise
    sink.finish()


def _counted(photos: ShardRows, progress: Progress) -> ShardRows:
    for row, done in photos:
        yield row, done
        progress.add(done.line.failure.code if done.line.failure and done.line.is_failed else None)


def estimate(engine: InProcess, listing: Listing, sink: Sink) -> list[str]:
    """What --dry-run prints: a few photos are captioned to see how long all would take."""
    sample = listing.sample(_SAMPLE)
    began = time.monotonic()
    captioned = engine.captioned(sample)
    rate = len(sample) / max(time.monotonic() - began, 1e-9)
    done = sum(shard.photos for shard in sink.done.values())
    known = f" ({size(listing.known_bytes)})" if listing.known_bytes else ""
    left = f"about {duration((listing.photos - done) / rate)}, at {rate:,.0f} photos/s" if sample else "none"
    return [
        f"photos   {listing.photos:,}{known}",
        f"done     {done:,}",
        f"shards   {listing.shards:,}, of {listing.shard_size:,} photos",
        f"model    {engine.about.label}",
        f"time     {left}",
        f"output   about {size(sink.bytes_per_row(captioned) * listing.photos)}",
    ]
