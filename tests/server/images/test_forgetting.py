"""What is left of an image that is gone for good: nothing that it said."""

from __future__ import annotations

import json

import pytest

from cutline.server.events.models import Event
from cutline.server.events.services import emit
from cutline.server.images import deletion
from cutline.server.images.models import Image
from cutline.server.people.models import Owner
from cutline.server.webhooks.models import Delivery, Webhook


@pytest.mark.django_db
@pytest.mark.both_databases
def test_events_and_webhook_logs_forget_the_words_of_a_purged_image() -> None:
    owner = Owner.objects.create()
    Webhook.objects.create(owner=owner, url="https://example.org/hook", secret="whsec_AAAA")
    gone, kept = (
        Image.objects.create(owner=owner, content_hash=str(number), width_px=1, height_px=1)
        for number in range(2)
    )
    for image, text in ((gone, "a secret"), (kept, "a dog")):
        data = {"image": str(image.pk), "caption": text, "by": "person", "model": "", "version": 1}
        emit(owner.pk, "caption.changed", data)
    deletion.purge_now([gone])
    left = json.dumps(
        [*Event.objects.values_list("data", flat=True), *Delivery.objects.values_list("body", flat=True)]
    )
    assert "a secret" not in left
    assert left.count("a dog") == 2
    assert Event.objects.filter(type="caption.changed").count() == 2
    assert Delivery.objects.filter(type="image.deleted").count() == 1
