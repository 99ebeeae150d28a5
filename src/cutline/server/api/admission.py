"""ASGI middleware before Django that admits requests: whose body, how large, and how slow.

Django keeps a body, on disk where it is large, before it looks at whose it is. So what is large, or does not
come at once, is let in here first: its key or session works, its rate is not used up, and it is not more than
its sender may send.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import MutableMapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connections
from django.http import HttpRequest

from cutline.errors import CutlineError
from cutline.server.api import limits
from cutline.server.api.asgi_types import App, Receive, Scope, Send
from cutline.server.api.body_limits import (
    LIST_BYTES,
    BodyLimit,
    JsonCount,
    PartCount,
    limit_of,
    part_count_of,
    too_large,
)
from cutline.server.api.parsing import FILE_FIELDS, check_type, is_binary, is_compressed, not_json
from cutline.server.api.problems import database_away, problem
from cutline.server.api.turns import TURNS, Stopped
from cutline.server.config import settings
from cutline.server.errors import (
    Malformed,
    RequestTooLarge,
    ServiceUnavailable,
    TooManyRequests,
    TooSlow,
    Unauthenticated,
)
from cutline.server.people.viewers import address_of_scope, viewer_of_scope
from cutline.server.rates import RateLimited, Standing, network_of
from cutline.server.shares import Pace, Tally

DRAIN_BYTES = 64 * 2**20
DRAIN_S = 5.0
LEAST_FREE_BYTES = 512 * 2**20  # of the disk that bodies are kept on
_SMALL_BYTES = 64 * 2**10  # a body that comes at once and is no larger is not looked at before Django does
_LEAST_BYTES_PER_S = 8 * 2**10
_LOOK_EVERY_BYTES = 16 * 2**20  # at the disk
_UNMARKED = ("/healthz", "/readyz")  # are counted with connections alone

_REQUESTS = Tally(
    "requests",
    total=lambda: settings().max_connections,
    each=lambda: settings().max_connections // 4,
)
_BODIES = Tally(
    "request bodies",
    total=lambda: settings().max_connections // 2,
    each=lambda: settings().max_connections // 8,
)
_BYTES = Tally(
    "bytes of request bodies",
    total=lambda: 4 * settings().max_bulk_bytes,
    each=lambda: settings().max_bulk_bytes + LIST_BYTES,
)
_BYTES_ANONYMOUS = Tally(
    "bytes of request bodies",
    total=lambda: 4 * settings().max_bulk_bytes,
    each=lambda: 2 * max(settings().max_body_bytes_anonymous, settings().max_upload_bytes) + LIST_BYTES,
)
_HEARD_OUT = Pace(32 * 2**20)  # bytes of all who are only heard out, so that others do not notice
_FLOW = Pace(16 * 2**20, at_once=4 * 2**20)  # bytes of one network's large bodies, while others ask, too
_ACCOUNTS = ("/_allauth/", "/accounts/", "/admin/")
_ADMITTED = "cutline.admitted"  # in the scope of a request


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that was let in with its body on its way: counted, with so much of its rate left."""

    standing: Standing | None
    names: tuple[str, ...]
    anonymous: bool


def admitted_of(request: HttpRequest) -> Admitted | None:
    """How a request was let in; None where nobody has counted it yet."""
    scope: MutableMapping[str, Any] = getattr(request, "scope", {})  # none under WSGI
    found = scope.get(_ADMITTED)
    return found if isinstance(found, Admitted) else None


