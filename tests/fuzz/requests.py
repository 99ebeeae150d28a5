"""Requests of every kind to every operation of the API, sent to the application in this process."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from hypothesis import strategies as st

from tests.fuzz.mutations import damaged

Request = Mapping[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
# The account that all requests come from is needed until the end.
_LEFT_OUT = {("delete", "/api/v1/me")}
_BOUNDARY = b"boundary"
_KINDS = [
    "application/json",
    "multipart/form-data; boundary=boundary",
    "application/x-www-form-urlencoded",
    "text/plain",
    "image/jpeg",
    "application/json; charset=utf-16",
    "",
    "multipart/form-data",
    "x/y;;=",
]
_SOUND = [
    {"urls": ["http://127.0.0.1/a.jpg", "https://photos.example/b.jpg"]},
    {"name": "a key", "scopes": ["caption"]},
    {"text": "a dog"},
    {"visibility": "public", "tags": ["a", "b"]},
    {"ids": ["{image}"], "action": "add_tags", "tags": ["c"]},
    {"value": 1},
    {"url": "https://hooks.example/", "events": ["caption.ready"]},
    {"n": 2, "beam_size": 3, "prefix": "a"},
    {"image": "data:image/png;base64,iVBORw0KGgo="},
    {"may_train": True},
    {"reason": "other", "text": "x"},
]


def inputs_of(
    contract: Mapping[str, Any], photo: bytes, values: st.SearchStrategy[Any], texts: st.SearchStrategy[str]
) -> st.SearchStrategy[Request]:
    """Requests to the contract's operations. {image} in one stands for an image that there is."""
    names = sorted(_field_names(contract))
    operations = [
        (method, path)
        for path, methods in contract["paths"].items()
        for method in _METHODS
        if method in methods and (method, path) not in _LEFT_OUT
    ]
    fields = st.dictionaries(st.sampled_from(names), values, max_size=5)
    bodies = st.one_of(
        st.one_of(fields, st.sampled_from(_SOUND), values).map(_as_json),
        damaged([_as_json(each) for each in _SOUND]),
        damaged(list(_forms(photo))),
        st.sampled_from(list(_forms(photo))),
        st.just(b""),
    )
    query = st.dictionaries(st.one_of(st.sampled_from(names), texts), texts, max_size=3)
    headers = st.dictionaries(
        st.sampled_from(
            [
                "If-Match",
                "If-None-Match",
                "Idempotency-Key",
                "Authorization",
                "Range",
                "Accept",
                "Origin",
                "Cookie",
                "X-Session-Token",
            ]
        ),
        st.one_of(
            st.sampled_from(["", "*", '"x"', "bytes=0-", "Bearer x", "http://localhost", "sessionid=x"]),
            texts,
        ),
        max_size=2,
    )
    ids = st.one_of(st.just("{image}"), st.uuids().map(str), st.integers(-1, 10**20).map(str), texts)
    return st.fixed_dictionaries(
        {
            "operation": st.sampled_from(operations),
            "ids": st.lists(ids, min_size=3, max_size=3),
            "query": query,
            "kind": st.one_of(st.sampled_from(_KINDS[:3]), st.sampled_from(_KINDS)),
            "headers": headers,
            "body": bodies,
            "by_key": st.sampled_from([True, True, False]),
        }
    )


def _field_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value.get("properties", ())
        if isinstance(value.get("in"), str) and value["in"] == "query":
            yield value["name"]
        for below in value.values():
            yield from _field_names(below)
    elif isinstance(value, list):
        for below in value:
            yield from _field_names(below)


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _forms(photo: bytes) -> Iterator[bytes]:
    for name in (b"image", b"files", b"archive", b"file"):
        head = (
            b'Content-Disposition: form-data; name="'
            + name
            + b'"; filename="a.jpg"\r\nContent-Type: image/jpeg'
        )
        field = b'Content-Disposition: form-data; name="n"\r\n\r\n2'
        yield (
            b"".join(
                b"--" + _BOUNDARY + b"\r\n" + part + b"\r\n" for part in (head + b"\r\n\r\n" + photo, field)
            )
            + b"--"
            + _BOUNDARY
            + b"--\r\n"
        )


class _Account:
    """An account with a key and an image, which are made anew where a request took them away."""

    def __init__(self, photo: bytes) -> None:
        from cutline.server.people.models import User
        from cutline.server.people.viewers import owner_of

        self._photo = photo
        self._owner = owner_of(User.objects.create_user("fuzz@example.org", "a long password"))
        self._key = self._image = ""

    def key(self) -> str:
        from cutline.server.account import keys
        from cutline.server.people.keys import EVERYBODYS, find

        if not self._key or find(self._key) is None:
            keys.revoke_all(self._owner.pk)
            _, self._key = keys.create(self._owner, name="fuzz", scopes=EVERYBODYS)
        return self._key

    def image(self) -> str:
        from cutline.server.images.models import Image
        from cutline.server.uploads.services import store_upload

        if not self._image or not Image.objects.filter(pk=self._image, deleted_at=None).exists():
            self._image = str(store_upload(self._owner, self._photo, "a.jpg").image.pk)
        return self._image


def sender(photo: bytes) -> Callable[[Request], None]:
    """What sends a request, as an account with every scope or as nobody, and looks at the answer."""
    from cutline.server.asgi import application
    from cutline.server.events import channel

    account = _Account(photo)
    loop = asyncio.get_event_loop()
    channel.use_loop(loop)

    def send(request: Request) -> None:
        scope, body = _scope_of(request, key=account.key(), image=account.image())
        status, headers, answer = loop.run_until_complete(_ask(application, scope, body))
        assert status < 500 or status == 503, (status, answer[:2000])
        if status >= 400:
            assert headers.get(b"content-type", b"").startswith(b"application/problem+json"), (
                status,
                headers,
            )
            assert json.loads(answer)["code"]

    return send


def _scope_of(request: Request, *, key: str, image: str) -> tuple[dict[str, Any], bytes]:
    method, path = request["operation"]
    ids = iter([*request["ids"], *["x"] * 9])
    path = re.sub(
        r"{[^}]+}", lambda _: quote(next(ids).replace("{image}", image), safe="", errors="replace"), path
    )
    headers = {
        "Host": "localhost",
        "Content-Type": request["kind"],
        "Content-Length": str(len(request["body"])),
    }
    if request["by_key"]:
        headers["X-API-Key"] = key
    headers |= request["headers"]
    query = "&".join(
        f"{quote(name, errors='replace')}={quote(value, errors='replace')}"
        for name, value in request["query"].items()
    )
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    return scope, request["body"].replace(b"{image}", image.encode())


async def _ask(app: Any, scope: Any, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []
    ended = asyncio.Event()
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if left:
            return left.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    await app(scope, receive, send)
    start = next(each for each in sent if each["type"] == "http.response.start")
    answer = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
    return start["status"], {name.lower(): value for name, value in start["headers"]}, answer
