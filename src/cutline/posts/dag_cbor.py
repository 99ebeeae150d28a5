"""A reader of CAR files, in which Bluesky hands out a person's records as DAG-CBOR.

https://ipld.io/specs/transport/car/carv1/ and https://ipld.io/specs/codecs/dag-cbor/spec/. A link comes out
as JSON writes it: {"$link": "bafk..."}.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

_LINK_TAG = 42
_MOST_DEEP = 64
_SHA2_256, _DIGEST_BYTES = 0x12, 32


class Malformed(ValueError):
    """The bytes are no CAR file, or no DAG-CBOR."""


def records_in(car: bytes) -> Iterator[tuple[str, Any]]:
    """Each block that is DAG-CBOR, with its CID. Raises Malformed, after what came before it."""
    size, at = _varint(car, 0)
    header, _ = _value(memoryview(car)[at : at + size], 0, 0)
    if not isinstance(header, dict) or header.get("version") != 1:
        raise Malformed("not a CAR file of version 1")
    at += size
    while at < len(car):
        size, at = _varint(car, at)
        block = memoryview(car)[at : at + size]
        if len(block) < size:
            raise Malformed("cut short")
        at += size
        cid_bytes, codec = _cid(block)
        if codec == 0x71:  # else no record, such as a photo's own bytes
            yield cid_text(bytes(block[:cid_bytes])), _value(block[cid_bytes:], 0, 0)[0]


def cid_text(cid: bytes) -> str:
    """A CID as people see it: base32, in small letters."""
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()


def _cid(block: memoryview) -> tuple[int, int]:
    """How many bytes a block's CID has, and the codec that it names."""
    version, at = _varint(block, 0)
    codec, at = _varint(block, at)
    kind, at = _varint(block, at)
    size, at = _varint(block, at)
    if version != 1 or kind != _SHA2_256 or size != _DIGEST_BYTES:
        raise Malformed("a CID of another kind")
    return at + size, codec


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data) or shift > 56:
            raise Malformed("a number is cut short")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _value(data: memoryview, at: int, depth: int) -> tuple[Any, int]:
    if at >= len(data) or depth > _MOST_DEEP:
        raise Malformed("cut short, or too deep")
    kind, extra = data[at] >> 5, data[at] & 0x1F
    if kind == 7:
        return _simple(data, at + 1, extra)
    count, at = _count(data, at + 1, extra)
    if kind == 0:
        return count, at
    if kind == 1:
        return -1 - count, at
    if kind in (2, 3):
        return _bytes_or_text(data, at, count, is_text=kind == 3)
    if kind == 6:
        return _link(data, at, count, depth)
    if count > len(data) - at:  # each takes a byte at least
        raise Malformed("cut short")
    if kind == 4:
        return _items(data, at, count, depth)
    found, at = _items(data, at, 2 * count, depth)
    if not all(isinstance(key, str) for key in found[::2]):
        raise Malformed("a key is no text")
    return dict(zip(found[::2], found[1::2], strict=True)), at


def _items(data: memoryview, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    for _ in range(count):
        item, at = _value(data, at, depth + 1)
        found.append(item)
    return found, at


def _bytes_or_text(data: memoryview, at: int, count: int, *, is_text: bool) -> tuple[Any, int]:
    raw = bytes(data[at : at + count])
    if len(raw) < count:
        raise Malformed("cut short")
    try:
        return (raw.decode() if is_text else raw), at + count
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error


def _link(data: memoryview, at: int, tag: int, depth: int) -> tuple[Any, int]:
    raw, at = _value(data, at, depth + 1)
    if tag != _LINK_TAG or not isinstance(raw, bytes) or raw[:1] != b"\0":
        raise Malformed("an unknown tag")
    return {"$link": cid_text(raw[1:])}, at


def _simple(data: memoryview, at: int, extra: int) -> tuple[Any, int]:
    if extra in (20, 21, 22):
        return {20: False, 21: True, 22: None}[extra], at
    if extra == 27 and at + 8 <= len(data):
        return struct.unpack(">d", data[at : at + 8])[0], at + 8
    raise Malformed("an unknown value")


def _count(data: memoryview, at: int, extra: int) -> tuple[int, int]:
    if extra < 24:
        return extra, at
    size = 1 << (extra - 24)
    if extra > 27 or at + size > len(data):
        raise Malformed("a length is cut short")
    return int.from_bytes(data[at : at + size], "big"), at + size
