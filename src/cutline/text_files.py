"""Text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark, as programs write it."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
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
_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1f]")
_MOST_CONTROLS = 1 / 3  # of a text in UTF-8; of UTF-16 in any script with an alphabet, half the bytes are
_PADDING = re.compile(rb"\0{4,}\Z")  # one character of UTF-32 ends in three at most


def encoding_of(sample: bytes) -> str:
    """The encoding of a text that begins so: UTF-8 unless a mark or zero bytes say otherwise."""
    if marked := marked_encoding(sample):
        return marked
    sample = _PADDING.sub(b"", sample)
    if 0 not in sample or _is_utf8(sample):
        return "utf-8"
    whole = sample[: len(sample) // 4 * 4] or sample
    zeros = [whole[place::4].count(0) for place in range(4)]
    for pair, encoding in ((zeros[:2], "utf-32-be"), (zeros[2:], "utf-32-le")):
        if len(sample) > 3 and min(pair) > len(whole) / 8:
            return encoding
    in_front, behind = zeros[0] + zeros[2], zeros[1] + zeros[3]
    return min(
        ("utf-16-le", in_front), ("utf-16-be", behind), key=lambda each: (_odd(sample, each[0]), each[1])
    )[0]


def marked_encoding(start: bytes) -> str | None:
    """The encoding that a byte order mark at the start of a text names."""
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)


def _is_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8 with a few control characters, perhaps cut within its last character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return len(_CONTROLS.findall(sample)) <= len(sample) * _MOST_CONTROLS


def _odd(sample: bytes, encoding: str) -> int:
    """How many characters stand for nothing that people write, if it is in this encoding."""
    text = sample.decode(encoding, "replace")
    return sum(letter == "\ufffd" or unicodedata.category(letter) in ("Cn", "Co") for letter in text)


def decode(raw: bytes) -> str:
    """A whole text, without its byte order mark and zero characters. Raises UnicodeDecodeError."""
    return raw.decode(encoding_of(raw[:_SAMPLE_BYTES])).removeprefix("\ufeff").replace("\0", "")


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
