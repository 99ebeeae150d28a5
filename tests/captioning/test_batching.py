from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tiny_bundle import MakeCaptioner, make_bundle

import cutline
from cutline.captioning.batching import MicroBatcher
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.protocol import ModelInfo
from cutline.errors import CaptionerUnavailable, OptionError, UnreadableImage
from tests.server.services.process import ANSWERS_S, wait_until

PATIENT_MS = 60_000.0
FOREVER_MS = 1e9


class Recording:
    """A captioner that notes the sizes of its batches, writes each photo's colour, and fails on red."""

    name, version = "recording", "1"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.kinds: list[tuple[int, DecodingOptions | None]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_at_gate = threading.Event()

    def about(self) -> ModelInfo:
        return ModelInfo(name=self.name, version=self.version, bundle_hash="1" * 64)

    def caption(
        self, images: Sequence[Image.Image], *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[cutline.Caption]]:
        self.is_at_gate.set()
        self.gate.wait(ANSWERS_S)
        self.batches.append(len(images))
        self.kinds.append((n, options))
        colours = [image.getpixel((0, 0)) for image in images]
        if (255, 0, 0) in colours:
            raise OptionError("red")
        return [[cutline.Caption(text=str(colour), log_prob=0.0)] * n for colour in colours]


def at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Run calls on threads of their own; an error is the outcome."""

    def outcome(call: Callable[[], object]) -> object:
        try:
            return call()
        except cutline.CutlineError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def photo(red: int, green: int = 1) -> Image.Image:
    return Image.new("RGB", (4, 4), (red, green, 0))


def asks(batcher: MicroBatcher, image: object, **settings: object) -> Callable[[], object]:
    return lambda: batcher.caption(image, **settings)[0][0].text


def test_threads_share_one_pass_and_each_gets_its_own_answer() -> None:
    inner = Recording()
    with MicroBatcher(inner, max_batch=6, max_wait_ms=PATIENT_MS) as batcher:
        found = at_once([asks(batcher, photo(i)) for i in range(6)])
    assert found == [f"({i}, 1, 0)" for i in range(6)]
    assert inner.batches == [6]


def test_a_batch_waits_no_longer_than_told() -> None:
    with MicroBatcher(Recording(), max_batch=100, max_wait_ms=50) as batcher, ThreadPoolExecutor(1) as pool:
        assert pool.submit(asks(batcher, photo(1))).result(ANSWERS_S) == "(1, 1, 0)"


def test_a_lone_caller_waits_for_nobody_where_it_is_known_that_nobody_comes() -> None:
    batcher = MicroBatcher(Recording(), max_batch=100, max_wait_ms=FOREVER_MS, expects=lambda: 0)
    with batcher, ThreadPoolExecutor(1) as pool:
        assert pool.submit(asks(batcher, photo(1))).result(ANSWERS_S) == "(1, 1, 0)"


def test_a_batch_waits_for_those_that_are_about_to_ask() -> None:
    first, second = photo(1), photo(2)
    coming, waits = [1], threading.Event()

    class Reading(Recording):
        def prepare(self, image: Image.Image) -> Image.Image:
            """Whoever has come is read, and awaited no more."""
            if image is second:
                coming[0] = 0
            return image

    def expects() -> int:
        waits.set()
        return coming[0]

    inner = Reading()
    with MicroBatcher(inner, max_batch=100, max_wait_ms=PATIENT_MS, expects=expects) as batcher:

        def late() -> object:
            assert waits.wait(ANSWERS_S)  # the first one's batch could begin, and does not
            return asks(batcher, second)()

        assert at_once([asks(batcher, first), late]) == ["(1, 1, 0)", "(2, 1, 0)"]
    assert inner.batches == [2]


def test_no_batch_is_larger_than_told_and_nobody_is_forgotten() -> None:
    inner = Recording()
    inner.gate.clear()
    with MicroBatcher(inner, max_batch=4, max_wait_ms=20) as batcher:
        threading.Timer(0.2, inner.gate.set).start()
        found = at_once([asks(batcher, photo(i)) for i in range(11)])
    assert found == [f"({i}, 1, 0)" for i in range(11)]
    assert sum(inner.batches) == 11
    assert max(inner.batches) <= 4


def test_what_is_asked_differently_is_never_mixed() -> None:
    inner = Recording()
    greedy = DecodingOptions(strategy=Strategy.GREEDY)
    with MicroBatcher(inner, max_batch=8, max_wait_ms=100) as batcher:
        calls = [asks(batcher, photo(i), n=1 + i % 2, options=greedy if i < 4 else None) for i in range(8)]
        found = at_once(calls)
    assert found == [f"({i}, 1, 0)" for i in range(8)]
    assert set(inner.kinds) == {(1, greedy), (2, greedy), (1, None), (2, None)}


def test_a_bad_image_fails_its_own_caller_alone() -> None:
    inner = Recording()
    with MicroBatcher(inner, max_batch=4, max_wait_ms=200) as batcher:
        images = [photo(1), photo(255, 0), b"not an image", photo(2)]
        good, red, unreadable, also_good = at_once([asks(batcher, each) for each in images])
    assert (good, also_good) == ("(1, 1, 0)", "(2, 1, 0)")
    assert isinstance(red, OptionError)
    assert isinstance(unreadable, UnreadableImage)


def test_closing_answers_what_was_asked_and_refuses_what_comes_after() -> None:
    inner = Recording()
    inner.gate.clear()
    batcher = MicroBatcher(inner, max_batch=2, max_wait_ms=PATIENT_MS)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(asks(batcher, photo(i))) for i in range(5)]
        assert inner.is_at_gate.wait(ANSWERS_S)  # two of the five run
        wait_until(lambda: batcher._jobs.qsize() == 3, what="the other three")
        closing = threading.Thread(target=batcher.close)
        closing.start()
        inner.gate.set()
        assert [each.result(ANSWERS_S) for each in waiting] == [f"({i}, 1, 0)" for i in range(5)]
        closing.join(ANSWERS_S)
    batcher.close()
    with pytest.raises(CaptionerUnavailable, match="closed"):
        batcher.caption(photo(1))
    assert not batcher._thread.is_alive()


def test_it_is_a_captioner_and_gives_a_bundles_own_captions(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    inner = make_captioner()
    wanted = [each[0].text for each in inner.caption(photos)]
    with MicroBatcher(inner, max_batch=4, max_wait_ms=20) as batcher:
        assert isinstance(batcher, cutline.Captioner)
        assert (batcher.name, batcher.version) == (inner.name, inner.version)
        assert batcher.about() == inner.about()
        assert at_once([asks(batcher, each) for each in photos]) == wanted
        assert [each[0].text for each in batcher.caption(photos)] == wanted


def test_a_program_that_ends_while_photos_are_captioned_ends_in_order(tmp_path: Path) -> None:
    """Threads that are inside a model when Python ends would take it down with a signal."""
    program = """
import sys, threading
import cutline
from cutline.captioning.batching import MicroBatcher
from PIL import Image

batcher, photo, begun = MicroBatcher(cutline.load(sys.argv[1])), Image.new("RGB", (64, 64)), threading.Event()

def ask():
    while True:
        batcher.caption([photo] * 8)
        begun.set()

threading.Thread(target=ask, daemon=True).start()
begun.wait()
"""
    model = make_bundle(tmp_path / "tiny")
    done = subprocess.run([sys.executable, "-c", program, model], capture_output=True, timeout=ANSWERS_S)
    assert done.returncode == 0, done.stderr
