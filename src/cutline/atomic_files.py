"""Writing files atomically: a process killed at any moment leaves the old content or the new one."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO

from cutline.errors import OutputError

logger = logging.getLogger("cutline.files")

_TEMPORARY = ".cutline-tmp-"
_SURELY_LOCKED_S = 2.0


@contextlib.contextmanager
def output_errors(path: str) -> Iterator[None]:
    """Turn every OSError inside into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}).") from error


@contextlib.contextmanager
def replacement(path: str, *, keep_times: bool = False) -> Iterator[str]:
    """Yield a temporary file, which replaces `path` if nothing is raised, and is removed otherwise.

    A link stays a link: what it points to is replaced. Mode, owner and extended attributes stay; what cannot
    be kept of them is logged as a warning. So are other names of the file (hard links), which keep the old
    content: a backup made of links must not change.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, suffix=os.path.splitext(path)[1], dir=folder)
    with open(handle, "rb") as file:
        try_lock(file)  # until we end, or are killed: see remove_leftovers
        try:
            yield temporary
            if os.path.exists(path):
                _copy_attributes(path, temporary, times=keep_times)
            else:
                os.chmod(temporary, 0o666 & ~_umask())
            os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def write_text(path: str, text: str, *, errors: str = "strict") -> None:
    """Write a text in UTF-8, whole or not at all. errors: as in `str.encode`. Raises OutputError."""
    with (
        output_errors(path),
        replacement(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors=errors, newline="") as file,
    ):
        file.write(text)


@functools.cache
def remove_leftovers(folder: str) -> None:
    """Remove the temporary files that killed runs left in a folder: those that nobody has locked.

    Cached: each folder is swept once a run.
    """
    if importlib.util.find_spec("fcntl") is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY) and time.time() - entry.stat().st_mtime > _SURELY_LOCKED_S:
                with open(entry.path, "rb") as file:
                    if try_lock(file):
                        os.unlink(entry.path)


def _copy_attributes(source: str, target: str, *, times: bool) -> None:
    """Copy owner, mode and extended attributes, and the times where asked for. What is lost is logged."""
    status = os.stat(source)
    lost = []
    if hasattr(os, "chown") and not _give_to(target, status.st_uid, status.st_gid):
        lost.append("its owner")
    shutil.copystat(source, target)
    if not times:
        os.utime(target)
    lost += sorted(_attributes(source) - _attributes(target))
    if lost:
        logger.warning("%s was replaced, and could not keep %s.", source, ", ".join(lost))
    if status.st_nlink > 1:
        logger.warning(
            "%s was replaced: its %d other name(s) (hard links) keep the old content.",
            source,
            status.st_nlink - 1,
        )


def _give_to(path: str, owner: int, group: int) -> bool:
    """Give a file its owner and group; the group alone where no more is allowed, and then False."""
    try:
        os.chown(path, owner, group)
        return True
    except PermissionError:
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, group)
        now = os.stat(path)
        return (now.st_uid, now.st_gid) == (owner, group)


def _attributes(path: str) -> set[str]:
    """The names of a file's extended attributes."""
    if not hasattr(os, "listxattr"):
        return set()
    try:
        return set(os.listxattr(path))
    except OSError:  # a file system without them
        return set()


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def sync_folder(folder: str) -> None:
    """Make a new name in the folder durable. Does nothing on systems that cannot open folders."""
    with contextlib.suppress(PermissionError, IsADirectoryError):
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all bytes to an unbuffered file, which may take them in pieces."""
    while data:
        data = data[file.write(data) :]


def open_to_append(path: str) -> BinaryIO:
    """Open a file to read it and append to it, unbuffered and locked; a new one's name is made durable.

    Raises OutputError where another run has it.
    """
    is_new = not os.path.lexists(path)
    file = open(path, "a+b", buffering=0)  # noqa: SIM115 - the caller closes it
    if not try_lock(file):
        file.close()
        raise OutputError(f"Another run is writing to {path}.", hint="Wait for it, or stop it.")
    if is_new:
        sync_folder(os.path.dirname(path))
    return file


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of a file, which is made where there is none; waits for the process that has it.

    Nothing is locked on systems without such locks. Raises OutputError.
    """
    with output_errors(path):
        file = open(path, "ab")  # noqa: SIM115 - closed below, where errors are no longer its own
    with file:
        if not try_lock(file):
            import fcntl

            logger.info("Waiting for another run that holds %s.", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(file: BinaryIO) -> bool:
    """Lock the file; False where another process has it. True on systems without such locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return True
    return True
