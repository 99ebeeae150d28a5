"""What is in a backup: a tar of files/KEY, database/TABLE.jsonl.gz, backup.json, and SHA256SUMS at the end.

SHA256SUMS lists all entries before it, in their order, as `sha256sum --check` reads them. It is the last
entry, so an archive that ends early has none. `Writer` writes an archive into a stream; `entries` reads one
from a stream, checks it on the way, and raises BackupError where anything is missing, changed or added.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Self, cast

from cutline.errors import BackupError
from cutline.server.backup.encryption import Readable, Writable

FILES, DATABASE = "files/", "database/"
ABOUT, SUMS = "backup.json", "SHA256SUMS"
_BLOCK = 2**20
_IN_MEMORY = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry that is being read: its content must be read before the next entry is asked for."""

    name: str
    size: int  # bytes
    content: IO[bytes]


class Writer:
    """Writes entries one after the other; `finish` ends the archive; without it there is none."""

    def __init__(self, stream: Writable) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 (to close it is to end the archive)
            fileobj=cast("IO[bytes]", stream), mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK
        )
        self._sums = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._sums.close()

    def add(self, name: str, content: IO[bytes], size: int) -> None:
        """Write an entry of so many bytes. Raises BackupError where the content has another length."""
        hashed = _Hashed(content)
        self._add(name, hashed, size)
        if content.read(1):
            raise BackupError(f"{name} grew while it was read.")
        self._sums.write(_line(name, hashed.digest()))

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write a small entry."""
        self.add(name, io.BytesIO(content), len(content))

    def finish(self) -> None:
        """Write the list of hashes, and the end."""
        size = self._sums.tell()
        self._sums.seek(0)
        self._add(SUMS, self._sums, size)
        self._tar.close()

    def _add(self, name: str, content: object, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        try:
            self._tar.addfile(info, cast("IO[bytes]", content))
        except OSError as error:  # "unexpected end of data" is tarfile's own
            raise BackupError(f"{name} cannot be read: {error}") from error


def entries(stream: Readable) -> Iterator[Entry]:
    """Each entry but SHA256SUMS, in order. Only where this ends without an error, the archive is whole."""
    seen = hashlib.sha256()  # of the lines that SHA256SUMS must have
    listed = ""
    try:
        tar = tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=_BLOCK)  # noqa: SIM115
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            if content is None or listed:
                raise BackupError(f"The backup has {info.name}, which does not belong there.")
            hashed = _Hashed(content)
            if info.name != SUMS:
                yield Entry(name=info.name, size=info.size, content=cast("IO[bytes]", hashed))
            hashed.read_all()
            if info.name == SUMS:
                listed = hashed.digest()
            else:
                seen.update(_line(info.name, hashed.digest()))
    except (tarfile.TarError, EOFError) as error:
        raise BackupError("The backup is damaged or incomplete, or is no backup.") from error
    if not listed:
        raise BackupError("The backup is incomplete: it ends early.")
    if listed != seen.hexdigest():
        raise BackupError("The backup is damaged: not all of its content has the hashes that it lists.")
    while rest := stream.read(_BLOCK):  # what is sealed at the end is checked, too
        if rest.strip(b"\0"):
            raise BackupError("The backup has something after its end.")


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except tarfile.ReadError as error:
            raise BackupError("The backup is incomplete: it ends early.") from error
        self._hash.update(data)
        return data

    def read_all(self) -> None:
        while self.read(_BLOCK):
            pass

    def digest(self) -> str:
        return self._hash.hexdigest()


def _line(name: str, digest: str) -> bytes:
    return f"{digest}  {name}\n".encode()
