"""Writing files atomically: a process killed at any moment leaves the old content or the new one."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO

from cutline.errors import OutputError

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
    """Yield a temporary file, which replaces `path` if nothing is raised, and is removed otherwise."""
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(
        prefix=_TEMPORARY, suffix=os.path.splitext(path)[1], dir=folder or "."
    )
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
    """Copy mode and extended attributes; the owner where we may, and the times where asked for."""
    status = os.stat(source)
    shutil.copystat(source, target)
    if not times:
        os.utime(target)
    if hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(target, status.st_uid, status.st_gid)


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
