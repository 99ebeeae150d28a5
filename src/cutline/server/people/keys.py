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
_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_BEARER, _API_KEY = "authorization", "x-api-key"
_HOW = "Send it as `Authorization: Bearer ck_...` or as `X-API-Key: ck_...`."
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


def sent_key(headers: Mapping[str, str], query: str = "") -> str:
    """The key that a request names itself by; "" where it names none.

    headers: by name in lower case; one that came twice is joined with a comma. query: as in the URL.

    Raises:
        Unauthenticated: something was meant for a key and is none, or stands where no key is read. To go on
            without it would make the request somebody else's.
    """
    try:
        return _sent_key(headers, query)
    except Unauthenticated as error:
        security_log.write(Event.KEY_REFUSED, why=error.message)
        raise


def _sent_key(headers: Mapping[str, str], query: str) -> str:
    found: set[str] = set()
    if _BEARER in headers:
        found.add(_of_bearer(headers[_BEARER]))
    if _API_KEY in headers:
        found.add(_one_word(headers[_API_KEY].strip(), "X-API-Key"))
    if len(found) > 1:
        raise Unauthenticated(
            "Authorization and X-API-Key name different keys.", hint="Send one key, in one of them."
        )
    if not found:
        _refuse_elsewhere(headers.items(), query)
    return "".join(found)


def _of_bearer(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return _one_word(rest.strip(), "Authorization")
    if scheme.startswith(PREFIX):
        raise Unauthenticated("Authorization lacks the word Bearer before the API key.", hint=_HOW)
    # Whatever stands there may be a secret: it is not repeated.
    raise Unauthenticated("Authorization names no API key: its only scheme here is Bearer.", hint=_HOW)


def _one_word(key: str, header: str) -> str:
    if not key:
        raise Unauthenticated(f"{header} is sent without an API key.", hint=_HOW)
    if re.search(r"[\s,]", key):
        raise Unauthenticated(f"{header} has more than one API key.", hint="Send one key, once.")
    return key


def _refuse_elsewhere(headers: Iterable[tuple[str, str]], query: str) -> None:
    for name, value in headers:
        if name != "referer" and _KEY.search(value):
            raise Unauthenticated(f"An API key is not read from the header {name}.", hint=_HOW)
    for name, value in parse_qsl(query):
        if _KEY.fullmatch(value):
            raise Unauthenticated(
                f"An API key is not read from the URL ({name}), which is logged.", hint=_HOW
            )


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
