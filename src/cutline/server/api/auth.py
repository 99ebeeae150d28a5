"""Who may call an endpoint. Each names what it needs: `auth=needs("images:read")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired as AllauthWantsMore
from django.http import HttpRequest
from ninja.security.base import AuthBase

from cutline.server.config import settings
from cutline.server.errors import (
    CrossOrigin,
    Forbidden,
    ReauthenticationRequired,
    ScopeMissing,
    Unauthenticated,
)

if TYPE_CHECKING:
    from cutline.server.people.viewers import Viewer

Models: TypeAlias = Literal["see", "steer"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ViewerAuth(AuthBase):
    """Finds the viewer of a request, and checks the scope of their key.

    scope: what a key must be allowed; "" for none. account: an anonymous session is not enough (401).
    staff: only those who may look into everything (403). models: only those who may see models, or decide
    about them (403).
    """

    openapi_type: str = "http"
    openapi_scheme: str = "bearer"
    openapi_description: str = (
        "An API key (ck_...), as `Authorization: Bearer` or `X-API-Key`. Browsers send their session cookie."
    )

    def __init__(
        self, scope: str = "", *, account: bool = False, staff: bool = False, models: Models | None = None
    ) -> None:
        super().__init__()
        self.scope = scope
        self.account = account
        self.staff = staff
        self.models = models

    def __call__(self, request: HttpRequest) -> Viewer:
        """The viewer, who may call the endpoint. Raises: Unauthenticated, Forbidden."""
        from cutline.server.people.viewers import viewer_of

        viewer = viewer_of(request)
        if (self.account or self.staff or self.models) and viewer.user_id is None:
            raise Unauthenticated("This requires an account.", hint="Sign in, or send an API key.")
        if self.scope and not viewer.has(self.scope):
            raise ScopeMissing(
                f"The API key lacks the scope {self.scope}.",
                hint="Create a key with that scope.",
            )
        if self.staff and not viewer.is_staff_reader:
            raise Forbidden("Only staff may do this.")
        if self.models and not viewer.can_see_models:
            raise Forbidden("Only staff may look after models.")
        if self.models == "steer" and not viewer.can_steer_models:
            raise Forbidden("Only administrators decide about models.")
        return viewer


def needs(
    scope: str = "", *, account: bool = False, staff: bool = False, models: Models | None = None
) -> ViewerAuth:
    """What an endpoint needs: a scope of the key; an account; a staff role; to look after models."""
    return ViewerAuth(scope, account=account, staff=staff, models=models)


anyone = ViewerAuth()


def check_fresh_sign_in(request: HttpRequest, what: str) -> None:
    """Ask an account's session for a recent proof of who sits there; sessions without an account have none.

    A key passes: it was made after such a proof, for what its scopes name. what: begins the sentence.

    Raises: ReauthenticationRequired.
    """
    from cutline.server.people.viewers import viewer_of

    viewer = viewer_of(request)
    if viewer.user_id is None or viewer.key_id is not None:
        return
    try:
        reauthentication_required(lambda request: None, app="account")(request)
    except AllauthWantsMore as error:
        raise ReauthenticationRequired(
            f"{what} needs a fresh sign-in.", hint="Sign in again, or reauthenticate."
        ) from error


def check_origin(request: HttpRequest) -> None:
    """Refuse a write that a browser sends from another site. A request by key needs no such check.

    Browsers say where a write comes from in Sec-Fetch-Site or Origin; what carries neither is no browser's.
    Raises: CrossOrigin.
    """
    if request.method in SAFE_METHODS or carries_key(request):
        return
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    if origin and not same_origin(origin, request.get_host(), secure=request.is_secure()):
        raise CrossOrigin(
            "Cross-site request refused.", hint="Send it from the service's own pages, or with an API key."
        )
    if site and site not in ("same-origin", "none") and origin not in settings().trusted_origins:
        raise CrossOrigin(
            "Cross-site request refused.", hint="Send it from the service's own pages, or with an API key."
        )


def carries_key(request: HttpRequest) -> bool:
    """Whether the request names itself by an API key: then the session does not count."""
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    # With "Basic ...", which browsers add by themselves, it is still a browser's.
    return bool(
        (kind.lower() == "bearer" and key.strip())
        or request.headers.get("X-API-Key")
        or request.headers.get("X-Session-Token")
    )


def same_origin(origin: str, host: str, *, secure: bool) -> bool:
    """Whether a browser's Origin is this service, or one that it trusts."""
    if origin in settings().trusted_origins:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # http://[
        return False
    return parts.netloc.lower() == host.lower() and parts.scheme in (
        ("https",) if secure else ("http", "https")
    )
