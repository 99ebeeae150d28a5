"""Captions from a function: for jobs that were lent to it, by calls that it signed, once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from cutline.errors import ConfigError
from cutline.server.captioner import ModelInfo, Written
from cutline.server.captions.models import Caption
from cutline.server.captions.services import save_candidates
from cutline.server.config import ServerSettings, settings
from cutline.server.images.deletion import delete
from cutline.server.images.models import Image, Rendition, RenditionKind, StoredFile
from cutline.server.jobs.models import Job, JobState, Priority
from cutline.server.jobs.services import claim, create_job, sweep
from cutline.server.people.models import Owner
from cutline.signatures import headers, new_secret
from tests.server.callbacks.conftest import SECRET, TOPIC
from tests.server.jobs.making import make_owner, upload

pytestmark = pytest.mark.django_db


def key_of(image: Image) -> str:
    return Rendition.objects.get(image=image, kind=RenditionKind.MASTER).file_id


def answer(key: str, *texts: str) -> dict[str, Any]:
    return {
        "key": key,
        "captions": [
            {"text": text, "log_prob": -1.25, "confidence": 0.75} for text in texts or ("a cat on a mat",)
        ],
        "model": {"name": "cutline-base", "version": "2.0", "hash": "5" * 64},
    }


def signed(
    body: bytes, *, secret: str = SECRET, at: float | None = None, name: str = "cap_1"
) -> dict[str, str]:
    at = time.time() if at is None else at
    return headers([secret], message_id=name, timestamp=int(at), body=body)


def send(body: object, given: dict[str, str] | None = None) -> HttpResponse:
    """Call back. given: the headers; those of a good signature, each with another id, if left out."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = signed(data, name=uuid4().hex) if given is None else given
    found: HttpResponse = Client().generic(
        "POST", "/callbacks/captions", data, content_type="application/json", headers=given
    )
    return found


def test_a_new_photo_is_lent_and_its_answer_ends_the_job(
    photo_: tuple[Image, Job], hints_heard: list[int]
) -> None:
    image, job = photo_
    assert (job.state, job.stage, hints_heard) == (JobState.RUNNING, "callback", [])
    assert claim() is None
    assert send(answer(key_of(image), "a cat on a mat", "a mat")).status_code == 204
    image.refresh_from_db()
    job.refresh_from_db()
    assert (image.caption, image.caption_model) == ("a cat on a mat", "cutline-base@2.0")
    assert (job.state, job.model_hash) == (JobState.DONE, "5" * 64)
    texts = Caption.objects.filter(image=image).order_by("rank").values_list("text", "log_prob", "confidence")
    assert list(texts) == [("a cat on a mat", -1.25, 0.75), ("a mat", -1.25, 0.75)]


def test_the_same_answer_again_is_taken_and_changes_nothing(photo_: tuple[Image, Job]) -> None:
    image, _ = photo_
    assert send(answer(key_of(image))).status_code == 204
    assert send(answer(key_of(image))).status_code == 204
    assert Caption.objects.filter(image=image).count() == 1
    assert send(answer(key_of(image), "another")).status_code == 409
    assert Caption.objects.filter(image=image).count() == 1


def test_a_call_that_was_recorded_cannot_be_played_again(photo_: tuple[Image, Job]) -> None:
    image, job = photo_
    body = json.dumps(answer(key_of(image))).encode()
    given = signed(body)
    assert send(body, given).status_code == 204
    Caption.objects.filter(image=image).delete()
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, lease_token=uuid4())
    written_otherwise = {**given, "webhook-signature": f"v1,AAAA {given['webhook-signature']}"}
    spaced = {**given, "webhook-timestamp": f" {given['webhook-timestamp']}"}
    for replay in (given, written_otherwise, spaced):
        assert send(body, replay).status_code == 409
    assert not Caption.objects.filter(image=image).exists()


