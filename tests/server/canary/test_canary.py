"""How people received a challenger's captions, and its end."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.core.management import call_command

from cutline.registry import Registry
from cutline.server.canary import arms, watch
from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job, JobKind
from cutline.server.people.models import Owner
from cutline.server.steering import shares
from cutline.server.steering.models import Failure

pytestmark = [pytest.mark.django_db]


def written(registry: Registry, ref: str, *, owner: Owner | None = None) -> Caption:
    """A caption that a version wrote for somebody."""
    owner = owner or Owner.objects.create()
    image = Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=4, height_px=3)
    job = Job.objects.create(owner=owner, image=image, kind=JobKind.CAPTION)
    hash_ = registry.find(ref).manifest.bundle_hash
    return Caption.objects.create(image=image, job=job, rank=0, text="A dog.", model="m@1", model_hash=hash_)


def edited(caption: Caption) -> None:
    Feedback.objects.create(
        kind=Feedback.Kind.EDIT, image=caption.image, caption=caption, before="A dog.", after="A cat."
    )


def test_what_people_did_is_counted_by_version(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(written(registry, "challenger"))
    rated = written(registry, "challenger")
    Rating.objects.create(caption=rated, viewer=Owner.objects.create(), value=-1)
    written(registry, "champion")
    busy = Owner.objects.create()
    monkeypatch.setattr(arms, "MOST_OF_ONE", 2)
    for _ in range(4):
        written(registry, "challenger", owner=busy)
    found = watch.compare()
    assert found is not None
    assert (found.challenger.captions, found.challenger.owners, found.champion.captions) == (4, 3, 1)
    assert (found.challenger.edited, found.challenger.rated_down, found.challenger.counts.bad) == (1, 1, 2)
    assert found.challenger.edit_distance == 0.5
    measures = {each.name: each for each in found.challenger.measures}
    assert measures["edited"].value == 0.25
    assert 0 < (measures["edited"].low or 0) < 0.25 < (measures["edited"].high or 0) < 1
    assert (measures["median_s"].value, measures["median_s"].low) == (None, None)
    assert not found.is_worse


def test_a_challenger_that_people_correct_more_is_stopped_with_the_reason(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "is_worse", lambda champion, challenger: challenger.bad > 2 + champion.bad)
    watch.sweep()
    assert registry.alias("challenger").version
    for _ in range(3):
        edited(written(registry, "challenger"))
    call_command("canary")
    told = json.loads(capsys.readouterr().out)
    assert told["is_worse"] is True
    assert told["challenger"]["counts"]["bad"] == 3
    watch.sweep()
    assert registry.alias("challenger").version == ""
    last = registry.history("challenger")[-1]
    assert (last.action, last.by) == ("clear", "canary")
    assert "3 of 3 captions of the challenger" in last.why
    assert watch.compare() is None
    watch.sweep()


def test_a_challenger_that_fails_more_is_stopped(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "is_worse", lambda champion, challenger: challenger.bad > 2 + champion.bad)
    hash_ = registry.find("challenger").manifest.bundle_hash
    for _ in range(3):
        Failure.objects.create(model_hash=hash_, error="RuntimeError")
    written(registry, "challenger")
    found = watch.compare()
    assert found is not None
    assert (found.challenger.failures.bad, found.challenger.failures.all) == (3, 4)
    shares.change(canary_percent=0, shadow_percent=None, by="a test", why="nobody shall get it")
    watch.sweep()
    assert registry.alias("challenger").version
    shares.change(canary_percent=1, shadow_percent=None, by="a test", why="some shall get it")
    watch.sweep()
    assert registry.alias("challenger").version == ""
    assert "failed on 3 of 4 photos" in registry.history("challenger")[-1].why
