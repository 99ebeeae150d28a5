"""IPTC (IIM 4.2), and the Photoshop resources that it stands in: captions are read, and written in UTF-8.

A file says in dataset 1:90 how its text is encoded, and many say nothing: old ones are in Latin-1 or Windows'
code page, new ones in UTF-8. To write one field in UTF-8 is to encode all anew, for 1:90 is about all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cutline.metadata.errors import MetadataError, until_damage

CAPTION, HEADLINE, TITLE = (2, 120), (2, 105), (2, 5)
_CHARSET = (1, 90)
_UTF8 = b"\x1b%G"
_ESCAPE = re.compile(rb"\x1b([ -/]+)([0-~])")
_MAX_CAPTION_BYTES = 2000
_MARKER = 0x1C
_LONG = 0x8000  # the length has a length of its own
# Of the second record, all is text but these: version, pictures and sound. Of the first, these are.
_NO_TEXT = frozenset({0, 125, 200, 201, 202})
_TEXT_OF_ENVELOPE = frozenset({5, 30, 50, 80, 100})
# ISO 2022: the sets with 96 signs, by the last byte of ESC - F, ESC . F and ESC / F.
_PARTS = {
    b"A": "latin-1", b"B": "iso8859-2", b"C": "iso8859-3", b"D": "iso8859-4", b"F": "iso8859-7",
    b"G": "iso8859-6", b"H": "iso8859-8", b"L": "iso8859-5", b"M": "iso8859-9", b"V": "iso8859-10",
    b"Y": "iso8859-13", b"_": "iso8859-14", b"b": "iso8859-15", b"f": "iso8859-16",
}  # fmt: skip
# What tells Windows-1252 from other code pages: no word has letters of several of these, or signs inside.
# Without those of Icelandic (ð, ý, þ): in their places, Turkish has its own, and is written far more often.
_ALPHABETS = tuple(
    map(
        frozenset,
        (
            "äöüßåæøéèêëïóôàšž",  # German, Dutch, Danish, Norwegian, Swedish, Finnish
            "àâæçéèêëîïôœùûüÿ",  # French
            "áéíóúüñçãõâêôà",  # Spanish, Portuguese
            "àèéìíîïòóùúüç",  # Italian, Catalan
            "áéíóúäôöüšž",  # what Czech and Slovak letters have the same places
            "äõöüšž",  # Estonian
        ),
    )
)
# Beside those of ASCII: spaces, quotation marks, dashes, degrees, euros, and the gaps of Windows-1252.
_BETWEEN_WORDS = re.compile(
    "[\0-@\\[-`{-\x9f\xa0\xab\xad\xb0\xb4\xb7\xbb\u2018-\u201a\u201c-\u201e\u2013\u2014\u2022\u2026\u20ac]+"
)
_BESIDE_WORDS = "".join(map(chr, range(0xA1, 0xC0))) + "\xd7\xf7\u2020\u2021\u2030\u2039\u203a\u2122"
_FOREIGN = re.compile(rb"[\x80-\xff]{4}")  # in a row

IPTC_RESOURCE, _DIGEST_RESOURCE = 0x0404, 0x0425
_SIGNATURES = (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One field: its record and number, and its bytes."""

    id: tuple[int, int]
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One of Photoshop's resources: everything before its length, and its content."""

    id: int
    head: bytes
    content: bytes


def parse(data: bytes) -> list[Dataset]:
    """The fields of a block. Raises MetadataError where it is damaged."""
    return list(_fields(data))


def _fields(data: bytes) -> Iterator[Dataset]:
    at = 0
    while at + 5 <= len(data) and data[at] == _MARKER:
        length, start = int.from_bytes(data[at + 3 : at + 5], "big"), at + 5
        if length & _LONG:
            digits = length & ~_LONG
            length, start = int.from_bytes(data[start : start + digits], "big"), start + digits
        if start + length > len(data):
            raise MetadataError("its IPTC is cut short")
        yield Dataset(id=(data[at + 1], data[at + 2]), value=data[start : start + length])
        at = start + length
    if data[at:].strip(b"\0"):
        raise MetadataError("its IPTC is damaged")


