"""Take screenshots of every page of the web app and its states, in a real browser with a real service.

    python docs/screenshots.py                       (writes docs/screenshots/, with an index page)
    python docs/screenshots.py --only photo,gallery  (only these scenes)

Starts the service in a temporary folder, fills it with the photos of examples/, users and their data, and
opens each scene on a phone and on a desktop, in light and dark mode. Needs Debian's chromium (`make setup`
installs it where it can) and the built web app (`make run` builds it).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import httpx
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    FilePayload,
    Page,
    Route,
    sync_playwright,
)

if TYPE_CHECKING:
    from cutline.registry import VersionManifest

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
PICTURES = HERE / "screenshots"
PASSWORD = "correct horse 9 staple"
WIDEST_PX = 1080  # of a stored screenshot: they are viewed side by side
SLOW_S = 8
TIMEOUT_MS = 45_000
TALLEST_PX = 3600  # longer pages are cut off

# What the stand-in for a language model says of the cat, in turn; the last one is not true to it.
VOICED = (
    "No comment, just a tabby cat looking straight into the camera. #TabbyCat #CatStare #CatLife",
    "The camera looked at the cat. The cat looked back, and won. #TabbyCat #CatStare #CameraShy",
    "A tabby cat, a camera, and nobody blinks first. A dog barks outside. #TabbyCat #CatStare #CatLife",
)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def installed_chromium() -> str | None:
    """The path of Debian's Chromium; the one without windows first, which starts and draws with less work."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def chromium() -> str:
    """As `installed_chromium`. Raises SystemExit if it is not installed."""
    if found := installed_chromium():
        return found
    raise SystemExit("There is no chromium here: apt-get install chromium-headless-shell")


def screenshot(page: Path, output: Path, *, width: int, dark: bool) -> None:
    """Take a screenshot of an HTML file. Raises SystemExit if Chromium is not installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        tab = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=output, full_page=True, quality=85 if output.suffix == ".jpg" else None)
        browser.close()


# --- the service, its users and their data

GATES: Sequence[Mapping[str, object]] = (
    {
        "name": "fit",
        "figure": 0.874,
        "low": 0.845,
        "high": 0.9,
        "threshold": "the interval must lie above 0.55",
    },
    {"name": "base", "figure": -0.009, "low": -0.034, "high": 0.017, "threshold": "at least -1.0%"},
    {
        "name": "held-back likelihood",
        "figure": 0.171,
        "low": 0.089,
        "high": 0.249,
        "threshold": "above 0, with p < 0.05 (paired bootstrap)",
        "detail": "+0.171 nats, p = 0.0010",
    },
    {
        "name": "held-back captions",
        "figure": -0.036,
        "low": -0.192,
        "high": 0.12,
        "threshold": "at least -10%, and not below 0 with p < 0.05",
        "detail": "CIDEr-D 64.1 to 61.8, p = 0.6637",
    },
    {"name": "vocabulary", "figure": -0.019, "threshold": "at least -20%", "detail": "214 to 210"},
    {"name": "latency", "figure": -0.022, "threshold": "at most +10%", "detail": "17.3 ms to 16.9 ms"},
    {"name": "determinism", "figure": 0, "threshold": "none"},
)


@dataclass(slots=True, kw_only=True)
class Site:
    """A running service, with the data that the scenes need."""

    url: str
    slow_url: str  # a second service with a slow worker, to show waiting photos
    cookies: dict[str, list[dict[str, str]]] = field(default_factory=dict)  # of the signed-in users
    images: dict[str, str] = field(default_factory=dict)  # ids, by the name of the example
    links: dict[str, str] = field(default_factory=dict)  # paths that contain generated ids


@contextlib.contextmanager
def service(folder: Path, **settings: object) -> Iterator[str]:
    """Run `cutline serve` in a folder; yields its URL. Raises SystemExit if it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    values = {
        "public_url": url,
        "fetch_allow": "127.0.0.1/32",
        "rate_anonymous": "1000000/minute",
        "rate_user": "1000000/minute",
        "rate_caption": "1000000/minute",
        "rate_visitors": "1000000/minute",
        "max_images_network": 100_000,
        "max_bytes_network": 2**40,
        "max_bulks_network": 10_000,
        "log_level": "ERROR",
        "undo_s": 86_400,  # what makes the dashboard's past is deleted, and must stay until it is seen
        **settings,
    }
    environment = os.environ | {f"CUTLINE_{name.upper()}": str(value) for name, value in values.items()}
    cutline = str(Path(sys.executable).with_name("cutline"))
    command = [cutline, "serve", "--port", str(port), "--data-dir", str(folder)]
    process = subprocess.Popen(command, env=environment)
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            if process.poll() is not None:
                raise SystemExit("The service did not start.")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


class _Elsewhere(BaseHTTPRequestHandler):
    """Stand-ins for external servers: a webhook receiver, a slow captioning endpoint, a language model."""

    voiced = itertools.cycle(VOICED)

    def do_POST(self) -> None:
        """Accept a webhook call, or answer like a slow model, or like one that writes in a voice."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/chat/completions"):
            self.send_response(204)
            self.end_headers()
            return
        if self.path.startswith("/voice"):
            choice = {"message": {"content": next(self.voiced)}}
        else:
            time.sleep(SLOW_S)
            choice = {"message": {"content": "A photo."}}
        answer = json.dumps({"choices": [choice] * json.loads(body).get("n", 1)}).encode()
        with contextlib.suppress(OSError):  # whoever asked may be gone
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Do not log requests."""


