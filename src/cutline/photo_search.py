"""From the command's arguments to photos, one at a time: files, folders, globs and lists."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO

from cutline.errors import CutlineError, ImageMissing
from cutline.file_names import portable
from cutline.images import RAW_ENDINGS
from cutline.text_files import text_lines

STDIN = "-"
# fmt: off
EXTENSIONS = RAW_ENDINGS | {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".heic", ".heif", ".hif", ".avif",
}
# fmt: on

# What a folder of photos may contain that looks like something to caption, and is left out: (one, several).
_LEFT_OUT: Mapping[tuple[str, str], str] = {
    ("video", "videos"): ".mp4 .mov .avi .mkv .webm .m4v .3gp .mts .m2ts .mpg .mpeg .wmv",
    ("SVG drawing", "SVG drawings"): ".svg .svgz",
    ("PDF document", "PDF documents"): ".pdf",
    ("Photoshop file", "Photoshop files"): ".psd .psb",
    ("JPEG XL or JPEG 2000 image", "JPEG XL or JPEG 2000 images"): ".jxl .jp2 .j2k .jpf .jpx",
}
_KINDS = {ending: names for names, endings in _LEFT_OUT.items() for ending in endings.split()}
_EXCLUDED = ("excluded file or folder", "excluded files or folders")

# Thumbnails and previews that photo software and network drives keep beside the photos.
ALWAYS_EXCLUDED = ("@eaDir", "#recycle", "$RECYCLE.BIN", "*.lrdata", "*.lrcat-data", "__MACOSX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A photo to caption, or a place without photos, with the reason."""

    path: str
    error: CutlineError | None = None


class PhotoSearch:
    """Finds the photos that the command's arguments name.

    exclude: patterns of names or, with a slash, of paths below a folder. Folders and globs leave out
    what matches, hidden files, and ALWAYS_EXCLUDED. ``left_out`` counts other files by kind.
    """

    def __init__(self, exclude: Sequence[str] = ()) -> None:
        self._exclude = exclude
        self.left_out: Counter[tuple[str, str]] = Counter()

    def find(self, arguments: Iterable[str]) -> Iterator[Found]:
        """The photos in a stable order. A file that is named is taken whatever its extension."""
        for argument in arguments:
            if argument == STDIN:
                yield Found(path=STDIN)
            elif os.path.isdir(argument):
                yield from self._in_folder(argument)
            elif glob.has_magic(argument) and not os.path.lexists(argument):
                yield from self._matching(argument)
            else:
                yield Found(path=argument if os.path.lexists(argument) else _from_windows(argument))

    def _in_folder(self, folder: str) -> Iterator[Found]:
        before, nothing = self.left_out.copy(), True
        for found in self._walk(folder):
            if found.error or _ending(found.path) in EXTENSIONS:
                nothing = False
                yield found
            elif (kind := _KINDS.get(_ending(found.path))) is not None:
                self.left_out[kind] += 1
        if nothing:
            others = describe_left_out(self.left_out - before)
            but = f", only {others}" if others else ""
            yield Found(path=folder, error=ImageMissing(f"{folder} contains no photos{but}."))

    def _walk(self, folder: str) -> Iterator[Found]:
        """Every file below a folder but hidden and excluded ones; each folder once, even if links loop."""
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
                    names = sorted(
                        (entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != "."
                    )
            except OSError as error:
                reason = error.strerror or str(error)
                message = f"The folder {current} cannot be read ({reason})."
                yield Found(path=current, error=ImageMissing(message))
                continue
            kept = [each for each in names if not self.is_excluded(os.path.join(current, each[0]), folder)]
            yield from (Found(path=os.path.join(current, name)) for name, is_folder in kept if not is_folder)
            waiting.extend(os.path.join(current, name) for name, is_folder in reversed(kept) if is_folder)

    def is_excluded(self, path: str, folder: str = "") -> bool:
        """Whether a file or folder is left out; one that a pattern of the caller's names is counted."""
        name, below = os.path.basename(path), os.path.relpath(path, folder or ".").replace(os.sep, "/")
        if any(fnmatchcase(name, pattern) for pattern in ALWAYS_EXCLUDED):
            return True
        excluded = any(
            fnmatchcase(below if "/" in pattern else name, pattern.rstrip("/")) for pattern in self._exclude
        )
        self.left_out[_EXCLUDED] += excluded
        return excluded

    def _matching(self, pattern: str) -> Iterator[Found]:
        if "**" in pattern.split(os.sep):
            paths = self._matching_below(pattern)
        else:
            found = sorted(glob.iglob(pattern))
            paths = (path for path in found if not self.is_excluded(path))
        nothing = True
        for path in paths:
            nothing = False
            if os.path.isdir(path):
                yield from self._in_folder(path)
            else:
                yield Found(path=path)
        if nothing:
            yield Found(path=pattern, error=ImageMissing(f"{pattern} matches nothing."))

    def _matching_below(self, pattern: str) -> Iterator[str]:
        """Files that match a pattern with `**`. glob's own would follow a loop of links forever."""
        parts = pattern.split(os.sep)
        fixed = next(at for at, part in enumerate(parts) if glob.has_magic(part))
        root = os.sep.join(parts[:fixed]) or (os.sep if pattern.startswith(os.sep) else "")
        if not os.path.isdir(root or "."):
            return
        for found in self._walk(root or "."):
            below = os.path.relpath(found.path, root or ".").split(os.sep)
            if found.error is None and _fits(below, parts[fixed:]):
                yield os.path.join(root, *below)


def describe_left_out(counts: Mapping[tuple[str, str], int]) -> str:
    """The kinds of files with their numbers, as words: "2 videos, 1 SVG drawing"; "" for none."""
    return ", ".join(f"{count:,} {names[count > 1]}" for names, count in counts.items() if count)


def _from_windows(name: str) -> str:
    """A file whose name was written with backslashes, where it is here; else the name as it is."""
    for path in (portable(name), re.sub(r"^([A-Za-z]):", _as_mounted, portable(name))):
        if os.path.lexists(path):
            return path
    return name


def _as_mounted(drive: re.Match[str]) -> str:
    return f"/mnt/{drive[1].lower()}"  # where Windows' Linux has it


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def read_list(source: str, *, null: bool) -> Iterator[str]:
    """Paths from a file ('-' is stdin), one per line or ended by NUL, read as they are needed.

    Lines may be in UTF-8, or in UTF-16 as PowerShell writes them.
    """
    if source == STDIN:
        yield from _split(sys.stdin.buffer, null=null)
        return
    try:
        with open(source, "rb") as file:
            yield from _split(file, null=null)
    except OSError as error:
        raise ImageMissing(f"The list {source} cannot be read ({error.strerror}).") from error


def _split(file: io.BufferedReader | BinaryIO, *, null: bool) -> Iterator[str]:
    if not null:
        yield from filter(None, text_lines(file))
        return
    rest = b""
    while block := file.read(65536):
        *whole, rest = (rest + block).split(b"\0")
        yield from map(os.fsdecode, filter(None, whole))
    if rest:
        yield os.fsdecode(rest)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: opening it will say so
        return False


def _fits(parts: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _fits(parts, patterns[1:]) or (bool(parts) and _fits(parts[1:], patterns))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])
