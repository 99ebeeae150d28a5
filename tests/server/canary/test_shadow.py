"""The challenger in the shadow: what it writes is seen by nobody, and kept nowhere."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection

from cutline.registry import Registry
from cutline.server import captioner
from cutline.server.canary import watch
from cutline.server.captioner import Caption, ModelInfo, Tried, Written
from cutline.server.captions import shadow
from cutline.server.images import renditions
from cutline.server.jobs.models import Job, JobKind
from cutline.server.people.models import Owner
from cutline.server.steering.models import Shadow
from cutline.server.steering.shares import Shares
from cutline.server.steering.trials import agreement, note_shadow

pytestmark = pytest.mark.django_db
SECRET = "zqshadow"


def captions(text: str) -> list[Caption]:
    return [Caption(text=text, log_prob=-1.0)]


def by(registry: Registry, ref: str) -> ModelInfo:
    manifest = registry.find(ref).manifest
    return ModelInfo(name=manifest.name, version=manifest.version, bundle_hash=manifest.bundle_hash)


@pytest.fixture
def shown(registry: Registry) -> Written:
    """What the champion wrote, and people see."""
    return Written(captions=captions("A dog runs."), model=by(registry, "champion"), seconds=0.02)


def tried(registry: Registry, text: str = "", seconds: float = 0.03) -> Tried:
    written = captions(text) if text else []
    return Tried(captions=written, model=by(registry, "challenger"), seconds=seconds)


def test_two_captions_are_compared_and_neither_is_kept(
    registry: Registry, shown: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renditions, "read_master", lambda image_id: b"a photo")
    answers = iter(
        [tried(registry, f"A dog {SECRET}."), tried(registry, "A dog runs."), tried(registry), None]
    )
    monkeypatch.setattr(captioner, "try_challenger", lambda photo, wanted: next(answers))
    for _ in range(4):
        shadow.compare(uuid4(), captioner.wanted({}), shown)
    found = watch.compare()
    assert found is not None
    assert found.shadow.photos == 3
    measures = {each.name: each for each in found.shadow.measures}
    assert measures["agreement"].value == pytest.approx((2 / 3 + 1) / 2, abs=1e-3)
    assert (measures["same"].value, measures["failed"].of) == (0.5, 3)
    assert (measures["champion_s"].value, measures["challenger_s"].value) == (0.02, 0.03)
    assert found.challenger.captions == 0
    for model in apps.get_models():
        rows = str(list(model._default_manager.values()))
        assert SECRET not in rows, model


def test_only_its_share_of_jobs_that_the_champion_captioned(
    registry: Registry, shown: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    shadows = shadow.Shadows()
    monkeypatch.setattr(
        shadows, "_pool", type("Pool", (), {"submit": lambda _, *words: asked.append(words)})()
    )
    job = Job(owner=Owner(), image_id=uuid4(), kind=JobKind.CAPTION)
    plain, all_of_it = captioner.wanted({}), Shares(canary_percent=0, shadow_percent=100)
    shadows.consider(job, plain, shown, Shares(canary_percent=0, shadow_percent=0))
    shadows.consider(job, captioner.wanted({}, in_canary=True), shown, all_of_it)
    shadows.consider(Job(owner=Owner(), kind=JobKind.CAPTION), plain, shown, all_of_it)
    assert asked == []
    for _ in range(20):
        shadows.consider(job, plain, shown, all_of_it)
    assert len(asked) == 8  # what is more than enough is left out
    inside = sum(Shares(canary_percent=0, shadow_percent=20).has_in_shadow(uuid4()) for _ in range(500))
    assert 50 < inside < 150


def test_a_job_is_done_whatever_the_challenger_does(
    registry: Registry, shown: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*words: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(shadow, "compare", fail)
    shadows = shadow.Shadows()
    monkeypatch.setattr(connection, "close", lambda: None)
    for _ in range(20):
        shadows._room.acquire()
        shadows._try(uuid4(), captioner.wanted({}), shown)
    assert "in the shadow" in caplog.text
    assert Shadow.objects.count() == 0


def test_nothing_but_numbers_has_a_place(registry: Registry, shown: Written) -> None:
    note_shadow(shown, tried(registry, SECRET))
    kinds = {field.name: field.get_internal_type() for field in Shadow._meta.concrete_fields}
    assert set(kinds.values()) == {"BigAutoField", "CharField", "FloatField", "DateTimeField"}
    assert [name for name, kind in kinds.items() if kind == "CharField"] == [
        "champion_hash",
        "challenger_hash",
    ]
    assert agreement("A dog runs.", "a DOG runs.") == 1
    source = Path(inspect.getfile(captioner)).parent
    users = [path.name for path in source.rglob("*.py") if "try_challenger" in path.read_text()]
    assert sorted(users) == ["captioner.py", "shadow.py"]