def test_what_the_function_did_not_sign_is_refused(
    photo_: tuple[Image, Job], subtests: pytest.Subtests
) -> None:
    image, job = photo_
    body = json.dumps(answer(key_of(image))).encode()
    good = signed(body)
    other = json.dumps(answer(key_of(image), "an insult")).encode()
    for name, sent, given in (
        ("no signature", body, {}),
        ("another secret", body, signed(body, secret=new_secret())),
        ("another body", other, good),
        ("another id", body, {**good, "webhook-id": "cap_2"}),
        ("another time", body, {**good, "webhook-timestamp": str(int(time.time()) - 9)}),
        ("too old", body, signed(body, at=time.time() - 400)),
        ("from the future", body, signed(body, at=time.time() + 400)),
        ("no number", body, {**good, "webhook-timestamp": "soon"}),
        ("a number without end", body, {**good, "webhook-timestamp": "9" * 400}),
        ("an empty signature", body, {**good, "webhook-signature": ""}),
        (
            "another scheme",
            body,
            {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v0,")},
        ),
    ):
        with subtests.test(name):
            refused = send(sent, given)
            assert refused.status_code == 401
            assert refused["Content-Type"] == "application/problem+json"
    job.refresh_from_db()
    assert job.state == JobState.RUNNING
    assert send(body, good).status_code == 204  # none of them used it up


def test_while_a_secret_is_replaced_both_are_good(
    photo_: tuple[Image, Job], by_callback: Callable[..., ServerSettings]
) -> None:
    by_callback(callback_secret=f"{new_secret()} {SECRET}")
    image, _ = photo_
    body = json.dumps(answer(key_of(image))).encode()
    given = signed(body)
    assert send(body, given).status_code == 204
    assert send(body, given).status_code == 409


def test_whoever_guesses_signatures_is_counted(
    photo_: tuple[Image, Job], by_callback: Callable[..., ServerSettings]
) -> None:
    by_callback(rate_anonymous="2/minute")
    statuses = [send(b"{}", {}).status_code for _ in range(4)]
    assert statuses == [401, 401, 429, 429]
    assert send(answer(key_of(photo_[0]))).status_code == 204  # the function is not


def test_without_an_answer_in_time_a_worker_captions(
    photo_: tuple[Image, Job], hints_heard: list[int]
) -> None:
    image, job = photo_
    assert sweep() == 0
    assert claim() is None
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep() == 1
    assert hints_heard
    assert send(answer(key_of(image), "late")).status_code == 409
    mine = claim()
    assert mine is not None
    assert (mine.pk, mine.attempts, mine.losses) == (job.pk, 1, 0)
    assert send(answer(key_of(image), "late")).status_code == 409
    assert mine.lease_token is not None
    save_candidates(mine, mine.lease_token, Written(captions=[], model=ModelInfo(name="m", version="1")))
    assert send(answer(key_of(image), "late")).status_code == 409
    assert not Caption.objects.filter(image=image).exists()


def test_answers_for_what_does_not_wait_are_refused(
    photo_: tuple[Image, Job], by_callback: Callable[..., ServerSettings], subtests: pytest.Subtests
) -> None:
    image, _ = photo_
    key = key_of(image)
    thumbnail = StoredFile.objects.create(key=key.replace("master", "thumbnail"), bytes=1, state="live")
    Rendition.objects.create(
        image=image, kind=RenditionKind.THUMBNAIL, format="jpeg", width_px=1, height_px=1, file=thumbnail
    )
    with subtests.test("no photo of ours"):
        assert send(answer(key.replace("master", "nothing"))).status_code == 404
    with subtests.test("a file that is no master"):
        assert send(answer(thumbnail.key)).status_code == 404
    with subtests.test("the worker's job"):
        other, queued = upload(make_owner(), options={"beam_size": 2})
        assert queued.state == JobState.QUEUED
        assert send(answer(key_of(other))).status_code == 409
    with subtests.test("a photo that is still being stored"):
        StoredFile.objects.filter(key=key).update(state=StoredFile.State.PENDING)
        again = send(answer(key))
        assert (again.status_code, again["Retry-After"]) == (503, "5")
        StoredFile.objects.filter(key=key).update(state=StoredFile.State.LIVE)
    with subtests.test("a deleted photo"):
        delete([image])
        assert send(answer(key)).status_code == 404
    assert not Caption.objects.exists()


def test_only_first_captions_of_photos_without_wishes_are_lent(
    photo_: tuple[Image, Job], by_callback: Callable[..., ServerSettings]
) -> None:
    image, _ = photo_
    owner = image.owner
    assert create_job(owner=owner, image_id=image.pk).state == JobState.QUEUED
    assert upload(owner, 2, priority=Priority.BULK)[1].state == JobState.RUNNING
    assert upload(owner, 3, options={"n": 5})[1].state == JobState.QUEUED
    assert upload(owner, 4, options={"n": None, "prefix": None})[1].state == JobState.RUNNING
    assert upload(owner, 6, options={"n": settings().candidates})[1].state == JobState.RUNNING
    by_callback(captions_by="workers")
    assert upload(owner, 5)[1].state == JobState.QUEUED


def test_a_photo_that_the_api_was_sent_is_lent(
    by_callback: Callable[..., ServerSettings], make_photo: Callable[..., bytes]
) -> None:
    for form in ({}, {"n": "5"}):
        sent = SimpleUploadedFile("photo.jpg", make_photo(len(form)))
        answered = Client().post("/api/v1/images", {"files": [sent], **form})
        assert answered.status_code in (201, 202), answered.content
        job = Job.objects.latest("created_at")
        assert job.state == (JobState.QUEUED if form else JobState.RUNNING)


def test_what_is_no_answer_is_refused(photo_: tuple[Image, Job], subtests: pytest.Subtests) -> None:
    good = answer(key_of(photo_[0]))
    for name, wrong in {
        "no JSON": b"{",
        "a list": [],
        "no captions": {**good, "captions": []},
        "too many": {**good, "captions": good["captions"] * 11},
        "an empty text": answer(good["key"], ""),
        "blanks": answer(good["key"], "  "),
        "a control character": answer(good["key"], "a\x00b"),
        "too long": answer(good["key"], "a" * 2001),
        "no probability": {**good, "captions": [{"text": "a", "log_prob": -1, "confidence": 1.5}]},
        "a number as text": {**good, "captions": [{"text": 5, "log_prob": -1}]},
        "no number": b'{"key":"k","captions":[{"text":"a","log_prob":NaN}],"model":{}}',
        "another hash": {**good, "model": {**good["model"], "hash": "x"}},
        "a model's name": {**good, "model": {**good["model"], "name": "<b>"}},
        "more than that": {**good, "owner": "somebody"},
    }.items():
        with subtests.test(name):
            assert send(wrong).status_code == 422
    assert not Caption.objects.exists()


def test_where_workers_caption_nothing_is_taken(configure: Callable[..., ServerSettings]) -> None:
    configure(callback_secret=SECRET, callback_topic=TOPIC)
    assert send(answer("images/x")).status_code == 404
    assert Client().post("/callbacks/sns", b"{}", content_type="text/plain").status_code == 404
    assert Client().get("/callbacks/captions").status_code == 405


def test_settings_that_cannot_work_are_refused(configure: Callable[..., ServerSettings]) -> None:
    for wrong in (
        {"captions_by": "callback"},
        {"captions_by": "somebody"},
        {"captions_by": "callback", "callback_secret": "guess me"},
        {"callback_secret": "whsec_c2hvcnQ="},
        {"callback_topic": "arn:aws:sqs:eu-central-1:123456789012:captions"},
        {"captions_by": "callback", "callback_secret": SECRET, "callback_wait_s": "0"},
    ):
        defaults = {
            "captions_by": "workers",
            "callback_secret": "",
            "callback_topic": "",
            "callback_wait_s": 60,
        }
        with pytest.raises(ConfigError):
            configure(**{**defaults, **wrong})


def test_a_visitor_s_owner_is_not_needed(by_callback: Callable[..., ServerSettings]) -> None:
    """The function has no session, and gets none."""
    send(answer("images/x"))
    assert not Owner.objects.exists()
