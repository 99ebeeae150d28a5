"""Deliveries: calls to webhooks, their tries, and when we give up.

A delivery is a row, written in the transaction of the event that it tells of. Workers claim rows with a
lease; one webhook is called by one worker at a time, and one that fails is left alone for a while. An owner
and a host have a few calls at once, and webhooks whose last call was not a quick success share half of the
callers: so receivers that hang, however many, hold up nobody else's calls.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.mail import send_mail
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from cutline.errors import AddressForbidden, FetchFailed
from cutline.server import leases, outbound, security_log
from cutline.server.celery_app import enqueue
from cutline.server.config import settings
from cutline.server.events.models import Event
from cutline.server.observability.metrics import DELIVERIES
from cutline.server.security_log import Event as SecurityEvent
from cutline.server.webhooks import signing
from cutline.server.webhooks.models import Delivery, Webhook

logger = logging.getLogger(__name__)

DELIVER = "cutline.webhooks.deliver"
TEST = "webhook.test"
TIMEOUT_S = 5.0  # of a call in all
SLOW_S = 1.5  # a call that took longer may be the first of many
RETRY_S = (5, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)  # then it failed
HOLD_S = 300  # a failing webhook's other calls wait at most so long for the next try
GIVE_UP = timedelta(days=3)  # failing for so long, it is disabled
KEEP = timedelta(days=14)  # of the log
CALLS_AT_ONCE = 8  # of one process
UNPROVEN_AT_ONCE = 4  # of these, to webhooks that failed or were slow the last time, or were never called
OWNER_AT_ONCE, HOST_AT_ONCE = 2, 3  # of all processes


def enqueue_for(owner_id: UUID, events: Sequence[Event]) -> None:
    """Make the deliveries of an owner's events, in the caller's transaction."""
    webhooks = list(Webhook.objects.filter(owner_id=owner_id, is_active=True).only("id", "events"))
    deliveries = [
        Delivery(
            webhook=webhook,
            event_id=event.pk,
            image_id=_as_uuid(event.data.get("image")),
            type=event.type,
            body=body_of(event.type, event.created_at, event.data),
        )
        for event in events
        for webhook in webhooks
        if not webhook.events or event.type in webhook.events
    ]
    if not deliveries:
        return
    Delivery.objects.bulk_create(deliveries)
    transaction.on_commit(lambda: enqueue(DELIVER))


def body_of(type: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    """What a call sends."""
    return {"type": type, "timestamp": at.isoformat(), "data": data}


def _as_uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def forget_images(image_ids: Iterable[UUID]) -> None:
    """Remove what the log holds of deleted images: bodies carry captions. Their deletion stays told."""
    Delivery.objects.filter(image_id__in=list(image_ids)).exclude(type="image.deleted").delete()


class _Callers:
    """The threads of this process that make calls: few, whatever the queue says, and none of them idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claiming = threading.Lock()  # one after the other, so that none overlooks another's claim
        self._running = 0
        self._unproven = 0
        self._missed = False

    def enter(self) -> bool:
        with self._lock:
            if self._running >= CALLS_AT_ONCE:
                self._missed = True  # whoever runs looks once more before it leaves
                return False
            self._running += 1
            return True

    def may_leave(self) -> bool:
        with self._lock:
            if self._missed:
                self._missed = False
                return False
            self._running -= 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._running -= 1

    def make_one(self) -> bool:
        """Claim a delivery and make its call; False where there is none for now."""
        with self._claiming:
            delivery = claim(unproven_too=self._unproven < UNPROVEN_AT_ONCE)
            unproven = delivery is not None and not _is_proven(delivery)
            self._unproven += unproven
        if delivery is None:
            return False
        try:
            attempt(delivery)
        finally:
            with self._claiming:
                self._unproven -= unproven
        return True


_callers = _Callers()


def deliver_due() -> int:
    """Make the calls that are due, until none is left; returns how many were made by this thread."""
    made = 0
    if not _callers.enter():
        return made
    try:
        while True:
            while _callers.make_one():
                made += 1
            if _callers.may_leave():
                return made
    except BaseException:
        _callers.leave()
        raise


def claim(*, unproven_too: bool = True) -> Delivery | None:
    """Take the next delivery that is due, with a lease; None when there is none that may be made now."""
    now = timezone.now()
    in_flight = Delivery.objects.filter(state=Delivery.State.WAITING, lease_until__gt=now)
    due = (
        _due(now)
        .exclude(webhook_id__in=in_flight.values("webhook_id"))
        .exclude(webhook__owner_id__in=_full(in_flight, "webhook__owner_id", OWNER_AT_ONCE))
        .exclude(webhook__host__in=_full(in_flight.exclude(webhook__host=""), "webhook__host", HOST_AT_ONCE))
    )
    if not unproven_too:
        due = due.filter(webhook__prompt_at__isnull=False).exclude(type=TEST)
    found = leases.claim(due.order_by("run_after", "created_at"), for_s=settings().lease_s + TIMEOUT_S)
    if found is None:
        return None
    # None where the webhook was deleted meanwhile; what else is due is claimed at the next look.
    return Delivery.objects.select_related("webhook__owner__user").filter(pk=found.pk).first()


def _full(in_flight: QuerySet[Delivery], by: str, most: int) -> Any:
    """Those to whom as many calls are being made as may be at once. by: whose, as a lookup."""
    return in_flight.values(by).annotate(calls=Count("pk")).filter(calls__gte=most).values(by)


def _is_proven(delivery: Delivery) -> bool:
    return delivery.webhook.prompt_at is not None and delivery.type != TEST


