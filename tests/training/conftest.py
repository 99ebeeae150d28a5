"""What the tests of training share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import pytest
import torch

from cutline import atomic_files
from cutline.training import quantise
from tests.server.services.process import ANSWERS_S

P = ParamSpec("P")
T = TypeVar("T")


def uncounted(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, without the tracer that counts lines for coverage."""

    def call(*arguments: P.args, **words: P.kwargs) -> T:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*arguments, **words)
        finally:
            sys.settrace(tracer)

    return call


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tensors as small as a test's gain nothing by a second thread, and wait for it on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
def _uncounted_exporters() -> Iterator[None]:
    """Count no lines of what writes and rewrites graphs: it would take twice as long, and none is ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", uncounted(torch.onnx.export))
        for name in ("quant_pre_process", "quantize_static"):
            patch.setattr(quantise, name, uncounted(getattr(quantise, name)))
        yield
