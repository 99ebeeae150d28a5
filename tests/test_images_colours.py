"""Photos of other colour spaces come out as they look, not as their numbers stand."""

from __future__ import annotations

import io
import logging
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cutline.images import open_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)


def matrix_profile(
    primaries: tuple[tuple[float, float], ...], white: tuple[float, float], gamma: float
) -> bytes:
    """An ICC profile (version 2) of three primaries and a gamma: what cameras and editors embed."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in (*primaries, white)]).T
    matrix = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    pcs = np.array([0.9642, 1.0, 0.8249])
    scale = (bradford @ pcs) / (bradford @ columns[:, 3])
    matrix = np.linalg.inv(bradford) @ np.diag(scale) @ bradford @ matrix

    def xyz(values: NDArray[np.float64]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(each * 65536)) for each in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78) + b"\0\0"
    tags = {
        b"desc": text, b"cprt": b"text\0\0\0\0x\0\0\0", b"wtpt": xyz(pcs),
        b"rXYZ": xyz(matrix[:, 0]), b"gXYZ": xyz(matrix[:, 1]), b"bXYZ": xyz(matrix[:, 2]),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02200000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flat(*colour: int) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def middle(data: bytes) -> tuple[int, ...]:
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
    assert np.array_equal(open_image(encoded(noise, "PNG", icc_profile=SRGB)), noise)


def test_a_grey_photo_keeps_its_greys_under_a_profile_of_three_colours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = encoded(Image.new("L", (32, 32), 120), "PNG", icc_profile=SRGB)
    assert middle(data) == (120, 120, 120)
    assert not caplog.records


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
