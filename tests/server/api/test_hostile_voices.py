"""What people type never steers a language model, though it obeys it: at every door of the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cutline.server import rates, styler
from cutline.server.account import keys
from cutline.server.bulk import styling as bulk_styling
from cutline.server.captions import services, styling
from cutline.server.captions.models import Caption
from cutline.server.images.models import Image
from cutline.server.jobs import hints
from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context
from cutline.server.people.models import Owner
from tests.chat_server import ChatServer, chat_server
from tests.styles.injections import ATTEMPTS, IN_THE_TONE, is_harmless, obeys

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(configure: Callable[..., Any]) -> Iterator[ChatServer]:
    """The language model of this service, which obeys."""
    rates.forget()
    hints.listen(lambda: None)
    with chat_server() as server:
        configure(restyler=f"openai:{server.url}#writer", rate_styles="9999/minute")
        server.answer = obeys()
        yield server
        styler.close()
    hints.listen(None)


def test_texts_are_harmless_whatever_is_typed(model: ChatServer) -> None:
    client = Client()
    for attempt in ATTEMPTS:
        body = {"description": attempt.description, "tone": attempt.tone, "hashtags": 1}
        answer = client.post("/api/v1/restyle", json.dumps(body), content_type="application/json")
        told = answer.json()
        if answer.status_code == 422:
            assert told["code"] == "caption_refused", attempt
        else:
            assert answer.status_code == 200, told
            assert is_harmless(told["captions"][0]["text"], attempt), told
            assert told["voice"]["tone"] == attempt.voice.tone


def test_candidates_are_harmless_asked_for_one_by_one_or_in_bulk(model: ChatServer) -> None:
    owner = Owner.objects.create()
    _, secret = keys.create(owner, name="k", scopes=["images:read", "images:write"])
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    for attempt in ATTEMPTS[::6]:
        image = Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=40, height_px=30)
        services.edit(image, " ".join(attempt.description.split()), owner)
        body = {"tone": attempt.tone, "hashtags": 1, "n": 1}
        path = f"/api/v1/images/{image.pk}/styles"
        assert client.post(path, json.dumps(body), content_type="application/json").status_code == 202
        options = bulk_styling.options_of(attempt.voice, variants=1)
        styling.request(image, owner, voice=options[bulk_styling.VOICE], n=1)
        while (job := jobs.claim()) is not None:
            context = Context(job)
            try:
                styling.run(job, context)
            except Exception as error:
                jobs.fail(job, context.token, error)
        for caption in Caption.objects.filter(image=image):
            assert is_harmless(caption.text, attempt), attempt


def test_photos_are_captioned_harmlessly_whatever_the_tone(model: ChatServer, photo: bytes) -> None:
    client = Client()
    for attempt in IN_THE_TONE[::8]:
        image = SimpleUploadedFile("photo.jpg", photo, "image/jpeg")
        told = client.post("/api/v1/caption", {"image": image, "tone": attempt.tone, "hashtags": "1"}).json()
        description = told["captions"][0]["text"]
        for styled in told["styled"]:
            assert is_harmless(styled["text"], attempt, description=description), told
        assert told["styled"] or told["error"]["code"] == "caption_refused"
