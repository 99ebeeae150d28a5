"""Who is asking. Everything that reads or writes for somebody is given a Viewer, made once per request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.conf import settings as django_settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, parse_cookie
from django.utils import timezone

from cutline.server import rates
from cutline.server.config import settings
from cutline.server.errors import Unauthenticated
from cutline.server.people import keys
from cutline.server.people.models import Owner, Role, User
from cutline.server.people.sessions import SessionStore
from cutline.server.proxies import client_address
from cutline.server.request_context import context_of

OWNER_IN_SESSION = "owner_id"  # the owner of a session without an account; taken out at login
_SEEN_EVERY_S = 3600  # how exactly an anonymous owner's last visit is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is asking: an account, the session of somebody without one, a key, or nobody known (no owner)."""

    owner_id: UUID | None
    user_id: UUID | None = None
    role: Role = Role.USER
    scopes: frozenset[str] | None = None  # what a key may do; None: a session, which may do everything
    key_id: UUID | None = None
    address: str = ""

    @property
    def is_staff_reader(self) -> bool:
        """May look at what the admin shows."""
        return self.role in (Role.REVIEWER, Role.MODERATOR, Role.ADMIN)

    @property
    def can_moderate(self) -> bool:
        """May decide on reports and held images."""
        return self.role in (Role.MODERATOR, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        """May do everything that staff may."""
        return self.role == Role.ADMIN

    def has(self, scope: str) -> bool:
        """Whether this viewer may do what the scope names."""
        return self.scopes is None or scope in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewOwner:
    """The anonymous owner that a request made."""

    owner_id: UUID


def viewer_of(request: HttpRequest) -> Viewer:
    """Who sends this request: by API key, by an app's X-Session-Token, else by the session cookie.

    The answer is kept in the request's context.

    Raises:
        Unauthenticated: a key or token was sent that does not work, or wrongly (it never falls back to the
            session).
    """
    known = context_of(request).get(Viewer)
    if known is not None:
        return known
    address = address_of(request.META)
    headers = {name.lower(): value for name, value in request.headers.items()}
    if secret := keys.sent_key(headers, request.META.get("QUERY_STRING", "")):
        viewer = _viewer_of_key(secret, address)
    else:
        _enter_session_of_token(request)
        if isinstance(request.user, User):
            viewer = _viewer_of_user(request.user, address)
        else:
            viewer = Viewer(owner_id=_anonymous_owner_id(request.session), address=address)
    context_of(request).put(viewer)
    return viewer


def ensure_owner(request: HttpRequest) -> Owner:
    """The owner that this request writes for; somebody without an account gets one in the session.

    Raises:
        Unauthenticated: as viewer_of.
        RateLimited: too many visitors without an account begin in this network.
    """
    viewer = viewer_of(request)
    owner = _owner(viewer.owner_id)
    if owner is None or owner.merged_into_id is not None:
        if viewer.user_id is not None or viewer.key_id is not None:
            raise Unauthenticated("The account was deleted.")
        owner = _anonymous_owner(request.session, viewer.address)
        context_of(request).put(Viewer(owner_id=owner.pk, address=viewer.address))
        context_of(request).put(_NewOwner(owner_id=owner.pk))
    elif owner.user_id is None and (timezone.now() - owner.last_seen_at).total_seconds() > _SEEN_EVERY_S:
        owner.network = owner.network or rates.network_mark(viewer.address)
        Owner.objects.filter(pk=owner.pk, user=None).update(
            last_seen_at=timezone.now(), network=owner.network
        )
    return owner


def forget_new_owner(request: HttpRequest) -> None:
    """Take back the owner that this request made, and the session's cookie: it failed, and keeps nothing."""
    made = context_of(request).get(_NewOwner)
    if made is None:
        return
    if Owner.objects.filter(pk=made.owner_id, user=None, merged_into=None, images=None).delete()[0]:
        request.session.pop(OWNER_IN_SESSION, None)


def viewer_of_scope(scope: Mapping[str, Any]) -> Viewer:
    """Who opens a websocket: by key (Authorization, X-API-Key, ?key=), X-Session-Token or session cookie.

    It asks the database: call it through database_sync_to_async.

    Raises:
        Unauthenticated: a key or token was sent that does not work, or wrongly.
    """
    headers = _headers_of(scope)
    client = scope.get("client") or ("", 0)
    address = client_address(str(client[0]), headers.get("x-forwarded-for", ""))
    raw_query = scope.get("query_string", b"").decode("latin-1")
    query = parse_qs(raw_query, keep_blank_values=True)
    if "key" in query:
        headers["x-api-key"] = ",".join([*query["key"], *filter(None, [headers.get("x-api-key")])])
    if secret := keys.sent_key(headers, raw_query):
        return _viewer_of_key(secret, address)
    if "x-session-token" in headers:
        return _viewer_of_session(_session_of_token(headers["x-session-token"]), address)
    token = parse_cookie(headers.get("cookie", "")).get(django_settings.SESSION_COOKIE_NAME)
    return _viewer_of_session(SessionStore(token), address)


def _headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers by name in lower case; what came twice is joined, as for HTTP."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        separator = "; " if name == "cookie" else ","
        found[name] = f"{found[name]}{separator}{text}" if name in found else text
    return found


def start_session(address: str) -> tuple[Viewer, str]:
    """A new anonymous viewer, and the value of the session cookie that they must be given.

    Raises: RateLimited.
    """
    session = SessionStore()
    owner = _anonymous_owner(session, address)
    session.save()
    return Viewer(owner_id=owner.pk, address=address), str(session.session_key)


def owner_of(user: User) -> Owner:
    """An account's owner, made where it is missing."""
    return Owner.objects.get_or_create(user=user)[0]


def public_url(request: HttpRequest) -> str:
    """Where people reach the service: what its operator set, else where this request reached it."""
    return settings().public_url or f"{request.scheme}://{request.get_host()}"


def address_of(meta: Mapping[str, Any]) -> str:
    """The client's network address, behind proxies too. meta: a request's, as WSGI names its headers."""
    return client_address(str(meta.get("REMOTE_ADDR", "")), str(meta.get("HTTP_X_FORWARDED_FOR", "")))


def _owner(owner_id: UUID | None) -> Owner | None:
    return Owner.objects.select_related("user").filter(pk=owner_id).first() if owner_id else None


def _viewer_of_key(secret: str, address: str) -> Viewer:
    key = keys.find(secret)
    if key is None:
        raise Unauthenticated(
            "This API key does not work: it is wrong, expired or revoked.", hint="Make a new one."
        )
    keys.note_use(key)
    # A key never carries the powers of staff: whoever finds it lying about should not get them.
    return Viewer(
        owner_id=key.owner_id,
        user_id=key.owner.user_id,
        scopes=frozenset(key.scopes),
        key_id=key.pk,
        address=address,
    )


def _viewer_of_user(user: User, address: str) -> Viewer:
    owner_id = Owner.objects.filter(user=user).values_list("pk", flat=True).first() or owner_of(user).pk
    return Viewer(owner_id=owner_id, user_id=user.pk, role=Role(user.role), address=address)


def _viewer_of_session(session: SessionBase, address: str) -> Viewer:
    user = _user_of(session)
    if isinstance(user, User):
        return _viewer_of_user(user, address)
    return Viewer(owner_id=_anonymous_owner_id(session), address=address)


def _user_of(session: SessionBase) -> User | AnonymousUser:
    # Django's own check of a session (is the user active, is the password still the one of the login?) takes
    # a request, of which it reads the session alone.
    request = HttpRequest()
    request.session = session
    user = get_user(request)
    return user if isinstance(user, User) else AnonymousUser()


def _enter_session_of_token(request: HttpRequest) -> None:
    """Put the session that an app names in a header (allauth's X-Session-Token) in the cookie's place."""
    token = request.headers.get("X-Session-Token")
    if token is None or request.session.session_key == token:
        return
    session = _session_of_token(token)
    request.session = session
    request.user = _user_of(session)


def _session_of_token(token: str) -> SessionStore:
    session = SessionStore(token)
    if not session.session_key or not session.exists(session.session_key):
        raise Unauthenticated("This session has ended.", hint="Sign in again.")
    return session


def _anonymous_owner_id(session: SessionBase) -> UUID | None:
    value = session.get(OWNER_IN_SESSION)
    return UUID(value) if value else None


def _anonymous_owner(session: SessionBase, address: str) -> Owner:
    rates.hit("visitors", settings().rate_visitors, rates.network_of(address))
    owner = Owner.objects.create(network=rates.network_mark(address))
    session[OWNER_IN_SESSION] = owner.pk.hex
    return owner