@contextlib.contextmanager
def elsewhere() -> Iterator[str]:
    """Run the stand-ins for external servers; yields their URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Person(httpx.Client):
    """A signed-in user."""

    def __init__(self, url: str, email: str) -> None:
        super().__init__(
            base_url=f"{url}/api/v1",
            timeout=60,
            headers={"User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.6) Firefox/140.0"},
            event_hooks={"response": [_check]},
        )
        accounts = f"{url}/_allauth/browser/v1"
        self.get(f"{accounts}/config")
        headers = {"X-CSRFToken": self.cookies["csrftoken"], "Referer": url}
        self.post(f"{accounts}/auth/login", json={"email": email, "password": PASSWORD}, headers=headers)

    def give(self, *names: str) -> list[str]:
        """Upload examples one by one and wait for their captions; returns the ids."""
        ids = []
        for name in names:
            photo = {"files": (f"{name}.jpg", (EXAMPLES / f"{name}.jpg").read_bytes())}
            answer = self.post("/images", files=photo, headers={"Prefer": "wait=30"})
            ids.append(str(answer.json()["items"][0]["id"]))
        return ids

    def act(self, action: str, ids: Sequence[str], **words: object) -> None:
        """Apply an action to several photos."""
        self.post("/images/actions", json={"action": action, "ids": list(ids), **words})

    @property
    def browser_cookies(self) -> list[dict[str, str]]:
        """The cookies that sign a browser in as this user."""
        return [
            {"name": cookie.name, "value": cookie.value or "", "url": str(self.base_url.copy_with(path="/"))}
            for cookie in self.cookies.jar
        ]


def _check(answer: httpx.Response) -> None:
    answer.read()
    if answer.status_code >= 400:
        raise SystemExit(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}")


def _following(folder: Path) -> dict[str, str]:
    """The settings of a service that follows a registry."""
    return {"model": f"registry:{folder / 'models'}", "registry_cache": str(folder / "cache")}


def fill(site: Site, hook: str, models: Path) -> None:
    """Fill the service with users (two photographers and staff) and their data. Needs django.setup()."""
    from allauth.account.models import EmailAddress

    from cutline.server.people.models import Role, User

    for email, role in (
        ("mara@example.org", Role.USER),
        ("jonas@example.org", Role.USER),
        ("staff@example.org", Role.ADMIN),
    ):
        user = User.objects.create_user(email, PASSWORD, role=role)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    people = {name: Person(site.url, f"{name}@example.org") for name in ("mara", "jonas", "staff")}
    site.cookies = {name: person.browser_cookies for name, person in people.items()}

    mara, jonas = people["mara"], people["jonas"]
    made = mara.post("/webhooks", json={"url": hook}).json()
    names = ["rocket", "camera", "raccoon", "astronaut", "flower", "temple", "coffee", "cat"]
    site.images = dict(zip(names, mara.give(*names), strict=True))
    of = site.images
    mara.act("set_visibility", [of["rocket"], of["temple"], of["flower"], of["cat"]], visibility="public")
    mara.act("set_visibility", [of["coffee"]], visibility="unlisted")
    mara.act("add_tags", [of["temple"], of["camera"]], tags=["travel", "architecture"])
    mara.act("add_tags", [of["cat"], of["raccoon"]], tags=["animals"])
    mara.put(
        f"/images/{of['raccoon']}/caption", json={"text": "A raccoon looks out from a hollow in a tree."}
    )
    mara.put(f"/images/{of['cat']}/caption", json={"text": "A cat looks into the camera."})
    mara.put(f"/images/{of['cat']}/caption", json={"text": "A tabby cat looks straight into the camera."})
    shown = mara.get(f"/images/{of['temple']}/captions").json()["items"][0]["id"]
    mara.put(f"/captions/{shown}/rating", json={"value": 1})
    mara.post("/keys", json={"name": "Newsroom archive", "scopes": ["caption", "images:read"]})
    mara.post("/keys", json={"name": "Holiday script", "scopes": ["caption", "images:write", "bulk"]})
    site.links["shared"] = httpx.URL(mara.get(f"/images/{of['coffee']}").json()["share_url"]).path

    theirs = jonas.give("coffee", "camera", "raccoon", "astronaut")
    jonas.act("set_visibility", theirs, visibility="public")
    site.images["published"] = theirs[3]

    trip = jonas.post("/bulk", files={"archive": ("harbour trip.zip", archive(notes=True))}).json()
    site.links["bulk"] = f"/bulk/{trip['id']}"
    while jonas.get(f"/bulk/{trip['id']}").json()["state"] != "done":
        time.sleep(0.2)
    mara.post(f"/webhooks/{made['id']}/test")
    time.sleep(2)  # the calls go out
    _add_history(site, made["id"])
    _add_models(site, models, people["staff"])


def archive(*, notes: bool) -> bytes:
    """A ZIP of new photos and, with `notes`, a file that is not a photo."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        for number, path in enumerate(sorted(EXAMPLES.glob("*.jpg")), 1):
            with Image.open(path) as photo:
                data = io.BytesIO()
                photo.crop((8, 8, photo.width, photo.height)).save(data, "JPEG")
            files.writestr(f"harbour/{number:04} {path.stem}.jpg", data.getvalue())
        if notes:
            files.writestr("harbour/notes.jpg", "These are words.")
    return packed.getvalue()


