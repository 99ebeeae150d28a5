"""`--write-metadata`: the caption as the description inside the photo."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cutline.atomic_files import output_errors, remove_leftovers, replacement
from cutline.errors import ImageError, MissingExtra, OutputError
from cutline.images import Limits, open_image
from cutline.metadata import iptc, photos
from cutline.metadata.errors import MetadataError
from cutline.metadata.texts import persons_words, writer_mark

_XMP = "Xmp.dc.description"
_IPTC = "Iptc.Application2.Caption"


class Metadata:
    """Writes captions into photos as XMP dc:description and, where the format has it, IPTC caption.

    A copy is changed, read back by another library (exiv2), and then replaces the photo. A photo that a
    person described is left alone, whether in XMP, IPTC, EXIF or an XMP file beside it: our own descriptions
    are marked by the field "description writer", which holds the text's hash.
    """

    def __init__(self, *, overwrite: bool, limits: Limits) -> None:
        try:
            pyexiv2: Any = importlib.import_module("pyexiv2")
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "--write-metadata needs pyexiv2, which is not installed.",
                hint="Install it with: pip install 'cutline[metadata]'",
            ) from error
        self._pyexiv2 = pyexiv2
        pyexiv2.set_log_level(4)  # it would print to stderr on its own
        self._overwrite = overwrite
        self._limits = limits

    def write(self, photo: str, text: str) -> bool:
        """Write the text into the photo; False if a person's description was kept. Raises OutputError."""
        path = os.path.realpath(photo)  # a link stays a link
        remove_leftovers(os.path.dirname(path))
        with output_errors(photo):
            before = os.stat(path)
            data = Path(path).read_bytes()
            if not self._overwrite and persons_words(photo, data):
                return False
            changed = self._changed(photo, data, text)
            if changed == data:
                return True
            with replacement(path, keep_times=True) as temporary:
                Path(temporary).write_bytes(changed)
                now = os.stat(path)
                if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
                    raise _refusal(photo, "another program changed it meanwhile")
        return True

    def _changed(self, photo: str, data: bytes, text: str) -> bytes:
        """The photo's bytes with the description in them. Raises OutputError."""
        try:
            changed = photos.described(data, text, writer_mark(text))
            photos.check_pictures(data, changed)
            with _without_warnings():  # whoever captioned the photo has given them
                was, becomes = (open_image(each, limits=self._limits) for each in (data, changed))
            if was.tobytes() != becomes.tobytes():
                raise MetadataError("the pixels would change")
            self._read_back(changed, text)
        except MetadataError as error:
            raise _refusal(photo, str(error)) from error
        except (RuntimeError, ValueError) as error:  # exiv2's
            raise _refusal(photo, "exiv2 cannot read its metadata") from error
        except ImageError as error:
            raise _refusal(photo, f"the copy does not open: {error.message}") from error
        return changed

    def _read_back(self, changed: bytes, text: str) -> None:
        """Check that exiv2 finds the description in all places where it was written."""
        caption = iptc.caption_of(text)
        as_bytes = caption.encode().decode("latin-1")  # other fields may hold any bytes
        has_caption = iptc.text_of(photos.blocks_of(changed).iptc, iptc.CAPTION) == caption
        with self._pyexiv2.ImageData(changed) as image:
            is_there = _default_language(image.read_xmp().get(_XMP)) == text
            if not is_there or (has_caption and image.read_iptc("latin-1").get(_IPTC) != as_bytes):
                raise MetadataError("the description could not be read back")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Drop what this thread logs about photos."""
    thread, logger = threading.get_ident(), logging.getLogger("cutline.images")

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_another)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another)


def _default_language(value: object) -> str:
    """dc:description as exiv2 reads it: a table of languages."""
    if isinstance(value, dict):
        return str(value.get('lang="x-default"') or next(iter(value.values()), ""))
    return str(value or "")


def _refusal(photo: str, reason: str) -> OutputError:
    return OutputError(
        f"{photo}: no description could be written into it ({reason}).",
        kept="The photo was not changed.",
        hint="Use --sidecar or --xmp.",
    )
