"""Webhooks: where we call, with what, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from cutline.server.account import notices
from cutline.server.api.auth import check_fresh_sign_in, needs
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.schemas import Page, SchemaIn, problems
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.webhooks import selectors, services
from cutline.server.webhooks.models import Delivery, Webhook

router = Router(tags=["webhooks"], auth=needs("webhooks"))

EventTypes = Annotated[
    list[str], Field(max_length=20, description=f"Empty: all. There are {', '.join(services.TYPES)}.")
]
Url = Annotated[str, Field(min_length=1, max_length=2000, description="http or https, on the open internet.")]


class WebhookIn(SchemaIn):
    """A new webhook."""

    url: Url
    events: EventTypes = Field(default_factory=list)


class WebhookChangeIn(SchemaIn):
    """What to change; what is not named stays."""

    url: Url | None = None
    events: EventTypes | None = None
    is_active: bool | None = None


class WebhookOut(Schema):
    """A webhook, and whether its calls arrive."""

    id: UUID
    url: str
    events: list[str]
    is_active: bool
    created_at: datetime
    failing_since: datetime | None = Field(None, description="The first failure since the last success.")
    disabled_at: datetime | None = Field(
        None, description="When it was switched off because it kept failing."
    )
    disabled_reason: str = ""


class WebhookSecretOut(WebhookOut):
    """A webhook with its secret, which is shown this once."""

    secret: str = Field(description="whsec_...: the key of the signatures, for Standard Webhooks libraries.")
    previous_until: datetime | None = Field(None, description="Until when the previous secret signs, too.")


class TryOut(Schema):
    """One attempt at a delivery."""

    at: datetime
    status_code: int | None = None
    error: str = ""
    answer: str = Field("", description="The beginning of the server's response.")
    duration_ms: int = 0


class DeliveryOut(Schema):
    """One message to one webhook, with its attempts."""

    id: UUID
    webhook: UUID = Field(validation_alias="webhook_id")
    event: int | None = Field(None, validation_alias="event_id")
    type: str
    body: dict[str, Any]
    state: str = Field(description="waiting, delivered or failed.")
    attempts: int
    status_code: int | None = None
    error: str = ""
    tries: list[TryOut]
    replay_of: UUID | None = Field(None, validation_alias="replay_of_id")
    next_try_at: datetime | None = None
    created_at: datetime
    ended_at: datetime | None = None

    @staticmethod
    def resolve_next_try_at(delivery: Delivery) -> datetime | None:
        """When it is tried next."""
        return delivery.run_after if delivery.state == Delivery.State.WAITING else None


@router.get("/webhooks", response={200: Page[WebhookOut], **problems(422)})
def list_webhooks(request: HttpRequest, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT) -> Any:
    """Your webhooks, newest first."""
    return page(selectors.webhooks_of(viewer_of(request)), cursor=cursor, limit=limit)


@router.post("/webhooks", response={201: WebhookSecretOut, **problems(409, 422)})
def create_webhook(request: HttpRequest, webhook: WebhookIn) -> Status[Webhook]:
    """Create a webhook: events are posted to your URL. The secret in the response is not shown again.

    Calls are signed as in Standard Webhooks: check webhook-signature before you believe one. An account's
    session makes one only within five minutes of signing in or of reauthenticating at /_allauth (code
    "reauthentication_required"); it is told by mail. A webhook made without an account ends when its session
    signs up or in.
    """
    check_fresh_sign_in(request, "Making a webhook")
    owner = ensure_owner(request)
    with transaction.atomic():
        made = services.create(owner, webhook.url, webhook.events)
        notices.notify_of_webhook(request, made)
    return Status(201, made)


@router.get("/webhooks/{webhook_id}", response={200: WebhookOut, **problems(404)})
def get_webhook(request: HttpRequest, webhook_id: UUID) -> Webhook:
    """One webhook."""
    return selectors.webhook_for(viewer_of(request), webhook_id)


@router.patch("/webhooks/{webhook_id}", response={200: WebhookOut, **problems(404, 422)})
def change_webhook(request: HttpRequest, webhook_id: UUID, change: WebhookChangeIn) -> Webhook:
    """Change a webhook's URL or events, or switch it off or on. A new URL is as a new webhook."""
    webhook = selectors.webhook_for(viewer_of(request), webhook_id)
    leads_elsewhere = change.url is not None and change.url.strip() != webhook.url
    if leads_elsewhere:
        check_fresh_sign_in(request, "Changing a webhook's URL")
    with transaction.atomic():
        webhook = services.change(webhook, url=change.url, events=change.events, is_active=change.is_active)
        if leads_elsewhere:
            notices.notify_of_webhook(request, webhook)
    return webhook


@router.delete("/webhooks/{webhook_id}", response={204: None, **problems(404)})
def delete_webhook(request: HttpRequest, webhook_id: UUID) -> Status[None]:
    """Delete a webhook and its log."""
    services.delete(selectors.webhook_for(viewer_of(request), webhook_id))
    return Status(204, None)


@router.post("/webhooks/{webhook_id}/secret", response={200: WebhookSecretOut, **problems(404)})
def rotate_webhook_secret(request: HttpRequest, webhook_id: UUID) -> Webhook:
    """Create a new secret; the old one signs, too, for a day. Needs the same proof as POST /webhooks."""
    check_fresh_sign_in(request, "A new secret")
    return services.rotate_secret(selectors.webhook_for(viewer_of(request), webhook_id))


@router.post("/webhooks/{webhook_id}/test", response={202: DeliveryOut, **problems(404, 409)})
def test_webhook(request: HttpRequest, webhook_id: UUID) -> Status[Delivery]:
    """Send one event of type webhook.test."""
    return Status(202, services.send_test(selectors.webhook_for(viewer_of(request), webhook_id)))


@router.get("/webhooks/{webhook_id}/deliveries", response={200: Page[DeliveryOut], **problems(404, 422)})
def list_deliveries(
    request: HttpRequest, webhook_id: UUID, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT
) -> Any:
    """Deliveries with all their attempts, kept for two weeks."""
    webhook = selectors.webhook_for(viewer_of(request), webhook_id)
    return page(webhook.deliveries.all(), cursor=cursor, limit=limit)


@router.get("/deliveries/{delivery_id}", response={200: DeliveryOut, **problems(404)})
def get_delivery(request: HttpRequest, delivery_id: UUID) -> Delivery:
    """One delivery."""
    return selectors.delivery_for(viewer_of(request), delivery_id)


@router.post("/deliveries/{delivery_id}/replay", response={202: DeliveryOut, **problems(404, 409)})
def replay_delivery(request: HttpRequest, delivery_id: UUID) -> Status[Delivery]:
    """Send the same message again. Its webhook-id is the first one's: a receiver can tell."""
    return Status(202, services.replay(selectors.delivery_for(viewer_of(request), delivery_id)))
