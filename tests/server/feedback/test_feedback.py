from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from cutline.server.captions import services as captions
from cutline.server.captions.models import Caption, Version
from cutline.server.errors import Invalid
from cutline.server.feedback import services
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image
from cutline.server.learning_export.dataset import export
from cutline.server.people.models import Owner
from cutline.server.uploads.services import store_upload
from tests.server import photos

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

CUTLINE = Path(sys.executable).with_name("cutline")


def candidate(image: Image, text: str) -> Caption:
    return Caption.objects.create(image=image, rank=0, text=text, log_prob=-1, model="m@1")


def plain_image(owner: Owner) -> Image:
    return Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=4, height_px=3)


def seen(kind: Feedback.Kind, caption: Caption, *, hashtags: bool | None = None) -> services.Seen:
    return services.Seen(kind=kind, caption=caption, hashtags=hashtags)


def show(image: Image, caption: Caption) -> None:
    """As a model did."""
    Version.objects.create(
        image=image, number=1, text=caption.text, by="model", action="generated", caption=caption
    )
    Image.objects.filter(pk=image.pk).update(caption=caption.text, caption_by="model")


# -- ratings and events ----------------------------------------------------------------------------------


def test_a_viewer_has_one_rating_of_a_caption_and_may_change_it() -> None:
    owner, other = Owner.objects.create(), Owner.objects.create()
    caption = candidate(plain_image(owner), "A dog.")
    for viewer, value in ((owner, 1), (other, 1), (owner, -1)):
        services.rate(caption, viewer, value)
    assert sorted(Rating.objects.values_list("viewer", "value")) == sorted([(owner.pk, -1), (other.pk, 1)])
    services.unrate(caption, owner.pk)
    services.unrate(caption, owner.pk)
    assert list(Rating.objects.values_list("viewer", flat=True)) == [other.pk]


@pytest.mark.parametrize("value", [0, 2, -2])
def test_a_rating_is_up_or_down(value: int) -> None:
    owner = Owner.objects.create()
    with pytest.raises(Invalid):
        services.rate(candidate(plain_image(owner), "A dog."), owner, value)


def test_clients_report_what_they_show_and_nothing_else() -> None:
    owner = Owner.objects.create()
    caption = candidate(plain_image(owner), "A dog.")
    services.note([seen(Feedback.Kind.IMPRESSION, caption), seen(Feedback.Kind.COPY, caption)], None)
    assert list(Feedback.objects.order_by("id").values_list("kind", "model", "viewer")) == [
        ("impression", "m@1", None),
        ("copy", "m@1", None),
    ]
    with pytest.raises(Invalid):
        services.note([seen(Feedback.Kind.EDIT, caption)], owner)
    with pytest.raises(Invalid):
        services.note([seen(Feedback.Kind.IMPRESSION, caption, hashtags=True)], owner)


def test_copies_with_and_without_hashtags_are_told_apart() -> None:
    owner = Owner.objects.create()
    caption = candidate(plain_image(owner), "A dog. #Dog")
    copies = [seen(Feedback.Kind.COPY, caption, hashtags=each) for each in (True, False, True)]
    assert services.note(copies, owner) == 2
    assert services.note(copies, owner) == 0
    assert set(Feedback.objects.values_list("hashtags", flat=True)) == {True, False}


# -- the data set ----------------------------------------------------------------------------------------


@pytest.fixture
def taught() -> dict[str, Image]:
    """Images of somebody who consented, by what was made of them, and one of somebody who did not."""
    willing, unwilling = Owner.objects.create(may_train=True), Owner.objects.create()
    found: dict[str, Image] = {}
    for number, name in enumerate(["edited", "picked", "rated", "disputed", "untouched", "unwilling"]):
        owner = unwilling if name == "unwilling" else willing
        image = store_upload(owner, photos.generated(number), f"{name} of Ann.jpg").image
        best, second = candidate(image, f"best {name}"), candidate(image, f"second {name}")
        show(image, best)
        match name:
            case "edited" | "unwilling":
                captions.edit(image, f"my {name}", owner)
            case "picked":
                captions.pick(image, second, owner)
            case "rated":
                services.rate(second, unwilling, 1)
                services.rate(best, unwilling, -1)
            case "disputed":
                services.rate(best, willing, 1)
                services.rate(best, unwilling, -1)
        services.note([seen(Feedback.Kind.IMPRESSION, best)], owner)
        found[name] = image
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_export_has_what_people_stand_behind_and_consented_to(
    taught: dict[str, Image], tmp_path: Path
) -> None:
    export(tmp_path / "set")
    by_image = {row["image"]: row for row in rows(tmp_path / "set" / "captions.jsonl")}
    assert by_image == {
        f"images/{taught[name].pk}.jpg": {
            "image": f"images/{taught[name].pk}.jpg",
            "captions": good,
            "because": why,
            "rejected": bad,
        }
        for name, good, why, bad in (
            ("edited", ["my edited"], ["edited"], ["best edited"]),
            ("picked", ["second picked"], ["picked"], []),
            ("rated", ["second rated"], ["rated"], ["best rated"]),
        )
    }
    files = {f"images/{path.name}" for path in (tmp_path / "set" / "images").iterdir()}
    assert files == set(by_image)


