"""From the command's arguments to photos, one at a time: files, folders, globs and lists."""

from __future__ import annotations

import codecs
import glob
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO

from cutline.errors import CutlineError, ImageMissing
from cutline.file_names import Spellings, portable, same_name
from cutline.images import RAW_ENDINGS
from cutline.junk_files import is_junk, is_left_out
from cutline.text_files import marked_encoding, text_lines

STDIN = "-"
# fmt: off
EXTENSIONS = RAW_ENDINGS | {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib",
    ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
}
# fmt: on

# What a folder of photos may contain that looks like something to caption, and is left out: (one, several).
_LEFT_OUT: Mapping[tuple[str, str], str] = {
    ("video", "videos"): ".mp4 .mov .avi .mkv .webm .m4v .3gp .3g2 .mts .m2ts .mpg .mpeg .mpe .m1v .m2v .wmv"
    " .asf .flv .f4v .insv .lrv .ogv .vob .tod .dv .divx .mxf .qt .rmvb .braw .r3d",
    ("SVG drawing", "SVG drawings"): ".svg .svgz",
    ("PDF document", "PDF documents"): ".pdf",
    ("Photoshop file", "Photoshop files"): ".psd .psb",
    ("JPEG XL or JPEG 2000 image", "JPEG XL or JPEG 2000 images"): ".jxl .jp2 .j2k .j2c .jpc .jpf .jpm .jpx",
    ("image of another format", "images of other formats"): ".eps .ai .cdr .emf .wmf .indd .ico .cur .icns"
    " .tga .xcf .kra .ora .exr .hdr .dds .pcx .pict .pct .ppm .pgm .pbm .pnm .pam .pfm .qoi .sgi .ras .xbm"
    " .xpm .fits .dcm .djvu .raw .flif .bpg .heics .heifs .avifs .avcs .jxr .wdp .hdp .mng .jng",
}
_KINDS = {ending: names for names, endings in _LEFT_OUT.items() for ending in endings.split()}
_EXCLUDED = ("excluded file or folder", "excluded files or folders")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A photo to caption, or a place without photos, with the reason."""

    path: str
    error: CutlineError | None = None


class PhotoSearch:
    """Finds the photos that the command's arguments name.

    exclude: patterns of names or, with a slash, of paths: below a folder that is searched, from here, or
    absolute. `**/` is any folders or none; the case of a name's ending is all one. What matches is left out,
    what lies in a folder that does, and what programs leave beside photos (junk_files); of a folder, hidden
    files, too. ``left_out`` counts by kind what was excluded, and what may look like a photo and is none.
    """

    def __init__(self, exclude: Sequence[str] = ()) -> None:
        self.exclude = exclude
        self._is_unwanted = _matcher(exclude)
        self._spellings = Spellings()
        self.left_out: Counter[tuple[str, str]] = Counter()

    def find(self, arguments: Sequence[str]) -> Iterator[Found]:
        """The photos in a stable order. A file that is named is taken whatever its extension.

        One argument alone is wanted, whatever it is called. Of several, as a shell makes them of a glob,
        what is excluded is left out; the folders that they all lie in do not count.
        """
        together = _common_folder(arguments) if len(arguments) > 1 else None
        for argument in arguments:
            yield from self._named(argument, together)

    def find_listed(self, names: Iterable[str]) -> Iterator[Found]:
        """The photos of a list, as it comes; what is excluded is left out."""
        for name in names:
            yield from self._named(name, "")

    def _named(self, argument: str, together: str | None) -> Iterator[Found]:
        """together: the folder from which names are looked at, "" for this one; None: not at all."""
        if argument == STDIN:
            yield Found(path=STDIN)
            return
        is_glob = glob.has_magic(argument) and not os.path.lexists(argument)
        path = argument if is_glob or os.path.lexists(argument) else self._spelt_here(argument)
        if is_glob:
            yield from self._matching(path, together)
        elif together is None or not self.is_excluded(path, together):
            yield from self._in_folder(path) if os.path.isdir(path) else [Found(path=path)]

    def _spelt_here(self, name: str) -> str:
        """A file whose name another system wrote, where it is here; else the name as it is.

        Such a name has backslashes, other capitals, or accents that are composed in another way.
        """
        paths = (portable(name), re.sub(r"^([A-Za-z]):", _as_mounted, portable(name)))
        here = (path for path in paths if os.path.lexists(path))
        return next(here, None) or next(filter(None, map(self._spellings.find, paths)), name)

    def _in_folder(self, folder: str) -> Iterator[Found]:
        before, nothing = self.left_out.copy(), True
        for found in self._walk(folder):
            if found.error or _ending(found.path) in EXTENSIONS:
                nothing = False
                yield found
            else:
                self.note_other(found.path)
        if nothing:
            others = describe_left_out(self.left_out - before)
            but = f", only {others}" if others else ""
            yield Found(path=folder, error=ImageMissing(f"{folder} contains no photos{but}."))

    def note_other(self, path: str) -> None:
        """Count a file that is no photo, where it is of a kind that people may expect a caption of."""
        if (kind := _KINDS.get(_ending(path))) is not None:
            self.left_out[kind] += 1

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
                    names = sorted((entry.name, _is_folder(entry)) for entry in entries)
            except OSError as error:
                reason = error.strerror or str(error)
                message = f"The folder {current} cannot be read ({reason})."
                yield Found(path=current, error=ImageMissing(message))
                continue
            kept = [each for each in names if self._is_kept(current, each[0], folder)]
            yield from (Found(path=os.path.join(current, name)) for name, is_folder in kept if not is_folder)
            waiting.extend(os.path.join(current, name) for name, is_folder in reversed(kept) if is_folder)

    def _is_kept(self, folder: str, name: str, top: str) -> bool:
        if is_left_out(name):
            return False
        path = os.path.join(folder, name)
        is_unwanted = bool(self.exclude) and self._is_unwanted(os.path.relpath(path, top), path)
        self.left_out[_EXCLUDED] += is_unwanted
        return not is_unwanted

    def is_excluded(self, path: str, folder: str = "") -> bool:
        """Whether a file below a folder is left out, or a folder on the way to it; if so, it is counted."""
        way = os.path.relpath(path, folder or ".")
        parts = [part for part in way.split(os.sep) if part not in (os.curdir, os.pardir)]
        is_excluded = any(map(is_junk, parts)) or (bool(self.exclude) and self._is_on_way(path, parts))
        self.left_out[_EXCLUDED] += is_excluded
        return is_excluded

    def _is_on_way(self, path: str, parts: Sequence[str]) -> bool:
        """Whether a pattern matches the path, or a folder that it goes through; parts: its last ones."""
        whole = os.path.abspath(path).split(os.sep)
        above = len(whole) - len(parts)
        return any(
            self._is_unwanted(os.sep.join(parts[:end]), os.sep.join(whole[: above + end]))
            for end in range(1, len(parts) + 1)
        )

    def _matching(self, pattern: str, together: str | None) -> Iterator[Found]:
        top = folder_of_glob(pattern) if together is None else together
        before, nothing = self.left_out.copy(), True
        is_deep = "**" in pattern.split(os.sep)
        for path in self._matching_below(pattern) if is_deep else sorted(glob.iglob(pattern)):
            if self.is_excluded(path, top):
                continue
            nothing = False
            yield from self._in_folder(path) if os.path.isdir(path) else [Found(path=path)]
        if nothing:
            others = describe_left_out(self.left_out - before)
            but = f", but {others}" if others else ""
            yield Found(path=pattern, error=ImageMissing(f"{pattern} matches nothing{but}."))

    def _matching_below(self, pattern: str) -> Iterator[str]:
        """Files that match a pattern with `**`. glob's own would follow a loop of links forever."""
        root = folder_of_glob(pattern)
        patterns = (pattern[len(root) :] if root else pattern).lstrip(os.sep).split(os.sep)
        if not os.path.isdir(root or "."):
            return
        for found in self._walk(root or "."):
            below = os.path.relpath(found.path, root or ".").split(os.sep)
            if found.error is None and _fits(below, patterns):
                yield os.path.join(root, *below)


