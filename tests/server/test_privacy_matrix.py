"""Who sees what: every kind of viewer against every path that could show a picture or its words.

The world has one owner with an image of each kind. Whatever could be shown of an image carries a word that
stands nowhere else, so that an answer tells by itself what it leaks:

    shown    its caption now, its tags, the keys of its files: for whoever may see the image
    history  candidates that are not shown, earlier captions: for its owner (and in the admin, once offered)
    owned    file name, source, link, original, jobs, bulks, webhooks, events: for its owner alone

A route of the API that is not in ROUTES fails `test_every_route_is_classified`. Each viewer of a route is a
subtest of the route's test.
"""

from __future__ import annotations

import functools
import inspect
import io
import itertools
import json
import logging
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import admin
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.test.client import ClientHandler
from django.urls import reverse
from django.utils import timezone
from prometheus_client import generate_latest

from cutline.server.account import keys
from cutline.server.api import limits
from cutline.server.api.app import api
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.captions.attention import packed
from cutline.server.captions.models import Attention, Caption, Version
from cutline.server.events.models import Event
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images import file_links, storage, stores
from cutline.server.images.models import Image, Moderation, Rendition, Report, StoredFile, Tag, Visibility
from cutline.server.images.search import text_of
from cutline.server.jobs.models import Job, JobState
from cutline.server.likeness.models import Embedding
from cutline.server.mail.models import Mail
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.people.viewers import owner_of
from cutline.server.voices.models import LastVoice, SavedVoice
from cutline.server.webhooks.models import Delivery, Webhook
from tests.server.services.process import ANSWERS_S

pytestmark = pytest.mark.slow

SHOWN, HISTORY, OWNED = "shown", "history", "owned"
EVERYTHING = frozenset({SHOWN, HISTORY, OWNED})
SCOPES = ["caption", "images:read", "images:write", "bulk", "webhooks", "account"]


class Kind(StrEnum):
    """How an image is offered to others."""

    PRIVATE = "private"
    UNLISTED = "unlisted"
    PUBLIC = "public"
    HELD = "held"
    REJECTED = "rejected"
    REPORTED = "reported"  # unlisted, and somebody who had the link reported it
    DELETED = "deleted"  # was public; can still be brought back


class Who(StrEnum):
    """Who is asking."""

    ANONYMOUS = "anonymous"
    OTHER = "other user"
    OTHER_KEY = "key of another user"
    WEAK_KEY = "owner's key without a scope"
    REVOKED_KEY = "owner's key, revoked"
    EXPIRED_KEY = "owner's key, expired"
    REVIEWER = "reviewer"
    MODERATOR = "moderator"
    ADMIN = "admin"
    ADMIN_KEY = "key of an admin"
    OWNER_KEY = "owner's key"
    OWNER = "owner"


OWNERS = frozenset({Who.OWNER, Who.OWNER_KEY})
STAFF = frozenset({Who.REVIEWER, Who.MODERATOR, Who.ADMIN})  # by session: a key has no powers of staff
BROKEN = frozenset({Who.REVOKED_KEY, Who.EXPIRED_KEY})
OFFERED = frozenset({Kind.PUBLIC, Kind.HELD, Kind.REJECTED})
BY_LINK = OFFERED | {Kind.UNLISTED, Kind.REPORTED}
LIVE = frozenset(Kind) - {Kind.DELETED}


def needle(layer: str, kind: Kind) -> str:
    """A word that stands in one layer of one image, and nowhere else."""
    return f"zq{layer}{kind}"


def found_in(answer: bytes | str) -> frozenset[str]:
    """The words of the world that stand in an answer."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return frozenset(re.findall(rf"zq(?:{'|'.join(sorted(EVERYTHING))})(?:{'|'.join(Kind)})", text))


def words(kinds: frozenset[Kind], layers: frozenset[str] = frozenset({SHOWN})) -> frozenset[str]:
    """The words of these layers of these images."""
    return frozenset(needle(layer, kind) for kind in kinds for layer in layers)


# -- the world -------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class World:
    """What the tests ask about."""

    images: dict[Kind, Image] = field(default_factory=dict)
    candidates: dict[tuple[str, Kind], Caption] = field(default_factory=dict)
    clients: dict[Who, Callable[[], Client]] = field(default_factory=dict)
    jobs: dict[Kind, Job] = field(default_factory=dict)
    key: ApiKey | None = None
    bulk: Bulk | None = None
    webhook: Webhook | None = None
    delivery: Delivery | None = None
    owner: Owner | None = None
    # One for all clients: each of their own would build the whole chain of middleware anew.
    handler: ClientHandler = field(default_factory=lambda: ClientHandler(enforce_csrf_checks=False))

    def client(self, who: Who) -> Client:
        """A client that is this viewer."""
        limits.forget()
        client = self.clients[who]()
        client.handler = self.handler
        return client


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """The owner's things, and everybody else, committed for the whole module."""
    with django_db_blocker.unblock():
        made = _world()
        yield made
        keys_of_files = list(StoredFile.objects.values_list("key", flat=True))
        call_command("flush", interactive=False, verbosity=0)
        stores.store().delete_all(keys_of_files)


@pytest.fixture(autouse=True)
def _language_model(configure: Callable[..., object]) -> None:
    """There is one, which nobody asks: no job is done here."""
    configure(restyler="openai:http://127.0.0.1:9/v1#writer")


@pytest.fixture
def before(world: World, db: None) -> list[Any]:
    """All that a change of the owner's things would change, as it is at first."""
    return _state()


