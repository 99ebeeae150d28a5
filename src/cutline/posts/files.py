"""The files of an export: of folders, of the zip archives that it came in, and single ones, as one.

Exports are unpacked from strangers' archives: links are not followed, names are never used as paths, and what
a file names is looked for among these files alone.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol
from zipfile import ZipFile

from cutline import archives
from cutline.errors import CutlineError, DataError, ImageMissing, MemberTooLarge
from cutline.file_names import same_name
from cutline.junk_files import is_left_out
from cutline.training.reading import IMAGE_SUFFIXES

MAX_TEXT_BYTES = 256 * 2**20
_MAX_FILE_BYTES = 2**32
_MAX_FILES = 2_000_000
_MAX_TOTAL_BYTES = 2**42  # nothing is unpacked but what is asked for, a file at a time


class PhotoFile(Protocol):
    """Where a photo's bytes are."""

    @property
    def name(self) -> str:
        """What it is called; of a file of an export its path there, with slashes."""
        ...

    def read(self, max_bytes: int) -> bytes:
        """Its bytes. Raises CutlineError where there are more, or where they cannot be read."""
        ...


class Entry(PhotoFile, Protocol):
    """A file of an export."""

    def read_text(self) -> bytes:
        """Its bytes, of a file that is no photo. Raises CutlineError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFile:
    """A file in a folder."""

    name: str
    path: Path

    def read(self, max_bytes: int) -> bytes:
        """As Entry."""
        try:
            with self.path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise ImageMissing(f"{self.path} cannot be read ({error.strerror}).") from error
        if len(data) > max_bytes:
            raise MemberTooLarge(f"{self.path} has more than {max_bytes:,} bytes.")
        return data

    def read_text(self) -> bytes:
        """As Entry."""
        return self.read(MAX_TEXT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZippedFile:
    """A file in a zip archive."""

    name: str
    archive: ZipFile
    number: int

    def read(self, max_bytes: int) -> bytes:
        """As Entry."""
        return archives.read_member(self.archive, self.number, max_bytes=max_bytes)

    def read_text(self) -> bytes:
        """As Entry."""
        return self.read(MAX_TEXT_BYTES)


class Files:
    """All files of an export. Use it in a ``with``, for archives stay open.

    refused: members of archives that are not opened, and why.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._held = ExitStack()
        self.entries: list[Entry] = []
        self.refused: list[str] = []
        try:
            for place in places:
                self._add(place)
        except BaseException:
            self._held.close()
            raise
        self._by_name: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            self._by_name[_key(entry.name)].append(entry)

    def __enter__(self) -> Files:
        """The files themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the archives."""
        self._held.close()

    def _add(self, place: Path) -> None:
        if place.is_dir():
            found = list(_below(place))
            self.entries += (each for each in found if not is_zip(each.path))
            for each in found:
                if is_zip(each.path):
                    self._add_archive(each.path)
        elif is_zip(place):
            self._add_archive(place)
        elif place.is_file():
            self.entries.append(FolderFile(name=place.name, path=place))
        else:
            raise DataError(f"There is nothing at {place}.", hint="Check the path.")

    def _add_archive(self, path: Path) -> None:
        try:
            file = self._held.enter_context(path.open("rb"))
            archive = self._held.enter_context(archives.open_archive(file, max_members=_MAX_FILES))
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from error
        except CutlineError as error:
            raise DataError(f"{path}: {error.message}", hint=error.hint) from error
        found = archives.members(archive, max_bytes=_MAX_FILE_BYTES, max_total_bytes=_MAX_TOTAL_BYTES)
        for member in found:
            if member.refusal is not None:
                self.refused.append(f"{path.name}: {member.refusal.message}")
            else:
                self.entries.append(ZippedFile(name=member.name, archive=archive, number=member.number))

    def find(self, name: str) -> Entry | None:
        """The file that a text of the export names: by its path from the export's top, wherever that is."""
        wanted = _parts(name)
        if not wanted or ".." in wanted:
            return None
        for entry in self._by_name.get(_key(wanted[-1]), ()):
            own = _parts(entry.name)
            shared = min(len(own), len(wanted))
            if own[-shared:] == wanted[-shared:]:
                return entry
        return None

    def named(self, name: str) -> Sequence[Entry]:
        """The files of that name, in any folder."""
        return self._by_name.get(_key(name), ())


def is_photo(name: str) -> bool:
    """Whether a file is called a photo."""
    return f".{name.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES


def is_zip(path: Path) -> bool:
    """Whether a file is called a zip archive."""
    return path.suffix.lower() == ".zip"


def folder_of(entry: Entry) -> str:
    """The folder that a file lies in."""
    return str(PurePosixPath(entry.name).parent)


def base_of(entry: Entry) -> str:
    """The name of a file without its folders."""
    return PurePosixPath(entry.name).name


def _key(name: str) -> str:
    return same_name(PurePosixPath(name).name).casefold()


def _parts(name: str) -> tuple[str, ...]:
    plain = same_name(name).casefold().strip("/")
    return tuple(part for part in PurePosixPath(plain).parts if part != ".")


def _below(folder: Path) -> Iterator[FolderFile]:
    """Each regular file below, in order, without hidden ones; links are left alone, wherever they lead."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_left_out(name))
        for name in sorted(names):
            path = Path(place, name)
            if not is_left_out(name) and not path.is_symlink() and path.is_file():
                yield FolderFile(name=path.relative_to(folder).as_posix(), path=path)
