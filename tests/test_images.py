"""Whatever is handed in: a plain photo comes out, or one clear error."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from cutline import images
from cutline.errors import (
    ConfigError,
    ImageError,
    ImageMissing,
    ImageNotAFile,
    ImageTooLarge,
    UnreadableImage,
    UnsupportedImage,
)
from cutline.images import Limits, Preprocessing, open_image, read_pixels, to_pixels
from cutline.settings import from_environment

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 180, 40), (30, 60, 210), (240, 220, 40)


def quadrants(width: int = 96, height: int = 64) -> Image.Image:
    """Red and green above, blue and yellow below: every turn and every swapped channel shows."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    width, height = image.size
    at = [(width // 4, height // 4), (3 * width // 4, height // 4)]
    at += [(width // 4, 3 * height // 4), (3 * width // 4, 3 * height // 4)]
    return [image.getpixel(point) for point in at]  # type: ignore[misc]


def assert_close(seen: list[tuple[int, ...]], wanted: list[tuple[int, ...]], within: int = 14) -> None:
    assert np.abs(np.array(seen, int) - np.array(wanted, int)).max() <= within, (seen, wanted)


# Formats


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_each_format_opens_as_plain_rgb(kind: str) -> None:
    image = open_image(encoded(quadrants(), kind))
    assert image.mode == "RGB"
    assert image.size == (96, 64)
    assert image.info == {}
    assert_close(corners(image), [RED, GREEN, BLUE, YELLOW])


def test_the_formats_are_these_eight() -> None:
    assert set(images.FORMATS) == {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"}


def test_a_wrong_extension_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(encoded(quadrants(), "PNG"))
    assert_close(corners(open_image(path)), [RED, GREEN, BLUE, YELLOW], within=0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    turns = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    turn = turns[orientation]
    stored = quadrants() if turn is None else quadrants().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for form in (exif.tobytes(), exif):  # HEIC: with a box that says the same, and without one
        image = open_image(encoded(stored, kind, exif=form))
        assert image.size == (96, 64)
        assert_close(corners(image), [RED, GREEN, BLUE, YELLOW])


def test_a_pillow_image_is_oriented_too_and_left_as_it_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    upside_down = quadrants().transpose(Image.Transpose.ROTATE_180)
    lent = Image.open(io.BytesIO(encoded(upside_down, "JPEG", exif=exif.tobytes())))
    image = open_image(lent, enough_px=8)
    assert_close(corners(image), [RED, GREEN, BLUE, YELLOW])
    assert lent.size == (96, 64)
    assert lent.getexif()[0x0112] == 3
    assert open_image(image) is image


def test_damaged_exif_does_not_cost_the_photo() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x01\0\x12\x01junkjunkjunk")
    assert_close(corners(open_image(data)), [RED, GREEN, BLUE, YELLOW])


# Modes


def test_alpha_lies_over_white() -> None:
    image = quadrants().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 32))
    for kind in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        opened = open_image(encoded(image, kind, **options))
        assert_close(corners(opened), [(255, 255, 255), GREEN, BLUE, YELLOW], 2)


def test_half_transparent_grey_lies_over_white() -> None:
    image = Image.new("LA", (8, 8), (0, 128))
    assert open_image(encoded(image, "PNG")).getpixel((4, 4)) == (127, 127, 127)


def test_a_palette_with_a_transparent_colour_lies_over_white() -> None:
    image = quadrants().quantize(4)
    transparent = image.getpixel((1, 1))
    for kind in ("PNG", "GIF"):
        opened = open_image(encoded(image, kind, transparency=transparent))
        assert_close(corners(opened), [(255, 255, 255), GREEN, BLUE, YELLOW], 8)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_keeps_its_colours(kind: str) -> None:
    assert_close(corners(open_image(encoded(quadrants().quantize(16), kind))), [RED, GREEN, BLUE, YELLOW], 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "AVIF"])
def test_greyscale_becomes_grey_rgb(kind: str) -> None:
    image = open_image(encoded(Image.new("L", (32, 32), 90), kind))
    assert image.mode == "RGB"
    assert_close([image.getpixel((9, 9))], [(90, 90, 90)], 2)  # type: ignore[list-item]


def test_black_and_white_bits_open() -> None:
    image = Image.new("1", (16, 16), 0)
    image.paste(1, (8, 0, 16, 16))
    for kind in ("PNG", "TIFF", "BMP"):
        opened = open_image(encoded(image, kind))
        assert (opened.getpixel((2, 8)), opened.getpixel((12, 8))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(kind: str) -> None:
    opened = open_image(encoded(quadrants().convert("CMYK"), kind))
    assert_close(corners(opened), [RED, GREEN, BLUE, YELLOW], 20)


def test_a_damaged_colour_profile_does_not_cost_a_cmyk_photo() -> None:
    opened = open_image(encoded(quadrants().convert("CMYK"), "JPEG", icc_profile=b"no profile at all" * 20))
    assert_close(corners(opened), [RED, GREEN, BLUE, YELLOW], 20)


def test_lab_becomes_rgb() -> None:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.applyTransform(quadrants(), ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert lab is not None
    assert_close(corners(open_image(encoded(lab, "TIFF"))), [RED, GREEN, BLUE, YELLOW], 10)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_spans_the_whole_range(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(16, 0)
    opened = np.asarray(open_image(encoded(Image.fromarray(ramp), kind)))
    assert np.abs(opened[8, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert (opened[..., 0] == opened[..., 2]).all()


def test_big_endian_16_bit_grey_opens() -> None:
    ramp = np.linspace(0, 65535, 256).astype(">u2")[None].repeat(16, 0)
    image = Image.frombytes("I;16B", (256, 16), ramp.tobytes())
    opened = np.asarray(open_image(encoded(image, "TIFF")))
    assert np.abs(opened[8, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_16_bit_colour_opens() -> None:
    """Pillow cannot write one, so this writes a PNG by hand: 16-bit RGB, one orange pixel repeated."""
    rows = b"".join(b"\0" + struct.pack(">HHH", 65535, 32896, 0) * 8 for _ in range(8))
    data = png((8, 8), depth=16, colour=2, pixels=zlib.compress(rows))
    assert_close([open_image(data).getpixel((4, 4))], [(255, 128, 0)], 1)  # type: ignore[list-item]


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_from_the_range_they_use(top: float) -> None:
    ramp = np.linspace(0, top, 256, dtype=np.float32)[None].repeat(4, 0)
    opened = np.asarray(open_image(encoded(Image.fromarray(ramp), "TIFF")))
    assert np.abs(opened[2, :, 1].astype(int) - np.arange(256)).max() <= 1


def test_floats_with_holes_and_odd_ranges_are_stretched() -> None:
    values = np.linspace(-40, 4000, 256, dtype=np.float32)[None].repeat(4, 0)
    values[0, 0], values[0, 1] = np.nan, np.inf
    opened = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))
    assert opened[0, 0, 0] == 0
    assert opened[0, 1, 0] == 255
    assert np.abs(opened[2, :, 1].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(("top", "seen"), [(255, 255), (65535, 255), (2**31 - 1, 255)])
def test_32_bit_integers_are_scaled_from_the_range_they_use(top: int, seen: int) -> None:
    values = np.array([[0, top // 2, top]] * 3, np.int32)
    opened = np.asarray(open_image(Image.fromarray(values)))
    assert_close([tuple(opened[1, :, 0])], [(0, 127, seen)], 1)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_of_an_animation_is_the_photo(kind: str) -> None:
    others = [Image.new("RGB", (96, 64), "black"), Image.new("RGB", (96, 64), "white")]
    data = encoded(quadrants(), kind, save_all=True, append_images=others)
    assert_close(corners(open_image(data)), [RED, GREEN, BLUE, YELLOW])


# Hostile input


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: be nobody for a moment."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


def png(
    size: tuple[int, int], *, depth: int = 8, colour: int = 2, pixels: bytes = b"", extra: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    end = png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + end


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_an_empty_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(UnreadableImage, match=r"empty\.jpg is empty"):
        open_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_truncated_photo_is_one_clear_error(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 255, (80, 120, 3), np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UnreadableImage) as caught:
        open_image(data[: int(len(data) * share)])
    assert str(caught.value).isprintable(), "one line"


@pytest.mark.parametrize("content", [b"just a letter", b"\0" * 5000, b"BM but no bitmap", b"\xff\xd8\xff"])
def test_what_is_no_image_is_unreadable(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=r"photo\.jpg"):
        open_image(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7 ...", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9", "PostScript"),
        (b"8BPS\0\1", "Photoshop"),
        (b"P6\n2 2\n255\n" + b"\0" * 12, "Netpbm"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "video"),
        (b"\0\0\1\0\1\0", "icon"),
    ],
)
def test_an_image_of_another_format_is_refused_by_name(content: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedImage, match=kind):
        open_image(content)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = png((30_000, 30_000), pixels=zlib.compress(b"\0" * 1_000_000))
    with pytest.raises(ImageTooLarge, match="900,000,000 pixels") as caught:
        open_image(bomb)
    assert "CUTLINE_MAX_PIXELS" in caught.value.hint


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_a_photo_above_the_limit_is_refused_in_every_format(kind: str) -> None:
    with pytest.raises(ImageTooLarge):
        open_image(encoded(quadrants(), kind), limits=Limits(max_pixels=96 * 64 - 1))
    assert open_image(encoded(quadrants(), kind), limits=Limits(max_pixels=96 * 64)).size == (96, 64)


def test_absurd_dimensions_are_refused() -> None:
    with pytest.raises(ImageTooLarge, match="along one side"):
        open_image(png((2**31 - 1, 1)))
    with pytest.raises(UnreadableImage):
        open_image(png((0, 10)))


def test_a_webp_canvas_is_measured_before_memory_is_taken_for_it() -> None:
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes([0x02, 0, 0, 0]) + (16_382).to_bytes(3, "little") * 2
    data = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    with pytest.raises(ImageTooLarge, match="268,402,689 pixels"):
        open_image(data)


@pytest.mark.parametrize("lossless", [True, False])
def test_the_size_in_a_webp_header_is_read_right(lossless: bool) -> None:
    data = encoded(quadrants(70, 50), "WEBP", lossless=lossless)
    with pytest.raises(ImageTooLarge, match="3,500 pixels"):
        open_image(data, limits=Limits(max_pixels=3_499))


def test_pillows_own_alarm_does_not_overrule_a_raised_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    assert open_image(encoded(quadrants(), "PNG")).size == (96, 64)


def test_an_animated_bomb_is_refused() -> None:
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    assert open_image(head + frame * 40 + b";").size == (1, 1)
    with pytest.raises(ImageTooLarge, match="frames"):
        open_image(head + frame * 100_000 + b";")


def test_few_huge_frames_are_an_animated_bomb_too() -> None:
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HH", 10_000, 10_000) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    with pytest.raises(ImageTooLarge, match="pixels in all frames"):
        open_image(head + frame * 500 + b";")


def test_a_jpeg_that_is_painted_over_and_over_is_refused() -> None:
    data = encoded(quadrants(), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xc4") : -2]
    limits = Limits(max_total_pixels=96 * 64 * 100)
    assert open_image(data, limits=limits).size == (96, 64)
    for hidden in (b"", b"\xff\x02\xff\xff"):  # no segment that would swallow the next 65,535 bytes
        with pytest.raises(ImageTooLarge, match="pixels in all scans"):
            open_image(data[:-2] + hidden + last_scan * 100 + b"\xff\xd9", limits=limits)


def test_a_video_behind_a_photo_is_not_taken_for_scans() -> None:
    """Phones write one behind the photo's end ("motion photo"); its bytes hold every marker by chance."""
    limits = Limits(max_total_pixels=96 * 64 * 100)
    for progressive in (False, True):
        photo = encoded(quadrants(), "JPEG", progressive=progressive)
        opened = open_image(photo + b"\xff\xda\0\x0c" * 1000, limits=limits)
        assert opened.tobytes() == open_image(photo).tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "AVIF"])
def test_frames_are_limited_in_every_animated_format(kind: str) -> None:
    others = [Image.new("RGB", (96, 64), (50 * n, 50 * n, 50 * n)) for n in range(5)]
    data = encoded(quadrants(), kind, save_all=True, append_images=others)
    assert open_image(data, limits=Limits(max_frames=6)).size == (96, 64)
    with pytest.raises(ImageTooLarge, match="6 frames"):
        open_image(data, limits=Limits(max_frames=5))


def test_huge_metadata_is_refused() -> None:
    limits = Limits(max_metadata_bytes=100_000)
    text = png_chunk(b"tEXt", b"Comment\0" + b"x" * 200_000)
    with pytest.raises(ImageTooLarge, match="metadata"):
        open_image(png((1, 1), pixels=zlib.compress(b"\0\0\0\0"), extra=text), limits=limits)
    comment = b"\xff\xfe" + struct.pack(">H", 65_000) + b"y" * 64_998
    data = encoded(quadrants(), "JPEG")
    with pytest.raises(ImageTooLarge, match="metadata"):
        open_image(data[:2] + comment * 3 + data[2:], limits=limits)


def test_compressed_text_that_swells_is_one_clear_error() -> None:
    swelling = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 50_000_000))
    with pytest.raises(ImageError):
        open_image(png((1, 1), pixels=zlib.compress(b"\0\0\0\0"), extra=swelling * 5))


def test_a_file_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ImageTooLarge, match="bytes"):
        open_image(path)
    with pytest.raises(ImageTooLarge):
        open_image(b"x" * 11, limits=Limits(max_file_bytes=10))


def test_a_symlink_loop_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    with pytest.raises(ImageMissing, match="leads back to itself"):
        open_image(tmp_path / "a.jpg")


def test_a_folder_a_pipe_and_a_device_are_no_photos(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path, tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ImageNotAFile):
            open_image(path)


def test_a_missing_and_an_impossible_path_are_clear_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "no.jpg", tmp_path / "no" / "no.jpg", "nul\0.jpg", "x" * 5000):
        with pytest.raises(ImageMissing):
            open_image(path)


def test_an_unreadable_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encoded(quadrants(), "JPEG"))
    path.chmod(0)
    with without_privileges(), pytest.raises(ImageMissing, match="permission denied"):
        open_image(path)


def test_a_name_cannot_smuggle_control_characters_into_the_message(tmp_path: Path) -> None:
    with pytest.raises(ImageMissing) as caught:
        open_image(tmp_path / "a\x1b[31m\nb.jpg")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_damaged_bytes_give_a_photo_or_an_image_error_and_nothing_else(kind: str) -> None:
    chance = random.Random(kind)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(quadrants(), kind, exif=exif.tobytes())
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            image = open_image(bytes(data), limits=Limits(max_pixels=4_000_000))
        except ImageError:
            continue
        assert image.mode == "RGB"


TRY_ALL = """
import pathlib, sys
from cutline.errors import CutlineError
from cutline.images import open_image
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        open_image(path)
    except CutlineError:
        pass
"""


def python(program: str, *arguments: str) -> tuple[str, str]:
    command = [sys.executable, "-W", "always", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_nothing_is_printed_and_no_warning_left_behind(tmp_path: Path) -> None:
    """Real process, because decoders write to file descriptor 2 behind Python's back."""
    tiff = bytearray(encoded(quadrants(), "TIFF"))
    tiff += b"\0" * 10
    (tmp_path / "a.tiff").write_bytes(bytes(tiff[:-200]))
    for method in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        compressed = bytearray(encoded(quadrants(), "TIFF", compression=method))
        compressed[10:200] = b"\x55" * 190
        (tmp_path / f"{method}.tiff").write_bytes(compressed)
    many_samples = encoded(quadrants(), "TIFF").replace(
        b"\x15\x01\x03\0\1\0\0\0\3", b"\x15\x01\x03\0\1\0\0\0\xf3"
    )
    (tmp_path / "samples.tiff").write_bytes(many_samples)
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"
    (tmp_path / "c.jpg").write_bytes(encoded(quadrants(), "JPEG", exif=exif))
    (tmp_path / "d.png").write_bytes(png((1, 1), extra=png_chunk(b"acTL", b"\0" * 8)))
    assert python(TRY_ALL, str(tmp_path)) == ("", "")


def test_the_callers_warning_filters_are_left_alone() -> None:
    before = list(warnings.filters)
    data = encoded(quadrants(), "PNG")
    threads = [threading.Thread(target=open_image, args=(data,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


# Limits


def test_limits_come_from_the_environment() -> None:
    limits = from_environment(Limits(), environ={"CUTLINE_MAX_PIXELS": "1_000", "CUTLINE_UNRELATED": "x"})
    assert limits == Limits(max_pixels=1000)


@pytest.mark.parametrize("value", ["lots", "1.5", "", "0", "-3"])
def test_a_limit_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"MAX_SIDE_PX|max_side_px"):
        from_environment(Limits(), environ={"CUTLINE_MAX_SIDE_PX": value})


# To pixels


def big_photo(width: int = 1800, height: int = 1200) -> Image.Image:
    """A smooth and busy scene, large enough for draft decoding to matter."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / a + y / b) for a, b in ((90, 130), (17, 41), (300, 23))]
    return Image.fromarray(np.stack([127 + 100 * wave for wave in waves], -1).astype(np.uint8))


def shape(**options: object) -> Preprocessing:
    return Preprocessing(width_px=60, height_px=40, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(96, 64), (64, 96), (1, 500), (500, 1), (60, 40), (7, 7)])
def test_any_shape_becomes_the_models_input(mode: str, size: tuple[int, int]) -> None:
    pixels = to_pixels(quadrants(*size), shape(mode=mode))
    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


def test_squash_keeps_everything_crop_keeps_the_centre_and_pad_keeps_the_shape() -> None:
    tall = Image.new("RGB", (60, 400), RED)
    tall.paste(BLUE, (0, 180, 60, 220))
    squashed = to_pixels(tall, shape(mode="squash"))
    assert tuple(squashed[0, 30]) == RED
    assert tuple(squashed[39, 30]) == RED
    assert (to_pixels(tall, shape(mode="crop")) == BLUE).all()
    padded = to_pixels(tall, shape(mode="pad"))
    assert tuple(padded[0, 30]) == RED
    assert tuple(padded[20, 0]) == (128, 128, 128)


@pytest.mark.parametrize(
    "options", [{"width_px": 0}, {"height_px": 5000}, {"mode": "stretch"}, {"resample": "lanczos"}]
)
def test_preprocessing_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Preprocessing(**({"width_px": 60, "height_px": 40} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["squash", "crop", "pad"])
def test_decoding_less_of_a_large_photo_changes_the_input_hardly(kind: str, mode: str) -> None:
    data = encoded(big_photo(), kind)
    preprocessing = Preprocessing(width_px=288, height_px=288, mode=mode)  # type: ignore[arg-type]
    whole = to_pixels(open_image(data), preprocessing).astype(int)
    less = read_pixels(data, preprocessing).astype(int)
    assert np.abs(whole - less).mean() < 1.0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_decoded_smaller_keeps_enough_pixels(kind: str) -> None:
    image = open_image(encoded(big_photo(), kind), enough_px=400)
    assert image.size == ((900, 600) if kind == "JPEG" else (600, 400))
    assert open_image(encoded(big_photo(), kind), enough_px=1201).size == (1800, 1200)


def test_opening_a_jpeg_imports_only_its_own_decoder() -> None:
    program = f"""
import sys
from cutline.images import open_image
open_image({encoded(quadrants(8, 8), "JPEG")!r})
wrong = {{"pillow_heif", "PIL.EpsImagePlugin", "PIL.WebPImagePlugin", "torch"}}
print(sorted(wrong & set(sys.modules)))
"""
    assert python(program)[0] == "[]\n"
