"""JPEGs that lack their end: opened with a warning where nearly all of the picture is there."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest
from PIL import Image

from cutline.errors import UnreadableImage
from cutline.images import open_image

NOISE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (400, 300, 3), dtype=np.uint8))


def jpeg(*, progressive: bool = False) -> bytes:
    buffer = io.BytesIO()
    NOISE.save(buffer, "JPEG", quality=90, progressive=progressive)
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


@pytest.mark.parametrize("share", [0.95, 0.9999])
def test_strict_refuses_whatever_lacks_its_end(share: float) -> None:
    with pytest.raises(UnreadableImage, match="cut short"):
        open_image(first(jpeg(), share), strict=True)


def test_what_follows_the_end_does_not_matter(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="cutline.images"):
        assert open_image(jpeg() + b"a phone's video").size == (300, 400)
    assert not caplog.records


def test_a_grey_photo_that_is_whole_is_opened() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(buffer, "JPEG")
    assert open_image(buffer.getvalue()).size == (64, 64)
    with pytest.raises(UnreadableImage):
        open_image(buffer.getvalue()[:-30])
