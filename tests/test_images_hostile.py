"""Small files that would cost much: refused by what they state, before anything is decoded."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence

import pytest
from PIL import Image

from cutline.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from cutline.images import Limits, open_image
from tests.server.services.process import ANSWERS_S

ROW = tuple[int, int, int]  # tag, type (3 short, 4 long), value


def tiled_tiff(width: int, length: int, *, bits: int = 8, samples: int = 1) -> bytes:
    """A TIFF of 16 x 16 pixels whose one tile has this width and length."""
    rows: Sequence[ROW] = [
        (256, 4, 16), (257, 4, 16), (258, 3, bits), (259, 3, 5), (262, 3, 1), (277, 3, samples),
        (322, 4, width), (323, 4, length), (324, 4, 8), (325, 4, 4),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in rows)
    return (
        b"II*\0" + struct.pack("<I", 12) + b"\x80\0\0\0" + struct.pack("<H", len(rows)) + directory + bytes(4)
    )


def with_stated_size(data: bytes, width: int, height: int) -> bytes:
    """A HEIC or AVIF file in which one more image property states a size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


ENDLESS = """
import sys
from cutline.errors import UnreadableImage
from cutline.images import open_image
for part in (b"<!---->", b"<!-- a --> ", b" ", b"<?xml?>", b"<!DOCTYPE svg>"):
    try:
        open_image(part * 4000 + b"x")
    except UnreadableImage as error:
        assert "is not an image" in str(error)
    else:
        sys.exit("opened")
"""


def test_markup_that_is_no_drawing_is_refused_by_looking_at_each_byte_once() -> None:
    # In a process of its own: with a pattern that nests repetition, it would not end within a lifetime.
    subprocess.run([sys.executable, "-c", ENDLESS], check=True, timeout=ANSWERS_S)


@pytest.mark.parametrize(
    "markup",
    [
        b"<svg>",
        b"\n <svg width='1'>",
        b"<?xml version='1.0'?><!-- a --><!-- b --> <!DOCTYPE svg PUBLIC 'x'>\n<svg\txmlns=''>",
    ],
)
def test_a_drawing_is_called_one(markup: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="SVG drawing"):
        open_image(markup)


@pytest.mark.parametrize("markup", [b"<svgx>", b"<!-- <svg> ", b"<html><svg>"])
def test_other_markup_is_not_an_image(markup: bytes) -> None:
    with pytest.raises(UnreadableImage, match="is not an image"):
        open_image(markup)


@pytest.mark.parametrize("size", [(32768, 32768), (40000, 16), (16, 40000), (30000, 30000)])
def test_tiles_count_as_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="tile"):
        open_image(tiled_tiff(*size))


def test_tiles_beyond_all_proportion_are_damage() -> None:
    with pytest.raises(UnreadableImage, match="tiles of 8192 x 64"):
        open_image(tiled_tiff(8192, 64))


@pytest.mark.parametrize(("bits", "samples"), [(65535, 1), (64, 60000)])
def test_samples_count_too(bits: int, samples: int) -> None:
    with pytest.raises(UnreadableImage):
        open_image(tiled_tiff(16, 16, bits=bits, samples=samples))


def test_an_honest_tiled_tiff_opens() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(buffer, "TIFF", compression="tiff_lzw", tile=(256, 256))
    assert open_image(buffer.getvalue()).size == (300, 200)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_sizes_inside_a_container_count(kind: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, kind)
    assert open_image(buffer.getvalue()).size == (64, 64)
    with pytest.raises((ImageTooLarge, UnreadableImage)):
        open_image(with_stated_size(buffer.getvalue(), 60000, 60000), limits=Limits())


def test_a_frame_that_sticks_out_of_a_gif_counts() -> None:
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "GIF")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\x2c", 13)  # the frame's descriptor
    struct.pack_into("<HHHH", data, at + 1, 0, 0, 60000, 60000)
    with pytest.raises(ImageTooLarge):
        open_image(bytes(data))


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def _in_pieces() -> dict[str, bytes]:
    """Small pictures with very many tiny parts: each costs Python a step, and there are millions of them."""
    gif, jpeg, whole = (_encoded(Image.new("L", (16, 16)), kind) for kind in ("GIF", "JPEG", "PNG"))
    first = gif.index(b"\x2c", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    chunk = struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
    text = struct.pack(">I", 3) + b"tEXta\0b" + struct.pack(">I", zlib.crc32(b"tEXta\0b"))
    many = 300_000
    return {
        "comment of tiny blocks": gif[:first] + b"\x21\xfe" + b"\x01a" * many + b"\0" + gif[first:],
        "comment of full blocks": gif[:first]
        + b"\x21\xfe"
        + (b"\xff" + b"a" * 255) * 9_000
        + b"\0"
        + gif[first:],
        "comments": gif[:first] + b"\x21\xfe\x01a\0" * many + gif[first:],
        "extensions": gif[:first] + b"\x21\xf9\0" * many + gif[first:],
        "application": gif[:first] + b"\x21\xff" + (b"\x04aaaa") * many + b"\0" + gif[first:],
        "picture of tiny blocks": gif[:-2] + b"\x01a" * many + b"\0;",
        "chunks": whole[:33] + chunk * many + whole[33:],
        "texts": whole[:33] + text * many + whole[33:],
        "chunks at the end": whole[:-12] + chunk * many + whole[-12:],
        "segments": jpeg[:2] + b"\xff\xfe\0\x02" * many + jpeg[2:],
        "profiles": jpeg[:2] + b"\xff\xe2\0\x02" * many + jpeg[2:],
        "tables": jpeg[:2] + b"\xff\xdb\0\x02" * many + jpeg[2:],
        "padding": jpeg[:2] + b"\xff" * many + jpeg[2:],
        "junk": jpeg[:2] + b"\xff\0" * many + jpeg[2:],
        "other junk": jpeg[:20] + b"ab" * many + jpeg[20:],
    }


def test_a_picture_in_very_many_pieces_is_refused_before_they_are_walked() -> None:
    for data in _in_pieces().values():
        with pytest.raises(UnreadableImage, match="too many pieces"):
            open_image(data)


def test_pictures_in_as_many_pieces_as_real_ones_have_are_opened() -> None:
    picture = Image.effect_noise((900, 900), 100).convert("P")
    for kind in ("GIF", "PNG", "JPEG"):
        data = _encoded(picture if kind != "JPEG" else picture.convert("RGB"), kind)
        assert open_image(data).size == (900, 900)
    jpeg = _encoded(Image.new("RGB", (16, 16)), "JPEG")
    thumbnail = b"\xff\xe1" + struct.pack(">H", 65_000) + b"x" * 64_998
    assert open_image(jpeg[:2] + thumbnail * 100 + b"\xff" * 50 + jpeg[2:]).size == (16, 16)