def admission(app: App) -> App:
    """Wrap an ASGI application: what its body forbids is answered at once, and never reaches it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = _Body(scope, receive)
        with body.held:
            try:
                await body.begin()
                await app(scope, body.receive, body.noting(send))
            except Stopped as stopped:
                if body.is_answered:
                    raise
                await _refuse(receive, body.noting(send), stopped.error, is_whole=body.is_whole)

    return answer


class _Body:
    """The body of one request: counted as it comes, stopped where it is too much or too slow."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._limit = self._allowed(anonymous=False)
        path, encoding = scope["path"], self._headers.get(b"content-encoding", "")
        most_nodes = None if path.startswith("/api/") and is_compressed(encoding) else self._limit.nodes
        self._json = None if most_nodes is None else JsonCount(most_nodes)
        self._parts: PartCount | None = None
        self._admitted: Admitted | None = None
        self._first: MutableMapping[str, Any] | None = None
        self._seen = 0
        self._is_binary = False
        self._kept = self._looked_at = 0
        self._began: float | None = None  # when it was first waited for
        self.held = ExitStack()  # what this request uses, given back when it ends
        self.is_whole = False
        self.is_answered = False

    async def begin(self) -> None:
        """Check what can be known before the body: raises Stopped."""
        try:
            self._check_head()
            if self._scope["path"].startswith(_ACCOUNTS):
                address = address_of_scope(self._scope)
                await sync_to_async(limits.count_accounts, thread_sensitive=False)(address)
            if self._declared() > _SMALL_BYTES or b"transfer-encoding" in self._headers:
                await self._admit()
            else:
                self._first = await self.receive()
                if self._first.get("more_body"):
                    await self._admit()
        except CutlineError as error:
            raise Stopped(error) from error
        except (OperationalError, InterfaceError) as error:
            raise Stopped(database_away(error)) from error

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message. Raises Stopped."""
        if self._first is not None:
            message, self._first = self._first, None
            return message
        if self.is_whole:
            return await self._receive()
        try:
            message = await self._in_time()
            self.is_whole = not message.get("more_body", False)
            self._count(message.get("body", b""))
            await self._flow(len(message.get("body", b"")))
        except CutlineError as error:
            raise Stopped(error) from error
        return message

    def noting(self, send: Send) -> Send:
        """Send, and note that the answer has begun. A client that asks too often waits for being told so."""

        async def noted(message: MutableMapping[str, Any]) -> None:
            self.is_answered = True
            if message.get("status") == TooManyRequests.http_status:
                await asyncio.sleep(limits.refusal_wait_s(self._network()))
            await send(message)

        return noted

    def _check_head(self) -> None:
        try:
            self._scope.get("query_string", b"").decode()
        except UnicodeDecodeError as error:
            raise Malformed("The query string is not valid UTF-8.") from error
        try:
            self._parts = part_count_of(self._headers.get(b"content-type", ""))
        except (ValueError, LookupError) as error:
            raise Malformed("The Content-Type cannot be read.") from error
        if self._declared() > self._limit.bytes:
            self._check_type()
            raise self._too_large()
        if self._scope["path"] not in _UNMARKED:
            self.held.enter_context(_REQUESTS.held(self._network()))

    def _check_type(self) -> None:
        """Refuse a large file that no form holds, for what it is and not for its size."""
        if self._scope["path"] in FILE_FIELDS:
            encoding = self._headers.get(b"content-encoding", "")
            check_type(self._kind(), encoding, path=self._scope["path"])

    def _too_large(self) -> RequestTooLarge:
        return too_large(self._limit, path=self._scope["path"], kind=self._kind())

    def _kind(self) -> str:
        return str(self._headers.get(b"content-type", "")).partition(";")[0].strip().lower()

    def _declared(self) -> int:
        declared = self._headers.get(b"content-length", "")
        return int(declared) if declared.isdecimal() else 0

    def _network(self) -> str:
        return f"address:{network_of(address_of_scope(self._scope))}"

    def _allowed(self, *, anonymous: bool) -> BodyLimit:
        return limit_of(
            self._scope["path"],
            self._headers.get(b"content-type", ""),
            method=self._scope.get("method", "POST"),
            anonymous=anonymous,
        )

    async def _admit(self) -> None:
        """Let in a body that is large, or not here yet. Raises what refuses it."""
        self._check_type()
        names = [self._network()]
        if self._scope["path"].startswith("/api/"):
            self._admitted = await sync_to_async(_look, thread_sensitive=False)(self._scope)
            self._scope[_ADMITTED] = self._admitted
            names = [*self._admitted.names]
            self._limit = self._allowed(anonymous=self._admitted.anonymous)
            if max(self._declared(), self._seen) > self._limit.bytes:
                raise self._too_large()
        self.held.enter_context(_BODIES.held(*names))
        self.held.callback(self._give_back_room)

    async def _in_time(self) -> MutableMapping[str, Any]:
        now = asyncio.get_running_loop().time()
        self._began = now if self._began is None else self._began
        try:
            async with asyncio.timeout_at(
                self._began + settings().body_timeout_s + self._seen / _LEAST_BYTES_PER_S
            ):
                return await self._receive()
        except TimeoutError as error:
            raise TooSlow("The body of the request did not arrive in time.", hint="Send it again.") from error

    def _count(self, chunk: bytes) -> None:
        if self._seen == 0:
            self._is_binary = is_binary(chunk)
        self._seen += len(chunk)
        if self._seen > self._limit.bytes:
            raise self._too_large()
        if self._json is not None:
            try:
                self._json.feed(chunk)
            except (Malformed, RequestTooLarge) as error:
                if self._is_binary:  # a file without a type, whose bytes look like too much JSON
                    raise not_json(self._scope["path"]) from error
                raise
        if self._parts is not None:
            self._parts.feed(chunk)
        if self._admitted is not None and chunk:
            self._keep_room(len(chunk))

    async def _flow(self, size_bytes: int) -> None:
        """Take a large body no faster than the loop can take it beside what others send."""
        if self._admitted is not None and TURNS.is_shared():
            await asyncio.sleep(_FLOW.wait_s(self._network(), size_bytes))

    def _keep_room(self, size_bytes: int) -> None:
        """See that there is room for what Django keeps of the body."""
        assert self._admitted is not None
        self._tally().take(*self._admitted.names, amount=size_bytes)
        self._kept += size_bytes
        if self._seen - self._looked_at >= _LOOK_EVERY_BYTES:
            self._looked_at = self._seen
            if shutil.disk_usage(tempfile.gettempdir()).free < LEAST_FREE_BYTES:
                raise ServiceUnavailable("There is no room for large requests.", hint="Try again later.")

    def _give_back_room(self) -> None:
        if self._admitted is not None:
            self._tally().give_back(*self._admitted.names, amount=self._kept)

    def _tally(self) -> Tally:
        return _BYTES_ANONYMOUS if self._admitted and self._admitted.anonymous else _BYTES


def _look(scope: Scope) -> Admitted:
    """Who sends a request, counted against their rate. Raises Unauthenticated and RateLimited."""
    try:
        viewer = viewer_of_scope(scope)
    except Unauthenticated:
        limits.count_address(address_of_scope(scope))  # whoever guesses keys is counted by address
        raise
    else:
        return Admitted(
            standing=limits.count(viewer, method=scope["method"], path=scope["path"]),
            names=limits.payer_of(viewer).names,
            anonymous=viewer.user_id is None,
        )
    finally:
        connections.close_all()  # the body may take long to come


async def _refuse(receive: Receive, send: Send, error: CutlineError, *, is_whole: bool) -> None:
    """Answer at once, then let the client finish for a while: one that is cut off never reads why.

    is_whole: its body is here. One that was too slow has had its time.
    """
    response = problem(HttpRequest(), error)
    if isinstance(error, RateLimited):
        error.standing.write(response)
    response["Content-Length"] = str(len(response.content))
    response["Connection"] = "close"
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content, "more_body": True})
    if not is_whole and not isinstance(error, TooSlow):
        await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    drained = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while drained < DRAIN_BYTES:
                message = await receive()
                size_bytes = len(message.get("body", b""))
                drained += size_bytes
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                await asyncio.sleep(_HEARD_OUT.wait_s(amount=size_bytes))