def for_each(**of: Iterable[object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test once for each combination of these, as subtests; none sees what another one changed."""

    def looping(test: Callable[..., None]) -> Callable[..., None]:
        def run(subtests: pytest.Subtests, fixtures: Mapping[str, Any]) -> None:
            for values in itertools.product(*of.values()):
                each = dict(zip(of, values, strict=True))
                with subtests.test(**each), transaction.atomic():
                    test(**fixtures, **each)
                    transaction.set_rollback(True)

        @functools.wraps(test)
        def loop(subtests: pytest.Subtests, **fixtures: Any) -> None:
            # In one event loop for all: else each request begins a thread and a loop for what is async in it.
            async_to_sync(sync_to_async(run))(subtests, fixtures)

        own, wanted = inspect.signature(loop, follow_wrapped=False), inspect.signature(test)
        fixtures = [each for name, each in wanted.parameters.items() if name not in of]
        loop.__signature__ = own.replace(parameters=[own.parameters["subtests"], *fixtures])  # type: ignore[attr-defined]
        return loop

    return looping


def _world() -> World:
    world = World()
    owner = owner_of(User.objects.create_user("owner@example.org", "a long enough password"))
    world.owner = owner
    for kind in Kind:
        _add_image(world, owner, kind)
    _add_things(world, owner)
    _add_viewers(world, owner)
    return world


def _add_image(world: World, owner: Owner, kind: Kind) -> None:
    shown, history, owned = (needle(layer, kind) for layer in (SHOWN, HISTORY, OWNED))
    visibility = {
        Kind.PRIVATE: Visibility.PRIVATE,
        Kind.UNLISTED: Visibility.UNLISTED,
        Kind.REPORTED: Visibility.UNLISTED,
    }.get(kind, Visibility.PUBLIC)
    moderation = {
        Kind.PUBLIC: Moderation.APPROVED,
        Kind.DELETED: Moderation.APPROVED,
        Kind.HELD: Moderation.HELD,
        Kind.REJECTED: Moderation.REJECTED,
    }.get(kind, Moderation.NONE)
    now = timezone.now()
    caption = f"A {shown} on a beach"
    image = Image.objects.create(
        owner=owner,
        content_hash=uuid4().hex,
        file_name=f"{owned}.jpg",
        source_url=f"https://example.org/{owned}.jpg",
        width_px=8,
        height_px=8,
        placeholder=f"data:image/webp;base64,{shown}",
        keep_original=True,
        visibility=visibility,
        moderation=moderation,
        share_token=f"{owned}-link",
        caption=caption,
        caption_by="model",
        caption_model="m@1",
        search_text=text_of(caption, [shown]),
        published_at=now if moderation == Moderation.APPROVED else None,
        deleted_at=now if kind is Kind.DELETED else None,
    )
    Tag.objects.create(image=image, name=shown)
    Embedding.objects.create(image=image, owner=owner, space="a" * 64, model="m@1", vector=b"\0<\0<")
    for rendition, layer in (("master", shown), ("thumbnail", shown), ("original", owned)):
        stored = storage.put(f"images/{image.pk}/{layer}-{rendition}.jpg", layer.encode(), "image/jpeg")
        storage.keep(stored)
        Rendition.objects.create(
            image=image, kind=rendition, format="jpeg", width_px=8, height_px=8, file=stored
        )
    job = Job.objects.create(
        owner=owner, image=image, state=JobState.FAILED, error_code="x", error_message=f"About {owned}"
    )
    world.jobs[kind] = job
    for rank, (layer, word) in enumerate(((SHOWN, shown), (HISTORY, history))):
        candidate = Caption.objects.create(
            image=image,
            job=job,
            rank=rank,
            text=f"A {word} on a beach",
            log_prob=-1,
            model="m@1",
            created_at=now,
        )
        _look(candidate, word)
        world.candidates[layer, kind] = candidate
        Feedback.objects.create(
            kind="edit",
            image=image,
            caption=candidate,
            viewer=owner,
            before=history,
            after=shown,
            model="m@1",
        )
        Rating.objects.create(caption=candidate, viewer=owner, value=1)
    Caption.objects.create(
        image=image,
        job=job,
        rank=2,
        text=f"{history}, always!",
        model="w@1",
        style={
            "voice": {"tone": history},
            "body": f"{history}, always!",
            "hashtags": [],
            "prompt": "p/1",
            "seed": 1,
            "like": None,
            "removed": [history],
            "description": {"version": 1, "by": "model", "text": history},
        },
    )
    first = {"text": f"A {history} once", "by": "person", "action": "edited", "actor": owner}
    Version.objects.create(image=image, number=1, **first)
    Version.objects.create(
        image=image,
        number=2,
        text=caption,
        by="model",
        action="picked",
        caption=world.candidates[SHOWN, kind],
    )
    if kind is Kind.REPORTED:
        Report.objects.create(image=image, reason="privacy", text="Take it away.")
    world.images[kind] = image


def _look(caption: Caption, word: str) -> None:
    import numpy as np

    maps = packed(np.ones((1, 2, 2), dtype=np.float32))
    Attention.objects.create(caption=caption, words=[word], rows=2, columns=2, maps=maps)


def _add_things(world: World, owner: Owner) -> None:
    """What the owner has beside images; it tells of the private one."""
    owned, shown = needle(OWNED, Kind.PRIVATE), needle(SHOWN, Kind.PRIVATE)
    image = world.images[Kind.PRIVATE]
    world.bulk = Bulk.objects.create(owner=owner, name=f"{owned}.zip", state="done", options={"n": 1})
    BulkItem.objects.create(bulk=world.bulk, number=0, name=f"{owned}.jpg", state="done", image=image)
    BulkItem.objects.create(
        bulk=world.bulk, number=1, name=owned, state="failed", error_code="x", error_message=owned
    )
    world.webhook = Webhook.objects.create(
        owner=owner, url=f"https://example.org/{owned}", secret=f"whsec_{owned}", disabled_reason="none"
    )
    body = {"type": "caption.ready", "data": {"image": str(image.pk), "caption": shown, "file": owned}}
    event = Event.objects.create(owner=owner, type="caption.ready", data=body["data"])
    world.delivery = Delivery.objects.create(
        webhook=world.webhook,
        event_id=event.pk,
        type="caption.ready",
        body=body,
        state="delivered",
        tries=[{"at": "2026-01-01T00:00:00Z", "answer": owned}],
    )
    Mail.objects.create(recipient="owner@example.org", subject="Hello", text=owned, html=owned)
    SavedVoice.objects.create(owner=owner, name=owned, key=owned, voice={"tone": shown, "prefix": owned})
    LastVoice.objects.create(owner=owner, voice={"tone": shown})
    world.key = keys.create(owner, name=owned, scopes=SCOPES)[0]


def _add_viewers(world: World, owner: Owner) -> None:
    def by_session(user: User) -> Callable[[], Client]:
        first = Client()
        first.force_login(user)
        cookies = {name: morsel.value for name, morsel in first.cookies.items()}

        def make() -> Client:
            client = Client()
            client.cookies.load(cookies)
            return client

        return make

    def by_key(whose: Owner, scopes: list[str], **changed: Any) -> Callable[[], Client]:
        key, secret = keys.create(whose, name="k", scopes=scopes)
        ApiKey.objects.filter(pk=key.pk).update(**{"name": "k", **changed})
        return lambda: Client(headers={"Authorization": f"Bearer {secret}"})

    def user(name: str, role: Role = Role.USER) -> User:
        return User.objects.create_user(f"{name}@example.org", "a long enough password", role=role)

    other, chief = user("other"), user("admin", Role.ADMIN)
    before = timezone.now() - timedelta(days=1)
    assert owner.user is not None
    world.clients = {
        Who.ANONYMOUS: Client,
        Who.OTHER: by_session(other),
        Who.OTHER_KEY: by_key(owner_of(other), SCOPES),
        Who.WEAK_KEY: by_key(owner, ["caption"]),
        Who.REVOKED_KEY: by_key(owner, SCOPES, revoked_at=before),
        Who.EXPIRED_KEY: by_key(owner, SCOPES, expires_at=before),
        Who.REVIEWER: by_session(user("reviewer", Role.REVIEWER)),
        Who.MODERATOR: by_session(user("moderator", Role.MODERATOR)),
        Who.ADMIN: by_session(chief),
        Who.ADMIN_KEY: by_key(owner_of(chief), SCOPES),
        Who.OWNER_KEY: by_key(owner, SCOPES),
        Who.OWNER: by_session(owner.user),
    }


# -- the API ---------------------------------------------------------------------------------------------


class Rule(StrEnum):
    """Who may see the images of an answer."""

    OWN = "the owner's own"
    SEEN = "the owner's own, what is public, and for staff what was offered"
    GALLERY = "what is public, for everybody"
    LIKE = "the owner's own; for staff, of what was offered, what is public like it"
    LINK = "what has a link, for everybody who has it"
    NOTHING = "of no image anything"
    WRITE = "a change, for the owner alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How a route is called, and what may be in its answer.

    each: whether it is called for each image ({image_id} and others of its path are filled in). layers: what
    the owner sees by it. of: the images that it can tell of at all.
    """

    rule: Rule
    layers: frozenset[str] = frozenset()
    of: frozenset[Kind] = LIVE
    body: Any = None
    query: str = ""


def _own(*layers: str, **more: Any) -> Route:
    return Route(rule=Rule.OWN, layers=frozenset(layers), **more)


ONE = frozenset({Kind.PRIVATE})  # bulks, webhooks and events tell of this image
NO_PHOTO: Mapping[str, Any] = {}
NOTHING = Route(rule=Rule.NOTHING)


def _write(body: Any = NO_PHOTO, *, of: frozenset[Kind] = LIVE) -> Route:
    return Route(rule=Rule.WRITE, body=body, of=of)


ROUTES: Mapping[tuple[str, str], Route] = {
    # lists and exports
    ("GET", "/images"): _own(SHOWN, OWNED),
    ("GET", "/images/export"): _own(SHOWN, HISTORY, OWNED, query="?format=json"),
    ("GET", "/images/search"): _own(SHOWN, OWNED, query="?q=beach&by=words"),
    ("GET", "/images/duplicates"): _own(),  # no placeholder here is one
    ("GET", "/me/export"): _own(SHOWN, HISTORY, OWNED),
    ("GET", "/gallery"): Route(rule=Rule.GALLERY),
    ("GET", "/jobs"): _own(OWNED),
    ("GET", "/events"): _own(SHOWN, OWNED, of=ONE),
    ("GET", "/keys"): _own(OWNED, of=ONE),
    ("GET", "/bulk"): _own(OWNED, of=ONE),
    ("GET", "/webhooks"): _own(OWNED, of=ONE),
    ("GET", "/voices"): _own(SHOWN, OWNED, of=ONE),
    # one thing
    ("GET", "/images/{image_id}"): Route(rule=Rule.SEEN, layers=frozenset({SHOWN, OWNED})),
    ("GET", "/images/{image_id}/similar"): Route(rule=Rule.LIKE, layers=frozenset({SHOWN, OWNED})),
    ("GET", "/images/{image_id}/captions"): Route(rule=Rule.SEEN, layers=frozenset({SHOWN, HISTORY})),
    ("GET", "/images/{image_id}/styles"): Route(rule=Rule.SEEN, layers=frozenset({HISTORY})),
    ("GET", "/captions/{caption_id}/attention"): Route(rule=Rule.SEEN, layers=frozenset({SHOWN, HISTORY})),
    ("GET", "/images/{image_id}/caption"): _own(SHOWN),
    ("GET", "/images/{image_id}/versions"): _own(SHOWN, HISTORY),
    ("GET", "/shared/{token}"): Route(rule=Rule.LINK, layers=frozenset({SHOWN, OWNED})),
    ("GET", "/jobs/{job_id}"): _own(OWNED),
    ("GET", "/jobs/{job_id}/events"): _own(OWNED),
    ("GET", "/bulk/{bulk_id}"): _own(OWNED, of=ONE),
    ("GET", "/bulk/{bulk_id}/items"): _own(SHOWN, OWNED, of=ONE),
    ("GET", "/bulk/{bulk_id}/result.jsonl"): _own(SHOWN, HISTORY, OWNED, of=ONE),
    ("GET", "/bulk/{bulk_id}/result.csv"): _own(SHOWN, OWNED, of=ONE),
    ("GET", "/bulk/{bulk_id}/result.zip"): _own(SHOWN, HISTORY, OWNED, of=ONE),
    ("GET", "/webhooks/{webhook_id}"): _own(OWNED, of=ONE),
    ("GET", "/webhooks/{webhook_id}/deliveries"): _own(SHOWN, OWNED, of=ONE),
    ("GET", "/deliveries/{delivery_id}"): _own(SHOWN, OWNED, of=ONE),
    # changes
    ("PATCH", "/images/{image_id}"): _write({"tags": ["changed"]}),
    ("DELETE", "/images/{image_id}"): _write(),
    ("POST", "/images/{image_id}/undelete"): _write(of=frozenset(Kind)),
    ("POST", "/images/{image_id}/captions"): _write({"n": 1}),
    ("POST", "/images/{image_id}/styles"): _write({"n": 1}),
    ("POST", "/images/{image_id}/captions/{caption_id}/pick"): _write(),
    ("PUT", "/images/{image_id}/caption"): _write({"text": "changed"}),
    ("POST", "/images/{image_id}/versions/{number}/restore"): _write(),
    ("POST", "/jobs/{job_id}/cancel"): _write(),
    ("POST", "/jobs/{job_id}/retry"): _write(),
    ("DELETE", "/keys/{key_id}"): _write(of=ONE),
    ("DELETE", "/keys"): NOTHING,  # of the viewer's own: test_nobody_ends_another_s_keys
    ("DELETE", "/bulk/{bulk_id}"): _write(of=ONE),
    ("PUT", "/voices/{name}"): NOTHING,  # makes one of the viewer's own
    ("DELETE", "/voices/{name}"): _write(of=ONE),
    ("POST", "/bulk/{bulk_id}/pause"): _write(of=ONE),
    ("POST", "/bulk/{bulk_id}/resume"): _write(of=ONE),
    ("POST", "/bulk/{bulk_id}/cancel"): _write(of=ONE),
    ("PATCH", "/webhooks/{webhook_id}"): _write({"is_active": False}, of=ONE),
    ("DELETE", "/webhooks/{webhook_id}"): _write(of=ONE),
    ("POST", "/webhooks/{webhook_id}/secret"): _write(of=ONE),
    ("POST", "/webhooks/{webhook_id}/test"): _write(of=ONE),
    ("POST", "/deliveries/{delivery_id}/replay"): _write(of=ONE),
    # what others may do to what they may see: test_others_rate_and_report_what_they_see
    ("PUT", "/captions/{caption_id}/rating"): NOTHING,
    ("DELETE", "/captions/{caption_id}/rating"): NOTHING,
    ("POST", "/images/{image_id}/report"): NOTHING,
    ("POST", "/feedback"): NOTHING,
    ("POST", "/images/actions"): NOTHING,  # test_an_action_on_others_images_changes_nothing
    # what tells of no image
    ("GET", "/session"): NOTHING,
    ("GET", "/me"): NOTHING,
    ("PATCH", "/me"): NOTHING,
    ("DELETE", "/me"): NOTHING,
    ("POST", "/keys"): NOTHING,
    ("POST", "/events/ticket"): NOTHING,
    ("POST", "/images"): NOTHING,
    ("POST", "/images/from-url"): NOTHING,
    ("POST", "/caption"): NOTHING,
    ("POST", "/restyle"): NOTHING,
    ("POST", "/bulk"): NOTHING,
    ("POST", "/webhooks"): NOTHING,
    ("GET", "/models"): NOTHING,
    ("GET", "/styles"): NOTHING,
    ("GET", "/models/{model}/card"): NOTHING,
    ("GET", "/stats"): NOTHING,
    ("GET", "/registry"): NOTHING,
    ("GET", "/registry/versions"): NOTHING,
    ("GET", "/registry/versions/{version}"): NOTHING,
    ("GET", "/registry/versions/{version}/report"): NOTHING,
    ("POST", "/registry/promote"): NOTHING,
    ("POST", "/registry/rollback"): NOTHING,
    ("POST", "/registry/stop"): NOTHING,
    ("PUT", "/registry/shares"): NOTHING,
    ("GET", "/errors"): NOTHING,
    ("GET", "/errors/{code}"): NOTHING,
}


def _routes() -> set[tuple[str, str]]:
    found = set()
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            plain = re.sub(r"\{(?:\w+:)?(\w+)\}", r"{\1}", prefix.rstrip("/") + path)
            found |= {(method, plain) for operation in view.operations for method in operation.methods}
    return found


def test_every_route_is_classified() -> None:
    """Whoever adds a route says in ROUTES who may see what by it."""
    assert _routes() == set(ROUTES)


def _call(world: World, client: Client, method: str, path: str, route: Route, kind: Kind, layer: str) -> Any:
    image = world.images[kind]
    assert world.bulk is not None
    assert world.webhook is not None
    assert world.delivery is not None
    assert world.key is not None
    filled = path.format(
        image_id=image.pk,
        caption_id=world.candidates[layer, kind].pk,
        job_id=world.jobs[kind].pk,
        token=image.share_token,
        number=1,
        bulk_id=world.bulk.pk,
        webhook_id=world.webhook.pk,
        delivery_id=world.delivery.pk,
        key_id=world.key.pk,
        code="not_found",
        model="default",
        version="0",
        name=needle(OWNED, Kind.PRIVATE) if route.rule is Rule.WRITE else "mine",
    )
    body = {} if route.body is None else {"data": json.dumps(route.body), "content_type": "application/json"}
    return client.generic(method, f"/api/v1{filled}{route.query}", **body)


def _text(answer: Any) -> bytes:
    """Everything that an answer tells: body, headers, and what is inside a zip."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    headers = "\n".join(f"{name}: {value}" for name, value in answer.items()).encode()
    if content.startswith(b"PK\3\4"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b"\n".join([name.encode() + archive.read(name) for name in archive.namelist()])
    return bytes(content + b"\n" + headers)


def _expected(route: Route, who: Who) -> frozenset[str]:
    seen = frozenset({SHOWN}) & route.layers
    match route.rule:
        case Rule.OWN:
            return words(route.of, route.layers) if who in OWNERS else frozenset()
        case Rule.SEEN if who in OWNERS:
            return words(LIVE, route.layers)
        case Rule.SEEN if who in BROKEN or who is Who.WEAK_KEY:
            return frozenset()
        case Rule.SEEN:
            return words(OFFERED if who in STAFF else frozenset({Kind.PUBLIC}), seen)
        case Rule.GALLERY if who in OWNERS:
            return words(frozenset({Kind.PUBLIC}), frozenset({SHOWN, OWNED}))
        case Rule.GALLERY:
            return frozenset() if who in BROKEN else words(frozenset({Kind.PUBLIC}))
        case Rule.LIKE if who in OWNERS:
            return words(LIVE, route.layers)
        case Rule.LIKE:
            return words(frozenset({Kind.PUBLIC})) if who in STAFF else frozenset()
        case Rule.LINK if who in OWNERS:
            return words(BY_LINK, frozenset({SHOWN, OWNED}))
        case Rule.LINK:
            return frozenset() if who in BROKEN else words(BY_LINK)
        case _:
            return frozenset()


READS = [key for key, route in ROUTES.items() if route.rule not in (Rule.WRITE, Rule.NOTHING)]
WRITES = [key for key, route in ROUTES.items() if route.rule is Rule.WRITE]
OTHERS = [who for who in Who if who not in OWNERS]


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), READS, ids=[f"{method} {path}" for method, path in READS])
@for_each(who=Who)
def test_an_answer_shows_what_its_viewer_may_see_and_no_more(
    world: World, method: str, path: str, who: Who
) -> None:
    route = ROUTES[method, path]
    client = world.client(who)
    layers = (SHOWN, HISTORY) if "{caption_id}" in path else (SHOWN,)
    kinds: list[Kind] = list(Kind) if "{image_id}" in path or "{caption_id}" in path else [Kind.PRIVATE]
    if "{token}" in path or "{job_id}" in path:
        kinds = list(Kind)
    told: frozenset[str] = frozenset()
    for kind in kinds:
        for layer in layers:
            answer = _call(world, client, method, path, route, kind, layer)
            told |= found_in(_text(answer))
            assert answer.status_code < 500
            assert "public" not in answer.get("Cache-Control", "")
    if path in ("/me/export", "/jobs", "/jobs/{job_id}", "/jobs/{job_id}/events") and who in OWNERS:
        told -= words(frozenset({Kind.DELETED}), EVERYTHING)  # it is still theirs, and can be brought back
    assert told == _expected(route, who)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), WRITES, ids=[f"{method} {path}" for method, path in WRITES])
@for_each(who=OTHERS)
def test_nobody_else_can_change_what_is_the_owner_s(
    world: World, method: str, path: str, who: Who, before: list[Any]
) -> None:
    route = ROUTES[method, path]
    client = world.client(who)
    for kind in Kind:
        answer = _call(world, client, method, path, route, kind, SHOWN)
        assert answer.status_code in (401, 403, 404), (kind, answer.content)
        assert not found_in(_text(answer)), kind
    assert _state() == before


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), WRITES, ids=[f"{method} {path}" for method, path in WRITES])
@for_each(who=sorted(OWNERS))
def test_the_owner_can(world: World, method: str, path: str, who: Who) -> None:
    """Else the test above could not fail."""
    route = ROUTES[method, path]
    answer = _call(world, world.client(who), method, path, route, Kind.PRIVATE, SHOWN)
    assert answer.status_code in (200, 202, 204, 409), answer.content


def _state() -> list[Any]:
    """All that a change of the owner's things would change."""
    tables = (
        *(Image, Tag, Caption, Version, Job, ApiKey, Bulk, BulkItem, Webhook, Delivery, Rating, Report),
        *(SavedVoice, LastVoice),
    )
    found: list[Any] = []
    for table in tables:
        hidden = {"last_used_at"}
        names = [each.attname for each in table._meta.concrete_fields if each.name not in hidden]
        found.append(list(table.objects.order_by("pk").values_list(*names)))
    return found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"),
    [
        key
        for key, route in ROUTES.items()
        if route is NOTHING and key != ("DELETE", "/me")  # deleting the account is test_me's
    ],
    ids=lambda value: str(value),
)
@for_each(who=Who)
def test_what_tells_of_no_image_shows_nothing_of_one(world: World, method: str, path: str, who: Who) -> None:
    route = Route(rule=Rule.NOTHING, body={} if method != "GET" else None)
    answer = _call(world, world.client(who), method, path, route, Kind.PRIVATE, HISTORY)
    assert answer.status_code < 500
    allowed = words(LIVE, frozenset({HISTORY})) if who in OWNERS else frozenset()
    assert found_in(_text(answer)) <= allowed
    if path == "/stats":
        expected = 401 if who in BROKEN or who is Who.ANONYMOUS else 200 if who in STAFF else 403
        assert answer.status_code == expected
    if path.startswith("/registry"):  # what staff may: tests/server/canary
        may = 409 if method == "GET" else 422
        refused = 401 if who in BROKEN or who is Who.ANONYMOUS else 403
        looks = who in STAFF and (method == "GET" or who is Who.ADMIN)
        assert answer.status_code == (may if looks else refused), answer.content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for method, path in ROUTES
        if re.search(r"\{(image|caption|job|bulk|webhook|delivery|key)_id\}", path)
    ],
    ids=lambda value: str(value),
)
@for_each(who=OTHERS)
def test_an_answer_does_not_tell_whether_something_hidden_exists(
    world: World, method: str, path: str, who: Who
) -> None:
    """What is hidden answers just as what never was."""
    route = ROUTES[method, path]
    if route is NOTHING:
        bodies = {"/rating": {"value": 1}, "/report": {"reason": "spam"}}
        body = next((body for ending, body in bodies.items() if path.endswith(ending)), None)
        route = Route(rule=Rule.NOTHING, body=body)
    client = world.client(who)
    nowhere = re.sub(r"\{\w+_id\}", lambda _: str(uuid4()), path)
    body = {} if route.body is None else {"data": json.dumps(route.body), "content_type": "application/json"}
    missing = client.generic(method, f"/api/v1{nowhere.format(number=1)}", **body)
    hidden = _call(world, client, method, path, route, Kind.PRIVATE, SHOWN)
    assert (hidden.status_code, _problem(hidden)) == (missing.status_code, _problem(missing))


