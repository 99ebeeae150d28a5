"""From the command's arguments to photos, one at a time: files, folders, globs and lists."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO

from cutline.errors import CutlineError, ImageMissing

STDIN = "-"
# fmt: off
EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".heic", ".heif", ".hif", ".avif",
})
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A photo to caption, or a place without photos, with the reason."""

    path: str
    error: CutlineError | None = None


def find_photos(arguments: Iterable[str]) -> Iterator[Found]:
    """The photos that the arguments name, in a stable order. A file is taken whatever its extension."""
    for argument in arguments:
        if argument == STDIN:
            yield Found(path=STDIN)
        elif os.path.isdir(argument):
            yield from _in_folder(argument)
        elif glob.has_magic(argument) and not os.path.lexists(argument):
            yield from _matching(argument)
        else:
            yield Found(path=argument)


def read_list(source: str, *, null: bool) -> Iterator[str]:
    """Paths from a file ('-' is stdin), one per line or ended by NUL, read as they are needed."""
    if source == STDIN:
        yield from _split(sys.stdin.buffer, b"\0" if null else b"\n")
        return
    try:
        with open(source, "rb") as file:
            yield from _split(file, b"\0" if null else b"\n")
    except OSError as error:
        raise ImageMissing(f"The list {source} cannot be read ({error.strerror}).") from error


def _split(file: BinaryIO, end: bytes) -> Iterator[str]:
    rest = b""
    # readline-sized reads: paths that come slowly through a pipe are captioned as they come.
    while block := (file.readline(65536) if end == b"\n" else file.read(65536)):
        *whole, rest = (rest + block).split(end)
        yield from (
            os.fsdecode(line) for raw in whole if (line := raw.rstrip(b"\r") if end == b"\n" else raw)
        )
    if rest:
        yield os.fsdecode(rest)


def _in_folder(folder: str) -> Iterator[Found]:
    nothing = True
    for found in walk(folder):
        if found.error or os.path.splitext(found.path)[1].lower() in EXTENSIONS:
            nothing = False
            yield found
    if nothing:
        yield Found(path=folder, error=ImageMissing(f"{folder} contains no photos."))


def walk(folder: str) -> Iterator[Found]:
    """Every file below a folder, hidden ones left out; each folder once, also if links lead to it."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                names = sorted((entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != ".")
        except OSError as error:
            reason = error.strerror or str(error)
            yield Found(path=current, error=ImageMissing(f"The folder {current} cannot be read ({reason})."))
            continue
        yield from (Found(path=os.path.join(current, name)) for name, is_folder in names if not is_folder)
        waiting.extend(os.path.join(current, name) for name, is_folder in reversed(names) if is_folder)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: opening it will say so
        return False


def _matching(pattern: str) -> Iterator[Found]:
    paths = _matching_below(pattern) if "**" in pattern.split(os.sep) else sorted(glob.iglob(pattern))
    nothing = True
    for path in paths:
        nothing = False
        if os.path.isdir(path):
            yield from _in_folder(path)
        else:
            yield Found(path=path)
    if nothing:
        yield Found(path=pattern, error=ImageMissing(f"{pattern} matches nothing."))


def _matching_below(pattern: str) -> Iterator[str]:
    """Files that match a pattern with `**`. glob's own would follow a loop of links forever."""
    parts = pattern.split(os.sep)
    fixed = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    root = os.sep.join(parts[:fixed]) or (os.sep if pattern.startswith(os.sep) else "")
    if not os.path.isdir(root or "."):
        return
    for found in walk(root or "."):
        below = os.path.relpath(found.path, root or ".").split(os.sep)
        if found.error is None and _fits(below, parts[fixed:]):
            yield os.path.join(root, *below)


def _fits(parts: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _fits(parts, patterns[1:]) or (bool(parts) and _fits(parts[1:], patterns))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])
