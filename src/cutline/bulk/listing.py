"""The rows of a source, counted and kept on disk: a million of them need no memory."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from cutline.bulk.rows import Row, decoded, encoded
from cutline.errors import OutputError


class Shards(Protocol):
    """Rows in shards, for an engine."""

    def size_of(self, shard: int) -> int:
        """How many rows a shard has."""
        ...

    def shard(self, number: int) -> Iterator[Row]:
        """The rows of a shard. For one thread at a time, and one shard at a time."""
        ...


class Listing:
    """Rows in shards of ``shard_size``, the last one smaller. Use it in a ``with``.

    photos, and known_bytes of those whose size is known; sha256 of what the rows are called, for a photo that
    was mended is the same photo. Raises OutputError where they cannot be kept.
    """

    def __init__(self, rows: Iterable[Row], shard_size: int) -> None:
        self.shard_size = shard_size
        self.photos = self.known_bytes = 0
        self._starts: list[int] = []  # of shards, in the file
        with _kept_here():
            self._file = tempfile.TemporaryFile(prefix="cutline-")  # noqa: SIM115 - no name: a kill removes it
        try:
            self.sha256 = self._keep(rows)
        except BaseException:
            with contextlib.suppress(OSError):  # of a full disk, once more
                self._file.close()
            raise

    @classmethod
    def load(cls, path: str, shard_size: int) -> Listing:
        """What ``save`` has written. Raises OSError, EOFError, ValueError, TypeError and KeyError."""
        with gzip.open(path, "rb") as file:
            return cls(map(decoded, file), shard_size)

    def save(self, path: str) -> None:
        """Write all rows into a file. Raises OSError."""
        self._file.seek(0)
        with open(path, "wb") as file, gzip.GzipFile("", "wb", 1, file, 0) as packed:
            shutil.copyfileobj(self._file, packed)

    def _keep(self, rows: Iterable[Row]) -> str:
        digest = hashlib.sha256()
        at = 0
        for row in rows:
            if self.photos % self.shard_size == 0:
                self._starts.append(at)
            line = encoded(row)
            with _kept_here():
                self._file.write(line)
            at += len(line)
            digest.update(f"{row.file}\0".encode("utf-8", "surrogateescape"))
            self.photos += 1
            self.known_bytes += max(row.size, 0)
        with _kept_here():
            self._file.flush()
        return digest.hexdigest()

    def __enter__(self) -> Listing:
        """The listing itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the disk back."""
        self.close()

    def close(self) -> None:
        """As at the end of the ``with``."""
        self._file.close()

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self._starts)

    def size_of(self, shard: int) -> int:
        """How many rows a shard has."""
        return min(self.shard_size, self.photos - shard * self.shard_size)

    def shard(self, number: int) -> Iterator[Row]:
        """The rows of a shard. For one thread at a time, and one shard at a time."""
        self._file.seek(self._starts[number])
        for _ in range(self.size_of(number)):
            yield decoded(self._file.readline())

    def only(self, places: Mapping[int, Sequence[int]]) -> Some:
        """Of these shards, the rows at these places, in order."""
        return Some(self, places)

    def sample(self, count: int) -> list[Row]:
        """At most so many rows, from all over the source."""
        if not self.shards:
            return []
        step = max(1, self.shards // count)
        chosen = range(0, self.shards, step)
        each = -(-count // len(chosen))
        return [row for number in chosen for row, _ in zip(self.shard(number), range(each), strict=False)][
            :count
        ]


@contextlib.contextmanager
def _kept_here() -> Iterator[None]:
    """Says of an OSError where there is no room."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The list of photos cannot be kept in the folder for temporary files ({error.strerror}).",
            hint="Make room there, or name another one: TMPDIR=FOLDER.",
        ) from error


class Some:
    """Some rows of some shards of a listing. As Listing, for an engine."""

    def __init__(self, listing: Listing, places: Mapping[int, Sequence[int]]) -> None:
        self._listing = listing
        self._places = places

    def size_of(self, shard: int) -> int:
        """How many of its rows are asked for."""
        return len(self._places[shard])

    def shard(self, number: int) -> Iterator[Row]:
        """Those rows. As Listing.shard."""
        wanted = set(self._places[number])
        return (row for place, row in enumerate(self._listing.shard(number)) if place in wanted)