def _problem(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


@pytest.mark.django_db
@for_each(who=Who)
def test_others_rate_and_report_what_they_see(world: World, who: Who) -> None:
    client = world.client(who)
    done = {"rating": set(), "report": set(), "feedback": set()}  # type: dict[str, set[Kind]]
    for kind in Kind:
        caption, image = world.candidates[SHOWN, kind], world.images[kind]
        for name, method, path, body in (
            ("rating", "PUT", f"captions/{caption.pk}/rating", {"value": -1}),
            ("report", "POST", f"images/{image.pk}/report", {"reason": "spam"}),
        ):
            answer = client.generic(method, f"/api/v1/{path}", json.dumps(body), "application/json")
            if answer.status_code in (200, 201, 204):
                done[name].add(kind)
            assert not found_in(_text(answer))
        before = Feedback.objects.count()
        seen = {"events": [{"kind": "copy", "caption": str(caption.pk)}]}
        client.post("/api/v1/feedback", json.dumps(seen), content_type="application/json")
        if Feedback.objects.count() > before:
            done["feedback"].add(kind)
    visible: frozenset[Kind] = OFFERED if who in STAFF else frozenset({Kind.PUBLIC})
    if who in BROKEN:
        visible = frozenset()
    if who in OWNERS:
        visible = LIVE
    assert done["rating"] <= visible
    assert done["feedback"] <= visible
    assert done["report"] <= visible
    if who not in BROKEN and who is not Who.WEAK_KEY:
        assert done["rating"] == done["feedback"] == visible


@pytest.mark.django_db
@for_each(who=OTHERS)
def test_an_action_on_others_images_changes_nothing(world: World, who: Who, before: list[Any]) -> None:
    for action in (
        {"action": "delete"},
        {"action": "undelete"},
        {"action": "set_visibility", "visibility": "public"},
        {"action": "add_tags", "tags": ["x"]},
        {"action": "remove_tags", "tags": [needle(SHOWN, Kind.PUBLIC)]},
    ):
        body = {"ids": [str(image.pk) for image in world.images.values()], **action}
        answer = world.client(who).post(
            "/api/v1/images/actions", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code in (401, 403) or answer.json()["changed"] == []
        assert not found_in(_text(answer))
    assert _state() == before


# -- search, caches, cursors, repetitions ----------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("part", ["q", "tag"])
@for_each(who=Who, kind=Kind)
def test_search_finds_what_its_viewer_may_see(world: World, who: Who, kind: Kind, part: str) -> None:
    client = world.client(who)
    word = needle(SHOWN, kind)
    for path, mine in (("gallery", False), ("images", True)):
        answer = client.get(f"/api/v1/{path}?{part}={word}")
        found = {item["id"] for item in answer.json().get("items", [])}
        visible = (kind in LIVE and who in OWNERS) if mine else kind is Kind.PUBLIC
        if who in BROKEN:
            visible = False
        assert found == ({str(world.images[kind].pk)} if visible else set())


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["images", "images/{}", "images/{}/captions", "images/{}/versions"])
@for_each(who=OTHERS)
def test_a_cached_version_of_the_owner_s_opens_nothing(world: World, who: Who, path: str) -> None:
    path = f"/api/v1/{path.format(world.images[Kind.PRIVATE].pk)}"
    etag = world.client(Who.OWNER).get(path)["ETag"]
    answer = world.client(who).get(path, headers={"If-None-Match": etag})
    assert answer.status_code != 304
    assert not found_in(_text(answer))
    for name in ("Cookie", "Authorization", "X-API-Key"):
        assert name in answer["Vary"]
    assert answer["Cache-Control"].startswith(("private", "no-store"))


@pytest.mark.django_db
@for_each(who=OTHERS)
def test_the_owner_s_cursors_and_repetitions_are_nobody_else_s(world: World, who: Who) -> None:
    owner = world.client(Who.OWNER)
    cursor = owner.get("/api/v1/images?limit=1").json()["next"]
    assert not found_in(_text(world.client(who).get(f"/api/v1/images?limit=50&cursor={cursor}")))

    image = world.images[Kind.PRIVATE]
    once = {"content_type": "application/json", "headers": {"Idempotency-Key": "once"}}
    text = json.dumps({"text": f"a {needle(OWNED, Kind.PRIVATE)} of my own"})
    assert owner.put(f"/api/v1/images/{image.pk}/caption", text, **once).status_code == 200
    again = world.client(who).put(f"/api/v1/images/{image.pk}/caption", text, **once)
    assert again.status_code in (401, 403, 404, 409, 422)
    assert "Idempotent-Replayed" not in again
    assert not found_in(_text(again))


@pytest.mark.django_db
@for_each(who=OTHERS)
def test_if_match_is_no_oracle(world: World, who: Who) -> None:
    hidden, missing = world.images[Kind.PRIVATE].pk, uuid4()
    answers = [
        world.client(who).patch(
            f"/api/v1/images/{image}", "{}", content_type="application/json", headers={"If-Match": "*"}
        )
        for image in (hidden, missing)
    ]
    assert answers[0].status_code == answers[1].status_code
    assert _problem(answers[0]) == _problem(answers[1])


# -- files and links -------------------------------------------------------------------------------------


def _key(world: World, kind: Kind, rendition: str = "master") -> str:
    return str(Rendition.objects.get(image=world.images[kind], kind=rendition).file_id)


@pytest.mark.django_db
@for_each(who=Who, kind=Kind)
def test_a_file_opens_by_a_link_that_works_and_by_nothing_else(world: World, who: Who, kind: Kind) -> None:
    client = world.client(who)
    for rendition, layer in (("master", SHOWN), ("thumbnail", SHOWN), ("original", OWNED)):
        key = _key(world, kind, rendition)
        good = storage.url(key, 60)
        answer = client.get(good)
        assert answer.status_code == (404 if kind is Kind.DELETED else 200)
        assert found_in(answer.content) == (frozenset() if kind is Kind.DELETED else {needle(layer, kind)})
        assert "public" not in answer.get("Cache-Control", "")
        other = storage.url(_key(world, Kind.UNLISTED if kind is Kind.PUBLIC else Kind.PUBLIC), 60)
        path, _, query = good.partition("?")
        expired = int(time.time()) - 1
        old = f"{path}?e={expired}&s={file_links.signature(key, expired, '')}"
        forged = [
            path,
            old,
            f"{path}?{other.partition('?')[2]}",
            re.sub(r"e=(\d+)", lambda found: f"e={int(found[1]) + 1}", good),
            re.sub(r"s=(\w)", lambda found: f"s={'0' if found[1] != '0' else '1'}", good),
            good + "&n=x.jpg",
            f"{path}?{query.upper()}",
            good.replace("-thumbnail", "-original") if rendition == "thumbnail" else path + "?e=&s=",
            other.partition("?")[0] + "/../" + path.rpartition("/")[2] + "?" + other.partition("?")[2],
        ]
        for link in forged:
            answer = client.get(link)
            assert answer.status_code == 404, link
            assert not found_in(_text(answer))
            conditions = {"Range": "bytes=0-10", "If-None-Match": "*"}
            assert client.get(link, headers=conditions).status_code == 404


@pytest.mark.django_db
@for_each(who=Who)
def test_a_link_ends_with_the_sharing(world: World, who: Who) -> None:
    image = world.images[Kind.UNLISTED]
    address = f"/api/v1/shared/{image.share_token}"
    opens = world.client(who).get(address).status_code
    assert opens == (401 if who in BROKEN else 200)
    Image.objects.filter(pk=image.pk).update(visibility=Visibility.PRIVATE)
    answer = world.client(who).get(address)
    assert answer.status_code == (401 if who in BROKEN else 404)
    assert not found_in(_text(answer))
    for token in ("x", "%00", "a" * 300, str(world.images[Kind.PRIVATE].pk)):
        assert world.client(who).get(f"/api/v1/shared/{token}").status_code in (401, 404, 422)


@pytest.mark.django_db
@for_each(kind=Kind)
def test_a_link_s_token_opens_captions_of_what_is_shared(world: World, kind: Kind) -> None:
    image, client = world.images[kind], world.client(Who.ANONYMOUS)
    paths = (f"images/{image.pk}/captions", f"captions/{world.candidates[SHOWN, kind].pk}/attention")
    for path in paths:
        told = found_in(_text(client.get(f"/api/v1/{path}?token={image.share_token}")))
        assert told == (words(frozenset({kind})) if kind in BY_LINK else frozenset())
        other = world.images[Kind.UNLISTED].share_token
        told = found_in(_text(client.get(f"/api/v1/{path}?token={other}")))
        assert told == (words(frozenset({kind})) if kind in (Kind.UNLISTED, Kind.PUBLIC) else frozenset())


# -- the admin -------------------------------------------------------------------------------------------

# What the admin may show: what was offered to the public, or reported by somebody who had the link.
IN_ADMIN = OFFERED | {Kind.REPORTED}


def _admin_pages() -> list[str]:
    """The list, its searches, and each object's page and history, of every model."""
    pages = [reverse("admin:index")]
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        if page.search_fields:
            searched = (Kind.PRIVATE, Kind.PUBLIC)
            pages += [reverse(f"{name}_changelist") + f"?q={needle(SHOWN, kind)}" for kind in searched]
        for thing in model._default_manager.order_by("pk")[: 2 * len(Kind)]:
            pages.append(reverse(f"{name}_change", args=[thing.pk]))
    return pages


@pytest.mark.django_db
@for_each(who=Who)
def test_the_admin_shows_staff_what_was_offered_and_nobody_else_anything(world: World, who: Who) -> None:
    client = world.client(who)
    told: frozenset[str] = frozenset()
    for page in _admin_pages():
        answer = client.get(page)
        assert answer.status_code in ((200, 302, 403, 404) if who in STAFF else (302,)), page
        # The box of a search repeats what was searched for.
        text = _text(answer).decode("utf-8", "replace").replace(page.partition("?q=")[2] or "\0", "")
        found = found_in(text)
        allowed = words(IN_ADMIN, frozenset({SHOWN, HISTORY})) if who in STAFF else frozenset()
        if who in STAFF and "/apikey/" in page:
            allowed |= words(ONE, frozenset({OWNED}))  # what its owner called a key: of no image
        assert found <= allowed, (page, found - allowed)
        told |= found
    if who in STAFF:
        assert needle(SHOWN, Kind.PUBLIC) in told


@pytest.mark.django_db
def test_the_admin_cannot_be_asked_about_what_it_does_not_show(world: World) -> None:
    """Filtering by a hidden field would tell it letter by letter."""
    client = world.client(Who.ADMIN)
    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for name in ("secret", "caption", "text", "url", "body", "data", "name", "file_name", "share_token"):
            if any(each.name == name for each in model._meta.concrete_fields):
                if name in {str(each) for each in admin.site._registry[model].list_filter}:
                    continue
                answer = client.get(f"{path}?{name}__startswith=zq")
                assert answer.status_code in (302, 400), (model, name)
        answer = client.get(f"{path}?owner__user__password__startswith=argon2")
        assert answer.status_code in (302, 400), model


@pytest.mark.django_db
@pytest.mark.parametrize("who", [Who.REVIEWER, Who.MODERATOR])
def test_a_reviewer_changes_nothing_and_a_moderator_only_decides(world: World, who: Who) -> None:
    client = world.client(who)
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        things = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)[:20]]
        if not things:
            continue
        actions = {str(getattr(each, "__name__", each)) for each in page.actions} | {"delete_selected"}
        if who is Who.MODERATOR and model in (Image, Report):
            actions = {"delete_selected"}
        before = _state()
        for action in actions:
            client.post(
                reverse(f"{name}_changelist"), {"action": action, "_selected_action": things, "post": "yes"}
            )
        for suffix in ("change", "delete"):
            fields = {
                "role": "admin",
                "caption": "x",
                "text": "x",
                "state": "x",
                "is_active": "",
                "post": "yes",
            }
            answer = client.post(reverse(f"{name}_{suffix}", args=[things[0]]), fields)
            assert answer.status_code in (302, 403), (model, suffix)
        assert client.post(reverse(f"{name}_add"), {"name": "x"}).status_code == 403, model
        assert _state() == before, model
    assert User.objects.filter(role=Role.ADMIN).count() == 1


