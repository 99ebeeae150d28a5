"""Names of files as other machines write them, and the one file that a name means."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator

_BRACES = re.compile(r"\{((\d+)\.\.(\d+)|[^{}]*,[^{}]*)\}")


def portable(name: str) -> str:
    """A name with the separators of this system: Windows' backslashes become slashes."""
    return name.replace("\\", "/") if "\\" in name and os.sep == "/" else name


def same_name(name: str) -> str:
    """What two spellings of one file's name have in common: composed accents, and slashes."""
    return unicodedata.normalize("NFC", portable(name))


def folded(name: str) -> str:
    """What two spellings of one file's name have in common where capitals count for nothing, too."""
    return same_name(name).casefold()


class Spellings:
    """Finds files whose names are spelt otherwise here. Each folder is listed at most once."""

    def __init__(self) -> None:
        self._listings: dict[str, dict[str, list[str]]] = {}

    def find(self, path: str, *, root: str = "") -> str | None:
        """What is here by that path but for accents and capitals, of its folders, too; None unless it is one.

        Of several, that whose accents alone differ. root: a folder whose own name is spelt as it is here.
        """
        found = [each for each in self._alike(path, root) if os.path.lexists(each)]
        if len(found) > 1:
            found = [each for each in found if same_name(each) == same_name(path)]
        return found[0] if len(found) == 1 else None

    def _alike(self, path: str, root: str) -> Iterator[str]:
        folder, name = os.path.split(path)
        if path in (root, folder) or name in (os.curdir, os.pardir):
            yield path
        elif not name:
            yield from self._alike(folder, root)
        else:
            for each in self._alike(folder, root):
                names = self._listing(each).get(folded(name))
                yield from (os.path.join(each, found) for found in names or [name])

    def _listing(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._listings:
            listing = self._listings[folder] = dict[str, list[str]]()
            for name in _names_in(folder):
                listing.setdefault(folded(name), []).append(name)
        return self._listings[folder]


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder or os.curdir)
    except OSError:
        return []


def without_braces(name: str) -> list[str]:
    """The names that one with braces stands for, in order: {000..099} counts, {a,b} lists."""
    if not (match := _BRACES.search(name)):
        return [name]
    inner = match[1].split(",")
    if match[2] is not None:
        width = len(match[2])
        inner = [f"{number:0{width}d}" for number in range(int(match[2]), int(match[3]) + 1)]
    before, after = name[: match.start()], name[match.end() :]
    return [each for part in inner for each in without_braces(f"{before}{part}{after}")]


def relative_to(folder: str, name: str) -> str:
    """The name by which a file is found from a folder wherever both are moved: relative if it lies below.

    A relative name that means the same file from the folder as from here stays as it is. A file elsewhere
    gets its absolute name. folder: a resolved path.
    """
    resolved = os.path.realpath(name)
    if not os.path.isabs(name) and os.path.realpath(os.path.join(folder, name)) == resolved:
        return name.replace(os.sep, "/")
    whole = os.path.abspath(name)
    whole = whole if os.path.realpath(whole) == resolved else resolved  # "link/../photo.jpg"
    beside = os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))
    for path in (whole, beside):
        if path.startswith(os.path.join(folder, "")):
            return os.path.relpath(path, folder).replace(os.sep, "/")
    return whole


def resolved_from(folder: str, name: str) -> str:
    """The file that a name of ``relative_to`` means, resolved."""
    path, other = (os.path.join(folder, each) for each in (name, portable(name)))
    return os.path.realpath(path if os.path.lexists(path) or not os.path.lexists(other) else other)