def encoded(fields: Sequence[Dataset]) -> bytes:
    """Fields as a block."""
    parts: list[bytes] = []
    for each in fields:
        size = len(each.value)
        length = size.to_bytes(2, "big") if size < _LONG else b"\x80\x04" + size.to_bytes(4, "big")
        parts += (bytes((_MARKER, *each.id)), length, each.value)
    return b"".join(parts)


def text_of(data: bytes, id: tuple[int, int]) -> str:
    """A field's text; "" where it is missing, or behind damage."""
    fields = until_damage(_fields(data))
    charset = _charset(fields)
    value = next((each.value for each in fields if each.id == id), b"")
    text = None if charset is None else _decoded(value, charset)
    return (_western(value) if text is None else text).strip()


def with_caption(data: bytes, text: str) -> bytes | None:
    """A block (b"" for none yet) with a caption, all its text in UTF-8.

    None where it is damaged, or encoded in a way that is not known: then it should stay as it is.
    """
    try:
        fields = parse(data)
    except MetadataError:
        return None
    charset = _charset(fields)
    if charset is None:
        return None
    kept: list[Dataset] = []
    for each in fields:
        if each.id in (_CHARSET, CAPTION):
            continue
        if not _is_text(each.id):
            kept.append(each)
            continue
        decoded = _decoded(each.value, charset)
        if decoded is None:
            return None
        kept.append(replace(each, value=decoded.encode()))
    for id, value in ((_CHARSET, _UTF8), (CAPTION, caption_of(text).encode())):
        at = sum(1 for each in kept if each.id <= id) if _is_sorted(kept) else _place(kept, id)
        kept.insert(at, Dataset(id=id, value=value))
    return encoded(kept)


def caption_of(text: str) -> str:
    """A caption as IPTC holds it: of 2,000 bytes at most."""
    return text.encode()[:_MAX_CAPTION_BYTES].decode("utf-8", "ignore")


def _is_text(id: tuple[int, int]) -> bool:
    record, number = id
    return (record == 2 and number not in _NO_TEXT) or (record == 1 and number in _TEXT_OF_ENVELOPE)


def _is_sorted(fields: Sequence[Dataset]) -> bool:
    return all(a.id <= b.id for a, b in pairwise(fields))


def _place(fields: Sequence[Dataset], id: tuple[int, int]) -> int:
    """Behind the last field of the same or an earlier record."""
    return max((at + 1 for at, each in enumerate(fields) if each.id[0] <= id[0]), default=0)


def _charset(fields: Sequence[Dataset]) -> str | None:
    """The encoding that 1:90 tells; "" if nothing does, None if it is not known here."""
    value = next((each.value for each in fields if each.id == _CHARSET), b"").strip(b"\0 ")
    if not value:
        return ""
    escapes = _ESCAPE.findall(value)
    if b"".join(b"\x1b" + set_ + part for set_, part in escapes) != value:
        return None
    found = {_set(*each) for each in escapes} - {"ascii"}
    return found.pop() if len(found) == 1 else None if found else "ascii"


def _set(kind: bytes, part: bytes) -> str | None:
    """The encoding that an escape of ISO 2022 tells; None for what is not known here."""
    if (kind, part) in ((b"%", b"G"), (b"%/", b"G"), (b"%/", b"H"), (b"%/", b"I")):
        return "utf-8"
    if kind in (b"-", b".", b"/"):
        return _PARTS.get(part)
    return "ascii" if kind in (b"(", b")") and part in (b"B", b"@") else None


def _decoded(value: bytes, charset: str) -> str | None:
    """A field's text. Where nothing or the wrong thing is told: UTF-8 if it is that, else Windows-1252.

    None where it must be in something else: another code page, or a set that is chosen in the text.
    """
    if b"\x1b" in value:
        return None
    if value.isascii():
        return value.decode("ascii")
    if charset == "latin-1":
        return _western(value)
    try:
        return value.decode(charset if charset in _PARTS.values() else "utf-8")
    except UnicodeDecodeError:
        text = _western(value)
        return text if charset not in _PARTS.values() and _is_plausible(value, text) else None


