"""JPEGs that lack their end: opened with a warning where nearly all of the picture is there."""

from __future__ import annotations

import io
import logging
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutline.errors import UnreadableImage
from cutline.images import open_image
from cutline.images.frames import jpeg_end

END = b"\xff\xd9"
GREY = (128, 128, 128)
NOISE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (400, 300, 3), dtype=np.uint8))


def jpeg(image: Image.Image = NOISE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def first(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_without_its_end_mark_is_whole(progressive: bool, caplog: pytest.LogCaptureFixture) -> None:
    data = jpeg(progressive=progressive)
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        opened = open_image(data[:-2])
    assert "lacks its end mark" in caplog.text
    assert np.array_equal(opened, open_image(data))


def test_a_few_missing_rows_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    data = jpeg()
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        opened = np.asarray(open_image(first(data, 0.95)))
    assert "of its rows are missing" in caplog.text
    assert np.array_equal(opened[:350], np.asarray(open_image(data))[:350])


def test_a_few_missing_rows_do_not_hinder_a_small_copy() -> None:
    assert open_image(first(jpeg(), 0.95), enough_px=100).size == (150, 200)


@pytest.mark.parametrize("share", [0.85, 0.5, 0.1])
def test_a_photo_of_which_much_is_missing_is_refused(share: float) -> None:
    with pytest.raises(UnreadableImage, match="cut short"):
        open_image(first(jpeg(), share))


def test_a_progressive_photo_without_its_details_is_refused() -> None:
    # All rows are there, but only their coarse colours.
    with pytest.raises(UnreadableImage, match="cut short"):
        open_image(first(jpeg(progressive=True), 0.4))


KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "optimised": {"optimize": True},
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_strict_refuses_whatever_lacks_its_end(kind: str, mode: str) -> None:
    smooth = Image.radial_gradient("L").convert(mode)
    data = jpeg(smooth, **KINDS[kind])
    assert open_image(data, strict=True).size == (256, 256)
    for missing in (2, len(data) // 30, len(data) // 10, len(data) // 2):
        for end in (b"", END) if missing > 2 else (b"",):
            for enough_px in (None, 64):
                with pytest.raises(UnreadableImage, match="cut short: "):
                    open_image(data[:-missing] + end, enough_px=enough_px, strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_before_a_false_end_mark_are_missed(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    data = jpeg(**KINDS[kind])
    for share in (0.1, 0.3):
        with pytest.raises(UnreadableImage, match="much of the picture"):
            open_image(first(data, share) + END)
    if kind != "progressive":
        with caplog.at_level(logging.WARNING, logger="cutline.images"):
            open_image(first(data, 0.97) + END, enough_px=100)
        assert "rows are missing" in caplog.text


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}])
def test_a_photo_that_ends_grey_is_whole(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    picture = Image.new("RGB", (300, 600), GREY)
    picture.paste(NOISE)
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        assert open_image(jpeg(picture, **options), strict=True).size == picture.size
        assert open_image(jpeg(Image.new("L", (40, 40), 128), **options)).size == (40, 40)
        assert not caplog.records
        open_image(jpeg(picture, **options)[:-2])
    assert "all of its rows are there" in caplog.text


@pytest.mark.parametrize(
    "behind", [b"\0\0\0\x18ftypmp42" + random.Random(7).randbytes(9000), jpeg(), b"\r\n", b"\xff" * 99]
)
def test_what_follows_a_missing_end_does_no_harm(behind: bytes, caplog: pytest.LogCaptureFixture) -> None:
    data = jpeg()
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        assert np.array_equal(open_image(data[:-2] + behind), open_image(data))
    assert "lacks its end mark" in caplog.text
    with pytest.raises(UnreadableImage, match="end mark is missing"):
        open_image(data[:-2] + behind, strict=True)


def test_a_file_that_is_filled_with_zeros_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    data = jpeg()
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        open_image(first(data, 0.95) + bytes(len(data) // 20))
    assert "rows are missing" in caplog.text
    with pytest.raises(UnreadableImage, match="much of the picture"):
        open_image(first(data, 0.5) + bytes(len(data) // 2))


def test_details_that_are_missing_are_no_rows(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        open_image(first(jpeg(progressive=True), 0.9))
    assert "some of its details are missing" in caplog.text
    assert "rows" not in caplog.text


def test_the_end_is_the_pictures_own() -> None:
    thumbnail = jpeg(NOISE.resize((16, 16)))
    head = b"\xff\xe1" + (2 + len(thumbnail)).to_bytes(2, "big") + thumbnail
    for options in KINDS.values():
        data = jpeg(**options)
        inside = data[:2] + head + data[2:]
        assert jpeg_end(inside + thumbnail) == (len(inside) - 2, True)
        assert jpeg_end(inside[:-2] + thumbnail) == (len(inside) - 2, False)
        assert jpeg_end(inside[:-2] + b"\xff\xff" + END) == (len(inside), True)  # fill before a mark


def test_what_follows_the_end_does_not_matter(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        assert open_image(jpeg() + b"a phone's video").size == (300, 400)
    assert not caplog.records


def test_a_grey_photo_that_is_whole_is_opened() -> None:
    data = jpeg(Image.new("RGB", (64, 64), GREY))
    assert open_image(data).size == (64, 64)
    with pytest.raises(UnreadableImage):
        open_image(data[:-30])
