"""Archives: whole or refused, whether they are encrypted or not."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable

import pytest

from cutline.errors import BackupError
from cutline.server.backup import archive
from cutline.server.backup.encryption import CHUNK, HEADER_BYTES, TAG_BYTES, Opener, Sealer, key_of

KEY = bytes(range(32))
SEALED = CHUNK + TAG_BYTES


def sealed(plain: bytes, key: bytes = KEY) -> bytes:
    file = io.BytesIO()
    sealer = Sealer(file, key)
    for start in range(0, len(plain), 700_001):
        sealer.write(plain[start : start + 700_001])
    sealer.finish()
    return file.getvalue()


def opened(data: bytes, key: bytes = KEY) -> bytes:
    opener = Opener(io.BytesIO(data), key)
    return b"".join(iter(lambda: opener.read(300_007), b""))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_sealed_is_read_with_its_key(size: int) -> None:
    plain = os.urandom(size)
    data = sealed(plain)
    assert opened(data) == plain
    assert len(data) == HEADER_BYTES + size + TAG_BYTES * max(1, -(-size // CHUNK))
    assert sealed(plain) != data, "each file has a salt of its own"


def without(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + data[end:]


FIRST, SECOND = HEADER_BYTES, HEADER_BYTES + SEALED
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda data: data[: SECOND + 9] + bytes([data[SECOND + 9] ^ 1]) + data[SECOND + 10 :],
    "the salt": lambda data: data[: HEADER_BYTES - 1] + bytes([data[HEADER_BYTES - 1] ^ 1]) + data[FIRST:],
    "the end": lambda data: data[:-1],
    "the last chunk": lambda data: data[: SECOND + SEALED],
    "all chunks": lambda data: data[:FIRST],
    "a chunk": lambda data: without(data, FIRST, SECOND),
    "an order": lambda data: data[:FIRST] + data[SECOND : SECOND + SEALED] + data[FIRST:SECOND] + data[-20:],
    "an addition": lambda data: data + bytes(TAG_BYTES),
    "a file": lambda data: b"",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_changed_file_is_never_read_to_its_end(what: str) -> None:
    data = DAMAGE[what](sealed(os.urandom(2 * CHUNK + 5)))
    with pytest.raises(BackupError):
        opened(data)


def test_another_key_is_told_from_damage() -> None:
    with pytest.raises(BackupError, match="another key"):
        opened(sealed(b"photos"), key=bytes(32))


@pytest.mark.parametrize("text", ["00" * 32, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_a_key_is_hexadecimal_or_base64(text: str) -> None:
    assert key_of(text) == bytes(32)


@pytest.mark.parametrize("text", ["", "hunter2", "x" * 64, "AAAA", "é" * 32])
def test_what_is_no_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand") as refusal:
        key_of(text)
    assert not text or text not in str(refusal.value)


def written(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with archive.Writer(file) as writer:
        for name, content in entries.items():
            writer.add_bytes(name, content)
        writer.finish()
    return file.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    return {entry.name: entry.content.read() for entry in archive.entries(io.BytesIO(data))}


ENTRIES = {"files/images/a/b.jpg": os.urandom(70_000), "files/ü": b"", "database/t.jsonl.gz": b"rows" * 99}


def test_entries_come_back_in_their_order() -> None:
    assert list(read(written(ENTRIES)).items()) == list(ENTRIES.items())


def test_tar_and_sha256sum_read_an_archive() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(ENTRIES))) as tar:
        found = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    lines = found.pop(archive.SUMS).decode().splitlines()
    assert found == ENTRIES
    assert lines == [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in ENTRIES.items()]


def test_an_archive_that_ends_early_is_refused_wherever_it_ends() -> None:
    data = written(ENTRIES)
    whole = data.rindex(archive.SUMS.encode())
    for size in (0, 1, 511, 512, 40_000, 71_000, whole, whole + 512, whole + 600):
        with pytest.raises(BackupError):
            read(data[:size])


@pytest.mark.parametrize("name", [*ENTRIES, archive.SUMS])
def test_a_changed_byte_is_seen_wherever_it_is(name: str) -> None:
    data = bytearray(written(ENTRIES))
    with tarfile.open(fileobj=io.BytesIO(bytes(data))) as tar:
        info = tar.getmember(name)
    data[info.offset_data + 3 if info.size else info.offset] ^= 1
    with pytest.raises(BackupError):
        read(bytes(data))


def test_links_and_entries_after_the_end_are_refused() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        link = tarfile.TarInfo("files/a")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(BackupError, match="does not belong"):
        read(file.getvalue())
    data = written({"files/a": b"1"})
    end = data.index(b"files/a", data.index(archive.SUMS.encode())) // 512 * 512 + 512
    with pytest.raises(BackupError):
        read(data[:end] + written({"files/b": b"2"}))


def test_content_of_another_length_than_announced_is_no_entry() -> None:
    for size in (3, 5):
        with archive.Writer(io.BytesIO()) as writer, pytest.raises(BackupError, match="files/a"):
            writer.add("files/a", io.BytesIO(b"four"), size)
