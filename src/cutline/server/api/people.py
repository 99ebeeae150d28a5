"""The viewer: their session, account, consent, keys and data. Signing up and in is allauth's: /_allauth."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Schema, Status
from pydantic import AwareDatetime, Field, StringConstraints

from cutline.errors import CutlineError
from cutline.server import captioner, security_log
from cutline.server.account import deletion, export, keys, notices, services
from cutline.server.account.providers import provider_names
from cutline.server.api.auth import anyone, check_fresh_sign_in, needs
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.schemas import Page, SchemaIn, a_file, problems
from cutline.server.api.streams import streamed
from cutline.server.bulk import services as bulks
from cutline.server.config import settings
from cutline.server.errors import Forbidden
from cutline.server.people import selectors
from cutline.server.people.keys import Scope
from cutline.server.people.models import Owner
from cutline.server.people.viewers import Viewer, ensure_owner, viewer_of
from cutline.server.security_log import Event

router = Router(tags=["people"])

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120)]
KeyName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class ViewerOut(Schema):
    """Who is asking."""

    owner: UUID | None = Field(description="Whom images belong to; null before the first write.")
    user: UUID | None = Field(description="The account; null without one.")
    email: str | None = Field(None, description="For a key with the scope account, and for sessions.")
    name: str | None = Field(None, description="As email.")
    role: str
    scopes: list[str] | None = Field(None, description="What the key may do; null for a session.")


class LimitsOut(Schema):
    """What one viewer may upload and store."""

    max_upload_bytes: int
    max_upload_files: int
    max_pixels: int
    max_bulk_bytes: int
    max_bulk_items: int
    max_images: int
    anonymous_days: float = Field(description="Days after which images without an account are deleted.")
    undo_s: float = Field(description="Seconds for which deleted images can be restored.")


class ProviderOut(Schema):
    """A sign-in provider: its id goes to /_allauth/browser/v1/auth/provider/redirect."""

    id: str
    name: str


class SessionOut(Schema):
    """What a page needs to know when it opens."""

    viewer: ViewerOut
    limits: LimitsOut
    providers: list[ProviderOut]
    model: str | None = Field(description="name@version of the model that writes captions.")
    model_language: str | None = Field(
        description="The language it writes, a tag of BCP 47; null if its bundle does not say."
    )


class MeOut(Schema):
    """An owner, with or without an account."""

    owner: UUID
    user: UUID | None
    email: str | None
    name: str | None
    role: str
    may_train: bool = Field(description="Consent: may images and feedback train models?")
    may_train_changed_at: datetime | None
    created_at: datetime


class MeIn(SchemaIn):
    """What to change; what is left out stays."""

    name: Name | None = None
    may_train: bool | None = None


class KeyIn(SchemaIn):
    """A key to make."""

    name: KeyName
    scopes: list[Scope] = Field(min_length=1)
    expires_at: AwareDatetime | None = Field(
        None, description="With a time zone; null: it is valid until revoked."
    )


class KeyOut(Schema):
    """An API key; its secret is shown once, when it is made."""

    id: UUID
    name: str
    prefix: str = Field(description="Its first letters, to tell keys apart.")
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key with its secret."""

    key: str = Field(description="The secret. Store it: it is never shown again.")


class RevokedOut(Schema):
    """What was ended."""

    revoked: int = Field(description="How many keys still worked.")


@router.get("/session", response=SessionOut, auth=anyone)
def get_session(request: HttpRequest) -> SessionOut:
    """The viewer, their limits, and how they can sign in. Creates no session."""
    viewer = viewer_of(request)
    owner = (
        Owner.objects.select_related("user").filter(pk=viewer.owner_id).first() if viewer.owner_id else None
    )
    user = owner.user if owner else None
    chosen = settings()
    model = _model()
    return SessionOut(
        viewer=ViewerOut(
            owner=viewer.owner_id,
            user=viewer.user_id,
            email=user.email if user and viewer.has(Scope.ACCOUNT) else None,
            name=user.name if user and viewer.has(Scope.ACCOUNT) else None,
            role=viewer.role,
            scopes=sorted(viewer.scopes) if viewer.scopes is not None else None,
        ),
        limits=LimitsOut(
            max_upload_bytes=chosen.max_upload_bytes,
            max_upload_files=chosen.max_upload_files,
            max_pixels=chosen.max_pixels,
            max_bulk_bytes=bulks.max_bytes(has_account=viewer.user_id is not None),
            max_bulk_items=chosen.max_bulk_items,
            max_images=chosen.max_images if viewer.user_id else chosen.max_images_anonymous,
            anonymous_days=chosen.anonymous_days,
            undo_s=chosen.undo_s,
        ),
        providers=[ProviderOut(id=id, name=name) for id, name in provider_names(chosen).items()],
        model=model.label if model else None,
        model_language=model.language if model else None,
    )