def _due(now: datetime) -> QuerySet[Delivery]:
    is_held = Q(webhook__held_until__gt=now)
    # Who asks for a call has mended what failed, and watches for it; nothing else is let go by that.
    is_asked_for = Q(type=TEST) | Q(replay_of__isnull=False, attempts=0)
    return Delivery.objects.filter(
        leases.is_free(now),
        ~is_held | is_asked_for,
        state=Delivery.State.WAITING,
        run_after__lte=now,
        webhook__is_active=True,
    )


def attempt(delivery: Delivery) -> None:
    """Make a claimed delivery's call, and record what came of it."""
    webhook = delivery.webhook
    body = json.dumps(delivery.body, separators=(",", ":"), ensure_ascii=False).encode()
    began = time.monotonic()
    now = timezone.now()
    status, answer, error = None, "", ""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()  # to the pool: others need it while a server takes its time
    try:
        status, answer = outbound.post_json(
            webhook.url,
            body,
            {
                **signing.headers(
                    _secrets(webhook, now),
                    # The first delivery's id names the message: a receiver that has seen it can tell.
                    message_id=f"msg_{(delivery.replay_of_id or delivery.pk).hex}",
                    timestamp=int(now.timestamp()),
                    body=body,
                ),
                "User-Agent": "Cutline-Webhooks",
            },
            TIMEOUT_S,
        )
        if not 200 <= status < 300:
            error = f"The server answered with the status {status}."
    except (AddressForbidden, FetchFailed) as refusal:
        error = str(refusal)
    except Exception:  # whatever it is ends in the row, and the next call must be made
        logger.exception("A webhook's call failed unexpectedly.", extra={"delivery": str(delivery.pk)})
        error = "Internal error."
    one = {
        "at": now.isoformat(),
        "status_code": status,
        "error": error,
        "answer": answer.replace("\0", "")[:300],
        "duration_ms": round(1000 * (time.monotonic() - began)),
    }
    _record(delivery, status, error, one)


def _secrets(webhook: Webhook, now: datetime) -> list[str]:
    if webhook.previous_secret and webhook.previous_until and webhook.previous_until > now:
        return [webhook.secret, webhook.previous_secret]
    return [webhook.secret]


def _record(delivery: Delivery, status: int | None, error: str, one: dict[str, Any]) -> None:
    now = timezone.now()
    values: dict[str, Any] = {
        "status_code": status,
        "error": error[:500],
        "tries": [*delivery.tries, one],
        **leases.FREE,
    }
    wait_s = _wait_s(delivery.attempts)
    if not error:
        values |= {"state": Delivery.State.DELIVERED, "ended_at": now}
        outcome = "delivered"
    elif wait_s is None or status == 410 or delivery.type == TEST:
        values |= {"state": Delivery.State.FAILED, "ended_at": now}
        outcome = "failed"
    else:
        values |= {"run_after": now + timedelta(seconds=wait_s)}
        outcome = "retried"
    with transaction.atomic():
        if not leases.change(Delivery.objects.all(), delivery, delivery.lease_token, values):
            return  # the lease ran out, and another has made this call since
        _note_promptness(delivery.webhook, now, is_prompt=not error and one["duration_ms"] < 1000 * SLOW_S)
        if delivery.type == TEST and not error:
            Webhook.objects.filter(pk=delivery.webhook_id).update(held_until=None)
        elif delivery.type != TEST:
            _note_health(delivery.webhook, now, status=status, error=error, wait_s=wait_s)
    DELIVERIES.labels(outcome).inc()


def _wait_s(attempts: int) -> float | None:
    """Seconds until the next try after so many; None when they are used up."""
    if attempts > len(RETRY_S):
        return None
    return RETRY_S[attempts - 1] * random.uniform(0.9, 1.1)  # so that not all come back at once


def _note_promptness(webhook: Webhook, now: datetime, *, is_prompt: bool) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(prompt_at=now if is_prompt else None)


def _note_health(
    webhook: Webhook, now: datetime, *, status: int | None, error: str, wait_s: float | None
) -> None:
    """Note how the webhook fares; disable it where it is gone, or has failed for long."""
    row = Webhook.objects.filter(pk=webhook.pk)
    if not error:
        row.exclude(failing_since=None, held_until=None).update(failing_since=None, held_until=None)
        return
    row.update(held_until=now + timedelta(seconds=min(wait_s or HOLD_S, HOLD_S)))
    row.filter(failing_since=None).update(failing_since=now)
    since = webhook.failing_since or now
    if status == 410:
        _disable(webhook, now, "The server answered that the address is gone (410).")
    elif now - since > GIVE_UP:
        _disable(webhook, now, f"It has failed since {since:%Y-%m-%d %H:%M} UTC. The last error: {error}")


def _disable(webhook: Webhook, now: datetime, reason: str) -> None:
    """Switch a webhook off, and tell its owner, once."""
    disabled = Webhook.objects.filter(pk=webhook.pk, is_active=True).update(
        is_active=False, disabled_at=now, disabled_reason=reason[:500]
    )
    if disabled:
        security_log.write(SecurityEvent.WEBHOOK_SWITCHED_OFF, webhook=webhook.pk, of=webhook.owner_id)
    user = webhook.owner.user
    if disabled and user is not None:
        send_mail(
            "A webhook was switched off",
            f"Cutline no longer sends events to {webhook.url}\n\n{reason}\n\nUndelivered events are kept for"
            f" {KEEP.days} days. Switch the webhook on again, and they are"
            f" sent.\n\n{settings().public_url}\n",
            None,
            [user.email],
        )


def sweep() -> None:
    """Hint at what is due, and remove what is old."""
    now = timezone.now()
    if _due(now).exists():
        enqueue(DELIVER)
    Delivery.objects.filter(created_at__lt=now - KEEP).delete()
    Webhook.objects.filter(previous_until__lt=now).update(previous_secret="", previous_until=None)
