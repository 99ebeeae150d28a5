"""The viewer of a request: made once, and passed to everything that reads or writes on somebody's behalf."""

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

from cutline.server import rates, security_log
from cutline.server.config import settings
from cutline.server.errors import Unauthenticated
from cutline.server.people import keys, tickets
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.people.roles import role_of
from cutline.server.people.sessions import SessionStore
from cutline.server.proxies import client_address
from cutline.server.request_context import context_of
from cutline.server.security_log import Event

OWNER_IN_SESSION = "owner_id"  # the owner of a session without an account; taken out at login
_KEY_OF_TICKET = "cutline.key_of_ticket"  # in a websocket's scope
_SEEN_EVERY_S = 3600  # how exactly an anonymous owner's last visit is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is asking: an account, the session of somebody without one, a key, or nobody known (no owner)."""

    owner_id: UUID | None
    user_id: UUID | None = None
    role: Role = Role.USER
    models_role: Role = Role.USER  # that in which they look after models; of a key, by its scope alone
    scopes: frozenset[str] | None = None  # what a key may do; None: a session, which may do everything
    key_id: UUID | None = None
    address: str = ""

    @property
    def is_staff_reader(self) -> bool:
        """Whether they may see what the admin shows."""
        return self.role in (Role.REVIEWER, Role.MODERATOR, Role.ADMIN)

    @property
    def can_moderate(self) -> bool:
        """Whether they may decide on reports and held images."""
        return self.role in (Role.MODERATOR, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        """Whether they may do everything that staff may."""
        return self.role == Role.ADMIN

    @property
    def can_see_models(self) -> bool:
        """Whether they may see which models there are, and how people receive them."""
        return self.models_role in (Role.REVIEWER, Role.MODERATOR, Role.ADMIN)

    @property
    def can_steer_models(self) -> bool:
        """Whether they may decide which model captions."""
        return self.models_role == Role.ADMIN

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
    if secret := keys.sent_key(
        _headers_of_request(request), request.META.get("QUERY_STRING", ""), path=request.path_info
    ):
        viewer = _viewer_of_key(secret, address)
    else:
        _enter_session_of_token(request)
        if isinstance(request.user, User):
            viewer = _viewer_of_user(request.user, address)
        else:
            viewer = Viewer(owner_id=_anonymous_owner_id(request.session), address=address)
    context_of(request).put(viewer)
    security_log.identify(user=viewer.user_id, key=viewer.key_id, owner=viewer.owner_id)
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
    """Who opens a websocket, or sends a request: by ticket, key, X-Session-Token or session cookie.

    It asks the database: call it through database_sync_to_async.

    Raises:
        Unauthenticated: a key or token was sent that does not work, or wrongly, or a key in the URL.
    """
    headers = _headers_of(scope)
    address = address_of_scope(scope)
    if key_id := scope.get(_KEY_OF_TICKET):
        return _viewer_of_working_key(keys.find_by_id(key_id), address)
    query = scope.get("query_string", b"").decode("latin-1")
    path = keys.WEBSOCKETS if scope["type"] == "websocket" else scope["path"]
    if secret := keys.sent_key(headers, query, path=path):
        return _viewer_of_key(secret, address)
    if "x-session-token" in headers:
        return _viewer_of_session(_session_of_token(headers["x-session-token"]), address)
    token = parse_cookie(headers.get("cookie", "")).get(django_settings.SESSION_COOKIE_NAME)
    return _viewer_of_session(SessionStore(token), address)


def address_of_scope(scope: Mapping[str, Any]) -> str:
    """A websocket's client's network address, behind proxies too."""
    client = scope.get("client") or ("", 0)
    return client_address(str(client[0]), _headers_of(scope).get("x-forwarded-for", ""))


def _headers_of_request(request: HttpRequest) -> dict[str, str]:
    """The headers by name in lower case, also those whose names Django hides for their underscores."""
    scope = getattr(request, "scope", None)  # none under WSGI
    if scope is not None:
        return _headers_of(scope)
    return {name.lower(): value for name, value in request.headers.items()}


def _headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers by name in lower case; what came twice is joined, as for HTTP."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        separator = "; " if name == "cookie" else ","
        found[name] = f"{found[name]}{separator}{text}" if name in found else text
    return found


def scope_of_ticket(scope: Mapping[str, Any]) -> dict[str, Any]:
    """A websocket's scope in which the ticket of its URL (?ticket=) is used up, and names whom it stands for.

    Raises: Unauthenticated, ServiceUnavailable.
    """
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    if "ticket" not in query:
        return dict(scope)
    bearer = tickets.redeem(query["ticket"][0])
    if bearer.key_id:
        return {**scope, _KEY_OF_TICKET: bearer.key_id}
    return with_session(scope, bearer.session_key)


def with_session(scope: Mapping[str, Any], session_key: str) -> dict[str, Any]:
    """A websocket's scope as if its client had sent this session's cookie, and nothing else of itself."""
    names = (b"cookie", b"x-session-token", b"authorization", b"x-api-key")
    others = [each for each in scope["headers"] if each[0] not in names]
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={session_key}".encode("ascii")
    return {**scope, "headers": [*others, (b"cookie", cookie)]}


def issue_ticket(request: HttpRequest) -> str:
    """A ticket that opens one websocket as the viewer of this request.

    Raises:
        Unauthenticated: nobody known asks.
    """
    viewer = viewer_of(request)
    if viewer.owner_id is None:
        raise Unauthenticated("Nothing is stored for you yet.", hint="Send an API key, or sign in.")
    if viewer.key_id is not None:
        return tickets.issue(tickets.Bearer(key_id=viewer.key_id))
    return tickets.issue(tickets.Bearer(session_key=str(request.session.session_key)))


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
    return _viewer_of_working_key(keys.find(secret), address)


def _viewer_of_working_key(key: ApiKey | None, address: str) -> Viewer:
    if key is None:
        security_log.write(Event.KEY_REFUSED, address=address, why="It is wrong, expired or revoked.")
        raise Unauthenticated(
            "This API key does not work: it is wrong, expired or revoked.", hint="Make a new one."
        )
    keys.note_use(key)
    # A key never carries the powers of staff: whoever finds it lying about should not get them. The one
    # exception is what the scope models names, and it ends with the role of the account.
    user = key.owner.user
    return Viewer(
        owner_id=key.owner_id,
        user_id=key.owner.user_id,
        models_role=role_of(user) if user and keys.Scope.MODELS in key.scopes else Role.USER,
        scopes=frozenset(key.scopes),
        key_id=key.pk,
        address=address,
    )


def _viewer_of_user(user: User, address: str) -> Viewer:
    owner_id = Owner.objects.filter(user=user).values_list("pk", flat=True).first() or owner_of(user).pk
    role = role_of(user)
    return Viewer(owner_id=owner_id, user_id=user.pk, role=role, models_role=role, address=address)


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
