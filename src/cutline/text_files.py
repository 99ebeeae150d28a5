"""Text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark, as programs write it."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

_SAMPLE_BYTES = 4096
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = re.compile("[\udc80-\udcff]")


def encoding_of(sample: bytes) -> str:
    """The encoding of a text that begins so: UTF-8 unless a mark or zero bytes say otherwise."""
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    whole = sample[: len(sample) // 4 * 4] or sample
    zeros = [whole[place::4].count(0) for place in range(4)]
    if not any(zeros):
        return "utf-8"
    quarter = len(whole) / 4
    if sum(count > quarter / 2 for count in zeros) == 3:
        return "utf-32-be" if zeros[0] else "utf-32-le"
    return "utf-16-be" if zeros[0] + zeros[2] > zeros[1] + zeros[3] else "utf-16-le"


def decode(raw: bytes) -> str:
    """A whole text, without its byte order mark. Raises UnicodeDecodeError."""
    return raw.decode(encoding_of(raw[:_SAMPLE_BYTES])).removeprefix("\ufeff")


def text_lines(file: io.BufferedReader | BinaryIO) -> Iterator[str]:
    """The lines of a file, without their ends and the byte order mark, as they come.

    Bytes that are no text become lone surrogates, as in `os.fsdecode`: see ``is_text``.
    """
    sample = file.peek(_SAMPLE_BYTES)[:_SAMPLE_BYTES] if isinstance(file, io.BufferedReader) else b""
    encoding = encoding_of(sample)
    is_utf8 = encoding.startswith("utf-8")
    text = io.TextIOWrapper(
        file,
        encoding=encoding,
        errors="surrogateescape" if is_utf8 else "replace",
        newline="\r" if b"\r" in sample and b"\n" not in sample else "\n",
    )
    try:
        for line in text:
            line = line.removeprefix("\ufeff").rstrip("\r\n")
            yield line if is_utf8 else line.replace("\ufffd", "\udcff")
    finally:
        if not file.closed:
            text.detach()  # the caller closes it


def is_text(line: str) -> bool:
    """Whether every byte of a line of ``text_lines`` was part of a character."""
    return _NOT_TEXT.search(line) is None


def as_latin_1(line: str) -> str:
    """A line of ``text_lines`` with its bytes read one by one, so that it can at least be shown."""
    return line.encode("utf-8", "surrogateescape").decode("latin-1")
