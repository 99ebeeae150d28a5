"""Events: written with what happened, in order, as the contract says; read by their owner alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pydantic
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cutline.server.events import channel, schema, selectors, services
from cutline.server.events.models import Event
from cutline.server.events.services import as_message, emit, emit_all
from cutline.server.people.models import Owner
from tests.server.events.samples import DATA, sample
from tests.server.services.process import ANSWERS_S

CONTRACT = Path(__file__).parents[3] / "contracts/events.schema.json"


@pytest.fixture
def owner() -> Owner:
    return Owner.objects.create()


def _session_of(owner: Owner) -> Client:
    client = Client()
    session = client.session
    session["owner_id"] = owner.pk.hex
    session.save()
    client.cookies["sessionid"] = session.session_key
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("type", schema.TYPES)
def test_every_type_is_as_the_contract_says(owner: Owner, type: str) -> None:
    event = emit(owner.pk, type, sample(type))
    jsonschema.validate(as_message(event), json.loads(CONTRACT.read_text()))


def test_no_type_lacks_a_sample() -> None:
    assert set(DATA) == set(schema.TYPES)


@pytest.mark.django_db
@pytest.mark.parametrize("type", schema.TYPES)
def test_what_the_contract_does_not_say_is_not_written(owner: Owner, type: str) -> None:
    wrong = [("no.such", {}), (type, {}), (type, {**sample(type), "more": 1})]
    for name, data in wrong:
        with pytest.raises(pydantic.ValidationError), transaction.atomic():
            emit(owner.pk, name, data)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_is_sent_once_it_is_committed(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(services, "send", lambda group, message: sent.append((group, message)))
    with transaction.atomic():
        emit(owner.pk, "image.deleted", sample("image.deleted"))
        first = emit(owner.pk, "image.deleted", sample("image.deleted"))
        assert sent == []
    with transaction.atomic():
        emit(owner.pk, "image.deleted", sample("image.deleted"))
        transaction.set_rollback(True)
    last = emit(owner.pk, "image.deleted", sample("image.deleted"))
    assert [group for group, _ in sent] == [channel.group_of(owner.pk)] * 3
    assert [message["previous"] for _, message in sent] == [0, first.pk - 1, first.pk]
    assert sent[-1][1]["event"]["id"] == last.pk


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_what_happened_at_once_is_told_in_order_and_costs_as_one_event(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(services, "send", lambda group, message: sent.append(message))
    with CaptureQueriesContext(connection) as of_one:
        before = emit(owner.pk, "image.deleted", sample("image.deleted"))
    told = [(type, sample(type)) for type in ("job.changed", "caption.ready", "image.deleted")]
    with CaptureQueriesContext(connection) as of_three:
        events = emit_all(owner.pk, told)
    assert len(of_three) == len(of_one)
    assert [event.type for event in Event.objects.order_by("pk")[1:]] == [type for type, _ in told]
    numbers = [event.pk for event in events]
    assert [message["event"]["id"] for message in sent[1:]] == numbers == sorted(numbers)
    assert [message["event"]["type"] for message in sent[1:]] == [type for type, _ in told]
    assert [message["previous"] for message in sent[1:]] == [before.pk, *numbers[:-1]]


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_an_owner_s_events_are_committed_in_the_order_of_their_numbers(owner: Owner) -> None:
    first_wrote, second_wrote = threading.Event(), threading.Event()
    order: list[str] = []

    def second() -> None:
        try:
            assert first_wrote.wait(ANSWERS_S)
            emit(owner.pk, "image.deleted", sample("image.deleted"))
            order.append("second")
            second_wrote.set()
        finally:
            connection.close()

    thread = threading.Thread(target=second)
    thread.start()
    with transaction.atomic():
        emit(owner.pk, "image.deleted", sample("image.deleted"))
        first_wrote.set()
        assert not second_wrote.wait(0.5)
        order.append("first")
    thread.join(ANSWERS_S)
    assert order == ["first", "second"]


@pytest.mark.both_databases
@pytest.mark.django_db
def test_events_after_the_last_one_seen(owner: Owner) -> None:
    numbers = [emit(owner.pk, "image.deleted", sample("image.deleted")).pk for _ in range(5)]
    emit(Owner.objects.create().pk, "image.deleted", sample("image.deleted"))
    found = selectors.after(owner.pk, numbers[1], limit=2)
    assert [each["id"] for each in found.messages] == numbers[2:4]
    assert (found.last, found.more, found.reset) == (numbers[3], True, False)
    end = selectors.after(owner.pk, numbers[4], limit=2)
    assert (end.messages, end.last, end.more, end.reset) == ([], numbers[4], False, False)


@pytest.mark.django_db
def test_who_saw_what_is_gone_must_begin_anew(owner: Owner, configure: Callable[..., object]) -> None:
    old = emit(owner.pk, "image.deleted", sample("image.deleted"))
    new = emit(owner.pk, "image.deleted", sample("image.deleted"))
    Event.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=3))
    configure(event_hours=2)
    assert services.sweep() == 1
    found = selectors.after(owner.pk, old.pk, limit=10)
    assert (found.reset, [each["id"] for each in found.messages]) == (True, [new.pk])


@pytest.mark.django_db
def test_the_api_gives_each_viewer_their_own(owner: Owner) -> None:
    mine = [emit(owner.pk, "image.deleted", sample("image.deleted")) for _ in range(3)]
    other = Owner.objects.create()
    theirs = emit(other.pk, "image.deleted", sample("image.deleted"))
    client = _session_of(owner)
    answer = client.get(f"/api/v1/events?after={mine[0].pk}&limit=1").json()
    assert [UUID(each["data"]["image"]) for each in answer["items"]] == [UUID(mine[1].data["image"])]
    assert (answer["last"], answer["more"], answer["reset"]) == (mine[1].pk, True, False)
    rest = client.get(f"/api/v1/events?after={answer['last']}").json()
    assert [each["id"] for each in rest["items"]] == [mine[2].pk]
    assert client.get(f"/api/v1/events?after={theirs.pk}").json()["reset"]
    assert [each["id"] for each in _session_of(other).get("/api/v1/events").json()["items"]] == [theirs.pk]
    assert Client().get("/api/v1/events").json()["items"] == []


@pytest.mark.django_db
def test_a_channel_layer_that_is_away_undoes_nothing(
    owner: Owner, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1"]},
        }
    }
    with django_capture_on_commit_callbacks(execute=True):
        emit(owner.pk, "image.deleted", sample("image.deleted"))
    assert Event.objects.count() == 1
