"""/ws: what happens to the viewer's things, live, and what happened while they were away.

The group of the owner only wakes and carries; the table of events is the truth. What a broken channel layer
lost is found at the next heartbeat.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings as django_settings
from django.db import InterfaceError, OperationalError
from django.http.request import split_domain_port, validate_host

from cutline.errors import CutlineError
from cutline.server import security_log
from cutline.server.api import limits
from cutline.server.api.auth import same_origin
from cutline.server.api.problems import PROBLEM_JSON, log_refusal, problem_fields
from cutline.server.api.turns import TURNS
from cutline.server.captions.live_words import TYPE as WORDS
from cutline.server.config import settings
from cutline.server.errors import (
    CrossOrigin,
    Malformed,
    NotFound,
    ScopeMissing,
    ServiceUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from cutline.server.events import selectors
from cutline.server.events.channel import group_of
from cutline.server.people.keys import WEBSOCKETS
from cutline.server.people.viewers import (
    Viewer,
    address_of_scope,
    scope_of_ticket,
    start_session,
    viewer_of_scope,
    with_session,
)
from cutline.server.rates import network_of
from cutline.server.shares import Tally

HEARTBEAT_S = 20.0
RECHECK_S = 0.3
RECENT_S = 60.0
REPLAY_LIMIT = 1000
QUEUE_LIMIT = 2000  # messages that a slow reader may be behind
SCOPE = "images:read"
MOST_OF_OWNER = 32
MOST_BEATS = 12 * 180  # half a day: then a client opens another, and resumes

# Why a socket was closed; 4000 to 4999 are free for applications (RFC 6455).
SIGNED_OUT = 4401
TOO_SLOW = 4408
GOING_AWAY = 1001

_SOCKETS = Tally(
    "websockets",
    total=lambda: settings().max_connections,
    each=lambda: settings().max_connections // 4,
)
_OF_OWNERS = Tally("websockets", total=lambda: settings().max_connections, each=lambda: MOST_OF_OWNER)

log = logging.getLogger(__name__)


class EventConsumer(AsyncWebsocketConsumer):
    """The websocket of one client: a page or a program."""

    viewer: Viewer
    group: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a websocket from its beginning to its end."""
        with ExitStack() as self.held:
            await super().__call__(scope, receive, send)

    async def websocket_connect(self, message: Mapping[str, Any]) -> None:
        """Let in who may listen, say hello, and give what they missed; refuse others with a problem."""
        self.last = 0
        self.closing = False
        self.outgoing: asyncio.Queue[str] = asyncio.Queue(QUEUE_LIMIT)
        self.tasks: list[asyncio.Task[None]] = []
        try:
            if self.scope["path"] != WEBSOCKETS:
                raise NotFound("There is no websocket at this address.", hint=f"It is at {WEBSOCKETS}.")
            network = network_of(address_of_scope(self.scope))
            self.held.enter_context(_SOCKETS.held(f"address:{network}"))
            check_origin(self.scope)
            after = _after(self.scope)
            async with TURNS.taken(network):
                scope: Any = await database_sync_to_async(_admit)(self.scope)
                self.scope = scope
                self.viewer, session_key = await database_sync_to_async(_enter)(self.scope)
            self.held.enter_context(_OF_OWNERS.held(f"owner:{self.viewer.owner_id}"))
        except CutlineError as error:
            await refuse(self.scope, self.base_send, error)
            raise StopConsumer from error
        except (OperationalError, InterfaceError) as error:
            log.error("The database did not answer", exc_info=error)
            away = ServiceUnavailable("The database is not reachable.", hint="Try again in a moment.")
            await refuse(self.scope, self.base_send, away)
            raise StopConsumer from error
        assert self.viewer.owner_id is not None
        self.group = group_of(self.viewer.owner_id)
        # Join before reading what was missed: what comes between is seen twice, and sent once.
        await self._join()
        accept: Any = {"type": "websocket.accept", "subprotocol": None, "headers": []}
        if session_key:
            accept["headers"].append((b"set-cookie", _cookie_of(session_key)))
            scope = with_session(self.scope, session_key)  # each heartbeat asks for it
            self.scope = scope
        await self.base_send(accept)
        newest, replay = await database_sync_to_async(_missed)(self.viewer, after)
        self._put(
            {
                "type": "hello",
                "data": {
                    "owner": str(self.viewer.owner_id),
                    "last_event": newest,
                    "heartbeat_s": HEARTBEAT_S,
                },
            }
        )
        self.last = replay.last
        if replay.reset:
            self.last = newest
            self._put({"type": "reset", "data": {"last_event": newest}})
        else:
            for each in replay.messages:
                self._put(each)
        self.tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._beat())]

    async def event(self, message: Mapping[str, Any]) -> None:
        """An event was committed. Numbers grow in the order of commits; messages may overtake."""
        event = message["event"]
        if event["id"] <= self.last:
            return
        if message["previous"] == self.last:
            self._send_event(event)
        else:
            await self._catch_up()

    async def words(self, message: Mapping[str, Any]) -> None:
        """Words of a caption that is being written. They are not recorded: who misses some gets the next."""
        self._put({"type": WORDS, "data": message["data"]})

    def _send_event(self, event: Mapping[str, Any]) -> None:
        self.last = event["id"]
        self._put(event)

    async def _catch_up(self) -> None:
        """Send what the table has and this socket did not get."""
        assert self.viewer.owner_id is not None
        missed = await database_sync_to_async(selectors.newer)(
            self.viewer.owner_id, self.last, limit=REPLAY_LIMIT
        )
        for each in missed:
            if each["id"] > self.last:
                self._send_event(each)

    async def recheck(self, message: Mapping[str, Any]) -> None:
        """Somebody signs out or revokes a key: in a moment, may this socket still listen?"""
        self.tasks.append(asyncio.create_task(self._recheck_soon()))

    async def _recheck_soon(self) -> None:
        await asyncio.sleep(RECHECK_S)  # the word comes just before the session is gone
        await self._recheck()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a client's ping; there is nothing else to say to us."""
        if text_data is not None and len(text_data) < 100 and _is_ping(text_data):
            self._put({"type": "pong"})

    async def websocket_disconnect(self, message: Mapping[str, Any]) -> None:
        """Leave the group and stop the tasks of this socket."""
        for task in self.tasks:
            task.cancel()
        if hasattr(self, "group"):
            try:
                await self.channel_layer.group_discard(self.group, self.channel_name)
            except Exception as error:  # the layer is away: it forgets by itself
                log.warning("A socket could not leave its group: %s", error)
        raise StopConsumer

    def _put(self, message: Mapping[str, Any]) -> None:
        """Hand a message to the writer. Whoever is too far behind is let go: they can resume."""
        if self.closing:
            return
        try:
            self.outgoing.put_nowait(json.dumps(message))
        except asyncio.QueueFull:
            self._close_soon(TOO_SLOW, "resume with after=N")

    def _close_soon(self, code: int, reason: str) -> None:
        """Send nothing more, and close as soon as the client reads again."""
        if self.closing:
            return
        self.closing = True
        while not self.outgoing.empty():
            self.outgoing.get_nowait()
        for task in self.tasks:
            task.cancel()
        self.tasks = [asyncio.create_task(self._close(code, reason))]

    async def _close(self, code: int, reason: str) -> None:
        await self.close(code=code, reason=reason)

    async def _write(self) -> None:
        """Send what is queued. The server blocks here while the client does not read."""
        while True:
            await self.send(text_data=await self.outgoing.get())

    async def _beat(self) -> None:
        """Show that the connection stands, look whether it still may, and find what was lost on the way."""
        for _ in range(MOST_BEATS):
            await asyncio.sleep(HEARTBEAT_S)
            self._put({"type": "ping"})
            try:
                await self._recheck()
                await self._join()  # a channel layer that was restarted knows no groups
                await self._catch_up()
            except Exception as error:  # the database or the layer is away: the next beat looks again
                log.warning("A socket could not be checked: %s", error)
        self._close_soon(GOING_AWAY, "open another and resume with after=N")

    async def _recheck(self) -> None:
        try:
            viewer = await database_sync_to_async(viewer_of_scope)(self.scope)
        except Unauthenticated:
            viewer = None
        if viewer is None or viewer.owner_id != self.viewer.owner_id or not viewer.has(SCOPE):
            self._close_soon(SIGNED_OUT, "signed out, or the key was revoked")

    async def _join(self) -> None:
        try:
            await self.channel_layer.group_add(self.group, self.channel_name)
        except Exception as error:
            log.warning("A socket could not join its group: %s", error)


