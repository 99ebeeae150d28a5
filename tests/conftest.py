"""How the whole suite is run."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import Scheduling

from tests.shares import JOURNEYS, LAPTOP, SERVERS, SERVING, ShareScheduling, place_of, share_of

# Models of tests are so small that threads of torch mostly wait for each other, and keep cores from others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What tests import stays until the end: nobody needs to look through it for garbage, again and again.
gc.disable()

# Who asks for one of these waits for a server or a browser.
_SLOW_FIXTURES = {"browser", "live", "openid", "redis", "service", "store", "things"}
# Who asks for one of these asks another process, whose lines nobody counts: here, counting only takes time.
_ELSEWHERE = {"browser", "live", "run_service", "service", "things"}
# Other tests run the lines that these run, too (of 73,000 branches all but 240): counting only takes time.
_COUNTED_ALREADY = (
    "tests/bulk/test_bulk_command.py",
    "tests/captioning/test_confidence.py",
    "tests/captioning/test_reranking.py",
    "tests/cli/test_caption_end_to_end.py",
    "tests/registry/test_killed_pushes.py",
    "tests/server/api/test_hostile_voices.py",
    "tests/server/api/test_restyle_api.py",
    "tests/server/jobs/test_kills.py",
    "tests/server/test_decoding.py",
    "tests/server/test_privacy_matrix.py",
    "tests/styles/test_golden_texts.py",
    "tests/styles/test_restyling.py",
    "tests/training/test_export.py",
    "tests/training/test_objectives.py",
    "tests/training/test_requantise.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark of what `make test-quick` leaves out."""
    config.addinivalue_line("markers", "slow: starts a server, a browser or a training, or takes long")
    if hasattr(config, "workerinput") and (counting := _counting(config)) is not None:
        # Here pytest-cov begins to count as if this were the first process, begins again as a further one,
        # and goes on with the former whenever `no_cover` stops the latter.
        counting.cov.stop()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs servers or a browser; tests that are slow by themselves say so."""
    asked = set(getattr(item, "fixturenames", ()))
    if asked & _SLOW_FIXTURES or share_of(item.nodeid) in (SERVERS, LAPTOP, JOURNEYS):
        item.add_marker(pytest.mark.slow)
    if asked & _ELSEWHERE or item.nodeid.partition("::")[0] in _COUNTED_ALREADY:
        item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Let the first process alone count the lines that run at import: they are the same in all of them."""
    counting = _counting(session.config)
    if counting is None or os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        return (yield)
    counting.pause()
    try:
        return (yield)
    finally:
        counting.resume()


def _counting(config: pytest.Config) -> Any:
    """What counts the lines that run (pytest-cov's controller), or None."""
    return getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    items.sort(key=lambda item: place_of(item.nodeid))


def pytest_collection_finish() -> None:
    """Leave what was imported alone; from here on garbage is collected."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop a share's services at its end, not at the end of all: even idle ones want a processor."""
    if nextitem is None or share_of(nextitem.nodeid) != share_of(item.nodeid):
        SERVING.close()


def pytest_unconfigure() -> None:
    """End at once: without this, Python would look through all memory before it gives it back."""
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Share the suite between processes in a way that starts each server once."""
    return ShareScheduling(config, log)
