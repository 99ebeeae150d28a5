"""What the tests of training share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from cutline import atomic_files
from cutline.training import encoders
from cutline.training.encoders import load_efficientnet_lite
from tests.server.services.process import ANSWERS_S
from tests.training.exporters import quick_exporters


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tensors as small as a test's gain nothing by a second thread, and wait for it on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shallow_encoder() -> Iterator[None]:
    """EfficientNet-Lite without the nine of its sixteen blocks that only add to what they are given.

    It still sees, and its graphs, in all of what trainings write, have half of the nodes.
    """

    def load(name: str) -> encoders.EfficientNetLite:
        network = load_efficientnet_lite(name)
        for part in (network.stem, network.tail):
            for place, block in reversed(list(enumerate(part))):
                if getattr(block, "residual", False):
                    del part[place]
        return network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "load_efficientnet_lite", load)
        yield


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], threading.Thread]:
    """Begin work in a thread, and go on when it waits for somebody's lock or has ended."""
    stands = threading.Event()
    monkeypatch.setattr(atomic_files.logger, "info", lambda *_: stands.set())

    def begin(work: Callable[[], object]) -> threading.Thread:
        def to_its_end() -> None:
            try:
                work()
            finally:
                stands.set()

        thread = threading.Thread(target=to_its_end)
        thread.start()
        assert stands.wait(ANSWERS_S)
        return thread

    return begin


@pytest.fixture(scope="session", autouse=True)
def _quick_exporters() -> Iterator[None]:
    with quick_exporters():
        yield