async def refuse(
    scope: Mapping[str, Any], send: Callable[[Any], Awaitable[None]], error: CutlineError
) -> None:
    """Answer a handshake with a problem, so that the client reads why."""
    log_refusal(error)
    if error.http_status == TooManyRequests.http_status:
        await asyncio.sleep(limits.refusal_wait_s(network_of(address_of_scope(scope))))
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    fields = problem_fields(code=error.code, status=error.http_status, detail=error.message, hint=error.hint)
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"cache-control", b"no-store"),
    ]
    if (retry_after_s := getattr(error, "retry_after_s", None)) is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    await send({"type": "websocket.http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": json.dumps(fields).encode()})


def check_origin(scope: Mapping[str, Any]) -> None:
    """Refuse pages of other sites. A client without an Origin header is not a browser.

    Raises: CrossOrigin.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin or origin in settings().trusted_origins:
        return
    host = headers.get(b"host", b"").decode("latin-1")
    secure = scope.get("scheme") == "wss"
    # A name that leads here without being ours (DNS rebinding) is another site, too.
    if not validate_host(split_domain_port(host)[0], django_settings.ALLOWED_HOSTS) or not same_origin(
        origin, host, secure=secure
    ):
        raise CrossOrigin(
            "A page of another site cannot open this websocket.",
            hint="Connect from the service's own pages, or with an API key.",
        )


def _admit(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Count a new websocket, and use its ticket up. Raises: RateLimited, and as scope_of_ticket."""
    limits.count_websocket(address_of_scope(scope))
    return scope_of_ticket(scope)


