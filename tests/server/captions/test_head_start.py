from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from PIL import Image

import cutline
from cutline.server import captioner
from cutline.server.captioner import Wanted
from cutline.server.captions.head_start import HeadStarts
from cutline.server.jobs import hints
from tests.server.services.process import wait_until


@pytest.fixture
def heard() -> Iterator[None]:
    """As where workers are threads of this process."""
    hints.listen(lambda: None)
    yield
    hints.listen(None)


def picture() -> Image.Image:
    return Image.new("RGB", (64, 48), (200, 30, 30))


def wait_until_idle() -> None:
    wait_until(captioner.is_idle, what="a captioner without work")


def asked(**options: object) -> Wanted:
    return captioner.wanted(options, n=3)


def test_what_was_begun_is_what_the_job_would_have_written(heard: None) -> None:
    starts, image_id = HeadStarts(), uuid4()
    wait_until_idle()
    starts.begin(image_id, picture(), {"n": 2})
    begun = starts.take(image_id, asked(n=2))
    assert begun is not None
    expected = captioner.write(picture(), asked(n=2))
    assert [each.text for each in begun.result().captions] == [each.text for each in expected.captions]
    assert begun.result().model == expected.model
    assert starts.take(image_id, asked(n=2)) is None


def test_a_job_that_wants_something_else_begins_anew(heard: None) -> None:
    starts, image_id = HeadStarts(), uuid4()
    wait_until_idle()
    starts.begin(image_id, picture(), {"n": 2})
    assert starts.take(image_id, asked(n=2, strategy="sample", seed=1)) is None


def test_nothing_is_begun_where_the_job_goes_to_another_process() -> None:
    starts, image_id = HeadStarts(), uuid4()
    starts.begin(image_id, picture(), {})
    assert starts.take(image_id, asked()) is None


def test_nothing_is_begun_while_others_wait_for_the_model(heard: None) -> None:
    starts, image_id = HeadStarts(), uuid4()
    with captioner.about_to_ask():
        starts.begin(image_id, picture(), {})
    assert starts.take(image_id, asked()) is None


def test_what_makes_no_sense_is_left_for_its_job_to_say(heard: None) -> None:
    starts, image_id = HeadStarts(), uuid4()
    starts.begin(image_id, picture(), {"strategy": "greedy", "n": 3})
    assert starts.take(image_id, asked()) is None


def test_uploads_that_came_to_nothing_leave_little_behind(
    heard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = HeadStarts()
    first = uuid4()
    wait_until_idle()
    starts.begin(first, picture(), {})
    for _ in range(20):
        wait_until_idle()
        starts.begin(uuid4(), picture(), {})
    assert starts.take(first, asked()) is None


def test_the_captioner_is_busy_while_it_writes() -> None:
    wait_until_idle()
    seen: list[bool] = []

    class Slow:
        name, version = "slow", "1"

        def about(self) -> captioner.ModelInfo:
            return captioner.ModelInfo(name=self.name, version=self.version)

        def caption(self, images: object, **_: object) -> list[list[cutline.Caption]]:
            seen.append(captioner.is_idle())
            return [[cutline.Caption(text="a", log_prob=0.0)]]

    captioner._Measured(Slow()).caption([picture()])  # type: ignore[arg-type]
    assert seen == [False]
    wait_until_idle()  # what another test began may only now be at work
