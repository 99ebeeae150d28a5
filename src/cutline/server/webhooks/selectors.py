"""Which webhooks and deliveries somebody may see: their own."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from cutline.server.errors import NotFound
from cutline.server.people.selectors import owned_by
from cutline.server.people.viewers import Viewer
from cutline.server.webhooks.models import Delivery, Webhook


def webhooks_of(viewer: Viewer) -> QuerySet[Webhook]:
    """The viewer's own webhooks."""
    return owned_by(viewer, Webhook.objects.all())


def webhook_for(viewer: Viewer, webhook_id: UUID) -> Webhook:
    """One of the viewer's webhooks. Raises NotFound."""
    webhook = webhooks_of(viewer).filter(pk=webhook_id).first()
    if webhook is None:
        raise NotFound("There is no such webhook.")
    return webhook


def delivery_for(viewer: Viewer, delivery_id: UUID) -> Delivery:
    """A delivery of one of the viewer's webhooks. Raises NotFound."""
    found = Delivery.objects.select_related("webhook").filter(pk=delivery_id, webhook__in=webhooks_of(viewer))
    delivery = found.first()
    if delivery is None:
        raise NotFound("There is no such delivery.")
    return delivery
