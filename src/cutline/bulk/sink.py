"""Where a run writes: shards, and the manifest that lists those that are done.

SINK/part-00000.jsonl ...        each is written under another name, synced, and renamed
SINK/_bulk/rows.jsonl.gz         the photos that it was begun with, which it goes on with
SINK/_bulk/plan.json             what the run does: its source and options; the same command continues it
SINK/_bulk/done/00000.json ...   a shard's counts, written after the shard: what is not here is done again
SINK/manifest.json               all of it, at the end
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cutline.atomic_files import open_to_append, output_errors, remove_leftovers, replacement
from cutline.bulk import places
from cutline.bulk.batch import Done
from cutline.bulk.besides import Besides
from cutline.bulk.formats import FORMATS, records_in
from cutline.bulk.listing import Listing
from cutline.bulk.rows import Row
from cutline.errors import OutputError

_ENTRY = re.compile(r"\d+\.json")
_ROWS, _DONE, _LOCK, _MANIFEST = "_bulk/rows.jsonl.gz", "_bulk/done", "_bulk/lock", "manifest.json"
_OF_ROWS = ("source", "column", "exclude")  # how the same photos are named counts for nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDone:
    """What the manifest says of a shard. failed: photos by error code. unsure: photos that were skipped, for
    the model was not sure enough. incomplete: photos that have captions, but not all that was wanted besides.
    again: the places of the failed and the incomplete in the shard, for --retry-failed.
    """

    file: str
    photos: int
    captioned: int
    failed: Mapping[str, int] = field(default_factory=dict)
    unsure: int = 0
    incomplete: int = 0
    bytes: int = 0
    sha256: str = ""
    again: Sequence[int] = ()


class _Folder(Protocol):
    """A folder, here or in an object store. Raises OutputError."""

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        ...

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The files in a folder of it, with their sizes."""
        ...

    def writing(self, name: str) -> contextlib.AbstractContextManager[str]:
        """A path here to write to, which becomes that file, whole or not at all."""
        ...

    def reading(self, name: str) -> contextlib.AbstractContextManager[str]:
        """A path here to read that file at."""
        ...