def folder_of_glob(pattern: str) -> str:
    """The folders that a glob names before anything that it leaves open; "" for this one."""
    parts = pattern.split(os.sep)
    fixed = next((at for at, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return os.sep.join(parts[:fixed]) or (os.sep if pattern.startswith(os.sep) else "")


def _common_folder(arguments: Sequence[str]) -> str:
    """The folder that all files, folders and globs lie in."""
    named = {each.rstrip(os.sep) for each in arguments if each != STDIN}
    return os.path.commonpath([os.path.abspath(folder_of_glob(each)) for each in named or {""}])


def _matcher(exclude: Sequence[str]) -> Callable[[str, str], bool]:
    """Whether a file or folder matches one of the patterns, by its path below a folder, and from here."""
    here = glob.escape(same_name(os.getcwd())) if exclude else ""
    names: list[str] = []
    below: list[str] = []
    absolute: list[str] = []
    for pattern in exclude:
        whole = _comparable(pattern).rstrip("/")
        if "/" not in whole:
            names.append(whole)
            continue
        for each in _without_double_stars(whole):
            below.append(os.path.normpath(each).lstrip("/"))
            absolute.append(os.path.normpath(os.path.join(here, each)))

    def matches(path: str, from_here: str) -> bool:
        path = _comparable(path)
        name = path.rpartition("/")[2]
        if any(name == pattern or fnmatchcase(name, pattern) for pattern in names):
            return True
        whole = _comparable(os.path.abspath(from_here)) if absolute else ""
        return any(fnmatchcase(path, each) for each in below) or any(
            fnmatchcase(whole, each) for each in absolute
        )

    return matches


def _comparable(path: str) -> str:
    """A path or a pattern with slashes, composed accents, and its ending in small letters."""
    stem, ending = os.path.splitext(same_name(path.replace(os.sep, "/")))
    return stem + ending.lower()


def _without_double_stars(pattern: str) -> list[str]:
    """The patterns in which each `**/` is no folder, or some: a `*` alone takes slashes, too."""
    before, stars, after = pattern.partition("**/")
    if not stars:
        return [pattern]
    return [f"{before}{way}{rest}" for rest in _without_double_stars(after) for way in ("", "*/")]


def describe_left_out(counts: Mapping[tuple[str, str], int]) -> str:
    """The kinds of files with their numbers, as words: "2 videos, 1 SVG drawing"; "" for none."""
    return ", ".join(f"{count:,} {names[count > 1]}" for names, count in counts.items() if count)


def _as_mounted(drive: re.Match[str]) -> str:
    return f"/mnt/{drive[1].lower()}"  # where Windows' Linux has it


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def read_list(source: str, *, null: bool) -> Iterator[str]:
    """Paths from a file ('-' is stdin), one per line or ended by NUL, read as they are needed.

    They may be in UTF-8, or in UTF-16 as PowerShell writes them; quoted, or among spaces.
    """
    if source == STDIN:
        yield from names_in(sys.stdin.buffer, null=null)
        return
    try:
        with open(source, "rb") as file:
            yield from names_in(file, null=null)
    except OSError as error:
        raise ImageMissing(f"The list {source} cannot be read ({error.strerror}).") from error


def names_in(file: io.BufferedReader | BinaryIO, *, null: bool = False) -> Iterator[str]:
    """The names in a list that is open; see ``read_list``."""
    if not null:
        # A NUL ends a name even so: no name has one in it.
        yield from filter(None, (_plain(name) for line in text_lines(file) for name in line.split("\0")))
        return
    block = file.read(65536)
    encoding = marked_encoding(block) or sys.getfilesystemencoding()
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    rest = ""
    while block:
        *whole, rest = (rest + decoder.decode(block)).split("\0")
        yield from filter(None, whole)
        block = file.read(65536)
    if rest := rest + decoder.decode(b"", final=True):
        yield rest


def _plain(name: str) -> str:
    """A name without the quotes that Windows' "Copy as path" adds, and without spaces around it.

    A file that has them in its name keeps them.
    """
    plain = name.strip()
    if len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'":
        plain = plain[1:-1]
    return name if plain != name and os.path.lexists(name) else plain


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
