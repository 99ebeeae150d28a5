"""Texts that a person wrote about a photo, in its EXIF and IPTC, or in an XMP file beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

IPTC_TEXTS = ("Iptc.Application2.Headline",)
EXIF_TEXTS = (
    "Exif.Image.ImageDescription",
    "Exif.Photo.UserComment",
    "Exif.Image.XPComment",
    "Exif.Image.XPTitle",
    "Exif.Image.XPSubject",
)
XMP_TEXTS = ("Xmp.dc.description", "Xmp.photoshop.Headline")

# What cameras, phones and programs write into ImageDescription and UserComment by themselves.
_DEFAULT = re.compile(
    r"""(?ix)
    (?: [\w.-]+ [ ])* digital [ ] (?:still [ ])? camera     # OLYMPUS, MINOLTA, KODAK ... DIGITAL CAMERA
    | sony [ ] dsc | dcf [ ] [\d.]+ | default | untitled | screenshot | exif[ _]jpeg[ _]picture | jpeg | ascii
    | \w* (?:hdr|sdr) \w* | cof | dav | oznor\w* | mde | fbt | btf      # Huawei, Honor
    | <(?:digimax|kenox|samsung)[^>]*> | samsung\w* | lavc[\d.]+
    | (?:created|file [ ] written) [ ] (?:with|using|by [ ] adobe) .*
    | \{.*\} | (?:filter|module|hw-remosaic) \s* : .* ; .*             # data of phones and programs
    | [\W\d_]*                                                         # no letter at all
    """,
    re.DOTALL,
)
_CHARSET = re.compile(r"charset=\S+ ")
_NUMBERS = re.compile(r"\d+(?: \d+)*")


def texts_in(exif: Mapping[str, object], iptc: Mapping[str, object]) -> Iterator[str]:
    """What a person wrote outside the caption fields, as exiv2 returns the metadata."""
    values = [*(exif.get(name) for name in EXIF_TEXTS), *(iptc.get(name) for name in IPTC_TEXTS)]
    for value in values:
        if is_a_persons(text := _plain(value)):
            yield text


def is_a_persons(text: str) -> bool:
    """Whether a text is more than what a camera or a program writes by itself."""
    return _DEFAULT.fullmatch(text.strip()) is None


def xmp_files(photo: str) -> Iterator[str]:
    """The XMP files beside a photo: photo.jpg.xmp (darktable, digiKam) and photo.xmp (Lightroom)."""
    for base in (photo, os.path.splitext(photo)[0]):
        for ending in (".xmp", ".XMP"):
            if os.path.isfile(base + ending):
                yield base + ending
                break


def _plain(value: object) -> str:
    """A field's text without its character set, null characters, and the numbers that stand for raw bytes."""
    text = _CHARSET.sub("", str(value or ""), count=1)
    if " " in text and _NUMBERS.fullmatch(text) and all(int(number) < 256 for number in text.split()):
        raw = bytes(map(int, text.split()))
        text = raw.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace")
    return text.replace("\0", " ").strip()
