"""`--xmp`: the caption as the description in an XMP file beside the photo, as photo software keeps it."""

from __future__ import annotations

import os
from pathlib import Path

from cutline.atomic_files import output_errors, remove_leftovers, replacement
from cutline.errors import ImageError, OutputError
from cutline.images import Limits
from cutline.images.files import read_file
from cutline.metadata.errors import MetadataError
from cutline.metadata.texts import (
    persons_words,
    persons_words_in,
    read_xmp_file,
    writer_mark,
    xmp_file_is_about,
    xmp_files,
)
from cutline.metadata.xmp import Packet


class XmpFiles:
    """Writes captions into XMP files beside the photos, as dc:description.

    What else an XMP file has (edits, ratings, other languages) stays byte for byte. A photo that a person
    described, in it or in an XMP file, is left alone, as by --write-metadata.

    is_short: the file of photo.jpg is photo.xmp, as Adobe's programs name it, and not photo.jpg.xmp.
    """

    def __init__(self, *, is_short: bool, overwrite: bool, limits: Limits) -> None:
        self._is_short = is_short
        self._overwrite = overwrite
        self._limits = limits

    def write(self, photo: str, text: str) -> bool:
        """Write the text into the photo's XMP file; False if a person's description was kept.

        Raises OutputError, and leaves the file as it is, where it is no XMP or another photo's.
        """
        path = self._path(photo)
        remove_leftovers(os.path.dirname(os.path.realpath(path)))
        with output_errors(path):
            before = _status(path)
            packet = read_xmp_file(path) if before else b""
            if packet and not xmp_file_is_about(packet, photo):
                raise _refusal(path, "it is about another file of that name")
            if not self._overwrite and (persons_words_in(packet, photo) or self._is_described(photo)):
                return False
            changed = self._changed(path, photo, packet, text)
            if changed != packet:
                with replacement(path) as temporary:
                    Path(temporary).write_bytes(changed)
                    if _status(path) != before:
                        raise _refusal(path, "another program changed it meanwhile")
        return True

    def _path(self, photo: str) -> str:
        """Where the photo's XMP file stands, whatever its capitals, or goes."""
        usual = (os.path.splitext(photo)[0] if self._is_short else photo) + ".xmp"
        if os.path.lexists(usual):
            return usual
        return next((each for each in xmp_files(photo) if each.casefold() == usual.casefold()), usual)

    def _is_described(self, photo: str) -> bool:
        try:
            return bool(persons_words(photo, read_file(photo, self._limits)))
        except ImageError as error:  # it is gone since it was captioned
            raise OutputError(f"{photo}: no XMP file was written for it ({error.message})") from error

    def _changed(self, path: str, photo: str, packet: bytes, text: str) -> bytes:
        try:
            found = Packet(packet) if packet.strip() else Packet.new(padding="")
            changed = found.described(text, writer_mark(text))
            if self._is_short and not packet.strip():
                changed = changed.about_ending(os.path.splitext(photo)[1].lstrip("."))
            return bytes(changed)
        except MetadataError as error:
            raise _refusal(path, str(error)) from error


def _status(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _refusal(path: str, reason: str) -> OutputError:
    return OutputError(
        f"{path}: no description could be written into it ({reason}).", kept="It was not changed."
    )
