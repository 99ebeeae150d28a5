"""Where a registry lies: a folder, or a bucket (s3.py). What is written is new, whole, and never changed.

The one step that all else builds on is `create`: the whole content under a new name, or nothing, and of all
who try the same name, one alone succeeds.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cutline.errors import RegistryUnavailable, VersionRefused

DRAFTS = ".drafts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a listing says of one entry. ``modified_s`` is seconds since 1970."""

    key: str
    bytes: int
    modified_s: float


class Store(Protocol):
    """Named contents. Keys are relative, with slashes. All methods raise RegistryUnavailable."""

    @property
    def where(self) -> str:
        """The place, for messages."""
        ...

    def check_writable(self) -> None:
        """Find out whether `create` keeps its promise here, before anything is written."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write what is not there yet. False where the key exists; nothing has changed then.

        False may also come after an answer was lost on its way: then the content under the key is ``data``.
        """
        ...

    def read(self, key: str, most: int) -> bytes | None:
        """The content; None where there is none. Raises VersionRefused for more than ``most`` bytes."""
        ...

    def listed(self, prefix: str, *, after: str = "") -> Iterator[Stored]:
        """All entries whose keys begin with ``prefix`` and come after ``after``, in order."""
        ...

    def touch(self, key: str, data: bytes) -> None:
        """Make an existing entry look new, so that nobody takes it for left behind."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete entries; those that are gone already, too."""
        ...

    def sweep_drafts(self, older_than_s: float) -> int:
        """Delete what writers left behind that were killed. Returns how many files."""
        ...


class FolderStore:
    """A folder, for any number of processes, on a local disk or NFS.

    A file is written beside, synced, and then linked to its name: link() fails where the name exists, on NFS
    too, and needs no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def check_writable(self) -> None:
        """Nothing to find out: `create` fails by itself where there are no hard links."""

    def create(self, key: str, data: bytes) -> bool:
        """As Store."""
        target = self._folder / key
        with _os_errors(self.where):
            if target.exists():
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = self._drafted(data)
            try:
                os.link(draft, target)
            except FileExistsError:
                return False
            finally:
                draft.unlink(missing_ok=True)
            for folder in (target.parent, target.parent.parent):
                _sync_folder(folder)
            return True

    def read(self, key: str, most: int) -> bytes | None:
        """As Store. Follows no link out of the folder, and opens no pipe or device."""
        with _os_errors(self.where):
            try:
                descriptor = os.open(self._folder / key, os.O_RDONLY | _NO_FOLLOW)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.EMLINK):
                    raise VersionRefused(f"{self._folder / key} is a link.") from error
                raise
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise VersionRefused(f"{self._folder / key} is not a regular file.")
                data = file.read(most + 1)
        if len(data) > most:
            raise VersionRefused(f"{self._folder / key} is longer than {most:,} bytes.")
        return data

    def listed(self, prefix: str, *, after: str = "") -> Iterator[Stored]:
        """As Store."""
        folder, _, start = prefix.rpartition("/")
        with _os_errors(self.where):
            found = sorted(self._below(self._folder / folder, f"{folder}/" if folder else "", start))
        for key, status in found:
            if key > after:
                yield Stored(key=key, bytes=status.st_size, modified_s=status.st_mtime)

    def touch(self, key: str, data: bytes) -> None:
        """As Store."""
        with _os_errors(self.where), suppress(FileNotFoundError, PermissionError):
            os.utime(self._folder / key)

    def delete(self, keys: Iterable[str]) -> None:
        """As Store."""
        with _os_errors(self.where):
            for key in keys:
                (self._folder / key).unlink(missing_ok=True)

    def sweep_drafts(self, older_than_s: float) -> int:
        """As Store."""
        with _os_errors(self.where):
            if not (self._folder / DRAFTS).is_dir():
                return 0
            limit = time.time() - older_than_s
            old = [each for each in (self._folder / DRAFTS).iterdir() if each.lstat().st_mtime < limit]
            for each in old:
                each.unlink(missing_ok=True)
            return len(old)

    def _drafted(self, data: bytes) -> Path:
        """Write a file under a name of its own, as durably as the disk can."""
        drafts = self._folder / DRAFTS
        drafts.mkdir(exist_ok=True)
        draft = drafts / uuid.uuid4().hex
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _below(self, folder: Path, prefix: str, start: str) -> Iterator[tuple[str, os.stat_result]]:
        try:
            entries = [each for each in os.scandir(folder) if each.name.startswith(start)]
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name == DRAFTS:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(Path(entry.path), f"{prefix}{entry.name}/", "")
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # somebody prunes
                    yield prefix + entry.name, entry.stat(follow_symlinks=False)


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def _os_errors(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "Check the folder, its owner and the disk."
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK) and error.filename2:
            hint = "This file system has no hard links, which a registry needs: use another one, or S3."
        raise RegistryUnavailable(
            f"The registry {where} failed: {error.strerror or error}.", hint=hint
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a new name last. Not every system can: then the name comes with the next sync."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
