"""A visitor of a running service: HTTP with a cookie jar, and its websocket."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.services.mailbox import Mailbox, link_in
from tests.server.services.process import ANSWERS_S

PASSWORD = "correct horse battery staple"

Event = dict[str, Any]


class Listener:
    """An open websocket, and every event that came over it."""

    def __init__(self, opening: AbstractContextManager[ClientConnection]) -> None:
        self._stack = contextlib.ExitStack()
        self._connection = self._stack.enter_context(opening)
        self.events: list[Event] = []
        self.hello = self._receive(ANSWERS_S)
        assert self.hello["type"] == "hello", self.hello

    @property
    def last(self) -> int:
        """The number of the last event seen; what the server said at the beginning, before there was one."""
        numbers = [event["id"] for event in self.events if event.get("id")]
        return numbers[-1] if numbers else int(self.hello["data"]["last_event"])

    @property
    def cookies(self) -> dict[str, str]:
        """What the handshake's answer set."""
        answer = self._connection.response
        headers = answer.headers.get_all("Set-Cookie") if answer else []
        return {name: morsel.value for header in headers for name, morsel in SimpleCookie(header).items()}

    def wait(self, matches: Callable[[Event], bool], *, timeout_s: float = ANSWERS_S) -> Event:
        """The first event that matches, of those that came and those to come. Raises TimeoutError."""
        for event in self.events:
            if matches(event):
                return event
        end = time.monotonic() + timeout_s
        while True:
            left = end - time.monotonic()
            if left <= 0:
                seen = [event["type"] for event in self.events]
                raise TimeoutError(f"no such event after {timeout_s:g} s, only {seen}")
            event = self._receive(left)
            if event["type"] in ("ping", "pong", "heartbeat"):
                continue
            self.events.append(event)
            if matches(event):
                return event

    def caption_of(self, image: str, *, timeout_s: float = ANSWERS_S) -> Event:
        """Wait for an image's caption."""
        return self.wait(
            lambda event: event["type"] == "caption.ready" and event["data"]["image"] == image,
            timeout_s=timeout_s,
        )

    def drain(self, seconds: float, stop: Callable[[Event], bool] = lambda event: False) -> list[Event]:
        """Everything that came, and comes within so many seconds; until `stop` says so."""
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            self.wait(stop, timeout_s=seconds)
        return self.events

    def close(self) -> None:
        """Leave."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self, timeout_s: float) -> Event:
        event: Event = json.loads(self._connection.recv(timeout=timeout_s))
        return event


class Visitor(httpx.Client):
    """Somebody with a browser's cookies, or a program with a key. Paths are below /api/v1 unless absolute."""

    def __init__(self, url: str, *, key: str = "", headers: Mapping[str, str] | None = None) -> None:
        # As browsers do for 127.0.0.1: Secure cookies travel, too.
        jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        every = dict(headers or {})
        if key:
            every["Authorization"] = f"Bearer {key}"
        # There is no TLS here, and reading everybody's certificates would take longer than most visits.
        super().__init__(
            base_url=f"{url}/api/v1", cookies=jar, headers=every, timeout=ANSWERS_S, verify=False
        )
        self.url = url

    def upload(self, *photos: bytes, **fields: Any) -> list[dict[str, Any]]:
        """Upload photos; the answer's items. Raises AssertionError where it is not 202."""
        files = [("files", (f"photo-{number}.jpg", photo)) for number, photo in enumerate(photos)]
        answer = self.post("/images", files=files, data=fields)
        assert answer.status_code == 202, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def image(self, image: str) -> dict[str, Any]:
        """An image as the API shows it. Raises httpx.HTTPStatusError."""
        found: dict[str, Any] = self.get(f"/images/{image}").raise_for_status().json()
        return found

    def listen(self, *, after: int | None = None) -> Listener:
        """Open the websocket, with our cookies and headers; an anonymous session's cookie is kept."""
        address = self.url.replace("http", "ws", 1) + "/ws" + ("" if after is None else f"?after={after}")
        headers = {
            name: value
            for name, value in self.headers.items()
            if name in ("authorization", "x-forwarded-proto")
        }
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies.jar)
        listener = Listener(
            connect(address, additional_headers=headers, max_size=2**24, open_timeout=ANSWERS_S, proxy=None)
        )
        for name, value in listener.cookies.items():
            self.cookies.set(name, value, domain="127.0.0.1")
        return listener

    def account(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the accounts' API: account("POST", "auth/login", email=..., password=...)."""
        address = f"{self.url}/_allauth/browser/v1/{path}"
        if "csrftoken" not in self.cookies:
            self.get(f"{self.url}/_allauth/browser/v1/config")
        headers = {"X-CSRFToken": self.cookies.get("csrftoken") or "", "Referer": f"{self.url}/"}
        return self.request(method, address, json=body or None, headers=headers)

    def sign_up(self, mailbox: Mailbox, email: str) -> None:
        """Make an account, and follow the link in the mail: signed in then."""
        answer = self.account("POST", "auth/signup", email=email, password=PASSWORD)
        assert answer.status_code == 401, answer.text  # the address is not verified yet
        link = link_in(mailbox.wait_for(email), "verify-email")
        answer = self.account("POST", "auth/email/verify", key=unquote(link.rpartition("/")[2]))
        assert answer.status_code == 200, answer.text

    def new_key(self, *scopes: str, name: str = "a program") -> dict[str, Any]:
        """Make an API key of the account that is signed in; what the API says of it, with the key itself."""
        answer = self.post("/keys", json={"name": name, "scopes": scopes})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made
