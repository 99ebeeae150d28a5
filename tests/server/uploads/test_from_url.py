"""Photos by URL: fetched in turn, with no database connection held, and few of them in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from cutline.errors import FetchFailed
from cutline.server import outbound
from cutline.server.api import uploads
from tests.server.services.process import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "http://93.184.215.14"


def ask(client: Client, *paths: str) -> Any:
    body = json.dumps({"urls": [f"{ADDRESS}/{path}" for path in paths]})
    return client.post("/api/v1/images/from-url", body, content_type="application/json")


@pytest.mark.postgresql
def test_no_connection_to_the_database_is_held_while_others_are_fetched(
    client: Client, monkeypatch: pytest.MonkeyPatch, photo: bytes
) -> None:
    def nobody_else_is_connected() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return bool(cursor.fetchone()[0] == 0)

    def fetch(url: str, *, max_bytes: int) -> tuple[bytes, str]:
        """Somebody else's server, which is silent until nobody who waits for it is connected."""
        wait_until(nobody_else_is_connected, what="the connection of the request")
        connection.close()
        return photo, url.rpartition("/")[2]

    monkeypatch.setattr(uploads, "_FETCHERS", 1)
    monkeypatch.setattr(outbound, "fetch_photo", fetch)
    assert ask(client, "1.jpg", "2.jpg").status_code == 202


def test_answers_stand_in_the_order_of_the_urls_whatever_comes_first(
    client: Client, monkeypatch: pytest.MonkeyPatch, make_photo: Callable[..., bytes]
) -> None:
    def fetch(url: str, *, max_bytes: int) -> tuple[bytes, str]:
        number = int(url.rpartition("/")[2])
        if number % 2:
            raise FetchFailed("The server took too long to answer.")
        return make_photo(number), f"{number}.jpg"

    monkeypatch.setattr(outbound, "fetch_photo", fetch)
    answer = ask(client, *map(str, range(8)))
    items = answer.json()["items"]
    assert [item["file"] for item in items] == [f"{ADDRESS}/{number}" for number in range(8)]
    assert [item["status"] for item in items] == ["created", "failed"] * 4


def test_photos_that_are_not_stored_leave_their_turns(
    client: Client, monkeypatch: pytest.MonkeyPatch, photo: bytes
) -> None:
    def breaks(*words: object, **named: object) -> None:
        raise RuntimeError("a bug")

    client.raise_request_exception = False
    monkeypatch.setattr(outbound, "fetch_photo", lambda url, *, max_bytes: (photo, "x.jpg"))
    monkeypatch.setattr("cutline.server.uploads.services.store_upload", breaks)
    refused: list[Exception] = []
    refusal = outbound._FETCHES._refusal

    def refuse() -> Exception:
        refused.append(refusal())
        return refused[-1]

    monkeypatch.setattr(outbound._FETCHES, "_refusal", refuse)
    assert ask(client, *map(str, range(8))).status_code == 500
    assert not outbound._FETCHES._held
    assert not refused  # nobody waited in vain for a turn that this very request held


def test_one_network_has_few_requests_with_urls_at_once(client: Client, photo: bytes) -> None:
    with ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(uploads._FETCHING.held("address:127.0.0.1"))
        answer = ask(client, "1.jpg")
        assert (answer.status_code, answer["Retry-After"]) == (429, "5")
        assert not answer.cookies  # and nobody new was made for it
