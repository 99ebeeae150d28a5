from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import count

import pytest

from cutline.captioning import golden
from cutline.captioning.protocol import Caption, ModelInfo, as_list
from cutline.errors import ImageError, VersionRefused

GOOD = ["a cat on a mat", "a man with a hat", "a red boat", "two dogs", "a plate of food", "a white bird"]


class Saying:
    """A captioner that says one thing for each golden photo, or what a function gives."""

    name, version = "saying", "1"

    def __init__(self, say: Callable[[str, int], str], log_prob: float = -1.0) -> None:
        self._say, self._log_prob, self._calls = say, log_prob, count()

    def about(self) -> ModelInfo:
        return ModelInfo(name=self.name, version=self.version)

    def caption(self, images: object, *, n: int = 1, options: object = None) -> list[list[Caption]]:
        call = next(self._calls)
        texts = [self._say(str(image), call) for image in as_list(images)]  # type: ignore[arg-type]
        return [[Caption(text=text, log_prob=self._log_prob, token_log_probs=(-1.0,))] for text in texts]


def place(path: str) -> int:
    return [str(each) for each in golden.photos()].index(path)


def saying(texts: Sequence[str], **more: float) -> Saying:
    return Saying(lambda path, call: texts[place(path)], **more)


def test_a_sound_model_passes_and_tells_its_captions() -> None:
    told = golden.check(saying(GOOD))
    assert list(told.values()) == GOOD
    assert golden.check(saying(GOOD), expected=told) == told


@pytest.mark.parametrize(
    "captioner",
    [
        saying([*GOOD[:5], ""]),
        saying([*GOOD[:5], "cat"]),
        saying([*GOOD[:5], "a dog dog dog"]),
        saying(["a cat on a mat"] * 6),
        saying(GOOD, log_prob=math.nan),
        Saying(lambda path, call: GOOD[(place(path) + call) % 6]),
    ],
)
def test_a_broken_model_is_refused(captioner: Saying) -> None:
    with pytest.raises(VersionRefused, match="golden photos"):
        golden.check(captioner)


@pytest.mark.parametrize("error", [ImageError("no"), RuntimeError("graph")])
def test_a_model_that_fails_is_refused_with_the_reason(error: Exception) -> None:
    def fail(path: str, call: int) -> str:
        raise error

    with pytest.raises(VersionRefused, match="cannot be captioned"):
        golden.check(Saying(fail))


def test_a_model_that_says_something_else_than_recorded_is_refused() -> None:
    expected = {path.name: "something else" for path in golden.photos()[:2]}
    with pytest.raises(VersionRefused, match="0 of 2"):
        golden.check(saying(GOOD), expected=expected)