def _is_plausible(value: bytes, text: str) -> bool:
    """Whether what is Windows-1252 by a guess looks like it: each word as in one western language."""
    words = (word.strip(_BESIDE_WORDS) for word in _BETWEEN_WORDS.split(text))
    return _FOREIGN.search(value) is None and all(map(_is_western, words))


def _is_western(word: str) -> bool:
    letters = {letter for letter in word.lower() if not letter.isascii()}
    if len(word) >= 3 and all(not letter.isascii() for letter in word):
        return False
    has_capitals_inside = any(not letter.isascii() and letter.isupper() for letter in word[1:])
    return any(letters <= each for each in _ALPHABETS) and not (has_capitals_inside and not word.isupper())


def _western(value: bytes) -> str:
    """Windows-1252, which has all of Latin-1's letters; its five gaps as Latin-1 has them."""
    return "".join(bytes((byte,)).decode("cp1252", "ignore") or chr(byte) for byte in value)


# Photoshop's resources


def resources(data: bytes) -> Iterator[Resource]:
    """The resources of a block ("8BIM" ...). Raises MetadataError where it is damaged."""
    at = 0
    while at + 7 <= len(data) and data[at : at + 4] in _SIGNATURES:
        named = at + 6
        start = named + (data[named] | 1) + 1  # a name and its length have an even number of bytes
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + 4 + length
        if start + 4 > len(data) or end > len(data):
            raise MetadataError("its Photoshop resources are cut short")
        id = int.from_bytes(data[at + 4 : named], "big")
        yield Resource(id=id, head=data[at:start], content=data[start + 4 : end])
        at = end + length % 2
    if data[at:].strip(b"\0"):
        raise MetadataError("its Photoshop resources are damaged")


def is_resources(data: bytes) -> bool:
    """Whether a block is of Photoshop's resources, and not of IPTC alone."""
    return data[:4] in _SIGNATURES


def iptc_in(data: bytes) -> bytes:
    """The IPTC among Photoshop's resources; b"" for none."""
    return next(iter(all_iptc_in(data)), b"")


def all_iptc_in(data: bytes) -> list[bytes]:
    """Each block of IPTC among Photoshop's resources, of which there should be one."""
    return [each.content for each in until_damage(resources(data)) if each.id == IPTC_RESOURCE]


def without_iptc(data: bytes) -> bytes:
    """Photoshop's resources but IPTC and its digest; all bytes where they are damaged."""
    try:
        found = list(resources(data))
    except MetadataError:
        return data
    kept = [each for each in found if each.id not in (IPTC_RESOURCE, _DIGEST_RESOURCE)]
    return b"".join(part for each in kept for part in (each.head, each.content))


def with_iptc(data: bytes, iptc: bytes) -> bytes | None:
    """Photoshop's resources with other IPTC; its digest, by which Photoshop sees changes, follows.

    None where they are damaged: then they should stay as they are.
    """
    try:
        found = list(resources(data))
    except MetadataError:
        return None
    before = next((each.content for each in found if each.id == IPTC_RESOURCE), None)
    if before is None:
        head = b"8BIM" + IPTC_RESOURCE.to_bytes(2, "big") + b"\0\0"
        found.append(Resource(id=IPTC_RESOURCE, head=head, content=iptc))
    parts: list[bytes] = []
    for each in found:
        content = each.content
        if each.id == IPTC_RESOURCE:
            content = iptc
        elif each.id == _DIGEST_RESOURCE and before is not None and content == _digest(before):
            content = _digest(iptc)
        parts += (each.head, len(content).to_bytes(4, "big"), content, b"\0" * (len(content) % 2))
    return b"".join(parts)


def _digest(iptc: bytes) -> bytes:
    return hashlib.md5(iptc, usedforsecurity=False).digest()
