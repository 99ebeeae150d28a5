"""`--write-metadata`: the caption as the description inside the photo."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cutline.cli._files import output_errors, remove_leftovers, replacement
from cutline.cli._person_text import XMP_TEXTS, is_a_persons, texts_in, xmp_files
from cutline.errors import ImageError, MissingExtra, OutputError
from cutline.images import Limits, open_image

_XMP = "Xmp.dc.description"
_XMP_WRITER = "Xmp.photoshop.CaptionWriter"
_IPTC = "Iptc.Application2.Caption"
_IPTC_CHARSET = "Iptc.Envelope.CharacterSet"
_UTF8 = "\x1b%G"
_IPTC_MAX_BYTES = 2000
_WRITER = "Cutline"


class Metadata:
    """Writes captions into photos as XMP dc:description and, where the format has it, IPTC caption.

    A copy is changed, read back, and then replaces the photo. A photo that a person described is left alone,
    whether in XMP, IPTC, EXIF or an XMP file beside it: our own descriptions are marked by the field
    "description writer", which holds the text's hash.
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
            changed = self._changed(photo, Path(path).read_bytes(), text)
            if changed is None:
                return False
            with replacement(path, keep_times=True) as temporary:
                Path(temporary).write_bytes(changed)
                now = os.stat(path)
                if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
                    raise self._refusal(photo, "another program changed it meanwhile")
        return True

    def _changed(self, photo: str, data: bytes, text: str) -> bytes | None:
        """The photo's bytes with the description in them; None to keep a person's description."""
        try:
            with self._pyexiv2.ImageData(data) as image:
                if not self._overwrite and (self._is_a_persons(image) or self._is_described_beside(photo)):
                    return None
                access = image.get_access_mode()
                if "write" not in (access["xmp"] or ""):
                    raise RuntimeError(f"{image.get_mime_type()} takes no XMP")
                image.modify_xmp({_XMP: {'lang="x-default"': text}, _XMP_WRITER: _writer(text)})
                if "write" in (access["iptc"] or ""):
                    image.modify_iptc({_IPTC_CHARSET: _UTF8, _IPTC: _utf8_cut(text, _IPTC_MAX_BYTES)})
                changed: bytes = image.get_bytes()
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise self._refusal(photo, str(error)) from error
        try:
            self._verify(photo, data, changed, text)
        except ImageError as error:
            raise self._refusal(photo, f"the copy does not open: {error.message}") from error
        return changed

    def _is_a_persons(self, image: Any) -> bool:
        xmp, iptc, exif = image.read_xmp(), _read(image.read_iptc), _read(image.read_exif)
        described = [text for text in (_description(xmp.get(_XMP)), iptc.get(_IPTC, "")) if text.strip()]
        if any(xmp.get(_XMP_WRITER, "") != _writer(text) for text in described):
            return True
        return any(texts_in(exif, iptc))

    def _is_described_beside(self, photo: str) -> bool:
        """Whether an XMP file beside the photo has a description or headline."""
        for path in xmp_files(photo):
            try:
                with self._pyexiv2.ImageData(Path(path).read_bytes()) as beside:
                    xmp = beside.read_xmp()
            except (OSError, RuntimeError, ValueError):
                continue  # not readable as XMP: it describes nothing
            if any(is_a_persons(_description(xmp.get(name))) for name in XMP_TEXTS):
                return True
        return False

    def _verify(self, photo: str, before: bytes, after: bytes, text: str) -> None:
        """Check that the copy has the description, and the original's pixels. Raises OutputError."""
        with self._pyexiv2.ImageData(after) as image:
            if _description(image.read_xmp().get(_XMP)) != text:
                raise self._refusal(photo, "the description could not be read back")
        was, becomes = (open_image(data, limits=self._limits) for data in (before, after))
        if was.tobytes() != becomes.tobytes():
            raise self._refusal(photo, "the pixels would change")

    def _refusal(self, photo: str, reason: str) -> OutputError:
        return OutputError(
            f"{photo}: no description could be written into it ({reason}).",
            kept="The photo was not changed.",
            hint="JPEG, PNG, WebP and TIFF can hold one; for other formats use --sidecar.",
        )


def _read(reader: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Read EXIF or IPTC as UTF-8, or as Latin-1 if it is not."""
    try:
        return reader()
    except UnicodeDecodeError:
        return reader(encoding="latin-1")


def _writer(text: str) -> str:
    return f"{_WRITER} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _description(value: object) -> str:
    """dc:description as plain text: it is a table of languages, or plain text in nonstandard files."""
    if isinstance(value, dict):
        return str(value.get('lang="x-default"') or next(iter(value.values()), ""))
    return str(value or "")


def _utf8_cut(text: str, most: int) -> str:
    return text.encode("utf-8")[:most].decode("utf-8", "ignore")
