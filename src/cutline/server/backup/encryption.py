"""Archives under a key: AES-256-GCM over chunks, so that any length is sealed and read in little memory.

The file is a header, MAGIC and 32 random bytes of salt, then chunks: CHUNK bytes of the archive (the last
chunk has 1 to CHUNK), each with its tag of 16 bytes. The file's key is HKDF-SHA256 of the operator's key,
with the salt. A chunk's nonce is its number (11 bytes, big-endian) and a byte that is 1 for the last chunk
alone; the header is authenticated with each. So a changed, missing, moved or repeated chunk is seen, and so
is an end that was cut off: STREAM, by Hoang, Reyhanitabar, Rogaway and Vizár (2015).
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cutline.errors import BackupError

MAGIC = b"cutline-backup-1\n"
KEY_BYTES, SALT_BYTES, TAG_BYTES = 32, 32, 16
CHUNK = 2**20
HEADER_BYTES = len(MAGIC) + SALT_BYTES


class Writable(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of these bytes."""


class Readable(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def key_of(text: str) -> bytes:
    """Read a key of 32 bytes: 64 hexadecimal digits, or base64. Raises ValueError, without the text."""
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("must be 32 random bytes as base64: openssl rand -base64 32") from None
    return key


class Sealer:
    """Encrypts what is written. `finish` must be called once, after the last write."""

    def __init__(self, file: Writable, key: bytes) -> None:
        self._file = file
        self._header = MAGIC + os.urandom(SALT_BYTES)
        self._cipher = _cipher(key, self._header)
        self._waiting = bytearray()
        self._number = 0
        file.write(self._header)

    def write(self, data: bytes) -> int:
        """Encrypt, and write what is complete."""
        self._waiting += data
        while len(self._waiting) > CHUNK:  # one chunk at least is left for `finish`
            self._seal(CHUNK, last=False)
        return len(data)

    def finish(self) -> None:
        """Write the last chunk."""
        self._seal(CHUNK, last=True)

    def _seal(self, size: int, *, last: bool) -> None:
        plain = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), plain, self._header))
        self._number += 1


class Opener:
    """Decrypts what is read. Nothing that was not authenticated is ever given out."""

    def __init__(self, file: Readable, key: bytes) -> None:
        """Raises BackupError where this is no encrypted archive."""
        self._file = file
        self._header = exactly(file, HEADER_BYTES)
        if len(self._header) < HEADER_BYTES or not self._header.startswith(MAGIC):
            raise BackupError("This is no encrypted backup of Cutline.")
        self._cipher = _cipher(key, self._header)
        self._next = exactly(file, CHUNK + TAG_BYTES)
        if not self._next:
            raise BackupError("The backup is incomplete: it ends after its header.")
        self._plain = bytearray()
        self._number = 0

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end. Raises BackupError for another key, and for damage."""
        while len(self._plain) < size and self._next:
            self._open()
        taken = bytes(self._plain[:size])
        del self._plain[:size]
        return taken

    def _open(self) -> None:
        sealed, self._next = self._next, exactly(self._file, CHUNK + TAG_BYTES)
        try:
            self._plain += self._cipher.decrypt(
                _nonce(self._number, last=not self._next), sealed, self._header
            )
        except (InvalidTag, ValueError) as error:
            raise self._unreadable() from error
        self._number += 1

    def _unreadable(self) -> BackupError:
        if self._number:
            return BackupError(f"The backup is damaged or incomplete: chunk {self._number} does not fit.")
        return BackupError(
            "The backup cannot be decrypted: it was made with another key, or it is damaged.",
            hint="CUTLINE_BACKUP_KEY must be the key that it was made with.",
        )


def _cipher(key: bytes, header: bytes) -> AESGCM:
    salt = header[len(MAGIC) :]
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=MAGIC).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def exactly(file: Readable, size: int) -> bytes:
    """So many bytes, fewer only at the end: sockets give what they have."""
    parts: list[bytes] = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
