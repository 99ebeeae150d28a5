from __future__ import annotations

from collections.abc import Iterator

import pytest

from cutline.server.jobs import hints


@pytest.fixture
def hints_heard() -> Iterator[list[int]]:
    """Grows by one with each hint."""
    heard: list[int] = []
    hints.listen(lambda: heard.append(1))
    yield heard
    hints.listen(None)


@pytest.fixture(autouse=True)
def _nobody_works() -> Iterator[None]:
    """Hints of these tests reach no broker."""
    hints.listen(lambda: None)
    yield
    hints.listen(None)
