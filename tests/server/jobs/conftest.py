from __future__ import annotations

from collections.abc import Iterator

import pytest

from cutline.server.jobs import hints


@pytest.fixture(autouse=True)
def _nobody_works() -> Iterator[None]:
    """Hints of these tests reach no broker."""
    hints.listen(lambda: None)
    yield
    hints.listen(None)