def _add_history(site: Site, webhook: str) -> None:
    """Add a month of usage for the dashboard, a failed photo, and public host names instead of local ones."""
    from django.utils import timezone

    from cutline.server.captions.models import Caption
    from cutline.server.feedback.models import Feedback, Rating
    from cutline.server.images.models import Image as Photo
    from cutline.server.jobs.models import Job, JobState
    from cutline.server.people.models import Owner, User
    from cutline.server.webhooks.models import Webhook

    dice = random.Random(7)
    now = timezone.now()
    Webhook.objects.filter(pk=webhook).update(url="https://archive.example.org/hooks/captions")
    past = Owner.objects.create(created_at=now - timedelta(days=40))
    model = Caption.objects.values_list("model", flat=True)[0]
    photos, jobs, captions, ratings, feedback = [], [], [], [], []
    for day in range(29, -1, -1):
        weekday = (now - timedelta(days=day)).weekday()
        uploads = int((90 - 2 * day) * (0.55 if weekday > 4 else 1) * dice.uniform(0.75, 1.2)) + 12
        for number in range(uploads):
            at = now - timedelta(days=day, seconds=dice.uniform(60, 40_000) if day else 60)
            photo = Photo(
                owner=past,
                content_hash=f"{day}-{number}",
                width_px=1,
                height_px=1,
                created_at=at,
                deleted_at=now,
            )
            took = timedelta(seconds=dice.lognormvariate(-2.6, 0.5))
            failed = dice.random() < (0.05 if day == 11 else 0.006)
            state = JobState.FAILED if failed else JobState.DONE
            caption = Caption(image=photo, rank=0, text="A photo.", model=model, created_at=at)
            photos.append(photo)
            captions.append(caption)
            jobs.append(Job(owner=past, image=photo, state=state, created_at=at, ended_at=at + took))
            if dice.random() < 0.24:
                value = 1 if dice.random() < 0.58 + (29 - day) * 0.008 else -1
                ratings.append(
                    Rating(caption=caption, viewer=past, value=value, created_at=at, changed_at=at)
                )
            if dice.random() < 0.2:
                kind = Feedback.Kind.EDIT if dice.random() < 0.6 else Feedback.Kind.PICK
                feedback.append(Feedback(image=photo, caption=caption, kind=kind, created_at=at))
    Photo.objects.bulk_create(photos)
    Caption.objects.bulk_create(captions)
    Job.objects.bulk_create(jobs)
    Rating.objects.bulk_create(ratings)
    Feedback.objects.bulk_create(feedback)
    for number in range(14):
        joined = now - timedelta(days=2 * number)
        User.objects.create_user(f"reader-{number}@example.org", created_at=joined)

    published = Photo.objects.get(pk=UUID(site.images["published"]))
    lost = (
        Photo.objects.filter(owner__user__email="jonas@example.org")
        .exclude(pk=published.pk)
        .order_by("created_at")[0]
    )
    lost.renditions.exclude(kind="master").delete()
    lost.captions.all().delete()
    Photo.objects.filter(pk=lost.pk).update(
        caption="", caption_by="", caption_model="", published_at=None, visibility="private"
    )
    lost.jobs.update(
        state=JobState.FAILED,
        error_code="captioner_failed",
        error_message="The model did not answer in five tries.",
    )
    site.images["failed"] = str(lost.pk)


def _add_models(site: Site, models: Path, staff: Person) -> None:
    """Add a challenger that the learner made, with its report, its canary, and what became of both."""
    from cutline.captioning.bundle import sealed
    from cutline.registry import DataRecord, Draft, GateReport, open_registry

    registry = open_registry(str(models))
    champion = registry.find("champion")
    bundle = registry.bundle(champion)
    version = f"{bundle.manifest.version}+learned.9f31c2ab"
    summary = f"All {len(GATES)} gates passed."
    for ending, why, captions in (
        ("not started", "31 captions are new since the last run, fewer than 50", 131),
        ("rejected", "Rejected. held-back likelihood: +0.006 nats, p = 0.4120.", 164),
    ):
        registry.record_run(
            by="learner",
            ending=ending,
            why=why,
            champion=champion.id,
            facts={"counts": {"captions": captions}, "fewest_captions": 100, "fewest_new": 50},
        )
    challenger = registry.push(
        Draft(
            bundle=sealed(replace(bundle.manifest, version=version), bundle.files),
            data=DataRecord(hash="9f31c2ab" * 8, description="296 captions by people"),
            parents=(champion.id,),
            metrics={"training": {"captions": 187, "way": "edits", "strength": 1.0}},
            gates=GateReport(
                passed=True,
                summary=summary,
                report={"passed": True, "gates": [{"passed": True, **gate} for gate in GATES]},
                page=b"<!doctype html><title>Gates</title>",
            ),
        )
    )
    registry.record_run(
        by="learner",
        ending="challenger",
        why=summary,
        champion=champion.id,
        version=challenger.id,
        facts={"counts": {"captions": 296}, "fewest_captions": 100, "fewest_new": 50},
    )
    registry.promote(challenger.id, to="challenger", by="learner", why=summary)
    shares = {
        "canary_percent": 10,
        "shadow_percent": 25,
        "why": "Its report is good; a tenth of people first.",
    }
    staff.put("/registry/shares", json=shares)
    _add_arms(champion.manifest, challenger.manifest)
    site.links["challenger"] = challenger.label


