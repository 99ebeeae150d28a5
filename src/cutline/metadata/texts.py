"""Texts that a person wrote about a photo, in its EXIF, IPTC and XMP, or in an XMP file beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cutline.images.tiff import ByteOrder, byte_order, directories
from cutline.metadata import iptc, xmp
from cutline.metadata.blocks import Blocks
from cutline.metadata.errors import MetadataError

_IMAGE_DESCRIPTION, _USER_COMMENT = 270, 0x9286
_WINDOWS_TEXTS = (0x9C9B, 0x9C9C, 0x9C9F)  # XPTitle, XPComment, XPSubject
_MAX_TEXT_BYTES = 65_536
_LONGEST_DEFAULT = 2000

# What cameras, phones and programs write into ImageDescription and UserComment by themselves.
_DEFAULT = re.compile(
    r"""(?ix)
    (?: [\w.-]+ [ ])* digital [ ] (?:still [ ])? camera     # OLYMPUS, MINOLTA, KODAK ... DIGITAL CAMERA
    | (?:[\w.-]+ [ ])* digital [ ] (?:image|photo) | (?:sony|minolta|konica|pentax) [ ] dsc | cyber-?shot
    | casio [ ] computer .* | asahi [ ] optical .* | pentax [ ] image | applemark | lead [ ] technologies .*
    | dcf [ ] [\d.]+ | default | untitled | screenshot | exif[ _]jpeg[ _]picture | jpeg | ascii
    | \w* (?:hdr|sdr) \w* | cof | dav | oznor\w* | mde | fbt | btf      # Huawei, Honor
    | <(?:digimax|kenox|samsung)[^>]*> | samsung\w* | lavc[\d.]+
    | (?:created|file [ ] written) [ ] (?:with|using|by [ ] adobe) .*
    | \{.*\} | (?:filter|module|hw-remosaic) \s* : .* ; .*             # data of phones and programs
    | processed [ ] with [ ] \w+ [ ] with [ ] .* | user [ ] comments? | binary [ ] comment | type [ ] \d+
    | [\w\\/:.()~-]+ \. (?:jpe?g|tiff?|png|hei[cf]|dng|mp4)            # its own name, as drones write
    | [\W\d_]*                                                         # no letter at all
    """,
    re.DOTALL,
)


def descriptions(blocks: Blocks) -> list[str]:
    """What stands where Cutline itself writes: XMP's description, and IPTC's caption."""
    texts = [*_xmp_texts(blocks.xmp, (xmp.DESCRIPTION,)), iptc.text_of(blocks.iptc, iptc.CAPTION)]
    return [text for text in texts if is_a_persons(text)]


def writer_of(blocks: Blocks) -> str:
    """Who wrote XMP's description, as XMP says."""
    return next(iter(_xmp_texts(blocks.xmp, (xmp.WRITER,))), "")


def persons_texts(blocks: Blocks) -> Iterator[str]:
    """What a person wrote elsewhere than in the descriptions: in EXIF, headlines, and other fields of XMP."""
    others = tuple(name for name in xmp.TEXTS if name != xmp.DESCRIPTION)
    texts = [
        *exif_texts(blocks.exif),
        iptc.text_of(blocks.iptc, iptc.HEADLINE),
        *_xmp_texts(blocks.xmp, others),
    ]
    return (text for text in texts if is_a_persons(text))


def texts_of_file(path: str) -> list[str]:
    """What a person wrote in an XMP file; nothing where it is not readable as XMP."""
    try:
        return [text for text in _xmp_texts(Path(path).read_bytes(), xmp.TEXTS) if is_a_persons(text)]
    except OSError:
        return []


def _xmp_texts(packet: bytes, names: tuple[xmp.Name, ...]) -> list[str]:
    if not packet:
        return []
    try:
        read = xmp.Packet(packet)
    except MetadataError:
        return []
    return [text for name in names for text in read.texts(name)]


def exif_texts(exif: bytes) -> Iterator[str]:
    """The texts of EXIF that are about the photo, whatever wrote them."""
    order = byte_order(exif)
    if order is None:
        return
    for directory in directories(exif):
        if directory.is_main:
            yield _plain(directory.raw(_IMAGE_DESCRIPTION)[:_MAX_TEXT_BYTES])
            for tag in _WINDOWS_TEXTS:
                raw = directory.raw(tag)[:_MAX_TEXT_BYTES]
                yield raw.decode("utf-16-le", "replace").partition("\0")[0].strip()
        yield user_comment(directory.raw(_USER_COMMENT)[:_MAX_TEXT_BYTES], order)


def is_a_persons(text: str) -> bool:
    """Whether a text is more than what a camera or a program writes by itself."""
    text = text.strip()
    if len(text) > _LONGEST_DEFAULT:
        return not (text.startswith("{") and text.endswith("}"))
    return _DEFAULT.fullmatch(text) is None


def xmp_files(photo: str) -> Iterator[str]:
    """The XMP files beside a photo: photo.jpg.xmp (darktable, digiKam) and photo.xmp (Lightroom)."""
    for base in (photo, os.path.splitext(photo)[0]):
        for ending in (".xmp", ".XMP"):
            if os.path.isfile(base + ending):
                yield base + ending
                break


def user_comment(raw: bytes, order: ByteOrder) -> str:
    """EXIF's UserComment without the eight bytes that tell its character set."""
    head, body = raw[:8], raw[8:]
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
            return body.decode("ascii").strip()
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
