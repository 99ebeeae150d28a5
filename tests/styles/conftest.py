from __future__ import annotations

from collections.abc import Iterator

import pytest

from cutline.chat import KEY_FILE_VARIABLE, KEY_VARIABLES
from tests.chat_server import ChatServer, chat_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    for name in (*KEY_VARIABLES, KEY_FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    with chat_server() as running:
        yield running