def _add_arms(champion: VersionManifest, challenger: VersionManifest) -> None:
    """Add what people made of both versions' captions."""
    from django.utils import timezone

    from cutline.server.captions.models import Caption
    from cutline.server.feedback.models import Feedback
    from cutline.server.images.models import Image as Photo
    from cutline.server.jobs.models import Job, JobState, Priority
    from cutline.server.people.models import Owner
    from cutline.server.steering.models import Shadow

    dice = random.Random(11)
    now = timezone.now()
    for version, people, edited in ((champion, 36, 0.22), (challenger, 4, 0.14)):
        for number in range(people * 12):
            if number % 12 == 0:
                owner = Owner.objects.create(created_at=now)
            photo = Photo.objects.create(
                owner=owner,
                content_hash=f"{version.version}-{number}",
                width_px=1,
                height_px=1,
                deleted_at=now,
            )
            took = timedelta(seconds=dice.lognormvariate(-2.6, 0.5))
            job = Job.objects.create(
                owner=owner,
                image=photo,
                state=JobState.DONE,
                priority=Priority.INTERACTIVE,
                created_at=now,
                ended_at=now + took,
            )
            caption = Caption.objects.create(
                image=photo,
                job=job,
                rank=0,
                text="A dog runs along the beach.",
                model=f"{version.name}@{version.version}",
                model_hash=version.bundle_hash,
            )
            if dice.random() < edited:
                Feedback.objects.create(
                    image=photo,
                    caption=caption,
                    kind=Feedback.Kind.EDIT,
                    before=caption.text,
                    after="A brown dog runs along the beach.",
                )
    Shadow.objects.bulk_create(
        Shadow(
            champion_hash=champion.bundle_hash,
            challenger_hash=challenger.bundle_hash,
            agreement=1.0 if dice.random() < 0.4 else round(dice.uniform(0.4, 0.9), 2),
            champion_s=dice.lognormvariate(-3.6, 0.2),
            challenger_s=dice.lognormvariate(-3.6, 0.2),
        )
        for _ in range(120)
    )


# --- what is photographed

Mode = Literal["light", "dark"]
MODES: tuple[Mode, ...] = ("light", "dark")
Prepare = Callable[[Page, Site], object]