def _enter(scope: Mapping[str, Any]) -> tuple[Viewer, str]:
    """Who connects, and the session that they must be given ("" where they have one)."""
    viewer = viewer_of_scope(scope)
    security_log.identify(user=viewer.user_id, key=viewer.key_id, owner=viewer.owner_id)
    if not viewer.has(SCOPE):
        raise ScopeMissing(f"This key lacks the scope {SCOPE}.")
    limits.count(viewer, method="GET", path=WEBSOCKETS)
    if viewer.owner_id is not None:
        return viewer, ""
    return start_session(viewer.address)


def _cookie_of(session_key: str) -> bytes:
    parts = [
        f"{django_settings.SESSION_COOKIE_NAME}={session_key}",
        f"Max-Age={django_settings.SESSION_COOKIE_AGE}",
        f"Path={django_settings.SESSION_COOKIE_PATH}",
        f"SameSite={django_settings.SESSION_COOKIE_SAMESITE}",
        "HttpOnly",
    ]
    if django_settings.SESSION_COOKIE_SECURE:
        parts.append("Secure")
    return "; ".join(parts).encode("ascii")


def _after(scope: Mapping[str, Any]) -> int | None:
    """The event that the client saw last. Raises: Malformed."""
    found = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("after")
    if not found:
        return None
    if not found[0].isdecimal() or len(found[0]) > 18:
        raise Malformed("after must be the number of an event.")
    return int(found[0])


def _missed(viewer: Viewer, after: int | None) -> tuple[int, selectors.Replay]:
    """The newest event there is, and those that the client missed."""
    assert viewer.owner_id is not None
    newest = selectors.last_of(viewer.owner_id)
    if after is None:
        return newest, selectors.recent(viewer.owner_id, seconds=RECENT_S, limit=REPLAY_LIMIT)
    replay = selectors.after(viewer.owner_id, after, limit=REPLAY_LIMIT)
    if replay.more:
        return newest, selectors.Replay(messages=[], last=newest, reset=True)
    return newest, replay


def _is_ping(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("type") == "ping"
