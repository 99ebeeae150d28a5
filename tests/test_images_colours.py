"""Photos of other colour spaces come out as they look, not as their numbers stand."""

from __future__ import annotations

import io
import logging
import random
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from cutline.errors import ImageTooLarge, UnreadableImage
from cutline.images import CONVERTED, Limits, open_image
from tests.colour_profiles import D50, D65, P3, PROPHOTO, SRGB, grey_profile, matrix_profile


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flat(*colour: int) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def middle(data: bytes | Image.Image) -> tuple[int, ...]:
    pixel = open_image(data).getpixel((16, 16))
    assert isinstance(pixel, tuple)
    return tuple(int(each) for each in pixel)


def near(found: tuple[int, ...], wanted: tuple[int, ...], by: int = 4) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_photo_in_display_p3_comes_out_in_srgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 98} if kind in ("JPEG", "AVIF") else {}
    data = encoded(flat(200, 100, 50), kind, icc_profile=matrix_profile(P3, D65, 2.2), **options)
    # By hand: 2.2 to light, the matrix from P3 to sRGB (SMPTE EG 432-1, IEC 61966-2-1), and back to a code.
    assert near(middle(data), (216, 93, 24), by=6)


def test_prophoto_comes_out_in_srgb() -> None:
    data = encoded(flat(100, 100, 100), "PNG", icc_profile=matrix_profile(PROPHOTO, D50, 1.8))
    assert near(middle(data), (118, 118, 118), by=4)  # the same grey, of another gamma


def test_an_srgb_profile_changes_nothing() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    image = open_image(encoded(noise, "PNG", icc_profile=SRGB))
    assert np.array_equal(image, noise)
    assert image.info == {}


def test_a_grey_photo_keeps_its_greys_under_a_profile_of_three_colours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = encoded(Image.new("L", (32, 32), 120), "PNG", icc_profile=SRGB)
    assert middle(data) == (120, 120, 120)
    assert not caplog.records


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_profile_for_grey_is_for_grey_photos_alone(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    linear = grey_profile(1.0)
    for grey in (Image.new("L", (32, 32), 128), flat(128, 128, 128)):
        assert near(middle(encoded(grey, kind, icc_profile=linear)), (188, 188, 188), by=1)
    assert not caplog.records
    options = {"quality": 98} if kind == "JPEG" else {}
    assert near(middle(encoded(flat(200, 100, 50), kind, icc_profile=linear, **options)), (200, 100, 50))
    assert "colour profile cannot be used" in caplog.text


@pytest.mark.parametrize("damage", [b"not a profile", SRGB[:200], b"\xff" * 500])
def test_a_damaged_profile_is_a_warning_and_no_error(damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        assert near(
            middle(encoded(flat(200, 100, 50), "JPEG", icc_profile=damage, quality=98)), (200, 100, 50)
        )
    assert "colour profile cannot be used" in caplog.text


def with_png_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    at = 8 + 25  # after the signature and IHDR
    chunk = struct.pack(">I", len(content)) + kind + content
    return data[:at] + chunk + struct.pack(">I", zlib.crc32(kind + content)) + data[at:]


DISPLAY_P3 = matrix_profile(P3, D65, 2.2)
PACKED = zlib.compress(DISPLAY_P3)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"iCCP", b""), (b"iCCP", b"icc"), (b"iCCP", b"icc\0"), (b"iCCP", b"icc\0\1" + PACKED),
        (b"iCCP", b"icc\0\0no zlib"), (b"iCCP", b"icc\0\0" + PACKED[:100]), (b"gAMA", b"\0\1"),
        (b"cHRM", bytes(31)), (b"sRGB", b""), (b"cICP", b"\x0c"),
    ],
)  # fmt: skip
def test_what_a_png_says_damaged_of_its_colours_is_a_warning(
    kind: bytes, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    data = with_png_chunk(encoded(flat(200, 100, 50), "PNG"), kind, content)
    assert middle(data) == (200, 100, 50)
    assert "cannot be used" in caplog.text


def test_a_wrong_checksum_of_what_pixels_do_not_need_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    data = encoded(flat(200, 100, 50), "PNG", icc_profile=DISPLAY_P3)
    flipped = data.replace(PACKED[50:60], bytes(10), 1)
    assert flipped != data
    assert middle(flipped) == (200, 100, 50)
    assert "its colour profile cannot be used (its checksum is wrong)" in caplog.text
    size = data.index(b"IHDR") + 4
    with pytest.raises(UnreadableImage):
        open_image(data[:size] + b"\1" + data[size + 1 :])


def test_a_large_profile_is_used_up_to_the_limit_of_metadata() -> None:
    padded = DISPLAY_P3 + random.Random(3).randbytes(1_500_000)
    chunk = b"icc\0\0" + zlib.compress(padded, 0)
    data = with_png_chunk(encoded(flat(200, 100, 50), "PNG"), b"iCCP", chunk)
    assert near(middle(data), (216, 93, 24), by=6)
    with pytest.raises(ImageTooLarge, match="metadata"):
        open_image(data, limits=Limits(max_metadata_bytes=1_200_000))


def in_pieces(*pieces: bytes, mode: str = "RGB") -> bytes:
    """A JPEG with these segments, each after the profile's name."""
    data = encoded(flat(200, 100, 50).convert(mode), "JPEG", quality=98)
    segments = (b"ICC_PROFILE\0" + piece for piece in pieces)
    return data[:2] + b"".join(b"\xff\xe2" + struct.pack(">H", len(s) + 2) + s for s in segments) + data[2:]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0)])
