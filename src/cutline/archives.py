"""Zip archives of strangers: what is in them, and what of it may be opened.

The directory of an archive is measured before it is read, so that a lying one cannot fill the memory; what a
member claims is checked before it is unpacked, and unpacking stops where the claim ends. Names are never used
as paths: members go from the archive to `images` as bytes.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from cutline.errors import (
    SMALLER_PHOTO,
    ArchiveInvalid,
    ArchiveTooLarge,
    MemberCompression,
    MemberDamaged,
    MemberDuplicate,
    MemberEncrypted,
    MemberIsArchive,
    MemberNameUnsafe,
    MemberNotAFile,
    MemberRefused,
    MemberTooLarge,
)
from cutline.junk_files import is_left_out
from cutline.texts import is_readable

MAX_NAME = 1000
_MAX_DIRECTORY_BYTES = 64 * 2**20
_ENTRY = struct.Struct("<4s24xHHH12x")  # of the directory: signature ... lengths of name, extra, comment
_ENTRY_SIGNATURE = b"PK\1\2"
_LOCAL_HEADER_BYTES = 30
_ARCHIVES = (
    b"PK\3\4",
    b"PK\5\6",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
)
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    OSError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of an archive; `refusal` says why it cannot be taken, where that is seen without opening it."""

    number: int  # its place in the directory
    name: str
    refusal: MemberRefused | None


def open_archive(file: IO[bytes], *, max_members: int) -> zipfile.ZipFile:
    """Open a zip, after counting what its directory holds.

    Raises ArchiveInvalid, or ArchiveTooLarge for more than max_members entries.
    """
    try:
        _measure(file, max_members)
        return zipfile.ZipFile(file)
    except _READ_ERRORS as error:
        raise ArchiveInvalid("This is not a zip archive, or it is damaged.", hint="Pack it again.") from error


def _measure(file: IO[bytes], max_members: int) -> None:
    """Count the entries as they stand, whatever number the archive claims, without keeping any."""
    # The library's own view of where the directory is: another reading than its own could be lied to.
    reader: Any = zipfile
    end = reader._EndRecData(file)
    if not end:
        raise zipfile.BadZipFile("no directory")
    size, place = end[reader._ECD_SIZE], end[reader._ECD_LOCATION]
    if size > _MAX_DIRECTORY_BYTES:
        raise ArchiveTooLarge("The archive's directory is too large.", hint="Send several.")
    if end[reader._ECD_SIGNATURE] == reader.stringEndArchive64:
        place -= reader.sizeEndCentDir64 + reader.sizeEndCentDir64Locator
    if place < size:
        raise zipfile.BadZipFile("the directory begins before the file")
    file.seek(place - size)
    directory = memoryview(file.read(size))
    at = count = 0
    while at + _ENTRY.size <= len(directory):
        signature, name, extra, comment = _ENTRY.unpack_from(directory, at)
        if signature != _ENTRY_SIGNATURE:
            break
        at += 46 + name + extra + comment
        count += 1
        if count > max_members:
            raise ArchiveTooLarge(
                f"The archive has more than {max_members:,} files.", hint="Send them in several archives."
            )


def is_folder(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a folder. ZipInfo.is_dir() raises IndexError where it has no name."""
    return info.filename.endswith("/")


def members(archive: zipfile.ZipFile, *, max_bytes: int, max_total_bytes: int) -> Iterator[Member]:
    """What is in the archive, in its order, without folders, and without what of a folder is left out, too.

    The same archive gives the same members every time. max_bytes: of one file, unpacked; max_total_bytes: of
    all of them.
    """
    overlapping = _overlapping(archive.infolist())
    seen: set[str] = set()
    total = 0
    for number, info in enumerate(archive.infolist()):
        name = _shown(info.orig_filename)
        if is_folder(info) or any(map(is_left_out, name.split("/"))):
            continue
        refusal = _refusal(info, name, max_bytes)
        if refusal is None and name in seen:
            refusal = MemberDuplicate(f"The archive contains {name} more than once.")
        if refusal is None and number in overlapping:
            refusal = MemberDamaged(f"{name} shares its bytes with another file of the archive.")
        if refusal is None:
            seen.add(name)
            total += info.file_size
            if total > max_total_bytes:
                refusal = MemberTooLarge(f"The archive unpacks to more than {max_total_bytes:,} bytes.")
        yield Member(number=number, name=name, refusal=refusal)


def _shown(name: str) -> str:
    """A name that a database can keep and a page can show."""
    return (
        name.replace("\\", "/").encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")[:MAX_NAME]
    )


def _refusal(info: zipfile.ZipInfo, name: str, max_bytes: int) -> MemberRefused | None:
    unsafe = (
        not name
        or name.startswith("/")
        or ".." in name.split("/")
        or name[1:2] == ":"
        or not is_readable(name)
    )
    if unsafe or "\0" in info.orig_filename or len(info.orig_filename) > MAX_NAME:
        return MemberNameUnsafe(f"{name[:200]!a} is a path that leads out of the archive.")
    if info.flag_bits & 0x1:
        return MemberEncrypted(f"{name} is encrypted.", hint="Pack it without a password.")
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return MemberNotAFile(f"{name} is a link or a device, not a file.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return MemberCompression(f"{name} uses an unsupported compression method.", hint="Use deflate.")
    if info.file_size > max_bytes:
        return MemberTooLarge(
            f"{name} has {info.file_size:,} bytes; the limit is {max_bytes:,}.", hint=SMALLER_PHOTO
        )
    return None


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Numbers of members whose bytes are also others': so a small archive unpacks to an endless one."""
    places = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    found: set[int] = set()
    end, last = 0, -1
    for number in places:
        info = infos[number]
        if last >= 0 and info.header_offset < end:
            found |= {number, last}
        reach = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
        if reach >= end:
            end, last = reach, number
    return found


def read_member(archive: zipfile.ZipFile, number: int, *, max_bytes: int) -> bytes:
    """The bytes of a member that was not refused. Raises MemberDamaged, MemberTooLarge or MemberIsArchive."""
    info = archive.infolist()[number]
    name = _shown(info.orig_filename)
    try:
        with archive.open(info) as member:
            data = member.read(max_bytes + 1)
    except _READ_ERRORS as error:
        raise MemberDamaged(f"{name} cannot be unpacked: it is damaged.", hint="Pack it again.") from error
    if len(data) > max_bytes:
        raise MemberTooLarge(f"{name} has more than {max_bytes:,} bytes.", hint=SMALLER_PHOTO)
    if data.startswith(_ARCHIVES) or data[257:262] == b"ustar":
        raise MemberIsArchive(f"{name} is an archive itself.", hint="Pack the photos in one archive.")
    return data