def test_the_export_says_nothing_of_people_or_of_those_who_did_not_consent(
    taught: dict[str, Image], tmp_path: Path
) -> None:
    export(tmp_path / "set")
    files = ("captions.jsonl", "feedback.jsonl", "people.json")
    text = "".join((tmp_path / "set" / name).read_text() for name in files)
    secrets = [
        "Ann",
        "unwilling",
        str(taught["unwilling"].pk),
        *map(str, Owner.objects.values_list("pk", flat=True)),
    ]
    assert [secret for secret in secrets if secret in text] == []
    kinds = {row["kind"] for row in rows(tmp_path / "set" / "feedback.jsonl")}
    assert kinds == {"impression", "edit", "pick", "rating"}


def test_the_export_tells_many_people_from_one_without_naming_them(
    taught: dict[str, Image], tmp_path: Path
) -> None:
    export(tmp_path / "set")
    people = json.loads((tmp_path / "set" / "people.json").read_text())
    [willing] = set(people["owners"].values())
    voices = {(row["kind"], row["by"]) for row in rows(tmp_path / "set" / "feedback.jsonl")}
    assert {("edit", willing), ("pick", willing), ("rating", willing)} < voices
    [other] = {by for _, by in voices} - {willing}
    assert voices >= {("rating", other)}
    assert people["age_days"].keys() == {willing, other}


def test_what_became_of_captions_in_a_voice_is_exported_with_the_voice(
    taught: dict[str, Image], tmp_path: Path
) -> None:
    image, owner = taught["untouched"], taught["untouched"].owner
    style = {
        "voice": {"tone": "dry", "hashtags": 1},
        "description": {"version": 1, "by": "model", "text": "best untouched"},
        "prompt": "voice/1",
        "seed": 7,
    }
    caption = Caption.objects.create(
        image=image, rank=0, text="Quite. #Dog", log_prob=-1, model="writer@1", style=style
    )
    captions.pick(image, caption, owner)
    services.rate(caption, owner, 1)
    services.note([seen(Feedback.Kind.COPY, caption, hashtags=False)], owner)
    captions.edit(image, "Quite so.", owner, caption=caption)
    export(tmp_path / "set")
    told = rows(tmp_path / "set" / "styles.jsonl")
    assert [row["kind"] for row in told] == ["pick", "copy", "edit", "rating"]
    for row in told:
        assert (row["voice"], row["description"]) == (style["voice"], "best untouched")
        assert (row["candidate"], row["model"], row["prompt"], row["seed"]) == (
            *("Quite. #Dog", "writer@1", "voice/1"),
            7,
        )
    assert (told[1]["hashtags"], told[2]["after"], told[3]["value"]) == (False, "Quite so.", 1)
    plain = (tmp_path / "set" / "feedback.jsonl").read_text() + (
        tmp_path / "set" / "captions.jsonl"
    ).read_text()
    assert "Quite" not in plain


def test_words_in_a_voice_say_nothing_against_a_plain_description(
    taught: dict[str, Image], tmp_path: Path
) -> None:
    image, owner = taught["untouched"], taught["untouched"].owner
    captions.edit(image, "Dog days, every day.", owner, styled=True)
    edits = Feedback.objects.filter(image=image, kind=Feedback.Kind.EDIT)
    [styled] = edits
    assert (styled.styled, styled.caption, styled.model) == (True, None, "")
    captions.edit(image, "A dog on grass.", owner, styled=False)
    plain = edits.latest("pk")
    assert plain.caption is not None
    assert (plain.styled, plain.before, plain.caption.text) == (False, "best untouched", "best untouched")
    export(tmp_path / "set")
    name = f"images/{image.pk}.jpg"
    [told] = [row for row in rows(tmp_path / "set" / "styles.jsonl") if row["image"] == name]
    assert (told["voice"], told["description"]) == (None, "A dog on grass.")
    assert (told["candidate"], told["after"]) == ("", "Dog days, every day.")
    written = [row for row in rows(tmp_path / "set" / "feedback.jsonl") if row["image"] == name]
    [event] = [row for row in written if row["kind"] == "edit"]
    assert (event["candidate"], event["before"]) == ("best untouched", "best untouched")
    [learned] = [row for row in rows(tmp_path / "set" / "captions.jsonl") if row["image"] == name]
    assert (learned["captions"], learned["rejected"]) == (["A dog on grass."], ["best untouched"])


def test_consent_that_is_taken_back_takes_the_images_out(taught: dict[str, Image], tmp_path: Path) -> None:
    Owner.objects.update(may_train=False)
    assert export(tmp_path / "set").images == 0


def test_an_export_overwrites_nothing_and_leaves_no_half(taught: dict[str, Image], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(CommandError, match="not empty"):
        call_command("export_training_data", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_trainer_reads_the_export(
    taught: dict[str, Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "set"
    call_command("export_training_data", folder)
    assert "wrote 3 images with 3 captions" in capsys.readouterr().out
    done = subprocess.run([CUTLINE, "data", "check", folder, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert [finding for finding in report["findings"] if finding["severity"] == "error"] == []
    from cutline.training.datasets import load_examples
    from cutline.training.examples import DataConfig

    examples = list(load_examples(DataConfig(path=str(folder))))
    assert sorted(example.captions for example in examples) == [
        ("my edited",),
        ("second picked",),
        ("second rated",),
    ]
    assert all(example.image is not None for example in examples)
