"""Archives for tests, sound and hostile."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable


def packed(members: Iterable[tuple[str, bytes]], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these files, in their order."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in members:
            archive.writestr(_exactly(name, compression), content)
    return data.getvalue()


def _exactly(name: str, compression: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name  # the constructor would make it harmless
    info.compress_type = compression
    info.external_attr = 0o100644 << 16
    return info


def with_symlink(name: str, target: str) -> bytes:
    """A zip of one symbolic link."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, target)
    return data.getvalue()


def marked_encrypted(archive: bytes) -> bytes:
    """The same zip with the flag of encryption on each member."""
    found = bytearray(archive)
    for signature, flags_at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = found.find(signature)
        while at >= 0:
            found[at + flags_at] |= 1
            at = found.find(signature, at + 4)
    return bytes(found)


def overlapping(content: bytes, copies: int) -> bytes:
    """A zip whose members all share the same bytes: small, and endless when unpacked."""
    packed_content = zlib.compress(content, 9)[2:-4]
    crc = zlib.crc32(content)
    sizes = struct.pack("<LLL", crc, len(packed_content), len(content))
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 0x21) + sizes + struct.pack("<HH", 5, 0) + b"a.bmp"
    directory = b"".join(
        b"PK\1\2"
        + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0x21)
        + sizes
        + struct.pack("<HHHHHLL", 9, 0, 0, 0, 0, 0, 0)
        + f"{number:05}.bmp".encode()
        for number in range(copies)
    )
    body = local + packed_content
    end = struct.pack(
        "<4sHHHHLLH", b"PK\5\6", 0, 0, copies & 0xFFFF, copies & 0xFFFF, len(directory), len(body), 0
    )
    return body + directory + end
