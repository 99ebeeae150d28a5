"""What a key opens, and finding the one that a request names; account.keys makes and revokes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qsl
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from cutline.server import security_log
from cutline.server.errors import Unauthenticated
from cutline.server.people.models import ApiKey
from cutline.server.security_log import Event

PREFIX = "ck_"
_RANDOM = 43  # characters after it
_KEY = re.compile(rf"(?<![\w-]){PREFIX}[\w-]{{{_RANDOM}}}(?![\w-])", re.ASCII)  # as no part of another secret
_BEARER, _API_KEY = "authorization", "x-api-key"
# What somebody calls the place of a key, by the letters of its name. The names of sessions, tickets, CSRF
# tokens and repetitions, and what proxies add (X-Forwarded-Access-Token ...), have more than these.
_PLACE = re.compile(
    r"x?(?:cutline)?(?:(?:api|access|auth|bearer|secret)?(?:key|token)|apisecret"
    r"|auth|authentication|authorization|bearer|credentials?)"
)
_LIKE_KEY = re.compile(rf"\W*(?:bearer\W+)?{PREFIX}[\w-]{{20,}}\W*", re.ASCII | re.IGNORECASE)
_NO_KEYS = ("referer", "idempotency-key", "x-request-id")  # headers whose text is the client's own choice
_PROTOCOLS = "sec-websocket-protocol"
# Here ?token= is that of a link to an image which is shared.
_LINKED = re.compile(r"/api/v1/(?:images|captions)/[0-9a-f-]{32,36}(?:/|$)", re.IGNORECASE)
WEBSOCKETS = "/ws"  # their address
_HOW = "Send it as `Authorization: Bearer ck_...` or as `X-API-Key: ck_...`."
_TICKET = " For the address of a websocket there are tickets: POST /api/v1/events/ticket, with the API key."
_USE_EVERY = timedelta(minutes=1)  # how exactly the last use is known: a write per request would cost more


class Scope(StrEnum):
    """What a key may do."""

    CAPTION = "caption"
    IMAGES_READ = "images:read"
    IMAGES_WRITE = "images:write"
    BULK = "bulk"
    WEBHOOKS = "webhooks"
    ACCOUNT = "account"
    MODELS = "models"  # of an account of the staff alone, as long as it is that


EVERYBODYS = tuple(scope for scope in Scope if scope is not Scope.MODELS)  # what any account may have


def sent_key(headers: Mapping[str, str], query: str = "", *, path: str) -> str:
    """The key that a request names itself by; "" where it names none.

    headers: by name in lower case; one that came twice is joined with a comma. query: as in the URL. path:
    only the API and its websocket take keys; elsewhere a parameter of any name may be something else.

    Raises:
        Unauthenticated: something was meant for a key and is none, or stands where no key is read. To go on
            without it would make the request somebody else's.
    """
    try:
        return _sent_key(headers, query, path)
    except Unauthenticated as error:
        security_log.write(Event.KEY_REFUSED, why=error.message)
        raise


def check_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Refuse a form that was sent without a key, but has one among its fields. Raises Unauthenticated."""
    for name, value in fields:
        if _is_for_key(name, value):
            message = "An API key is not read from the fields of a form."
            security_log.write(Event.KEY_REFUSED, why=message)
            raise Unauthenticated(message, hint=_HOW)


def _sent_key(headers: Mapping[str, str], query: str, path: str) -> str:
    found: set[str] = set()
    if _BEARER in headers:
        found.add(_of_bearer(headers[_BEARER]))
    if _API_KEY in headers:
        found.add(_one_key(headers[_API_KEY].strip(), "X-API-Key"))
    if len(found) > 1:
        raise Unauthenticated(
            "Authorization and X-API-Key name different keys.", hint="Send one key, in one of them."
        )
    takes_keys = path == WEBSOCKETS or path.startswith("/api/")
    if not found:
        _refuse_in_headers(headers, takes_keys=takes_keys)
    if not found or path == WEBSOCKETS:
        _refuse_in_url(query, path, takes_keys=takes_keys)
    return "".join(found)


def _of_bearer(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return _one_key(rest.strip(), "Authorization")
    if scheme.startswith(PREFIX):
        raise Unauthenticated("Authorization lacks the word Bearer before the API key.", hint=_HOW)
    # Whatever stands there may be a secret: it is not repeated.
    raise Unauthenticated("Authorization names no API key: its only scheme here is Bearer.", hint=_HOW)


def _one_key(text: str, header: str) -> str:
    if not text:
        raise Unauthenticated(f"{header} is sent without an API key.", hint=_HOW)
    if text.lower().startswith(("bearer ", "bearer:")):
        raise Unauthenticated(f"{header} has the word Bearer once too often.", hint=_HOW)
    if len(_KEY.findall(text)) > 1:
        raise Unauthenticated(f"{header} has more than one API key.", hint="Send one key, once.")
    if not _KEY.fullmatch(text):
        raise Unauthenticated(
            f"{header} has no API key: one is {PREFIX} and {_RANDOM} more characters, without quotes.",
            hint=_HOW,
        )
    return text


def _refuse_in_headers(headers: Mapping[str, str], *, takes_keys: bool) -> None:
    for name, value in headers.items():
        is_for_key = takes_keys and name not in _NO_KEYS and _is_for_key(name, value)
        if name == _PROTOCOLS:
            is_for_key = any(_is_for_key(word, word) or PREFIX in word for word in value.split(","))
        if is_for_key or (name != "referer" and _KEY.search(value)):
            raise Unauthenticated(f"An API key is not read from the header {name}.", hint=_HOW)


def _refuse_in_url(query: str, path: str, *, takes_keys: bool) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        is_of_link = name == "token" and _LINKED.match(path)
        if _KEY.fullmatch(value) or (takes_keys and not is_of_link and _is_for_key(name, value)):
            raise Unauthenticated(
                f"An API key is not read from the URL ({_shown(name)}), which is logged.",
                hint=_HOW + (_TICKET if path == WEBSOCKETS else ""),
            )


def _is_for_key(name: str, value: str) -> bool:
    """Whether what has this name and value was meant for a key, be it one or not."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return bool(_PLACE.fullmatch(letters) or _LIKE_KEY.fullmatch(value) or _LIKE_KEY.fullmatch(name))


def _shown(name: str) -> str:
    """The name of a parameter, unless it is the secret itself."""
    return "its query" if PREFIX in name.lower() else name[:100]


def digest_of(secret: str) -> str:
    """What is kept of a key. It has 256 random bits: a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find(secret: str) -> ApiKey | None:
    """The key that works now and has this secret, with its owner and user; None where there is none."""
    return _working().filter(digest=digest_of(secret)).first()


def find_by_id(key_id: UUID) -> ApiKey | None:
    """The key with this id, if it works now, with its owner and user."""
    return _working().filter(pk=key_id).first()


def _working() -> QuerySet[ApiKey]:
    return (
        ApiKey.objects.select_related("owner__user")
        .filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)
        .exclude(owner__user__is_active=False)
    )


def note_use(key: ApiKey) -> None:
    """Remember that a key was used, to the minute."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - _USE_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