# -- exports, logs and numbers ---------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("consents", [False, True])
def test_the_training_data_hold_what_a_consenting_owner_has(
    world: World, tmp_path: Path, consents: bool
) -> None:
    Owner.objects.update(may_train=False)
    assert world.owner is not None
    Owner.objects.filter(pk=world.owner.pk).update(may_train=consents)
    call_command("export_training_data", str(tmp_path / "data"), verbosity=0)
    told = b"\n".join(
        path.name.encode() + path.read_bytes()
        for path in sorted((tmp_path / "data").rglob("*"))
        if path.is_file()
    )
    found = found_in(told)
    if not consents:
        assert not found
    assert not found & words(frozenset(Kind), frozenset({OWNED}))
    assert not found & words(frozenset({Kind.DELETED}), EVERYTHING)


@pytest.mark.django_db
def test_logs_and_numbers_tell_of_no_picture(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for who in (Who.OWNER, Who.OTHER, Who.REVIEWER, Who.ANONYMOUS):
        client = world.client(who)
        for kind in (Kind.PRIVATE, Kind.UNLISTED):
            image = world.images[kind]
            client.get(f"/api/v1/images?q={needle(SHOWN, kind)}")
            client.get(f"/api/v1/shared/{image.share_token}")
            client.get(f"/api/v1/images/{image.pk}/captions?token={image.share_token}")
            client.put(
                f"/api/v1/images/{image.pk}/caption",
                json.dumps({"text": f"{needle(SHOWN, kind)} {needle(HISTORY, kind)}"}),
                content_type="application/json",
            )
            client.get(storage.url(_key(world, kind), 60))
    lines = [record.getMessage() + repr(record.__dict__) for record in caplog.records if _is_ours(record)]
    assert not found_in("\n".join(lines))
    assert not found_in(generate_latest())


def _is_ours(record: logging.LogRecord) -> bool:
    return not record.name.startswith(("django.db", "botocore"))


def test_every_page_without_a_viewer_tells_of_no_picture(world: World, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        for path in (
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/api/v1/openapi.json",
            "/api/v1/docs",
            "/robots.txt",
        ):
            assert not found_in(_text(world.client(Who.ANONYMOUS).get(path))), path


# -- the websocket ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", Who)
def test_a_socket_carries_its_viewer_s_events_alone(world: World, who: Who, django_db_blocker: Any) -> None:
    import asyncio

    with django_db_blocker.unblock():
        client = world.client(who)
        told = asyncio.run(_listen(client))
    expected = words(ONE, frozenset({SHOWN, OWNED})) if who in OWNERS else frozenset()
    assert found_in(told) == expected


async def _listen(client: Client) -> str:
    """Everything that a socket says which asks for all that ever happened, until it answers a ping."""
    from asgiref.testing import ApplicationCommunicator

    from cutline.server.realtime.routing import websockets

    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    headers = [(b"host", b"localhost"), (b"cookie", cookies.encode())]
    if key := client.defaults.get("HTTP_AUTHORIZATION"):
        headers.append((b"authorization", str(key).encode()))
    scope = {
        "type": "websocket",
        "path": "/ws",
        "query_string": b"after=0",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "scheme": "ws",
        "subprotocols": [],
    }
    socket = ApplicationCommunicator(websockets(), scope)
    await socket.send_input({"type": "websocket.connect"})
    said = [str(await socket.receive_output(timeout=ANSWERS_S))]
    if "websocket.accept" in said[0]:
        await socket.send_input({"type": "websocket.receive", "text": '{"type": "ping"}'})
        while '"pong"' not in said[-1]:
            said.append(str(await socket.receive_output(timeout=ANSWERS_S)))
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(timeout=ANSWERS_S)
    return "\n".join(said)


def test_ids_are_not_to_be_guessed(world: World) -> None:
    """Nothing that is shown to others is numbered in order."""
    for model in (Image, Caption, Job, Bulk, Webhook, Delivery, ApiKey, Owner, User):
        assert isinstance(model._meta.pk.get_default(), UUID), model
