"""Captions in a voice over HTTP: asked for, streamed, continued, and used."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db import connections
from django.test import Client

from cutline.server import styler
from cutline.server.account import keys
from cutline.server.api import job_events, limits
from cutline.server.asgi import application
from cutline.server.captions import live_words, services, styling
from cutline.server.captions.models import Caption
from cutline.server.images.models import Image, Visibility
from cutline.server.jobs import hints
from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context
from cutline.server.jobs.models import Job, JobState
from cutline.server.people.models import Owner
from cutline.server.voices.models import LastVoice
from tests.chat_server import ChatServer, chat_server, in_words, streamed
from tests.server.services.process import wait_until

DOG = "A dog runs along the beach."
GOOD = "All paws and no plans: this dog has the whole beach to itself."
OTHER = "Give a dog one beach and it will run the length of it, twice."
BOTH = ["images:read", "images:write"]


@pytest.fixture
def model(configure: Callable[..., object]) -> Iterator[ChatServer]:
    """The language model of this service."""
    with chat_server() as server:
        configure(restyler=f"openai:{server.url}#writer")
        server.answer = lambda count, _request: in_words((GOOD, OTHER)[(count - 1) % 2])
        yield server
        styler.close()


@pytest.fixture(autouse=True)
def _nobody_works() -> Iterator[None]:
    hints.listen(lambda: None)
    yield
    hints.listen(None)


def an_image(owner: Owner, text: str = DOG) -> Image:
    made = Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=40, height_px=30)
    services.edit(made, text, owner)
    return made


class Program:
    """Whoever calls the API by a key of an owner."""

    def __init__(self, owner: Owner, scopes: list[str]) -> None:
        self.secret = keys.create(owner, name="k", scopes=scopes)[1]
        self.client = Client(headers={"Authorization": f"Bearer {self.secret}"})

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return self.client.generic(method, f"/api/v1{path}", headers=headers, **data)


def work() -> None:
    """Do every job that is due, as a worker would."""
    while (job := jobs.claim()) is not None:
        context = Context(job)
        try:
            styling.run(job, context)
        except Exception as error:
            jobs.fail(job, context.token, error)


# -- without a stream ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_caption_in_a_voice_is_asked_for_used_and_undone(model: ChatServer) -> None:
    owner = Owner.objects.create()
    image = an_image(owner)
    call = Program(owner, BOTH)
    wanted = {"preset": "instagram", "hashtags": 0, "n": 2, "seed": 7}
    asked = call("POST", f"/images/{image.pk}/styles", wanted)
    job = asked.json()
    assert (asked.status_code, job["kind"], job["state"]) == (202, "style", "queued")
    assert asked["Location"] == f"/api/v1/jobs/{job['id']}/events"
    assert (job["voice"]["emoji"], job["voice"]["hashtags"], job["seed"]) == (True, 0, 7)
    assert job["description"] == {"version": 1, "by": "person", "text": DOG}
    work()
    assert call("GET", f"/jobs/{job['id']}").json()["state"] == "done"
    first, second = call("GET", f"/images/{image.pk}/styles").json()["items"]
    assert (first["text"], second["text"]) == (GOOD, OTHER)
    assert (first["styled"], first["style"]["body"], first["style"]["seed"]) == (True, GOOD, 7)
    assert call("GET", f"/images/{image.pk}/captions?styled=false").json()["items"] == []

    path = f"/images/{image.pk}/caption"
    etag = call("GET", path)["ETag"]
    used = call("PUT", path, {"caption": first["id"]}, **{"If-Match": etag})
    assert (used.status_code, used.json()["styled"], used.json()["by"]) == (200, True, "model")
    assert call("PUT", path, {"caption": second["id"]}, **{"If-Match": etag}).status_code == 412
    seen = call("GET", f"/images/{image.pk}").json()
    assert (seen["caption"], seen["alt_text"], seen["description"], seen["styled"]) == (GOOD, DOG, DOG, True)
    call("POST", f"/images/{image.pk}/versions/1/restore")
    seen = call("GET", f"/images/{image.pk}").json()
    assert (seen["caption"], seen["alt_text"], seen["styled"]) == (DOG, DOG, False)

    more = call("POST", f"/images/{image.pk}/styles", {"like": first["id"], "length": "long", "n": 1}).json()
    assert (more["like"], more["voice"]["emoji"], more["voice"]["length"]) == (first["id"], True, "long")
    assert call("POST", f"/images/{image.pk}/styles", {"like": str(uuid4())}).status_code == 404


@pytest.mark.django_db
def test_what_is_no_voice_or_not_there_is_refused(
    model: ChatServer, configure: Callable[..., object]
) -> None:
    owner = Owner.objects.create()
    image = an_image(owner)
    call = Program(owner, BOTH)
    path = f"/images/{image.pk}/styles"
    for wrong in ({"tone": "x" * 201}, {"n": 6}, {"volume": 11}, {"preset": "nope"}, {"hashtags": -1}):
        assert call("POST", path, wrong).status_code == 422, wrong
    bare = Image.objects.create(owner=owner, content_hash="b", width_px=4, height_px=3)
    assert call("POST", f"/images/{bare.pk}/styles", {}).status_code == 409
    assert Program(owner, ["images:read"])("POST", path, {}).status_code == 403
    assert call("GET", "/styles").json()["available"] is True
    configure(restyler="off")
    here = call("GET", "/styles").json()
    assert (here["available"], here["reason"], here["max_variants"]) == (False, "off", 5)
    refused = call("POST", path, {})
    assert (refused.status_code, refused.json()["code"]) == (503, "restyler_unavailable")
    configure(max_captions=1)
    Caption.objects.create(image=image, rank=0, text=DOG, model="m@1")
    assert call("POST", path, {}).json()["code"] == "quota_exceeded"
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_others_read_a_styled_caption_that_is_shown_and_not_how_it_came_to_be(model: ChatServer) -> None:
    owner = Owner.objects.create()
    image = an_image(owner)
    styling.request(image, owner, voice={"tone": "secretly angry"}, n=2)
    work()
    services.pick(image, Caption.objects.get(text=GOOD), owner)
    Image.objects.update(visibility=Visibility.UNLISTED)
    token = Image.objects.get().share_token
    other = Program(Owner.objects.create(), BOTH)
    for path in ("captions", "styles"):
        answer = other("GET", f"/images/{image.pk}/{path}?token={token}")
        [item] = answer.json()["items"]
        assert (item["text"], item["styled"], item["style"]) == (GOOD, True, None)
        assert b"angry" not in answer.content
    job = Job.objects.get()
    for path in (f"/jobs/{job.pk}", f"/jobs/{job.pk}/events"):
        assert other("GET", path).status_code == 404


@pytest.mark.django_db
def test_the_voice_of_a_session_is_remembered_and_that_of_a_program_is_not(model: ChatServer) -> None:
    owner = Owner.objects.create()
    image = an_image(owner)
    Program(owner, BOTH)("POST", f"/images/{image.pk}/styles", {"tone": "dry"})
    assert not LastVoice.objects.exists()
    browser = Client()
    session = browser.session
    session["owner_id"] = owner.pk.hex
    session.save()
    body = json.dumps({"tone": "warm"})
    browser.post(f"/api/v1/images/{image.pk}/styles", body, content_type="application/json")
    assert LastVoice.objects.get().voice == {"tone": "warm"}


# -- streams ---------------------------------------------------------------------------------------------


def with_client(do: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
    """Do something with a client of the whole application."""
    limits.forget()

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await do(client)

    return asyncio.run(run())


def events_of(answer: httpx.Response) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, name, data) of each."""
    found = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def worked_meanwhile(do: Callable[[], httpx.Response], *, once: Callable[[], object]) -> httpx.Response:
    """Do something while a worker of another thread does what is due, once that is so."""

    def run() -> None:
        try:
            wait_until(once, what="the time to work")
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return do()
    finally:
        thread.join()


