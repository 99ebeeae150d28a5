"""People without an account: anybody begins as one, so they are counted by the network they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from cutline.server import rates
from cutline.server.account import keys
from cutline.server.api.models import IdempotentAnswer
from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image, Report
from cutline.server.people.keys import EVERYBODYS, Scope
from cutline.server.people.models import Owner
from cutline.server.people.viewers import owner_of
from tests.server.account.accounts import Person

pytestmark = pytest.mark.django_db

HERE, THERE = "192.0.2.1", "192.0.2.2"


def write(client: Client, method: str, path: str, body: Any, *, address: str = HERE, **headers: str) -> Any:
    return client.generic(
        method,
        f"/api/v1/{path}",
        json.dumps(body),
        content_type="application/json",
        headers=headers,
        REMOTE_ADDR=address,
    )


@pytest.fixture
def shown() -> Caption:
    """The caption of a public image."""
    owner = Owner.objects.create()
    image = Image.objects.create(
        owner=owner,
        content_hash="a" * 64,
        width_px=4,
        height_px=3,
        visibility="public",
        moderation="approved",
    )
    Image.objects.update(published_at=image.created_at, caption="A dog.", caption_by="model")
    caption = Caption.objects.create(image=image, rank=0, text="A dog.", log_prob=-1, model="m@1")
    image.versions.create(number=1, text="A dog.", by="model", action="generated", caption=caption)
    return caption


# -- what many of them in one network can do -------------------------------------------------------------


def test_strangers_of_one_network_take_no_picture_down(shown: Caption) -> None:
    path = f"images/{shown.image_id}/report"
    for number in range(6):
        address = f"2001:db8:0:1::{number:x}" if number % 2 else HERE
        assert write(Client(), "POST", path, {"reason": "spam"}, address=address).status_code == 201
    assert Report.objects.count() == 2
    shown.image.refresh_from_db()
    assert shown.image.published_at is not None
    write(Client(), "POST", path, {"reason": "spam"}, address=THERE)
    shown.image.refresh_from_db()
    assert shown.image.published_at is None  # three networks


def test_an_account_counts_wherever_it_is(shown: Caption, person: Person, other: Person) -> None:
    """Those who share an address with a report are not silenced by it."""
    path = f"images/{shown.image_id}/report"
    for someone in (person, other):
        someone.sign_up()
        assert someone.api("POST", f"/{path}", {"reason": "privacy"}).status_code == 201
    write(Client(), "POST", path, {"reason": "spam"}, address="127.0.0.1")
    shown.image.refresh_from_db()
    assert shown.image.published_at is None


def test_a_report_after_a_decision_is_a_new_one(shown: Caption) -> None:
    path = f"images/{shown.image_id}/report"
    write(Client(), "POST", path, {"reason": "spam"})
    Report.objects.update(resolved_at=shown.created_at)
    write(Client(), "POST", path, {"reason": "hateful"})
    assert Report.objects.get(resolved_at=None).reason == "hateful"


def test_strangers_of_one_network_have_one_rating(shown: Caption) -> None:
    path = f"captions/{shown.pk}/rating"
    for _ in range(5):
        assert write(Client(), "PUT", path, {"value": -1}).status_code == 200
    write(Client(), "PUT", path, {"value": 1}, address=THERE)
    assert sorted(Rating.objects.values_list("value", flat=True)) == [-1, 1]


def test_feedback_is_noted_once_a_day_for_each_account_and_network(shown: Caption, person: Person) -> None:
    body = {"events": [{"kind": "impression", "caption": str(shown.pk)}] * 500}
    noted = [
        write(Client(), "POST", "feedback", body, address=address).json()["noted"]
        for address in (HERE, HERE, THERE)
    ]
    assert noted == [1, 0, 1]
    person.sign_up()
    noted = [person.api("POST", "/feedback", body).json()["noted"] for _ in range(2)]
    assert noted == [1, 0]
    copied = {"events": [{"kind": "copy", "caption": str(shown.pk)}]}
    assert person.api("POST", "/feedback", copied).json() == {"noted": 1}
    assert Feedback.objects.count() == 4


def test_visitors_who_begin_are_counted(configure: Callable[..., object]) -> None:
    configure(rate_visitors="2/day")
    begun = [write(Client(), "PATCH", "me", {"may_train": True}) for _ in range(3)]
    assert [each.status_code for each in begun] == [200, 200, 429]
    assert begun[-1].json()["code"] == "too_many_requests"
    assert int(begun[-1]["Retry-After"]) > 0
    assert write(Client(), "PATCH", "me", {"may_train": True}, address=THERE).status_code == 200
    assert Owner.objects.count() == Session.objects.count() == 3


def test_an_owner_is_told_by_a_mark_that_names_no_address(person: Person) -> None:
    owner = person.write_something()
    assert owner.network == rates.network_mark("127.0.0.1")
    assert "127" not in bytes.fromhex(owner.network).decode("latin-1")
    person.sign_up()
    owner.refresh_from_db()
    assert (owner.user, owner.network) == (person.user, "")


# -- what failed keeps nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("idempotency", ["", "key"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "me", {"name": "Ada"}),
        ("POST", "keys", {"name": "k", "scopes": ["caption"], "expires_at": "2001-01-01T00:00:00Z"}),
        ("POST", "webhooks", {"url": "http://127.0.0.1/"}),
        ("POST", "bulk", {"urls": []}),
        ("POST", "images/from-url", {"urls": ["http://127.0.0.1/a.jpg"]}),
        ("POST", "images/00000000-0000-4000-8000-000000000000/report", {"reason": "spam"}),
        ("POST", "nothing", {}),
    ],
)
def test_a_request_that_fails_leaves_no_visitor_behind(
    method: str, path: str, body: Any, idempotency: str
) -> None:
    client = Client()
    headers = {"Idempotency-Key": idempotency} if idempotency else {}
    assert write(client, method, path, body, **headers).status_code >= 400
    assert "sessionid" not in client.cookies
    assert not (Owner.objects.exists())
    assert not (Session.objects.exists())
    assert not (IdempotentAnswer.objects.exists())


def test_an_upload_of_which_nothing_is_kept_leaves_no_visitor_behind() -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    client = Client()
    answer = client.post("/api/v1/images", {"files": [SimpleUploadedFile("a.jpg", b"no photo")]})
    assert answer.status_code == 422
    assert not (Owner.objects.exists())
    assert not (Session.objects.exists())


def test_a_visitor_who_was_there_stays_where_a_request_fails(person: Person) -> None:
    owner = person.write_something()
    assert person.api("PATCH", "/me", {"name": "Ada"}).status_code == 403
    assert person.owner == owner


# -- what a key tells and may do -------------------------------------------------------------------------


def test_a_key_for_captions_tells_nothing_of_the_account(person: Person) -> None:
    owner = owner_of(person.sign_up())
    told = {}
    for scope in EVERYBODYS:
        secret = keys.create(owner, name="k", scopes=[scope])[1]
        answer = Client().get("/api/v1/session", headers={"X-API-Key": secret})
        told[scope] = person.email in answer.content.decode()
    assert told == {scope: scope == Scope.ACCOUNT for scope in EVERYBODYS}
    assert person.api("GET", "/session").json()["viewer"]["email"] == person.email


def test_a_key_without_the_scope_neither_reports_nor_gives_feedback(shown: Caption, person: Person) -> None:
    owner = owner_of(person.sign_up())
    feedback = {"events": [{"kind": "copy", "caption": str(shown.pk)}]}
    for scope in EVERYBODYS:
        key = {"X-API-Key": keys.create(owner, name="k", scopes=[scope])[1]}
        reported = write(Client(), "POST", f"images/{shown.image_id}/report", {"reason": "spam"}, **key)
        noted = write(Client(), "POST", "feedback", feedback, **key)
        may = scope == Scope.IMAGES_WRITE
        assert (reported.status_code, noted.status_code) == ((201, 200) if may else (403, 403)), scope