def test_a_profile_in_pieces_is_joined(order: tuple[int, ...], caplog: pytest.LogCaptureFixture) -> None:
    pieces = [b"\1\2" + DISPLAY_P3[:200], b"\2\2" + DISPLAY_P3[200:]]
    assert near(middle(in_pieces(*(pieces[each] for each in order))), (216, 93, 24), by=6)
    assert not caplog.records


def test_pieces_of_a_profile_may_be_counted_from_0(caplog: pytest.LogCaptureFixture) -> None:
    whole = middle(in_pieces(b"\1\1" + DISPLAY_P3))
    assert near(middle(in_pieces(b"\0\1" + DISPLAY_P3)), whole, by=0)
    assert near(middle(in_pieces(b"\0\2" + DISPLAY_P3[:200], b"\1\2" + DISPLAY_P3[200:])), whole, by=0)
    assert not caplog.text


@pytest.mark.parametrize(
    "pieces",
    [(b"",), (b"\1",), (b"\1\1",), (b"\0\0" + DISPLAY_P3,), (b"\1\2" + DISPLAY_P3,), (b"\1\1" + SRGB[:200],)],
)
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_jpeg_whose_profile_is_in_disorder_is_opened_with_a_warning(
    pieces: tuple[bytes, ...], mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert near(middle(in_pieces(*pieces, mode=mode)), middle(in_pieces(mode=mode)), by=0)
    assert "colour profile cannot be used" in caplog.text


def test_a_profile_that_is_not_for_cmyk_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    photo = flat(200, 100, 50).convert("CMYK")
    assert middle(encoded(photo, "TIFF", icc_profile=DISPLAY_P3)) == middle(encoded(photo, "TIFF"))
    assert "colour profile cannot be used" in caplog.text


def with_exif(kind: str, space: int, index: str | None, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif.get_ifd(0x8769).update({0xA001: space} | ({0xA005: {1: index}} if index else {}))
    return encoded(flat(200, 100, 50), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_adobe_rgb_that_only_exif_tells_comes_out_in_srgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    # By hand: 2.2 to light, the matrix from Adobe RGB (1998) to sRGB, and back to a code.
    assert near(middle(with_exif(kind, 0xFFFF, "R03", **options)), (227, 100, 43))
    with Image.open(io.BytesIO(with_exif(kind, 0xFFFF, "R03", **options))) as opened:
        assert near(middle(opened), (227, 100, 43))


@pytest.mark.parametrize(("space", "index"), [(1, "R98"), (1, "R03"), (0xFFFF, None), (0xFFFF, "R98")])
def test_other_words_of_exif_change_no_colour(space: int, index: str | None) -> None:
    assert near(middle(with_exif("JPEG", space, index)), (200, 100, 50), by=2)
    image = open_image(with_exif("JPEG", 0xFFFF, "R03", icc_profile=SRGB))
    assert near(middle(image), (200, 100, 50), by=2), "a profile is stronger"
    assert CONVERTED not in image.info


def test_pictures_of_pillow_say_their_colours_too() -> None:
    linear = with_png_chunk(encoded(flat(128, 128, 128), "PNG"), b"gAMA", struct.pack(">I", 100_000))
    with Image.open(io.BytesIO(linear)) as opened:
        assert near(middle(opened), (188, 188, 188), by=2)
    buffer = io.BytesIO()
    pillow_heif.from_pillow(flat(200, 100, 50)).save(buffer, quality=100, chroma=444, color_primaries=12)
    with pillow_heif.HeifImageFile(buffer) as opened:
        assert near(middle(opened), (218, 95, 29), by=6)


def test_png_says_its_colours_by_numbers() -> None:
    plain = encoded(flat(200, 100, 50), "PNG")
    assert middle(plain) == (200, 100, 50)
    assert near(middle(with_png_chunk(plain, b"cICP", bytes([12, 13, 0, 1]))), (218, 95, 29), by=6)
    assert middle(with_png_chunk(plain, b"cICP", bytes([1, 13, 0, 1]))) == (200, 100, 50)


def test_png_says_its_gamma_and_its_primaries() -> None:
    plain = encoded(flat(128, 128, 128), "PNG")
    linear = with_png_chunk(plain, b"gAMA", struct.pack(">I", 100_000))
    assert near(middle(linear), (188, 188, 188), by=2)
    assert middle(with_png_chunk(plain, b"gAMA", struct.pack(">I", 45_455))) == (128, 128, 128)
    assert middle(with_png_chunk(plain, b"gAMA", struct.pack(">I", 0))) == (128, 128, 128)
    red = encoded(flat(200, 0, 0), "PNG")
    points = (D65, *PROPHOTO)
    wide = struct.pack(">8I", *(round(each * 100_000) for point in points for each in point))
    assert middle(with_png_chunk(red, b"cHRM", wide))[0] > 215


@pytest.mark.parametrize(
    ("primaries", "transfer", "wanted"),
    [(12, 13, (218, 95, 29)), (1, 13, (200, 100, 50)), (1, 8, (227, 168, 123))],
)
def test_heic_says_its_colours_by_numbers(
    primaries: int, transfer: int, wanted: tuple[int, int, int]
) -> None:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(flat(200, 100, 50)).save(
        buffer, quality=100, chroma=444, color_primaries=primaries, transfer_characteristics=transfer,
        matrix_coefficients=1,
    )  # fmt: skip
    assert near(middle(buffer.getvalue()), wanted, by=6)


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped(transfer: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 256, dtype=np.uint8)[None, :, None], (32, 256, 3))
    data = with_png_chunk(encoded(Image.fromarray(ramp.copy()), "PNG"), b"cICP", bytes([9, transfer, 0, 1]))
    shown = np.asarray(open_image(data), dtype=int)[16, :, 0]
    assert (np.diff(shown) >= 0).all()  # brighter stays brighter
    assert shown[0] == 0
    assert shown[-1] == 255
    white = 148 if transfer == 16 else 191  # where 203 nits lie (BT.2408: 58 % and 75 % of the signal)
    assert 170 < shown[white] < 215
