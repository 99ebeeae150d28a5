"""The encoding of a text that says nothing of it, and texts with zero bytes in them."""

from __future__ import annotations

import io

import pytest

from cutline.text_files import decode, text_lines

TEXTS = [
    "a.jpg,A dog\n",
    "Ein Hund läuft\n",
    "фото.jpg,собака\r\n",
    "image,caption\na.jpg," + "一只狗在海滩上奔跑。" * 40 + "\n",
    "이미지,설명\n한국.jpg,개가 달린다\n",
    "צילום,כלב\n",
    "ภาพ,สุนัข\n",
    "A dog \U0001f415.\n",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_an_encoding_is_told_by_the_text_in_any_script(encoding: str) -> None:
    for text in TEXTS:
        assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a.jpg,A dog\0", "a.jpg,A dog"),
        (b"a.jpg,A c\0at\nb.jpg,\xc3\xa9\n", "a.jpg,A cat\nb.jpg,\u00e9\n"),
        (b"image,caption\na.jpg,A dog\n" + b"\0" * 5000, "image,caption\na.jpg,A dog\n"),
    ],
)
def test_zero_bytes_in_utf_8_make_no_utf_16_of_it(raw: bytes, text: str) -> None:
    assert decode(raw) == text


def test_latin_1_padded_with_zeros_is_still_no_utf_8() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode(b"a.jpg,Caf\xe9\n" + b"\0" * 50)


def test_names_ended_by_zeros_are_utf_8() -> None:
    (line,) = text_lines(io.BufferedReader(io.BytesIO(b"1.jpg\x002.jpg\0")))
    assert line == "1.jpg\x002.jpg\0"
