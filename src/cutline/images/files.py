"""From a path to bytes: plain files only, of a bounded size, and without waiting for pipes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from cutline.errors import ImageMissing, ImageNotAFile
from cutline.images.limits import Limits, check_limit

_OPEN_ERRORS: Mapping[int, str] = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist",
    errno.EACCES: "may not be read: permission denied",
    errno.EPERM: "may not be read: permission denied",
    errno.ELOOP: "is a symbolic link that leads back to itself",
    errno.ENAMETOOLONG: "has a name that is too long",
}


def read_file(path: str | os.PathLike[str], limits: Limits) -> bytes:
    name = printable(os.fspath(path))
    try:
        _check_regular(name, os.stat(path))
        # Non-blocking, so that a file swapped for a pipe after the check cannot hang us.
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            _check_regular(name, status)
            check_limit(name, "bytes", status.st_size, "max_file_bytes", limits.max_file_bytes)
            return file.read(limits.max_file_bytes + 1)  # it may still be growing
    except OSError as error:
        reason = _OPEN_ERRORS.get(error.errno or 0, f"cannot be read ({error.strerror or error})")
        raise ImageMissing(f"{name} {reason}.") from error
    except ValueError as error:  # a NUL in the name
        raise ImageMissing(f"{name} is not a valid file name.") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ImageNotAFile(f"{name} is a folder, not a photo.", hint="`cutline caption` accepts folders.")
    if not stat.S_ISREG(status.st_mode):
        raise ImageNotAFile(
            f"{name} is a pipe, socket or device.", hint="To read a photo from a pipe, use `-`."
        )


def printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode() if path.isprintable() else repr(path)
