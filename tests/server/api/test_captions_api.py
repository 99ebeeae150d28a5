"""Captions, jobs and feedback over HTTP, in one process; the worker's part is done in the test's thread."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

import cutline
from cutline.server import captioner
from cutline.server.captioner import ModelInfo
from cutline.server.captions import services as captions
from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image, Visibility
from cutline.server.jobs import hints, services
from cutline.server.jobs.context import Context
from cutline.server.jobs.models import Job
from tests.server import photos

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:StreamingHttpResponse")]

API = "/api/v1"


class Browser:
    """Somebody with a cookie jar."""

    def __init__(self) -> None:
        self.client = Client()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = self.client.generic(method, API + path, headers=headers, **data)
        return answer.status_code, json.loads(answer.content) if answer.content else None

    def send(self, path: str, **fields: Any) -> tuple[int, Any]:
        answer = self.client.post(API + path, fields)
        return answer.status_code, json.loads(answer.content)


@pytest.fixture(autouse=True)
def _nobody_works() -> Any:
    hints.listen(lambda: None)
    yield
    hints.listen(None)


@pytest.fixture
def ann() -> Browser:
    return Browser()


@pytest.fixture
def bob() -> Browser:
    return Browser()


def a_file(data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("photo.jpg", data, "image/jpeg")


def work() -> None:
    """Do every job that is due, as a worker would."""
    while (job := services.claim()) is not None:
        context = Context(job)
        try:
            captions.run(job, context)
        except Exception as error:
            services.fail(job, context.token, error)


def upload(who: Browser, seed: int = 1) -> tuple[str, str]:
    """(image, job), captioned."""
    status, answer = who.send("/images", files=a_file(photos.generated(seed)))
    assert status == 202, answer
    work()
    return answer["images"][0], answer["jobs"][0]


# -- which model wrote it --------------------------------------------------------------------------------


class Replaced:
    """A model that is replaced by another one while it writes."""

    def __init__(self, version: str, *, by: captioner.MicroBatcher | None = None) -> None:
        self.name, self.version = "replaced", version
        self._by = by

    def about(self) -> ModelInfo:
        return ModelInfo(name=self.name, version=self.version, bundle_hash=self.version * 64)

    def caption(self, images: Any, *, n: int = 1, options: Any = None) -> list[list[cutline.Caption]]:
        if self._by is not None:
            captioner._SHELF._ready[captioner.DEFAULT] = self._by
        return [[cutline.Caption(text=f"By {self.version}.", log_prob=-1.0)] * n for _ in images]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Version 1 is loaded, and version 2 takes its place as soon as 1 writes."""
    with captioner.MicroBatcher(Replaced("2")) as new, captioner.MicroBatcher(Replaced("1", by=new)) as old:
        monkeypatch.setattr(captioner._SHELF, "_ready", {captioner.DEFAULT: old})
        yield


def test_a_caption_on_the_spot_names_the_model_that_wrote_it(
    ann: Browser, photo: bytes, replaced: None
) -> None:
    _, answer = ann.send("/caption", image=a_file(photo))
    assert (answer["captions"][0]["text"], answer["model"]) == ("By 1.", "replaced@1")
    _, answer = ann.send("/caption", image=a_file(photo))
    assert (answer["captions"][0]["text"], answer["model"]) == ("By 2.", "replaced@2")


@pytest.mark.parametrize("is_ahead", [True, False], ids=["with a head start", "without"])
def test_candidates_name_the_model_that_wrote_them(
    ann: Browser, replaced: None, is_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_ahead:
        monkeypatch.setattr(captions.head_starts, "begin", lambda *_, **__: None)
    image, job = upload(ann)
    _, answer = ann("GET", f"/images/{image}/captions")
    assert {(each["text"], each["model"]) for each in answer["items"]} == {("By 1.", "replaced@1")}
    assert {each.model_hash for each in Caption.objects.filter(image=image)} == {"1" * 64}
    assert Job.objects.get(pk=job).model_hash == "1" * 64
    assert Image.objects.get(pk=image).caption_model == "replaced@1"


# -- POST /caption ---------------------------------------------------------------------------------------


def test_a_photo_is_captioned_on_the_spot_and_nothing_is_kept(ann: Browser, photo: bytes) -> None:
    status, answer = ann.send("/caption", image=a_file(photo))
    assert status == 200
    assert set(answer) == {"captions", "model"}
    assert [set(each) for each in answer["captions"]] == [{"text", "log_prob", "confidence"}]
    assert answer["captions"][0]["text"]
    assert answer["captions"][0]["log_prob"] < 0
    name, _, version = answer["model"].partition("@")
    assert name
    assert version
    assert not Image.objects.exists()
    assert not Job.objects.exists()
    assert not Caption.objects.exists()


def test_the_options_of_a_photo_on_the_spot_are_obeyed(ann: Browser, photo: bytes) -> None:
    options = {"n": 3, "strategy": "sample", "seed": 7, "temperature": 0.8, "top_k": 40, "top_p": 0.9}
    first, second = (ann.send("/caption", image=a_file(photo), **options) for _ in range(2))
    assert first == second
    assert len(first[1]["captions"]) == 3
    _, begun = ann.send("/caption", image=a_file(photo), prefix="a photo of", beam_size=2)
    assert begun["captions"][0]["text"].startswith("a photo of")
    _, short = ann.send("/caption", image=a_file(photo), min_length=0, max_length=4)
    assert len(short["captions"][0]["text"].split()) <= 4


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"n": 0}, "invalid"),
        ({"n": 11}, "invalid"),
        ({"n": "many"}, "invalid"),
        ({"strategy": "divine"}, "invalid"),
        ({"strategy": "greedy", "n": 2}, "option_invalid"),
        ({"min_length": 9, "max_length": 3}, "option_invalid"),
        ({"min_length": 100_000}, "option_invalid"),
        ({"top_p": 0}, "invalid"),
        ({"model": "openai:http://127.0.0.1#x"}, "invalid"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    ann: Browser, photo: bytes, fields: dict[str, Any], code: str
) -> None:
    status, answer = ann.send("/caption", image=a_file(photo), **fields)
    assert (status, answer["code"]) == (422, code)