@router.get("/me", response={200: MeOut, **problems(404)}, auth=needs("account"))
def get_me(request: HttpRequest) -> MeOut:
    """The viewer's account, or their session's owner. 404 if nothing is stored for them yet."""
    return _me(selectors.owner_for(viewer_of(request)))


@router.patch("/me", response=MeOut, auth=needs("account"))
def change_me(request: HttpRequest, body: MeIn) -> MeOut:
    """Change the account's name, or give or withdraw consent. Works without an account, for consent."""
    owner = ensure_owner(request)
    if body.name is not None:
        if owner.user is None:
            raise Forbidden("Only an account has a name.", hint="Sign up first.")
        owner.user.name = body.name
        owner.user.save(update_fields=["name"])
    if body.may_train is not None:
        services.set_consent(owner, may_train=body.may_train)
    return _me(owner)


@router.delete("/me", response={204: None, **problems(404, 409)}, auth=anyone)
def delete_me(request: HttpRequest) -> Status[None]:
    """Delete the account, or the anonymous session, with everything in it: at once and for good.

    By session only, and for an account only within five minutes of signing in or of reauthenticating at
    /_allauth (code "reauthentication_required").
    """
    viewer = viewer_of(request)
    _by_session(viewer)
    owner = selectors.owner_for(viewer)
    if owner.user is None:
        deletion.delete_owner(owner)
        security_log.write(Event.ACCOUNT_DELETED, of=viewer.owner_id or "")
    else:
        check_fresh_sign_in(request, "Deleting an account")
        deletion.delete_account(owner.user)
    logout(request)
    return Status(204, None)


@router.get(
    "/me/export",
    response={200: None, **problems(404)},
    auth=needs("account"),
    openapi_extra=a_file("application/zip"),
)
def export_me(request: HttpRequest) -> StreamingHttpResponse:
    """Everything that is kept of the viewer, as a zip file that is made while it is sent."""
    owner = selectors.owner_for(viewer_of(request))
    security_log.write(Event.DATA_EXPORTED, what="everything", of=owner.pk)
    return streamed(
        request, export.export_owner(owner), content_type="application/zip", file_name="cutline-export.zip"
    )


@router.get("/keys", response={200: Page[KeyOut], **problems(422)}, auth=needs("account"))
def list_keys(request: HttpRequest, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT) -> dict[str, Any]:
    """The viewer's API keys, including revoked ones, newest first."""
    found = page(selectors.keys_of(viewer_of(request)), cursor=cursor, limit=limit)
    return {"items": found.rows, "next": found.next}


@router.post("/keys", response={201: NewKeyOut, **problems(409)}, auth=anyone)
def create_key(request: HttpRequest, body: KeyIn) -> Status[NewKeyOut]:
    """Create an API key. Its secret is in this response only.

    By session only, and for an account only within five minutes of signing in or of reauthenticating at
    /_allauth (code "reauthentication_required"); it is told by mail. A key made without an account ends when
    its session signs up or in.
    """
    _by_session(viewer_of(request))
    check_fresh_sign_in(request, "Making a key")
    owner = ensure_owner(request)
    with transaction.atomic():
        key, secret = keys.create(owner, name=body.name, scopes=body.scopes, expires_at=body.expires_at)
        notices.notify_of_key(request, key)
    return Status(201, NewKeyOut(**KeyOut.from_orm(key).dict(), key=secret))


@router.delete("/keys", response={200: RevokedOut, **problems(404)}, auth=needs("account"))
def revoke_keys(request: HttpRequest) -> dict[str, int]:
    """Revoke all keys at once, for instance after somebody learned the password."""
    return {"revoked": keys.revoke_all(selectors.owner_for(viewer_of(request)).pk)}


@router.delete("/keys/{key_id}", response={204: None, **problems(404)}, auth=needs("account"))
def revoke_key(request: HttpRequest, key_id: UUID) -> Status[None]:
    """Revoke a key at once. Doing it again changes nothing."""
    keys.revoke(selectors.owner_for(viewer_of(request)).pk, key_id)
    return Status(204, None)


def _me(owner: Owner) -> MeOut:
    user = owner.user
    return MeOut(
        owner=owner.pk,
        user=user.pk if user else None,
        email=user.email if user else None,
        name=user.name if user else None,
        role=user.role if user else "user",
        may_train=owner.may_train,
        may_train_changed_at=owner.may_train_changed_at,
        created_at=user.created_at if user else owner.created_at,
    )


def _by_session(viewer: Viewer) -> None:
    """A key that leaked must not make others that outlive it, nor end the account."""
    if viewer.key_id is not None:
        raise Forbidden("This cannot be done with an API key.", hint="Sign in to the web app to do it.")


def _model() -> captioner.ModelInfo | None:
    try:
        return captioner.about()
    except CutlineError:  # the page must still come when the model is broken; /readyz tells
        return None
