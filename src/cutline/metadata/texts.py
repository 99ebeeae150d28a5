"""Texts that a person wrote about a photo, in its EXIF, IPTC and XMP, or in an XMP file beside it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator

from cutline.images.tiff import ByteOrder, byte_order, directories
from cutline.metadata import iptc, xmp
from cutline.metadata.blocks import Blocks
from cutline.metadata.defaults import is_a_persons
from cutline.metadata.errors import MetadataError
from cutline.metadata.photos import blocks_of

_IMAGE_DESCRIPTION, _USER_COMMENT = 270, 0x9286
_NAMES = (271, 272, 305)  # Make, Model, Software
_WINDOWS_TEXTS = (0x9C9B, 0x9C9C, 0x9C9F)  # XPTitle, XPComment, XPSubject
_MAX_TEXT_BYTES = 65_536
_WRITER = "Cutline"
_SAME_ENDING = {"jpeg": "jpg", "tiff": "tif"}
_DATA = re.compile(r"[\0-\x08\x0e-\x1f]")  # a comment with these is none


def persons_words(photo: str, data: bytes) -> list[str]:
    """What a person wrote about a photo, in its bytes or in an XMP file beside it."""
    beside = (Blocks(xmp=packet) for path in xmp_files(photo) if (packet := _packet_for(path, photo)))
    inside = blocks_of(data)
    names = {os.path.basename(photo).lower(), *_names(inside.exif)}
    return [text for blocks in (inside, *beside) for text in _persons_texts(blocks, names)]


def persons_words_in(packet: bytes, photo: str) -> list[str]:
    """What a person wrote in a photo's XMP file."""
    return list(_persons_texts(Blocks(xmp=packet), {os.path.basename(photo).lower()}))


def writer_mark(text: str) -> str:
    """What Cutline notes as the writer of a text of its own: a name, and the text's hash."""
    return f"{_WRITER} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _names(exif: bytes) -> Iterator[str]:
    """What EXIF calls the camera and the program, in small letters; cameras repeat it as a description."""
    for directory in directories(exif):
        names = [_plain(directory.raw(tag)[:_MAX_TEXT_BYTES]).lower() for tag in _NAMES]
        yield from filter(None, (*names, f"{names[0]} {names[1]}".strip()))


def _persons_texts(blocks: Blocks, names: Collection[str]) -> Iterator[str]:
    """All texts but what cameras write, and the description that Cutline has marked as its own."""
    described = _xmp_texts(blocks.xmp, (xmp.DESCRIPTION,))
    marks = _xmp_texts(blocks.xmp, (xmp.WRITER,))
    ours = [text for text in described if writer_mark(text) in marks]
    ours += [iptc.caption_of(text).strip() for text in ours]  # IPTC may have its beginning alone
    texts = (text for each in (blocks, *blocks.more) for text in _texts(each))
    return (text for text in texts if is_a_persons(text, names) and text not in ours)


def _texts(blocks: Blocks) -> Iterator[str]:
    """What blocks say about the photo, whoever wrote it."""
    yield from _xmp_texts(blocks.xmp, (xmp.DESCRIPTION,))
    for field in (iptc.CAPTION, iptc.HEADLINE, iptc.TITLE):
        yield iptc.text_of(blocks.iptc, field)
    yield from _xmp_texts(blocks.xmp, xmp.OTHER_TEXTS)
    yield from _xmp_texts(blocks.extended_xmp, (xmp.DESCRIPTION, *xmp.OTHER_TEXTS))
    yield from exif_texts(blocks.exif)
    comments = (_plain(each[:_MAX_TEXT_BYTES]) for each in blocks.comments)
    yield from (text for text in comments if _DATA.search(text) is None)


def _packet_for(path: str, photo: str) -> bytes:
    """An XMP file's bytes; b"" where it cannot be read, or says that it is about a file of another ending."""
    try:
        packet = read_xmp_file(path)
    except OSError:
        return b""
    return packet if xmp_file_is_about(packet, photo) else b""


