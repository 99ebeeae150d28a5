"""The local cache of what was read from registries: files by their SHA-256, and bundles unpacked.

Whatever comes out of it is compared with its hash first; what differs is fetched again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cutline.captioning.bundle import FileRecord
from cutline.errors import RegistryUnavailable
from cutline.registry.manifest import hash_of, record_of
from cutline.strict import load_json

KEPT = 8  # of each kind: those that were used last stay


def _note_name(key: str) -> str:
    return f"{hash_of(key.encode())[:32]}.json"


def default_cache() -> Path:
    """Where the cache lies, unless CUTLINE_REGISTRY_CACHE says otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cutline" / "registry"


class Cache:
    """A folder that many processes may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, record: FileRecord, fetch: Callable[[], bytes]) -> Path:
        """The path of a file with this size and hash; ``fetch`` gives the bytes that the cache lacks.

        ``fetch`` checks what it gives. Raises RegistryUnavailable where the folder cannot be written to.
        """
        path = self._folder / "files" / record.sha256
        if _holds(path, record):
            _used(path)
            return path
        data = fetch()
        with _writing(self._folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                file.write(data)
            os.replace(file.name, path)
        _keep_newest(path.parent)
        return path

    def folder(self, name: str, records: Mapping[str, FileRecord], fetch: Callable[[str], bytes]) -> Path:
        """A folder of exactly these files; ``fetch`` gives each by its name where the cache lacks it."""
        place = self._folder / "bundles" / name
        if _holds_all(place, records):
            _used(place)
            return place
        contents = {each: fetch(each) for each in records}
        with _writing(self._folder):
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as scratch:
                fresh = Path(scratch, "fresh")
                fresh.mkdir()
                for each, data in contents.items():
                    (fresh / each).write_bytes(data)
                _put_in_place(fresh, place, Path(scratch, "old"))
        _keep_newest(place.parent)
        return place

    def remember(self, key: str, note: Mapping[str, object]) -> None:
        """Keep a note; `remembered` gives it back."""
        path = self._folder / "notes" / _note_name(key)
        with _writing(self._folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                file.write(json.dumps(note).encode())
            os.replace(file.name, path)

    def remembered(self, key: str) -> dict[str, Any] | None:
        """The note under a key, if it can be read."""
        try:
            note = load_json((self._folder / "notes" / _note_name(key)).read_bytes())
        except (OSError, ValueError):
            return None
        return note if isinstance(note, dict) else None


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryUnavailable(
            f"The cache {folder} cannot be written to: {error.strerror or error}.",
            hint="Set CUTLINE_REGISTRY_CACHE to a folder that can.",
        ) from error


def _holds(path: Path, record: FileRecord) -> bool:
    try:
        return path.stat().st_size == record.bytes and record_of(path.read_bytes()) == record
    except OSError:
        return False


def _holds_all(place: Path, records: Mapping[str, FileRecord]) -> bool:
    try:
        names = {each.name for each in place.iterdir()}
    except OSError:
        return False
    return names == set(records) and all(_holds(place / name, record) for name, record in records.items())


def _put_in_place(fresh: Path, place: Path, old: Path) -> None:
    """Move a folder to its place. Where another process was quicker, theirs is as good."""
    with suppress(FileNotFoundError):
        place.rename(old)
    with suppress(OSError):
        fresh.rename(place)
    if not place.is_dir():
        raise OSError(f"{place} cannot be made")


def _used(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


def _keep_newest(folder: Path) -> None:
    with suppress(OSError):
        entries = [each for each in folder.iterdir() if not each.name.startswith(".")]
        for old in sorted(entries, key=lambda each: each.stat().st_mtime, reverse=True)[KEPT:]:
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
