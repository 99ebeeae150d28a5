"""What owners do with webhooks: make, change, test, replay. deliveries.py makes the calls."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from cutline.server import outbound, rates, security_log
from cutline.server.celery_app import enqueue
from cutline.server.errors import Conflict, Invalid, NotFound, QuotaExceeded
from cutline.server.people.models import Owner
from cutline.server.people.owners import lock_owner
from cutline.server.security_log import Event
from cutline.server.webhooks import signing
from cutline.server.webhooks.deliveries import DELIVER, TEST, body_of
from cutline.server.webhooks.models import Delivery, Webhook

# What a webhook may ask for; contracts/events.schema.json has the data of each.
TYPES = (
    "image.created",
    "image.changed",
    "image.deleted",
    "job.changed",
    "caption.ready",
    "styles.ready",
    "caption.changed",
    "bulk.progress",
    "bulk.done",
    "moderation.changed",
)
MAX_WEBHOOKS, MAX_WEBHOOKS_ANONYMOUS = 20, 3
TEST_RATE, REPLAY_RATE = "10/minute", "60/minute"  # of one owner
SECRET_OVERLAP = timedelta(hours=24)


def create(owner: Owner, url: str, events: Iterable[str] = ()) -> Webhook:
    """Make a webhook. Its secret is in the answer, and never shown again.

    Raises AddressForbidden or FetchFailed for the URL, Invalid for an unknown event, QuotaExceeded.
    """
    host = _host_of(url)
    most = MAX_WEBHOOKS if owner.user_id else MAX_WEBHOOKS_ANONYMOUS
    with transaction.atomic():
        lock_owner(owner)  # two requests at once would both count too few
        if Webhook.objects.filter(owner=owner).count() >= most:
            raise QuotaExceeded(f"You have {most} webhooks; that is the limit.")
        webhook = Webhook.objects.create(
            owner=owner,
            url=url.strip(),
            host=host,
            events=_checked_types(events),
            secret=signing.new_secret(),
        )
    security_log.write(Event.WEBHOOK_CREATED, webhook=webhook.pk, of=owner.pk)
    return webhook


def change(
    webhook: Webhook,
    *,
    url: str | None = None,
    events: Iterable[str] | None = None,
    is_active: bool | None = None,
) -> Webhook:
    """Change what is given. Switching a disabled webhook on gives it a fresh start. Raises as create."""
    if url is not None:
        webhook.url, webhook.host = url.strip(), _host_of(url)
        webhook.prompt_at = None
    if events is not None:
        webhook.events = _checked_types(events)
    if is_active is not None:
        webhook.is_active = is_active
    if is_active or url is not None:
        webhook.failing_since = webhook.held_until = webhook.disabled_at = None
        webhook.disabled_reason = ""
    with transaction.atomic():
        lock_owner(webhook.owner)
        if not Webhook.objects.filter(pk=webhook.pk).exists():  # saved, it would be there again
            raise NotFound("There is no such webhook.")
        webhook.save()
    security_log.write(Event.WEBHOOK_CHANGED, webhook=webhook.pk, of=webhook.owner_id)
    if webhook.is_active:
        transaction.on_commit(lambda: enqueue(DELIVER))
    return webhook


def rotate_secret(webhook: Webhook) -> Webhook:
    """Give a new secret; the old one signs as well for a day, so that no call is refused meanwhile."""
    webhook.previous_secret, webhook.secret = webhook.secret, signing.new_secret()
    webhook.previous_until = timezone.now() + SECRET_OVERLAP
    webhook.save(update_fields=["secret", "previous_secret", "previous_until"])
    security_log.write(Event.WEBHOOK_CHANGED, webhook=webhook.pk, of=webhook.owner_id)
    return webhook


def delete(webhook: Webhook) -> None:
    """Call no more, and forget the log."""
    security_log.write(Event.WEBHOOK_DELETED, webhook=webhook.pk, of=webhook.owner_id)
    webhook.delete()


def send_test(webhook: Webhook) -> Delivery:
    """Call it once with an event of type webhook.test.

    Raises:
        Conflict: it is switched off, or a test of it has not ended.
        RateLimited: the owner has made many tests.
    """
    _check_active(webhook)
    if webhook.deliveries.filter(type=TEST, state=Delivery.State.WAITING).exists():
        raise Conflict("A test of this webhook is still pending.", hint="Read its delivery in a moment.")
    rates.hit("webhook-test", TEST_RATE, webhook.owner_id.hex)
    body = body_of(TEST, timezone.now(), {"webhook": str(webhook.pk)})
    delivery = Delivery.objects.create(webhook=webhook, type=TEST, body=body)
    transaction.on_commit(lambda: enqueue(DELIVER))
    return delivery


def replay(delivery: Delivery) -> Delivery:
    """Send the same body again, as a new delivery of the same message.

    Raises:
        Conflict: it is pending, or its webhook is switched off.
        RateLimited: the owner has sent many again.
    """
    if delivery.state == Delivery.State.WAITING:
        raise Conflict("This delivery is still pending.", hint="It is retried automatically.")
    _check_active(delivery.webhook)
    rates.hit("webhook-replay", REPLAY_RATE, delivery.webhook.owner_id.hex)
    again = Delivery.objects.create(
        webhook=delivery.webhook,
        event_id=delivery.event_id,
        image_id=delivery.image_id,
        type=delivery.type,
        body=delivery.body,
        replay_of_id=delivery.replay_of_id or delivery.pk,
    )
    transaction.on_commit(lambda: enqueue(DELIVER))
    return again


def _check_active(webhook: Webhook) -> None:
    if not webhook.is_active:
        raise Conflict("This webhook is switched off.", hint="Switch it on first.")


def _host_of(url: str) -> str:
    """The host of a URL that may be called. Raises as create."""
    outbound.check_url(url)
    return (urlsplit(url.strip()).hostname or "").rstrip(".")[:255]


def _checked_types(events: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(events))
    if unknown := [each for each in wanted if each not in TYPES]:
        raise Invalid(f"There are no events of type {unknown[0]!r}.", hint=f"There are: {', '.join(TYPES)}.")
    return wanted