def read_xmp_file(path: str) -> bytes:
    """An XMP file's bytes, as far as any is read. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(xmp.MAX_BYTES + 1)


def xmp_file_is_about(packet: bytes, photo: str) -> bool:
    """Whether an XMP file is about a photo: photo.xmp may say that it belongs to photo.CR2 instead."""
    endings = _xmp_texts(packet, (xmp.SIDECAR_ENDING,))
    told, has = (each.lstrip(".").lower() for each in ([*endings, ""][0], os.path.splitext(photo)[1]))
    return not endings or _SAME_ENDING.get(told, told) == _SAME_ENDING.get(has, has)


def _xmp_texts(packet: bytes, names: tuple[xmp.Name, ...]) -> list[str]:
    if not packet:
        return []
    try:
        read = xmp.Packet.to_read(packet)
    except MetadataError:
        return []
    return [text for name in names for text in read.texts(name)]


def exif_texts(exif: bytes) -> Iterator[str]:
    """The texts of EXIF that are about the photo, whatever wrote them."""
    order = byte_order(exif)
    if order is None:
        return
    for directory in directories(exif):
        yield _plain(directory.raw(_IMAGE_DESCRIPTION)[:_MAX_TEXT_BYTES])
        for tag in _WINDOWS_TEXTS:
            raw = directory.raw(tag)[:_MAX_TEXT_BYTES]
            yield raw.decode("utf-16-le", "replace").partition("\0")[0].strip()
        yield user_comment(directory.raw(_USER_COMMENT)[:_MAX_TEXT_BYTES], order)


def xmp_files(photo: str) -> list[str]:
    """The XMP files beside a photo, in any case of letters, those that are spelled like it first.

    They are photo.jpg.xmp (darktable, digiKam), photo_01.jpg.xmp (darktable's duplicates) and photo.xmp
    (Lightroom).
    """
    folder, name = os.path.split(photo)
    stem, ending = os.path.splitext(name)
    exact = (f"{name}.xmp", f"{stem}.xmp")
    like_it = re.compile(rf"{re.escape(stem.casefold())}((_\d\d)?{re.escape(ending.casefold())})?\.xmp")
    try:
        entries = os.listdir(folder or ".")
    except OSError:
        return []
    found = [each for each in entries if each[-4:].lower() == ".xmp" and like_it.fullmatch(each.casefold())]
    paths = (os.path.join(folder, each) for each in sorted(found, key=lambda each: (each not in exact, each)))
    return [path for path in paths if os.path.isfile(path) and not _is_anothers(path, photo, entries)]


def _is_anothers(path: str, photo: str, entries: Collection[str]) -> bool:
    """Whether an XMP file is spelled like another photo: B.jpg.xmp and B.xmp are not b.jpg's beside B.jpg."""
    base = os.path.basename(path)[:-4]
    if base == os.path.splitext(os.path.basename(photo))[0]:
        return False
    owners = [each for each in entries if base in (each, os.path.splitext(each)[0])]
    others = [each for each in owners if not each.lower().endswith(".xmp")]
    return any(not _is_same(os.path.join(os.path.dirname(path), each), photo) for each in others)


def _is_same(path: str, photo: str) -> bool:
    """Whether two names are one file's, as they may be where capitals do not matter."""
    try:
        return os.path.samefile(path, photo)
    except OSError:
        return False


def user_comment(raw: bytes, order: ByteOrder) -> str:
    """EXIF's UserComment without the eight bytes that tell its character set."""
    head, body = raw[:8].upper(), raw[8:]
    if head == b"UNICODE\0":
        return _utf16(body, order)
    if head.rstrip(b"\0") == b"JIS":
        return _first_that_fits(body, ("iso2022_jp", "shift_jis", "euc_jp"))
    if head.rstrip(b"\0 ") in (b"ASCII", b""):
        return _plain(body)
    return _plain(raw)  # some write no character set


def _utf16(body: bytes, order: ByteOrder) -> str:
    """By its mark, or in EXIF's byte order; in the other one, or as UTF-8, where only that makes sense."""
    if b"\0" not in body and body[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return body.decode("utf-8").strip()
        except UnicodeDecodeError:
            pass
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace").strip("\0 ")
    encodings = ("utf-16-le", "utf-16-be") if order == "little" else ("utf-16-be", "utf-16-le")
    texts = [body[: len(body) // 2 * 2].decode(each, "replace").strip("\0 ") for each in encodings]
    return max(texts, key=lambda text: sum(letter < "\u0250" for letter in text))


def _plain(raw: bytes) -> str:
    """Bytes up to their end mark, as UTF-8 or Windows-1252."""
    return _first_that_fits(raw.partition(b"\0")[0] or raw.strip(b"\0"), ("utf-8", "cp1252"))


def _first_that_fits(raw: bytes, encodings: tuple[str, ...]) -> str:
    for encoding in encodings:
        try:
            return raw.decode(encoding).replace("\0", " ").strip()
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1").replace("\0", " ").strip()
