"""docs/guide/api.md: every example in it is run, in its order, against a running service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutline.server.people.keys import EVERYBODYS, Scope
from cutline.server.webhooks import signing
from tests.server.services.mailbox import Mailbox
from tests.server.services.process import ANSWERS_S
from tests.server.services.service import Service

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guide/api.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The examples in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def key(live: Service, mailbox: Mailbox) -> str:
    """A key that may do everything."""
    with live.visitor() as visitor:
        visitor.sign_up(mailbox, f"guide-{live.port}@example.org")
        return str(visitor.new_key(*EVERYBODYS)["key"])


@pytest.fixture
def environment(live: Service, key: str, tmp_path: Path, photo: bytes) -> dict[str, str]:
    """Where the service is, and the key."""
    (tmp_path / "photo.jpg").write_bytes(photo)
    return {"CUTLINE": live.url, "KEY": key}


def test_the_examples_in_python_run(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    try:
        exec("\n".join(blocks("python")), names)
        secret, is_ours = names["secret"], names["is_ours"]
        assert isinstance(secret, str)
        assert callable(is_ours)
        body = b'{"type": "caption.ready"}'
        now = int(time.time())
        headers = signing.headers([secret], message_id="m", timestamp=now, body=body)
        assert is_ours(secret, headers, body)
        assert not is_ours(secret, headers, body + b" ")
        old = signing.headers([secret], message_id="m", timestamp=now - 600, body=body)
        assert not is_ours(secret, old, body)
    finally:
        if (api := names.get("api")) is not None:
            api.close()  # type: ignore[attr-defined]


def test_the_examples_in_the_shell_run(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-ec", "\n".join(blocks("sh"))],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=ANSWERS_S,
    )
    assert done.returncode == 0, done.stderr
    photo, streamed, inline, *answers = _documents(done.stdout)
    assert photo["captions"][0]["text"]
    assert photo == streamed == inline
    assert answers[0]["items"][0]["caption"]
    assert answers[1]["items"]
    assert answers[2] == answers[3]


def _documents(text: str) -> Iterator[Any]:
    """JSON documents, one behind the other."""
    while text := text.strip():
        found, end = json.JSONDecoder().raw_decode(text)
        yield found
        text = text[end:]


def test_the_answers_that_it_shows_are_of_this_form() -> None:
    for example in blocks("json"):
        assert set(json.loads(example)) == {"captions", "model"}


def test_every_scope_is_explained() -> None:
    for scope in Scope:
        assert f"| `{scope}` |" in GUIDE, scope