def _ends_once_whole_captions_are_told(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no job end before a stream has told so many: its end alone would be told then."""
    told: list[int] = []
    new_words, save = job_events._Stream._new_words, styling._save

    def tell(self: Any, words: Any) -> Iterator[bytes]:
        for event in new_words(self, words):
            yield event
            if words["whole"]:
                told.append(words["number"])

    def save_then(*arguments: Any) -> None:
        wait_until(lambda: len(told) == count, what="the captions in the stream")
        save(*arguments)

    monkeypatch.setattr(job_events._Stream, "_new_words", tell)
    monkeypatch.setattr(styling, "_save", save_then)


@pytest.mark.django_db(transaction=True)
def test_words_are_streamed_as_events_and_a_repetition_gives_the_end(
    model: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_words, "_EVERY_S", 0)
    _ends_once_whole_captions_are_told(2, monkeypatch)
    owner = Owner.objects.create()
    image = an_image(owner)
    headers = {
        "Authorization": f"Bearer {Program(owner, BOTH).secret}",
        "Accept": "text/event-stream",
        "Idempotency-Key": "once",
    }

    def ask() -> httpx.Response:
        path = f"/api/v1/images/{image.pk}/styles"
        return with_client(lambda client: client.post(path, json={"n": 2, "seed": 3}, headers=headers))

    answer = worked_meanwhile(ask, once=Job.objects.exists)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "private, no-store"
    told = events_of(answer)
    words = [data for _, name, data in told if name == "words"]
    places = [(data["run"], data["seq"]) for data in words]
    assert places == sorted(set(places))
    assert [data["text"] for data in words if data["whole"]] == [GOOD, OTHER]
    last_id, name, done = told[-1]
    assert (name, [each["text"] for each in done["captions"]]) == ("done", [GOOD, OTHER])
    assert Job.objects.count() == 1

    [(again_id, _, again)] = events_of(ask())
    assert (again_id, again["captions"]) == (last_id, done["captions"])
    assert Job.objects.count() == 1
    followed = with_client(
        lambda client: client.get(answer.headers["location"], headers={**headers, "Last-Event-ID": last_id})
    )
    assert followed.status_code == 204


@pytest.mark.django_db(transaction=True)
def test_a_client_that_was_away_and_a_worker_that_is_lost_end_in_whole_captions_once(
    model: ChatServer,
) -> None:
    owner = Owner.objects.create()
    image = an_image(owner)
    job = styling.request(image, owner, voice={"tone": "dry"}, n=1)
    lost = jobs.claim()
    assert lost is not None
    live = live_words.LiveWords(lost)  # its worker is killed after some words
    live.tell(styler.Words(number=0, attempt=1, text="All paws"))
    run = live_words.run_of(lost)
    headers = {
        "Authorization": f"Bearer {Program(owner, BOTH).secret}",
        "Last-Event-ID": f"{run}-0",
    }

    def follow() -> httpx.Response:
        return with_client(lambda client: client.get(f"/api/v1/jobs/{job.pk}/events", headers=headers))

    def is_lost() -> bool:
        Job.objects.filter(pk=job.pk).update(lease_until=job.created_at)
        jobs.sweep()
        return True

    told = events_of(worked_meanwhile(follow, once=is_lost))
    assert [name for _, name, _ in told][-1] == "done"
    assert [each["text"] for each in told[-1][2]["captions"]] == [GOOD]
    runs = [data["run"] for _, name, data in told if name == "words"]
    assert runs == sorted(runs)
    assert Caption.objects.filter(style__isnull=False).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_model_that_breaks_off_ends_the_stream_with_the_reason(model: ChatServer) -> None:
    model.answer = lambda _count, _request: streamed("All paws ", "and ", end=False)
    owner = Owner.objects.create()
    image = an_image(owner)
    job = styling.request(image, owner, voice={"tone": "dry"}, n=1)
    Job.objects.update(attempts=1)  # it was tried before
    headers = {"Authorization": f"Bearer {Program(owner, BOTH).secret}"}
    answer = worked_meanwhile(
        lambda: with_client(lambda client: client.get(f"/api/v1/jobs/{job.pk}/events", headers=headers)),
        once=lambda: True,
    )
    _, name, data = events_of(answer)[-1]
    assert (name, data["state"], data["error"]["code"]) == ("failed", JobState.FAILED, "restyler_unavailable")
