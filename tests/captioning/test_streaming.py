"""Any captioner takes any number of photos, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from cutline.captioning.options import DecodingOptions
from cutline.captioning.protocol import Caption, ModelInfo
from cutline.captioning.streaming import BATCH_SIZE, caption_each
from cutline.errors import CaptionerUnavailable, UnreadableImage


class Echo:
    """Says what it is shown; chokes on "bad", and goes away at "gone"."""

    name, version = "echo", "1"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def about(self) -> ModelInfo:
        return ModelInfo(name=self.name, version=self.version)

    def caption(
        self, images: Sequence[str], *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        self.batches.append(len(images))
        if "bad" in images:
            raise UnreadableImage("A bad photo.")
        if "gone" in images:
            raise CaptionerUnavailable("Gone.")
        return [[Caption(text=image, log_prob=-1.0)] * n for image in images]


def test_photos_come_in_batches_and_captions_in_order() -> None:
    echo = Echo()
    names = [f"photo {i}" for i in range(2 * BATCH_SIZE + 1)]
    found = list(caption_each(echo, names, n=2))
    assert [[each.text for each in captions] for captions in found] == [[name, name] for name in names]
    assert echo.batches == [BATCH_SIZE, BATCH_SIZE, 1]


def test_a_photo_that_fails_fails_alone() -> None:
    found = list(caption_each(Echo(), ["a", "bad", "b"], batch_size=3))
    assert [type(each) for each in found] == [list, UnreadableImage, list]


def test_a_captioner_that_goes_away_ends_it() -> None:
    with pytest.raises(CaptionerUnavailable):
        list(caption_each(Echo(), ["a", "gone"]))


def test_photos_are_taken_no_further_than_the_batch() -> None:
    taken: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append("photo")
            yield taken[-1]

    next(caption_each(Echo(), endless(), batch_size=3))
    assert len(taken) == 3
