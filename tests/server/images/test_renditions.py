"""When the files that are shown are made: not while others wait for captions, and not never."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, Queue
from uuid import UUID, uuid4

import pytest

from cutline.server import captioner
from cutline.server.images import renditions
from cutline.server.images.renditions import _Renderer

pytestmark = [pytest.mark.django_db]


@pytest.fixture
def renderer() -> tuple[Callable[[UUID], None], Queue[UUID]]:
    """Where to hand an image in, and what was made."""
    made: Queue[UUID] = Queue()
    return _Renderer(made.put).add, made


def test_renditions_wait_while_the_process_writes_captions(
    renderer: tuple[Callable[[UUID], None], Queue[UUID]],
) -> None:
    add, made = renderer
    image = uuid4()
    with captioner.about_to_ask():
        add(image)
        with pytest.raises(Empty):
            made.get(timeout=1.0)
    assert made.get(timeout=20) == image


def test_where_captions_never_cease_renditions_come_all_the_same(
    renderer: tuple[Callable[[UUID], None], Queue[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renditions, "_MOST_WAIT_S", 0.3)
    add, made = renderer
    image = uuid4()
    with captioner.about_to_ask():
        add(image)
        assert made.get(timeout=20) == image