@pytest.mark.parametrize("data", [b"", b"not a photo", b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_what_is_no_photo_is_refused(ann: Browser, data: bytes) -> None:
    status, answer = ann.send("/caption", image=a_file(data))
    assert status == 422
    assert answer["code"] in ("image_unreadable", "image_unsupported", "invalid")


def test_the_models_that_may_be_asked_for(ann: Browser, photo: bytes, configure: Callable[..., Any]) -> None:
    configure(models=json.dumps({"remote": "openai:http://127.0.0.1:9/v1#secret-name"}))
    status, answer = ann("GET", "/models")
    assert status == 200
    assert [(each["id"], each["is_default"]) for each in answer["items"]] == [
        ("default", True),
        ("remote", False),
    ]
    assert "127.0.0.1" not in json.dumps(answer)


# -- an image's captions ---------------------------------------------------------------------------------


def test_candidates_with_what_became_of_them(ann: Browser) -> None:
    image, job = upload(ann)
    status, answer = ann("GET", f"/images/{image}/captions")
    assert status == 200
    ranks = [(each["rank"], each["shown"], each["job"], each["has_attention"]) for each in answer["items"]]
    assert ranks == [(0, True, job, True), (1, False, job, True), (2, False, job, True)]
    second = answer["items"][1]["id"]
    assert ann("PUT", f"/captions/{second}/rating", {"value": 1})[0] == 200
    assert ann("POST", f"/images/{image}/captions/{second}/pick")[0] == 200
    _, answer = ann("GET", f"/images/{image}/captions")
    assert [(each["shown"], each["rating"]) for each in answer["items"]] == [
        (False, None),
        (True, 1),
        (False, None),
    ]


def test_new_candidates_on_request(ann: Browser) -> None:
    image, _ = upload(ann)
    status, job = ann("POST", f"/images/{image}/captions", {"strategy": "sample", "seed": 3, "n": 2})
    assert (status, job["state"], job["image"]) == (202, "queued", image)
    work()
    _, answer = ann("GET", f"/images/{image}/captions")
    assert [each["job"] for each in answer["items"]][:2] == [job["id"]] * 2
    assert len(answer["items"]) == 5
    assert ann("GET", f"/jobs/{job['id']}")[1]["state"] == "done"


def test_new_candidates_need_no_options(ann: Browser) -> None:
    image, _ = upload(ann)
    assert ann("POST", f"/images/{image}/captions")[0] == 202
    work()
    assert len(ann("GET", f"/images/{image}/captions")[1]["items"]) == 6
    assert ann("POST", f"/images/{image}/captions", [])[0] == 422


def test_greedy_captions_are_one_where_no_number_is_asked_for(ann: Browser) -> None:
    image, _ = upload(ann)
    assert (
        ann("POST", f"/images/{image}/captions", {"strategy": "greedy", "n": 2})[1]["code"]
        == "option_invalid"
    )
    _, job = ann("POST", f"/images/{image}/captions", {"strategy": "greedy"})
    work()
    assert ann("GET", f"/jobs/{job['id']}")[1]["state"] == "done"
    _, answer = ann("GET", f"/images/{image}/captions")
    assert [each["job"] for each in answer["items"]].count(job["id"]) == 1


def test_a_persons_words_stay_and_every_version_can_be_restored(ann: Browser) -> None:
    image, _ = upload(ann)
    shown = ann("GET", f"/images/{image}")[1]["caption"]
    status, version = ann("PUT", f"/images/{image}/caption", {"text": "Rex at home"})
    assert (status, version["by"], version["action"], version["number"]) == (200, "person", "edited", 2)
    ann("POST", f"/images/{image}/captions", {"n": 1})
    work()
    assert ann("GET", f"/images/{image}")[1]["caption"] == "Rex at home"
    assert ann("POST", f"/images/{image}/versions/1/restore")[1]["restored_from"] == 1
    assert ann("GET", f"/images/{image}")[1]["caption"] == shown
    _, history = ann("GET", f"/images/{image}/versions")
    assert [(each["number"], each["action"]) for each in history["items"]] == [
        (3, "restored"),
        (2, "edited"),
        (1, "generated"),
    ]
    assert ann("GET", f"/images/{image}/caption")[1] == history["items"][0]


def test_an_edit_that_knew_an_older_text_is_refused(ann: Browser) -> None:
    image, _ = upload(ann)
    path = f"{API}/images/{image}/caption"
    known = ann.client.get(path)["ETag"]
    ann("PUT", f"/images/{image}/caption", {"text": "first"})
    status, answer = ann("PUT", f"/images/{image}/caption", {"text": "second"}, If_Match=known)
    assert (status, answer["code"]) == (412, "precondition_failed")


def test_where_the_model_looked(ann: Browser) -> None:
    image, _ = upload(ann)
    caption = ann("GET", f"/images/{image}/captions")[1]["items"][0]
    status, looks = ann("GET", f"/captions/{caption['id']}/attention")
    assert status == 200
    assert len(looks["maps"]) == len(looks["words"]) > 0
    assert {len(each) for each in looks["maps"]} == {looks["rows"] * looks["columns"]}
    assert {max(each) for each in looks["maps"]} == {255}


def test_exports_carry_captions_in_a_voice_beside_the_description(ann: Browser, bob: Browser) -> None:
    image, _ = upload(ann)
    description = Image.objects.get().caption
    style = {
        "voice": {"tone": "=dry", "prefix": "Look."},
        "description": {"version": 1, "by": "model", "text": description},
        **{
            "body": "Quite.",
            "hashtags": ["#Dog"],
            "prompt": "voice/1",
            "seed": 7,
            "removed": [],
            "like": None,
        },
    }
    styled = Caption.objects.create(
        image_id=image, rank=0, text="Look. Quite. #Dog", log_prob=-2, model="writer@1", style=style
    )
    assert ann("POST", f"/images/{image}/captions/{styled.pk}/pick")[0] == 200
    export = f"{API}/images/export?format="
    [line] = json.loads(b"".join(ann.client.get(export + "json").streaming_content))
    assert (line["caption"], line["description"]) == (styled.text, description)
    [told] = line["styles"]
    assert (told["text"], told["voice"], told["description"]) == (styled.text, style["voice"], description)
    assert (told["model"], told["prompt"], told["seed"]) == ("writer@1", "voice/1", 7)
    text = b"".join(ann.client.get(export + "csv").streaming_content).decode()
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["caption"], row["styled"], row["description"]) == (styled.text, styled.text, description)
    assert (row["styled_model"], row["tone"]) == ("writer@1", "'=dry")
    with zipfile.ZipFile(
        io.BytesIO(b"".join(ann.client.get(f"{API}/me/export").streaming_content))
    ) as archive:
        kept = json.loads(archive.read("images.jsonl"))
    assert style in [each["style"] for each in kept["captions"]]
    assert kept["versions"][-1]["styled"] is True
    upload(bob, 2)
    assert b"Quite" not in b"".join(bob.client.get(export + "json").streaming_content)


# -- others ----------------------------------------------------------------------------------------------


def test_everything_of_a_private_image_is_404_to_others(ann: Browser, bob: Browser) -> None:
    image, job = upload(ann)
    caption = ann("GET", f"/images/{image}/captions")[1]["items"][0]["id"]
    requests: list[tuple[str, str, Any]] = [
        ("GET", f"/images/{image}/captions", None),
        ("POST", f"/images/{image}/captions", {}),
        ("GET", f"/images/{image}/caption", None),
        ("PUT", f"/images/{image}/caption", {"text": "mine now"}),
        ("GET", f"/images/{image}/versions", None),
        ("POST", f"/images/{image}/versions/1/restore", None),
        ("POST", f"/images/{image}/captions/{caption}/pick", None),
        ("GET", f"/captions/{caption}/attention", None),
        ("PUT", f"/captions/{caption}/rating", {"value": 1}),
        ("DELETE", f"/captions/{caption}/rating", None),
        ("GET", f"/jobs/{job}", None),
        ("POST", f"/jobs/{job}/cancel", None),
        ("POST", f"/jobs/{job}/retry", None),
    ]
    upload(bob, 2)
    for who in (bob, Browser()):
        for method, path, body in requests:
            assert who(method, path, body)[0] == 404, (method, path)
    assert bob("POST", "/feedback", {"events": [{"kind": "copy", "caption": caption}]})[1] == {"noted": 0}
    assert [each["id"] for each in ann("GET", "/jobs")[1]["items"]] == [job]
    assert Browser()("GET", "/jobs")[1] == {"items": [], "next": None}


def test_others_see_rate_and_change_nothing_but_the_shown_caption_of_a_public_image(
    ann: Browser, bob: Browser
) -> None:
    image, _ = upload(ann)
    shown, hidden, _ = (each["id"] for each in ann("GET", f"/images/{image}/captions")[1]["items"])
    row = Image.objects.get()
    Image.objects.update(visibility=Visibility.PUBLIC, moderation="approved", published_at=row.created_at)
    assert [each["id"] for each in bob("GET", f"/images/{image}/captions")[1]["items"]] == [shown]
    assert bob("PUT", f"/captions/{shown}/rating", {"value": -1})[0] == 200
    assert bob("PUT", f"/captions/{hidden}/rating", {"value": -1})[0] == 404
    assert bob("PUT", f"/images/{image}/caption", {"text": "mine now"})[0] == 403
    assert bob("POST", f"/images/{image}/captions", {})[0] == 403
    assert bob("GET", f"/images/{image}/versions")[0] == 403
    assert bob("DELETE", f"/captions/{shown}/rating")[0] == 204
    assert not Rating.objects.exists()


# -- feedback and jobs -----------------------------------------------------------------------------------


def test_impressions_and_copies_are_noted(ann: Browser) -> None:
    image, _ = upload(ann)
    caption = ann("GET", f"/images/{image}/captions")[1]["items"][0]["id"]
    events = [{"kind": "impression", "caption": caption}, {"kind": "copy", "caption": caption}]
    assert ann("POST", "/feedback", {"events": events}) == (200, {"noted": 2})
    assert list(Feedback.objects.order_by("id").values_list("kind", flat=True)) == ["impression", "copy"]
    assert ann("POST", "/feedback", {"events": [{"kind": "edit", "caption": caption}]})[0] == 422
    copied = {"kind": "copy", "caption": caption, "hashtags": True}
    assert ann("POST", "/feedback", {"events": [copied, copied]}) == (200, {"noted": 1})
    seen = {"kind": "impression", "caption": caption, "hashtags": True}
    assert ann("POST", "/feedback", {"events": [seen]})[0] == 422


def test_a_failed_job_says_why_and_can_be_tried_again_or_cancelled(ann: Browser) -> None:
    image, _ = upload(ann)
    _, job = ann("POST", f"/images/{image}/captions", {"prefix": "zzqx never heard"})
    work()
    _, failed = ann("GET", f"/jobs/{job['id']}")
    assert (failed["state"], failed["error"]["code"]) == ("failed", "option_invalid")
    assert "zzqx" in failed["error"]["message"]
    status, again = ann("POST", f"/jobs/{job['id']}/retry")
    assert (status, again["state"], again["position"], again["error"]) == (200, "queued", 0, None)
    assert ann("POST", f"/jobs/{job['id']}/cancel")[1]["state"] == "cancelled"
    status, answer = ann("POST", f"/jobs/{job['id']}/cancel")
    assert (status, answer["code"]) == (409, "conflict")


def test_versions_and_candidates_of_an_image_have_a_quota(
    ann: Browser, configure: Callable[..., object]
) -> None:
    image, _ = upload(ann)
    configure(max_captions=2)
    assert ann("PUT", f"/images/{image}/caption", {"text": "My cat."})[0] == 200
    status, answer = ann("PUT", f"/images/{image}/caption", {"text": "My old cat."})
    assert (status, answer["code"]) == (409, "quota_exceeded")
    assert ann("GET", f"/images/{image}")[1]["caption"] == "My cat."
    work()
    status, answer = ann("POST", f"/images/{image}/captions", {})
    assert (status, answer["code"]) == (409, "quota_exceeded")


def test_lists_of_jobs_can_be_narrowed_and_paged(ann: Browser) -> None:
    image, first = upload(ann)
    for _ in range(3):
        ann("POST", f"/images/{image}/captions", {})
    found: list[str] = []
    path = "/jobs?limit=2"
    while True:
        _, answer = ann("GET", path)
        found += [each["id"] for each in answer["items"]]
        if answer["next"] is None:
            break
        path = f"/jobs?limit=2&cursor={answer['next']}"
    assert len(found) == len(set(found)) == 4
    assert found[-1] == first
    assert [each["id"] for each in ann("GET", "/jobs?state=done")[1]["items"]] == [first]
    assert ann("GET", "/jobs?state=lost")[0] == 422