class _Here:
    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        try:
            with open(os.path.join(self._path, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"{self._path} cannot be read ({error.strerror}).") from error

    def sizes(self, folder: str = "") -> dict[str, int]:
        try:
            with os.scandir(os.path.join(self._path, folder)) as entries:
                return {each.name: each.stat().st_size for each in entries if each.is_file()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise OutputError(f"{self._path} cannot be read ({error.strerror}).") from error

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[str]:
        path = os.path.join(self._path, name)
        with output_errors(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            remove_leftovers(os.path.dirname(path))
            with replacement(path) as temporary:
                yield temporary

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[str]:
        yield os.path.join(self._path, name)


class _Elsewhere:
    """An object is written in one piece: whoever reads sees all of it or nothing."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _located(self, name: str) -> tuple[Any, str]:
        return places.located(places.joined(self._url, name))

    def read(self, name: str) -> bytes | None:
        with places.writing_to(self._url):
            store, path = self._located(name)
            store.invalidate_cache()
            return bytes(store.cat_file(path)) if store.exists(path) else None

    def sizes(self, folder: str = "") -> dict[str, int]:
        with places.writing_to(self._url):
            store, path = self._located(folder)
            store.invalidate_cache()
            found = store.ls(path.rstrip("/"), detail=True) if store.exists(path.rstrip("/")) else []
            return {each["name"].rpartition("/")[2]: int(each.get("size") or 0) for each in found}

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="cutline-") as folder:
            temporary = os.path.join(folder, os.path.basename(name))
            with open(temporary, "wb"):
                pass
            yield temporary
            with places.writing_to(self._url):
                store, path = self._located(name)
                store.put_file(temporary, path)

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="cutline-") as folder:
            temporary = os.path.join(folder, os.path.basename(name))
            with places.writing_to(self._url):
                store, path = self._located(name)
                store.get_file(path, temporary)
            yield temporary


class Sink:
    """A folder of shards. One run at a time writes to one here; use it in a ``with``."""

    def __init__(self, place: str, *, format_: str, record: Mapping[str, Any], besides: Besides) -> None:
        self.place = place
        self._format = format_
        self._suffix, self._writer = FORMATS[format_]
        self._record = record
        self._besides = besides
        self._folder: _Folder = _Elsewhere(place) if places.is_remote(place) else _Here(place)
        self._held = contextlib.ExitStack()
        self._plan: Mapping[str, Any] = {}
        self.done: dict[int, ShardDone] = {}

    def __enter__(self) -> Sink:
        """Lock it, where it is here."""
        if not places.is_remote(self.place):
            path = os.path.join(self.place, _LOCK)
            with output_errors(path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                self._held.enter_context(open_to_append(path))
        return self

    def __exit__(self, *raised: object) -> None:
        """Let go."""
        self._held.close()

    def begin(self, plan: Mapping[str, Any], listing: Listing, *, dry_run: bool = False) -> Listing:
        """Begin that plan, or go on with it. Raises OutputError where another one was begun here.

        Gives the rows to caption: the listing, or the one that the run was begun with, where photos have come
        or gone since; the caller closes it. dry_run: write nothing.
        """
        before = self._folder.read(places.PLAN)
        if before is None:
            if [name for name in self._folder.sizes() if name.startswith("part-")]:
                raise OutputError(
                    f"{self.place} has files of another program.", hint="Name a new folder as the SINK."
                )
            if not dry_run:
                with self._folder.writing(_ROWS) as temporary, output_errors(_ROWS):
                    listing.save(temporary)
                self._write(places.PLAN, plan)
            self._plan = plan
            return listing
        self._plan = json.loads(before)
        self._check(self._plan, json.loads(json.dumps(plan)))
        if listing.sha256 != self._plan["source_sha256"]:
            listing = self._begun(listing.shard_size)
        sizes = self._folder.sizes()
        for name in filter(_ENTRY.fullmatch, self._folder.sizes(_DONE)):  # a killed run may have left others
            shard = ShardDone(**json.loads(self._folder.read(f"{_DONE}/{name}") or b"{}"))
            if sizes.get(shard.file) == shard.bytes:  # else somebody has removed it, and it is written again
                self.done[int(os.path.splitext(name)[0])] = shard
        return listing

    def _begun(self, shard_size: int) -> Listing:
        """The rows that the run was begun with. Raises OutputError."""
        path, _, name = _ROWS.rpartition("/")
        if name in self._folder.sizes(path):
            with (
                self._folder.reading(_ROWS) as rows,
                contextlib.suppress(OSError, EOFError, ValueError, TypeError, KeyError, zlib.error),
            ):
                begun = Listing.load(rows, shard_size)
                if begun.sha256 == self._plan["source_sha256"]:
                    return begun
                begun.close()
        raise OutputError(
            f"The source has changed, and {_ROWS} of {self.place}, what it was before, cannot be read.",
            kept="Nothing in it was changed.",
            hint="Name a new folder as the SINK.",
        )

    def _check(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        names = {**before, **now}.keys() - {"photos", "source_sha256"}
        if before.get("source_sha256") == now["source_sha256"]:
            names -= set(_OF_ROWS)
        changed = sorted(name for name in names if before.get(name) != now.get(name))
        if not changed:
            return
        told = "; ".join(
            f"{name} was {_short(before.get(name))}, is {_short(now.get(name))}" for name in changed
        )
        raise OutputError(
            f"{self.place} was begun otherwise: {told}.",
            kept="Nothing in it was changed.",
            hint="Give the command as it was, or name a new folder as the SINK.",
        )

    def write(self, number: int, photos: Iterable[tuple[Row, Done]]) -> ShardDone:
        """Write one shard, and then say so in the manifest. Raises OutputError."""
        return self._write_shard(number, photos)

    def mend(self, number: int, photos: Iterable[tuple[Row, Done]]) -> ShardDone:
        """Write a shard once more, with new answers for what failed in it. Raises OutputError.

        Killed meanwhile, the shard is the old one, or it is in no manifest and is written again.
        """
        before = self.done[number]
        with self._folder.reading(before.file) as path:
            records = records_in(path, self._format)
            mended = _mended(records, before, iter(photos))
            return self._write_shard(number, mended, unsure=before.unsure)

    def _write_shard(self, number: int, photos: Iterable[Any], *, unsure: int = 0) -> ShardDone:
        """photos: pairs of a row and its answer, or records of an older shard.

        Those have captions, but for so many of which the model was unsure.
        """
        name = places.part_name(number, self._suffix)
        failed: Counter[str] = Counter()
        again: list[int] = []
        count = incomplete = 0
        with self._folder.writing(name) as temporary, output_errors(name):
            with contextlib.closing(self._writer(temporary, number, self._record)) as writer:
                for photo in photos:
                    count += 1
                    if not isinstance(photo, tuple):
                        writer.keep(photo)
                        continue
                    row, done = photo
                    done = writer.add(row, done)
                    notes = [*done.notes, *self._besides.write(row, done.line)]
                    incomplete += bool(notes)
                    unsure += done.line.is_unsure
                    if done.line.failure is not None and done.line.is_failed:
                        failed[done.line.failure.code] += 1
                    if notes or done.line.is_failed:
                        again.append(count - 1)
                writer.finish()
            with open(temporary, "rb") as file:
                digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        shard = ShardDone(
            file=name,
            photos=count,
            captioned=count - failed.total() - unsure,
            failed=dict(failed),
            unsure=unsure,
            incomplete=incomplete,
            bytes=size,
            sha256=digest,
            again=again,
        )
        self._write(f"{_DONE}/{number:05}.json", asdict(shard))
        self.done[number] = shard
        return shard

    def bytes_per_row(self, photos: Sequence[tuple[Row, Done]]) -> float:
        """How large a row of a shard is, as these photos show."""
        with tempfile.TemporaryDirectory(prefix="cutline-") as folder, output_errors(folder):
            path = os.path.join(folder, f"part{self._suffix}")
            with contextlib.closing(self._writer(path, 0, self._record)) as writer:
                for row, done in photos:
                    writer.add(row, done)
                writer.finish()
            return os.path.getsize(path) / max(len(photos), 1)

    def finish(self) -> None:
        """Write the manifest of all shards."""
        shards = [asdict(shard) for _, shard in sorted(self.done.items())]
        for shard in shards:
            del shard["again"]
        self._write(_MANIFEST, {**self._plan, "shards": shards})

    def _write(self, name: str, content: object) -> None:
        text = json.dumps(content, indent=1) + "\n"
        with self._folder.writing(name) as temporary, output_errors(name):
            Path(temporary).write_text(text, encoding="utf-8")


def _mended(records: Iterable[Any], before: ShardDone, answers: Iterator[Any]) -> Iterator[Any]:
    """The records of a shard, with answers in the places of what failed. Raises OutputError."""
    again = set(before.again)
    count = 0
    for place, record in enumerate(records):
        count += 1
        yield next(answers) if place in again else record
    if count != before.photos:
        raise OutputError(
            f"{before.file} is not as it was written.", hint="Remove it: the same command writes it again."
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