def nothing(page: Page, site: Site) -> None:
    """Leave the page as it opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A page in a certain state, and how to get there."""

    name: str
    alt: str
    path: str | Callable[[Site], str]
    who: str = ""  # whose browser: "" is somebody new
    before: Prepare = nothing  # before the page is opened
    then: Prepare = nothing  # once it is open
    language: str = "en"
    slow: bool = False  # on the service whose worker takes its time
    fresh: bool = False  # by somebody who has not been here before, and leaves things behind
    widths: tuple[int, ...] = (375, 1440)
    is_page: bool = False  # a page in all colours; a state is seen in light on a phone, in dark on a desk

    @property
    def shots(self) -> Sequence[tuple[int, Mode]]:
        """The widths and colour schemes to take it in."""
        dark_alone = {1440} if not self.is_page else set()
        light_alone = {320, 375} if not self.is_page else {320}
        return [
            (width, mode)
            for width in self.widths
            for mode in MODES
            if not (mode == "light" and width in dark_alone) and not (mode == "dark" and width in light_alone)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Scenes that belong together."""

    title: str
    scenes: Sequence[Scene]


def image(name: str) -> Callable[[Site], str]:
    """The page of a photo."""
    return lambda site: f"/images/{site.images[name]}"


def link(name: str) -> Callable[[Site], str]:
    """A path that only this service knows."""
    return lambda site: site.links[name]


def press(name: str, role: Any = "button") -> Prepare:
    """Press the control with that name."""
    return lambda page, site: page.get_by_role(role, name=name, exact=True).first.click()


def after(*steps: Prepare) -> Prepare:
    """Run the steps one after the other."""

    def all_of_them(page: Page, site: Site) -> None:
        for step in steps:
            step(page, site)

    return all_of_them


def see(text: str) -> Prepare:
    """Wait for a text."""
    return lambda page, site: page.get_by_text(text).first.wait_for()


def give(*names: str, wait: bool = True) -> Prepare:
    """Drop examples on the first page."""

    def drop(page: Page, site: Site) -> None:
        files = [EXAMPLES / f"{name}.jpg" for name in names]
        page.locator("input[type=file]").first.set_input_files(files)
        if wait:
            page.get_by_role("link", name="Open", exact=True).nth(len(names) - 1).wait_for()

    return drop


def drop_text_file(page: Page, site: Site) -> None:
    """Drop a file that is not a photo."""
    notes: FilePayload = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"These are words."}
    page.locator("input[type=file]").first.set_input_files(files=[notes])
    page.get_by_role("button", name="Remove").wait_for()


def slow_uploads(page: Page, site: Site) -> None:
    """Slow uploads down, so that their progress is visible."""
    session = page.context.new_cdp_session(page)
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 12_000},
    )


def go_offline(page: Page, site: Site) -> None:
    """Go offline."""
    page.context.set_offline(True)
    page.wait_for_timeout(200)


def hold(pattern: str) -> Prepare:
    """Leave matching requests unanswered, so that the page keeps loading."""
    return lambda page, site: page.route(pattern, lambda route: None)


def fail_as_server(pattern: str) -> Prepare:
    """Answer matching requests with a server error."""
    problem = (
        '{"status": 503, "code": "unavailable", "title": "", "detail": "The database is being restarted."}'
    )

    def answer(route: Route) -> None:
        route.fulfill(status=503, content_type="application/problem+json", body=problem)

    return lambda page, site: page.route(pattern, answer)


def block(pattern: str) -> Prepare:
    """Let matching requests fail, as when offline."""
    return lambda page, site: page.route(pattern, lambda route: route.abort())


def block_page_code(path: str) -> Prepare:
    """Block the page's own code: the last of the modules that its HTML names."""

    def prepare(page: Page, site: Site) -> None:
        names = re.findall(r'/assets/[^" ]+\.js(?=")', httpx.get(site.url + path).text)
        block(f"**{names[-1]}")(page, site)

    return prepare


def focus_word(page: Page, site: Site) -> None:
    """Focus a word of the caption."""
    words = page.get_by_role("group", name="Words of the caption").get_by_role("button")
    words.first.wait_for()
    words.nth(min(3, words.count() - 1)).focus()
    page.wait_for_timeout(500)


def select_photos(page: Page, site: Site) -> None:
    """Select three photos."""
    for number in range(3):
        page.get_by_role("main").get_by_role("checkbox").nth(number).check()


def sign_in_wrongly(page: Page, site: Site) -> None:
    """Sign in with a wrong password."""
    page.get_by_label("E-mail address").fill("mara@example.org")
    page.get_by_label("Password").first.fill("not my password")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.locator("[role=alert], [aria-invalid=true]").first.wait_for()


def sign_up(page: Page, site: Site) -> None:
    """Sign up."""
    page.get_by_label("E-mail address").fill(f"lena{random.randrange(10_000)}@example.org")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    page.get_by_text("Check your e-mail").wait_for()


def create_key(page: Page, site: Site) -> None:
    """Create an API key, which is shown once."""
    page.get_by_label("What is it for?").fill("Website")
    page.get_by_role("button", name="Create key").click()
    page.get_by_text("It is shown only once").first.wait_for()


def revoke_key(page: Page, site: Site) -> None:
    """Open the confirmation for revoking a key."""
    page.get_by_role("button", name="Revoke", exact=True).first.click()
    page.get_by_role("dialog").wait_for()


def set_up_codes(page: Page, site: Site) -> None:
    """Start to set up an authenticator app."""
    page.get_by_role("button", name="Set up").click()
    page.get_by_role("img", name="QR code").scroll_into_view_if_needed()


def run_bulk(page: Page, site: Site) -> None:
    """Upload an archive to the slow service and open its page."""
    trip: FilePayload = {
        "name": "harbour trip.zip",
        "mimeType": "application/zip",
        "buffer": archive(notes=False),
    }
    page.locator("input[type=file]").first.set_input_files([trip])
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_text("0004").wait_for()


def open_challenger(page: Page, site: Site) -> None:
    """Open the details of the challenger, with its gates."""
    page.get_by_role("button", name=f"Details of {site.links['challenger']}").click()
    page.get_by_role("row", name="held-back likelihood").scroll_into_view_if_needed()


def ask_to_promote(page: Page, site: Site) -> None:
    """Open the question that a promotion asks."""
    page.get_by_role("button", name="Promote", exact=True).first.click()
    page.get_by_label("Reason").fill("People edit it less.")


def write_in_a_voice(
    *, voice: str = "Voice", write: str = "Write three captions", use: str = "Use as caption"
) -> Prepare:
    """Open a photo's voices, and let captions be written in one."""

    def prepare(page: Page, site: Site) -> None:
        press(voice)(page, site)
        press(write)(page, site)
        page.get_by_role("button", name=use, exact=True).first.wait_for()

    return prepare


GALLERY, LIBRARY = "**/api/v1/gallery*", "**/api/v1/images?*"
SOME = ("cat", "rocket", "temple", "coffee", "flower")

CHAPTERS: Sequence[Chapter] = (
    Chapter(
        title="Caption",
        scenes=(
            Scene(name="home", alt="The first page: a place to drop photos", path="/", is_page=True),
            Scene(
                name="home-address",
                alt="Adding photos by URL",
                path="/",
                then=press("From the web"),
                fresh=True,
            ),
            Scene(
                name="home-sending",
                alt="Uploads with their progress",
                path="/",
                before=slow_uploads,
                then=after(give("rocket", "temple", "flower", wait=False), see("Uploading,")),
                fresh=True,
            ),
            Scene(
                name="home-queue",
                alt="Photos with their places in the queue",
                path="/",
                then=after(give("rocket", "temple", "flower", "cat", wait=False), see("in the queue")),
                slow=True,
                fresh=True,
            ),
            Scene(
                name="home-captions",
                alt="Photos, each with its caption",
                path="/",
                then=give(*SOME),
                widths=(320, 375, 1440),
                fresh=True,
                is_page=True,
            ),
            Scene(
                name="home-voice",
                alt="Choosing a voice for a photo of the first page",
                path="/",
                then=after(give("cat"), press("Voice"), see("Write three captions")),
                widths=(320, 375, 1440),
                fresh=True,
            ),
            Scene(
                name="home-partial",
                alt="Two captioned photos, and a file that was refused, with the reason",
                path="/",
                then=after(give("cat", "rocket"), drop_text_file),
                fresh=True,
            ),
            Scene(
                name="home-offline",
                alt="Offline: a photo waits for the connection",
                path="/",
                then=after(
                    give("cat"), go_offline, give("temple", wait=False), see("Waiting for a connection")
                ),
                fresh=True,
            ),
            Scene(name="home-de", alt="The first page in German", path="/", language="de"),
        ),
    ),
    Chapter(
        title="Understand",
        scenes=(
            Scene(
                name="photo",
                alt="A photo's page: one word is selected, and the photo highlights where the model looked",
                path=image("temple"),
                who="mara",
                then=focus_word,
                widths=(320, 375, 1440),
                is_page=True,
            ),
            Scene(
                name="photo-edit",
                alt="Editing a caption",
                path=image("raccoon"),
                who="mara",
                then=press("Edit"),
            ),
            Scene(
                name="photo-history",
                alt="The versions of a caption",
                path=image("cat"),
                who="mara",
                then=after(press("History"), see("Restore")),
            ),
            Scene(
                name="photo-regenerate",
                alt="Options for regenerating a caption",
                path=image("rocket"),
                who="mara",
                then=after(press("Regenerate"), see("Strategy")),
            ),
            Scene(
                name="photo-copy",
                alt="Formats for copying a caption",
                path=image("flower"),
                who="mara",
                then=press("Copy"),
            ),
            Scene(
                name="photo-voice",
                alt="Captions in a voice, beside the plain description",
                path=image("cat"),
                who="mara",
                then=write_in_a_voice(),
                widths=(320, 375, 1440),
                is_page=True,
            ),
            Scene(
                name="photo-voice-de",
                alt="Captions in a voice, in German",
                path=image("cat"),
                who="mara",
                then=write_in_a_voice(voice="Stil", write="Drei Texte schreiben", use="Übernehmen"),
                language="de",
            ),
            Scene(
                name="photo-voice-missing",
                alt="A service without a language model says what to do",
                path="/",
                then=after(
                    give("cat"),
                    press("Voice"),
                    see("No language model here"),
                ),
                slow=True,
                fresh=True,
            ),
            Scene(name="photo-published", alt="A photo published by someone else", path=image("published")),
            Scene(
                name="photo-shared",
                alt="A photo opened by its share link",
                path=link("shared"),
                is_page=True,
            ),
            Scene(
                name="photo-waiting",
                alt="A photo whose caption is being written",
                path="/",
                then=after(
                    give("rocket", "flower", "temple", wait=False),
                    see("in the queue"),
                    lambda page, site: page.locator("main li a").first.click(),
                    see("Only you"),
                ),
                slow=True,
                fresh=True,
            ),
            Scene(name="photo-failed", alt="A photo whose caption failed", path=image("failed"), who="jonas"),
            Scene(
                name="photo-loading",
                alt="A photo's page while it loads",
                path=image("temple"),
                who="mara",
                before=hold("**/api/v1/images/*"),
            ),
            Scene(
                name="photo-not-found",
                alt="A photo that does not exist or is private",
                path="/images/00000000-0000-4000-8000-000000000000",
            ),
            Scene(
                name="photo-de",
                alt="A photo's page in German",
                path=image("camera"),
                who="mara",
                language="de",
            ),
        ),
    ),
    Chapter(
        title="Library and gallery",
        scenes=(
            Scene(
                name="library",
                alt="Your photos, with search and filters",
                path="/library",
                who="mara",
                is_page=True,
            ),
            Scene(
                name="library-selected",
                alt="Three selected photos and the actions on them",
                path="/library",
                who="mara",
                then=select_photos,
            ),
            Scene(
                name="library-nothing", alt="A search without results", path="/library?q=zebra", who="mara"
            ),
            Scene(name="library-empty", alt="A library without photos", path="/library"),
            Scene(
                name="library-loading",
                alt="The library while it loads",
                path="/library",
                who="mara",
                before=hold(LIBRARY),
            ),
            Scene(
                name="library-failed",
                alt="The library failed to load, with the reason",
                path="/library",
                who="mara",
                before=fail_as_server(LIBRARY),
            ),
            Scene(
                name="library-offline",
                alt="The library offline",
                path="/library",
                who="mara",
                before=block(LIBRARY),
                then=after(see("no connection"), go_offline),
            ),
            Scene(name="library-de", alt="The library in German", path="/library", who="mara", language="de"),
            Scene(name="gallery", alt="The public gallery", path="/gallery", is_page=True),
            Scene(
                name="gallery-report",
                alt="Reporting a photo in the gallery",
                path="/gallery",
                then=after(
                    lambda page, site: page.get_by_role("button", name="Report:").first.click(),
                    see("Spam"),
                ),
            ),
            Scene(
                name="gallery-loading",
                alt="The gallery while it loads",
                path="/gallery",
                before=hold(GALLERY),
            ),
            Scene(name="gallery-empty", alt="A gallery without photos", path="/gallery", slow=True),
            Scene(name="gallery-de", alt="The gallery in German", path="/gallery", language="de"),
        ),
    ),
    Chapter(
        title="Bulk",
        scenes=(
            Scene(name="bulk", alt="Bulk jobs", path="/bulk", who="jonas", is_page=True),
            Scene(name="bulk-empty", alt="No bulk jobs yet", path="/bulk"),
            Scene(
                name="bulk-done",
                alt="A finished bulk job: its files, one of which was refused",
                path=link("bulk"),
                who="jonas",
                is_page=True,
            ),
            Scene(
                name="bulk-running",
                alt="A running bulk job",
                path="/bulk",
                then=run_bulk,
                slow=True,
                fresh=True,
            ),
            Scene(
                name="bulk-paused",
                alt="A paused bulk job",
                path="/bulk",
                then=after(run_bulk, press("Pause"), see("Paused")),
                slow=True,
                fresh=True,
            ),
            Scene(name="bulk-de", alt="A bulk job in German", path=link("bulk"), who="jonas", language="de"),
        ),
    ),
    Chapter(
        title="Account",
        scenes=(
            Scene(name="sign-in", alt="Sign in", path="/account/sign-in", is_page=True),
            Scene(
                name="sign-in-refused",
                alt="A wrong password",
                path="/account/sign-in",
                then=sign_in_wrongly,
                fresh=True,
            ),
            Scene(name="sign-up", alt="Sign up", path="/account/sign-up", is_page=True),
            Scene(
                name="sign-up-sent",
                alt="The confirmation mail was sent",
                path="/account/sign-up",
                then=sign_up,
                fresh=True,
            ),
            Scene(name="reset", alt="A forgotten password", path="/account/password/reset", is_page=True),
            Scene(
                name="verify-failed",
                alt="An expired link from a mail",
                path="/account/verify-email/old",
                then=after(press("Confirm"), see("does not work")),
                fresh=True,
            ),
            Scene(
                name="account",
                alt="The account: sign-in methods, sessions, keys, webhooks, data",
                path="/account",
                who="mara",
                is_page=True,
            ),
            Scene(
                name="account-delete",
                alt="Deleting the account",
                path="/account",
                who="mara",
                then=press("Delete account"),
            ),
            Scene(
                name="account-revoke",
                alt="Confirmation before a key is revoked",
                path="/account",
                who="mara",
                then=revoke_key,
            ),
            Scene(
                name="account-codes",
                alt="The QR code for an authenticator app",
                path="/account",
                who="mara",
                then=set_up_codes,
            ),
            Scene(name="account-nobody", alt="The account page without an account", path="/account"),
            Scene(name="account-de", alt="The account in German", path="/account", who="mara", language="de"),
            Scene(
                name="account-key",
                alt="A new key, shown once, and the log of a webhook",
                path="/account",
                who="mara",
                then=after(create_key, press("Deliveries"), see("delivered")),
            ),
        ),
    ),
    Chapter(
        title="About",
        scenes=(
            Scene(name="about", alt="How it works", path="/about", is_page=True),
            Scene(name="about-model", alt="The card of the model in use", path="/about/model", is_page=True),
            Scene(name="about-api", alt="The API", path="/about/api", is_page=True),
            Scene(name="about-privacy", alt="Privacy", path="/about/privacy", is_page=True),
            Scene(name="about-terms", alt="Terms of use", path="/about/terms", is_page=True),
            Scene(
                name="about-accessibility",
                alt="The accessibility statement",
                path="/about/accessibility",
                is_page=True,
            ),
            Scene(name="about-de", alt="How it works, in German", path="/about", language="de"),
        ),
    ),
    Chapter(
        title="Operators",
        scenes=(
            Scene(
                name="dashboard", alt="The dashboard for staff", path="/dashboard", who="staff", is_page=True
            ),
            Scene(
                name="dashboard-loading",
                alt="The dashboard while it loads",
                path="/dashboard",
                who="staff",
                before=hold("**/api/v1/stats*"),
            ),
            Scene(
                name="dashboard-forbidden",
                alt="The dashboard for other users",
                path="/dashboard",
                who="mara",
            ),
            Scene(
                name="dashboard-de",
                alt="The dashboard in German",
                path="/dashboard",
                who="staff",
                language="de",
            ),
            Scene(
                name="models",
                alt="The models: champion and challenger, and what became of the captions of both",
                path="/models",
                who="staff",
                then=open_challenger,
                is_page=True,
            ),
            Scene(
                name="models-promote",
                alt="Promoting the challenger takes a reason",
                path="/models",
                who="staff",
                then=ask_to_promote,
            ),
            Scene(
                name="models-loading",
                alt="The models while they load",
                path="/models",
                who="staff",
                before=hold("**/api/v1/registry*"),
            ),
            Scene(
                name="models-de",
                alt="The models in German",
                path="/models",
                who="staff",
                then=see("Herausforderer"),
                language="de",
            ),
        ),
    ),
    Chapter(
        title="Everywhere",
        scenes=(
            Scene(name="not-found", alt="A page that does not exist", path="/no-such-page", is_page=True),
            Scene(
                name="broken",
                alt="A page whose code could not be fetched",
                path="/gallery",
                before=block_page_code("/gallery"),
                then=see("Something went wrong on this page"),
            ),
            Scene(name="colours", alt="The theme menu", path="/about", then=press("Theme")),
        ),
    ),
)

WIDTHS: Mapping[int, tuple[str, int]] = {
    320: ("narrow", 640),
    375: ("phone", 812),
    1440: ("desktop", 900),
}


# --- the photographer


def new_context(browser: Browser, site: Site, scene: Scene, width: int) -> BrowserContext:
    """A browser context for a user, with that width."""
    context = browser.new_context(
        viewport={"width": width, "height": WIDTHS[width][1]},
        locale="de-DE" if scene.language == "de" else "en-GB",
        timezone_id="UTC",
        has_touch=width < 600,
        service_workers="block",
    )
    if scene.who:
        context.add_cookies(site.cookies[scene.who])  # type: ignore[arg-type]
    return context


def clear(page: Page, url: str) -> None:
    """Delete the photos and cancel the bulk jobs of the page's visitor."""
    calls = page.context.request
    for bulk in calls.get(f"{url}/api/v1/bulk").json()["items"]:
        calls.post(f"{url}/api/v1/bulk/{bulk['id']}/cancel")
    for photo in calls.get(f"{url}/api/v1/images").json()["items"]:
        calls.delete(f"{url}/api/v1/images/{photo['id']}")


def wait_until_loaded(page: Page) -> None:
    """Wait for the fonts and all images, including those below the fold."""
    page.evaluate(
        """async () => {
            for (let y = 0; y < document.body.scrollHeight; y += 600) {
                scrollTo(0, y);
                await new Promise((resolve) => setTimeout(resolve, 30));
            }
            scrollTo(0, 0);
            await document.fonts.ready;
            const open = [...document.images].filter((image) => image.src && !image.complete);
            const seen = open.map((image) => new Promise((done) => (image.onload = image.onerror = done)));
            await Promise.race([Promise.all(seen), new Promise((done) => setTimeout(done, 4000))]);
        }"""
    )
    page.wait_for_timeout(350)


def take(page: Page, width: int) -> bytes:
    """The page from top to bottom, as a PNG."""
    page.evaluate("document.getElementById('content').style.minHeight = '0'")  # else it grows with the screen
    # A bar at the bottom of the screen belongs to the end of the picture, so the screen is made as high; what
    # is seen then may load, and make the page higher.
    for _ in range(2):
        full = int(page.evaluate("scrollTo(0, 0), document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": min(max(full, WIDTHS[width][1]), TALLEST_PX)})
        page.wait_for_timeout(200)
    return page.screenshot(caret="hide")


def compressed(png: bytes) -> bytes:
    """As WebP, with an invisible loss."""
    with Image.open(io.BytesIO(png)) as picture:
        colours = picture.convert("RGB")
    if colours.width > WIDEST_PX:
        colours = colours.resize((WIDEST_PX, round(colours.height * WIDEST_PX / colours.width)))
    data = io.BytesIO()
    colours.save(data, "WEBP", quality=66, method=4)
    return data.getvalue()


def take_all(site: Site, scenes: Sequence[Scene], folder: Path, *, as_png: bool) -> list[str]:
    """Take each scene at its widths and colour schemes; returns those that failed."""
    failed = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        contexts: dict[tuple[str, str, int], BrowserContext] = {}  # kept: what they fetched once they know
        for scene in scenes:
            for width in scene.widths:
                whose = (scene.name if scene.fresh else scene.who, scene.language, width)
                if whose not in contexts:
                    contexts[whose] = new_context(browser, site, scene, width)
                page = contexts[whose].new_page()
                page.set_default_timeout(TIMEOUT_MS)
                page.on("pageerror", partial(print, f"{scene.name}:"))
                try:
                    pose(page, site, scene)
                    for mode in (mode for each, mode in scene.shots if each == width):
                        page.emulate_media(color_scheme=mode)
                        page.wait_for_timeout(300)
                        png = take(page, width)
                        path = folder / f"{scene.name}-{WIDTHS[width][0]}-{mode}"
                        if as_png:
                            path.with_suffix(".png").write_bytes(png)
                        else:
                            path.with_suffix(".webp").write_bytes(compressed(png))
                except Error as error:
                    failed.append(f"{scene.name} ({WIDTHS[width][0]}): {error.message.partition(chr(10))[0]}")
                contexts[whose].set_offline(False)
                page.unroute_all(behavior="ignoreErrors")
                if scene.slow:  # the next one need not wait behind these
                    clear(page, site.slow_url)
                page.close()
                if scene.fresh:
                    contexts.pop(whose).close()
        browser.close()
    return failed


def pose(page: Page, site: Site, scene: Scene) -> None:
    """Bring a page into the state of the scene."""
    scene.before(page, site)
    path = scene.path if isinstance(scene.path, str) else scene.path(site)
    page.goto((site.slow_url if scene.slow else site.url) + path)
    page.locator("h1, [role=alert]").first.wait_for(state="attached")
    wait_until_loaded(page)
    scene.then(page, site)


def index_page() -> str:
    """The index page, in Markdown."""
    lines = [
        "# The web app in pictures",
        "",
        "Every page and its states, on a phone and on a desktop, in light and dark mode, as a real browser",
        "shows them on a real service with the photos of `examples/`. Taken by `docs/screenshots.py`.",
    ]
    for chapter in CHAPTERS:
        lines += ["", f"## {chapter.title}"]
        for scene in chapter.scenes:
            lines += ["", f"### {scene.alt}", ""]
            shots = [
                (f"{WIDTHS[width][0]}, {mode}", f"{scene.name}-{WIDTHS[width][0]}-{mode}.webp")
                for width, mode in scene.shots
            ]
            lines += [
                "| " + " | ".join(label for label, _ in shots) + " |",
                "|" + " --- |" * len(shots),
                "| " + " | ".join(f"![{scene.alt} ({label})]({name})" for label, name in shots) + " |",
            ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Start the service, fill it, and take the screenshots."""
    parser = argparse.ArgumentParser(description="Take screenshots of every page of the web app.")
    parser.add_argument("--output", type=Path, default=PICTURES)
    parser.add_argument("--only", default="", help="scenes, separated by commas; a name includes its states")
    parser.add_argument("--png", action="store_true", help="do not compress")
    chosen = parser.parse_args()
    wanted = [name for name in chosen.only.split(",") if name]
    scenes = [
        scene
        for chapter in CHAPTERS
        for scene in chapter.scenes
        if not wanted or scene.name in wanted or scene.name.split("-")[0] in wanted
    ]
    chosen.output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="cutline-screenshots-") as folder,
        elsewhere() as others,
        service(
            Path(folder) / "site", restyler=f"openai:{others}/voice#writer", **_following(Path(folder))
        ) as url,
        service(
            Path(folder) / "slow", model=f"openai:{others}#slow", worker_threads=1, restyler="off"
        ) as slow_url,
    ):
        os.environ |= {
            "CUTLINE_DATA_DIR": str(Path(folder) / "site"),
            "CUTLINE_PUBLIC_URL": url,
            **{f"CUTLINE_{name.upper()}": value for name, value in _following(Path(folder)).items()},
            "DJANGO_SETTINGS_MODULE": "cutline.server.django_settings",
        }
        import django

        django.setup()
        site = Site(url=url, slow_url=slow_url)
        fill(site, f"{others}/captions", Path(folder) / "models")
        failed = take_all(site, scenes, chosen.output, as_png=chosen.png)
    if failed:
        raise SystemExit("\n".join(["These scenes failed:", *failed]))
    if not chosen.png and not wanted:
        (chosen.output / "README.md").write_text(index_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
