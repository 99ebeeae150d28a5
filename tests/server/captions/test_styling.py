"""Captions in a voice, from the request to the candidates; the language model's server is a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from cutline.errors import OptionError
from cutline.server import styler
from cutline.server.captions import live_words, services, styling
from cutline.server.captions.models import Caption, Version
from cutline.server.errors import Conflict, RestylerUnavailable
from cutline.server.events import channel
from cutline.server.events.models import Event
from cutline.server.images import deletion
from cutline.server.images.models import Image
from cutline.server.jobs import context as job_context
from cutline.server.jobs import hints
from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context, JobStopped
from cutline.server.jobs.models import Job, JobKind, JobState
from cutline.server.people.models import Owner
from tests.chat_server import Answer, ChatServer, chat_server, in_words, said, streamed

pytestmark = pytest.mark.django_db

DOG = "A dog runs along the beach."
GOOD = "All paws and no plans: this dog has the whole beach to itself."
OTHER = "Give a dog one beach and it will run the length of it, twice."
QUIRKY = {"tone": "quirky"}


@pytest.fixture
def model(configure: Callable[..., object]) -> Iterator[ChatServer]:
    """The language model of this service."""
    with chat_server() as server:
        configure(restyler=f"openai:{server.url}#writer")
        yield server
        styler.close()


@pytest.fixture(autouse=True)
def _nobody_works() -> Iterator[None]:
    hints.listen(lambda: None)
    yield
    hints.listen(None)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is sent to sockets: the group, and the message."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(channel, "send", lambda group, message: found.append({"group": group, **message}))
    return found


@pytest.fixture
def image() -> Image:
    """An image with a plain caption and a second candidate."""
    owner = Owner.objects.create()
    made = Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=40, height_px=30)
    services.edit(made, DOG, owner)
    Version.objects.update(by="model", action="generated")
    Caption.objects.create(image=made, rank=1, text="A brown dog with a frisbee.", model="m@1")
    made.refresh_from_db()
    return made


def answer(model: ChatServer, *texts: str) -> None:
    """Let the model say these texts in turn, and the last one for ever."""
    model.answer = lambda count, _request: in_words(texts[min(count, len(texts)) - 1])


def work() -> Job:
    """Do the job that is due, as a worker would, also again where it is put back."""
    job = None
    while (claimed := jobs.claim()) is not None:
        job = claimed
        context = Context(job)
        try:
            styling.run(job, context)
        except Exception as error:
            jobs.fail(job, context.token, error)
        Job.objects.filter(state=JobState.QUEUED).update(run_after=job.created_at)
    assert job is not None
    job.refresh_from_db()
    return job


def words(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["data"] for each in sent if each["type"] == "words"]


def test_candidates_are_kept_with_their_provenance_and_what_is_shown_stays(
    model: ChatServer, image: Image, sent: list[dict[str, Any]]
) -> None:
    answer(model, f"{GOOD} #BeachDog", f"{OTHER} #BeachDog")
    job = styling.request(image, image.owner, voice={**QUIRKY, "hashtags": 1}, n=2, seed=7)
    assert work().state == JobState.DONE
    first, second = Caption.objects.filter(job=job).order_by("rank")
    assert first.text == f"{GOOD} #BeachDog"
    assert first.model == "writer@remote"
    assert first.style == {
        "voice": {**QUIRKY, "hashtags": 1},
        "description": {"version": 1, "by": "model", "text": DOG},
        "seed": 7,
        "body": GOOD,
        "hashtags": ["#BeachDog"],
        "prompt": styler.about().prompt,
        "removed": [],
        "like": None,
    }
    assert second.style is not None
    assert second.style["body"] == OTHER
    image.refresh_from_db()
    assert (image.caption, image.description) == (DOG, "")
    assert json.loads(model.requests[0]["messages"][1]["content"])["also"] == ["A brown dog with a frisbee."]
    ready = Event.objects.get(type="styles.ready")
    assert [each["id"] for each in ready.data["captions"]] == [str(first.pk), str(second.pk)]


def test_words_go_to_the_owner_alone_and_are_forgotten_at_the_end(
    model: ChatServer, image: Image, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_words, "_EVERY_S", 0)
    answer(model, GOOD)
    job = styling.request(image, image.owner, voice=QUIRKY, n=1)
    work()
    told = words(sent)
    assert {each["group"] for each in sent if each["type"] == "words"} == {channel.group_of(image.owner_id)}
    assert [each["seq"] for each in told] == list(range(1, len(told) + 1))
    assert len(told) > 5
    assert (told[-1]["whole"], told[-1]["text"]) == (True, GOOD)
    assert {each["run"] for each in told} == {live_words.run_of(Job.objects.get())}
    assert all(GOOD.startswith(each["text"]) for each in told)
    assert live_words.spoken(job.pk) == ()


def test_more_like_one_takes_its_voice_and_repeats_nothing(model: ChatServer, image: Image) -> None:
    answer(model, GOOD, GOOD, OTHER)
    styling.request(image, image.owner, voice=QUIRKY, n=1)
    work()
    liked = Caption.objects.get(text=GOOD)
    styling.request(image, image.owner, voice=QUIRKY, n=1, like=liked)
    work()
    made = Caption.objects.get(text=OTHER)
    assert made.style is not None
    assert made.style["like"] == str(liked.pk)
    assert GOOD in json.loads(model.requests[1]["messages"][1]["content"])["also"]


def test_a_persons_text_is_what_it_is_written_from_and_says_all(model: ChatServer, image: Image) -> None:
    answer(model, "Rex has the whole beach to himself, and not one single plan.")
    services.edit(image, "Rex, at the beach.", image.owner)
    styling.request(image, image.owner, voice=QUIRKY, n=1)
    assert work().state == JobState.DONE
    style = Caption.objects.get(style__isnull=False).style
    assert style is not None
    assert style["description"] == {"version": 2, "by": "person", "text": "Rex, at the beach."}
    assert json.loads(model.requests[0]["messages"][1]["content"])["also"] == []
    image.refresh_from_db()
    assert image.caption == "Rex, at the beach."


# -- a model that fails ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "code", "asked"),
    [
        (streamed("All paws ", "and ", end=False), "restyler_unavailable", 2),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "restyler_unavailable", 2),
        (streamed(*["the dog runs along the beach and "] * 500), "caption_refused", 3),
        (in_words("I'm sorry, but I cannot help with that."), "caption_refused", 3),
        ((200, {}, said("%&/()=?")), "caption_refused", 3),
    ],
    ids=["dies", "a page", "floods", "says no", "rubbish"],
)
def test_a_failing_model_is_a_clear_error_of_the_job_and_the_plain_text_stays(
    model: ChatServer, image: Image, answers: Answer, code: str, asked: int
) -> None:
    model.answer = lambda _count, _request: answers
    styling.request(image, image.owner, voice=QUIRKY, n=1)
    job = work()
    assert (job.state, job.error_code) == (JobState.FAILED, code)
    assert "The plain description stays." in job.error_message
    assert "127.0.0.1" not in job.error_message
    assert len(model.requests) == asked
    assert not Caption.objects.filter(style__isnull=False).exists()
    image.refresh_from_db()
    assert image.caption == DOG


def test_a_worker_that_is_overtaken_writes_nothing_and_the_next_begins_anew(
    model: ChatServer, image: Image, sent: list[dict[str, Any]]
) -> None:
    answer(model, GOOD)
    styling.request(image, image.owner, voice=QUIRKY, n=1)
    lost = jobs.claim()
    assert lost is not None
    late = Context(lost)
    Job.objects.update(lease_until=lost.created_at)
    jobs.sweep()
    work()
    with pytest.raises(JobStopped):
        styling.run(lost, late)
    assert Caption.objects.filter(style__isnull=False).count() == 1
    assert Event.objects.filter(type="styles.ready").count() == 1
    assert live_words.run_of(lost) < live_words.run_of(Job.objects.get())


def test_an_image_that_is_deleted_while_words_stream_ends_the_job(
    model: ChatServer, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def listen(_group: str, message: Mapping[str, Any]) -> None:
        if message["type"] == "words":
            told.append(message)
            deletion.delete([image])

    answer(model, GOOD)
    monkeypatch.setattr(channel, "send", listen)
    monkeypatch.setattr(job_context, "_LOOK_EVERY_S", 0)
    styling.request(image, image.owner, voice=QUIRKY, n=1)
    job = jobs.claim()
    assert job is not None
    with pytest.raises(JobStopped):
        styling.run(job, Context(job))
    job.refresh_from_db()
    assert (job.state, len(told)) == (JobState.CANCELLED, 1)
    assert live_words.spoken(job.pk) == ()
    assert not Caption.objects.filter(style__isnull=False).exists()


# -- what is refused at once -----------------------------------------------------------------------------


def test_what_cannot_be_written_is_refused_at_once(
    model: ChatServer, image: Image, configure: Callable[..., object]
) -> None:
    bare = Image.objects.create(owner=image.owner, content_hash=uuid4().hex, width_px=4, height_px=3)
    with pytest.raises(Conflict, match="no caption yet"):
        styling.request(bare, bare.owner, voice=QUIRKY)
    with pytest.raises(OptionError):
        styling.request(image, image.owner, voice={"tone": "x" * 5_000})
    configure(restyler="off")
    with pytest.raises(RestylerUnavailable):
        styling.request(image, image.owner, voice=QUIRKY)
    assert not Job.objects.filter(kind=JobKind.STYLE).exists()
