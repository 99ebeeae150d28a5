from __future__ import annotations

import math
from collections.abc import Callable
from uuid import uuid4

import numpy as np
import pytest
from django.utils import timezone

import cutline
from cutline.server.captioner import ModelInfo, Written
from cutline.server.captions import selectors, services
from cutline.server.captions.attention import packed, unpacked
from cutline.server.captions.models import Caption, Version
from cutline.server.errors import Invalid, NotFound, QuotaExceeded
from cutline.server.events.models import Event
from cutline.server.feedback.models import Feedback
from cutline.server.images.models import Image, Visibility
from cutline.server.images.show import shown
from cutline.server.jobs.context import LeaseLost
from cutline.server.jobs.models import Job, JobState
from cutline.server.jobs.services import claim, create_job
from cutline.server.people.models import Owner
from cutline.server.people.viewers import Viewer

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Write = Callable[..., list[Caption]]
HASH = "5" * 64


@pytest.fixture
def owner() -> Owner:
    return Owner.objects.create()


@pytest.fixture
def image(owner: Owner) -> Image:
    return Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=40, height_px=30)


@pytest.fixture
def write(image: Image) -> Write:
    """Let a model write captions of the image, in a job of its own."""

    def run(*texts: str, model: str = "m@1", log_prob: float = -2.5) -> list[Caption]:
        create_job(owner=image.owner, image_id=image.pk)
        job = claim()
        assert job is not None
        assert job.lease_token is not None
        written = [
            cutline.Caption(
                text=text,
                log_prob=log_prob,
                confidence=0.3,
                words=("a", "b"),
                attention=np.full((2, 3, 4), 0.5, np.float32),
            )
            for text in texts
        ]
        name, _, version = model.partition("@")
        label = ModelInfo(name=name, version=version, bundle_hash=HASH)
        found = services.save_candidates(job, job.lease_token, Written(captions=written, model=label))
        image.refresh_from_db()
        return found

    return run


def viewer(owner: Owner | None) -> Viewer:
    return Viewer(owner_id=owner.pk if owner else None)


def history(image: Image) -> list[tuple[int, str, str, str]]:
    return list(
        Version.objects.filter(image=image).order_by("number").values_list("number", "text", "by", "action")
    )


# -- what a model writes ---------------------------------------------------------------------------------


def test_the_best_candidate_is_shown_and_told(image: Image, write: Write) -> None:
    best, second = write("A dog.", "A puppy.")
    assert (image.caption, image.caption_by, image.caption_model) == ("A dog.", "model", "m@1")
    assert history(image) == [(1, "A dog.", "model", "generated")]
    assert image.search_text == "a dog."
    ready = Event.objects.get(type="caption.ready")
    assert ready.owner_id == image.owner_id
    done = Event.objects.filter(owner=image.owner, type="job.changed", data__state="done").get()
    assert ready.pk == done.pk + 1
    assert ready.data["captions"] == [
        {"id": str(best.pk), "text": "A dog.", "log_prob": -2.5, "confidence": 0.3},
        {"id": str(second.pk), "text": "A puppy.", "log_prob": -2.5, "confidence": 0.3},
    ]
    assert (ready.data["image"], ready.data["model"], ready.data["caption"]) == (
        str(image.pk),
        "m@1",
        "A dog.",
    )
    assert Job.objects.get().state == JobState.DONE
    assert {Job.objects.get().model_hash, best.model_hash, second.model_hash} == {HASH}


def test_a_probability_that_nobody_knows_is_null(image: Image, write: Write) -> None:
    (caption,) = write("A dog.", log_prob=math.nan)
    caption.refresh_from_db()
    assert caption.log_prob is None
    assert Event.objects.get(type="caption.ready").data["captions"][0]["log_prob"] is None


def test_a_newer_model_replaces_what_a_model_wrote(image: Image, write: Write) -> None:
    write("A dog.")
    write("A small dog.", model="m@2")
    assert (image.caption, image.caption_model) == ("A small dog.", "m@2")
    assert [number for number, *_ in history(image)] == [1, 2]


def test_nothing_is_written_without_the_lease(image: Image, write: Write) -> None:
    create_job(owner=image.owner, image_id=image.pk)
    job = claim()
    assert job is not None
    captions = [cutline.Caption(text="A dog.", log_prob=0)]
    written = Written(captions=captions, model=ModelInfo(name="m", version="1"))
    with pytest.raises(LeaseLost):
        services.save_candidates(job, uuid4(), written)
    assert not Caption.objects.exists()
    assert history(image) == []


# -- what a person chose stays ---------------------------------------------------------------------------


def test_no_model_replaces_a_persons_text(image: Image, write: Write) -> None:
    write("A dog.")
    services.edit(image, "Rex, at home", image.owner)
    write("A wolf.")
    assert (image.caption, image.caption_by) == ("Rex, at home", "person")
    assert Caption.objects.filter(text="A wolf.").exists()


def test_no_model_replaces_what_a_person_picked_or_restored(image: Image, write: Write) -> None:
    _, second = write("A dog.", "A puppy.")
    services.pick(image, second, image.owner)
    write("A wolf.")
    assert image.caption == "A puppy."
    services.restore(image, 1, image.owner)
    write("A fox.")
    assert image.caption == "A dog."


# -- history ---------------------------------------------------------------------------------------------


def test_every_change_is_a_version_with_its_provenance(image: Image, write: Write) -> None:
    _, second = write("A dog.", "A puppy.")
    services.edit(image, "  My\n dog ", image.owner)
    services.pick(image, second, image.owner)
    restored = services.restore(image, 2, image.owner)
    assert history(image) == [
        (1, "A dog.", "model", "generated"),
        (2, "My dog", "person", "edited"),
        (3, "A puppy.", "model", "picked"),
        (4, "My dog", "person", "restored"),
    ]
    assert restored.restored_from == 2
    image.refresh_from_db()
    assert (image.caption, image.caption_by, image.caption_model) == ("My dog", "person", "")
    assert Version.objects.get(number=3).model == "m@1"
    assert [
        event.data["version"] for event in Event.objects.filter(type="caption.changed").order_by("id")
    ] == [
        2,
        3,
        4,
    ]


def test_doing_the_same_again_changes_nothing(image: Image, write: Write) -> None:
    _, second = write("A dog.", "A puppy.")
    for _ in range(2):
        services.pick(image, second, image.owner)
    for _ in range(2):
        services.edit(image, "My dog", image.owner)
    services.restore(image, 3, image.owner)
    assert [number for number, *_ in history(image)] == [1, 2, 3]
    assert Feedback.objects.count() == 2


def test_edits_and_picks_are_feedback(image: Image, write: Write) -> None:
    best, second = write("A dog.", "A puppy.")
    services.edit(image, "My dog", image.owner)
    services.pick(image, second, image.owner)
    rows = Feedback.objects.order_by("id").values_list(
        "kind", "before", "after", "caption_id", "model", "viewer"
    )
    assert list(rows) == [
        ("edit", "A dog.", "My dog", best.pk, "m@1", image.owner_id),
        ("pick", "My dog", "A puppy.", second.pk, "m@1", image.owner_id),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Our family 👩\u200d👩\u200d👧",  # emoji held together by joiners
        "Cardiff 🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
        "می\u200cرسد",  # Persian spells with a non-joiner
        "क्\u200dष",
        "\u200fתם, Anna!\u200e",
        "\U0001fae8 newer than Python's tables",
    ],
)
def test_people_write_in_every_script_and_with_every_emoji(image: Image, text: str) -> None:
    assert services.edit(image, text, image.owner).text == text


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001, "a\x00b", "a\x1bb", "a\u202eb", "a\ufeffb"])
def test_a_text_that_is_none_is_refused(image: Image, text: str) -> None:
    with pytest.raises(Invalid):
        services.edit(image, text, image.owner)


def test_candidates_and_versions_of_others_cannot_be_chosen(image: Image, write: Write) -> None:
    (caption,) = write("A dog.")
    other = Image.objects.create(owner=image.owner, content_hash="x", width_px=1, height_px=1)
    with pytest.raises(NotFound):
        services.pick(other, caption, image.owner)
    with pytest.raises(NotFound):
        services.restore(image, 7, image.owner)


# -- who sees what ---------------------------------------------------------------------------------------


def test_others_see_only_what_a_public_image_shows(image: Image, write: Write, owner: Owner) -> None:
    best, second = write("A dog.", "A puppy.")
    stranger = viewer(Owner.objects.create())
    for caption in (best, second):
        with pytest.raises(NotFound):
            selectors.caption_for(stranger, caption.pk)
        assert selectors.caption_for(viewer(owner), caption.pk) == caption
    Image.objects.update(visibility=Visibility.PUBLIC, published_at=image.created_at)
    image.refresh_from_db()
    assert selectors.caption_for(stranger, best.pk) == best
    with pytest.raises(NotFound):
        selectors.caption_for(stranger, second.pk)
    assert list(selectors.candidates(stranger, image)) == [best]
    assert selectors.captions_for(stranger, [best.pk, second.pk]) == [best]
    assert set(selectors.candidates(viewer(owner), image)) == {best, second}
    services.edit(image, "My dog", owner)
    assert list(selectors.candidates(stranger, image)) == []
    with pytest.raises(NotFound):
        selectors.attention_for(stranger, best.pk)


# -- attention -------------------------------------------------------------------------------------------


def test_attention_maps_come_back_as_they_went_and_small() -> None:
    weights = np.random.default_rng(1).random((12, 9, 9), np.float32) ** 4
    weights[3] = 0
    data = packed(weights)
    looks = unpacked(data, words=["w"] * 12, rows=9, columns=9)
    peaks = weights.max(axis=(1, 2), keepdims=True)
    expected = np.divide(weights, peaks, out=np.zeros_like(weights), where=peaks > 0)
    assert np.abs(looks.maps / 255 - expected).max() <= 0.5 / 255 + 1e-6
    assert len(data) < weights.nbytes / 3


def test_bytes_that_are_no_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="not attention maps"):
        unpacked(b"nonsense", words=["a"], rows=1, columns=1)


def test_maps_are_kept_with_each_candidate(image: Image, write: Write, owner: Owner) -> None:
    best, _ = write("A dog.", "A puppy.")
    found = selectors.attention_for(viewer(owner), best.pk)
    looks = unpacked(bytes(found.maps), words=found.words, rows=found.rows, columns=found.columns)
    assert looks.words == ("a", "b")
    assert looks.maps.shape == (2, 3, 4)


# -- captions in a voice ---------------------------------------------------------------------------------


@pytest.fixture
def styled(image: Image, write: Write) -> Caption:
    """A caption in a voice, of an image that shows a plain one."""
    write("A dog on a beach.")
    style = {"voice": {"tone": "quirky"}, "description": {"version": 1}}
    return Caption.objects.create(image=image, rank=0, text="Paws first!", model="w@1", style=style)


def test_a_caption_in_a_voice_is_shown_beside_the_plain_text_and_can_be_undone(
    image: Image, styled: Caption
) -> None:
    services.pick(image, styled, image.owner)
    image.refresh_from_db()
    assert (image.caption, image.caption_by, image.description) == (
        "Paws first!",
        "model",
        "A dog on a beach.",
    )
    [told] = shown([image], viewer(image.owner), "")
    assert (told["caption"], told["alt_text"], told["styled"]) == ("Paws first!", "A dog on a beach.", True)
    assert "paws first!" in image.search_text
    assert "a dog on a beach." in image.search_text
    services.restore(image, 1, image.owner)
    image.refresh_from_db()
    [told] = shown([image], viewer(image.owner), "")
    assert (told["caption"], told["alt_text"], told["styled"]) == (
        "A dog on a beach.",
        "A dog on a beach.",
        False,
    )


def test_alternative_text_is_never_styled_whoever_edits(image: Image, styled: Caption) -> None:
    services.edit(image, "Paws first, always!", image.owner, caption=styled)
    services.edit(image, "Paws first, for ever!", image.owner)  # it grew out of one in a voice
    image.refresh_from_db()
    assert (image.caption_by, image.description) == ("person", "A dog on a beach.")
    services.edit(image, "Rex on a beach.", image.owner, styled=False)
    services.pick(image, styled, image.owner)
    image.refresh_from_db()
    assert (image.caption, image.description) == ("Paws first!", "Rex on a beach.")


def test_others_read_a_styled_caption_of_a_public_image_once_a_moderator_has(
    image: Image, styled: Caption
) -> None:
    Image.objects.filter(pk=image.pk).update(visibility=Visibility.PUBLIC, published_at=timezone.now())
    services.pick(image, styled, image.owner)
    image.refresh_from_db()
    other = viewer(Owner.objects.create())
    [told] = shown([image], other, "")
    assert (told["caption"], told["styled"]) == ("A dog on a beach.", False)
    assert not selectors.candidates(other, image).exists()
    Image.objects.filter(pk=image.pk).update(words_unread_at=None)
    image.refresh_from_db()
    [told] = shown([image], other, "")
    assert (told["caption"], told["alt_text"]) == ("Paws first!", "A dog on a beach.")


# -- how many --------------------------------------------------------------------------------------------


def test_people_write_no_more_versions_than_an_image_may_have(
    image: Image, owner: Owner, write: Write, configure: Callable[..., object]
) -> None:
    configure(max_captions=3)
    best, second = write("A dog.", "A puppy.")
    services.pick(image, second, owner)
    last = services.edit(image, "My dog.", owner)
    for again in (
        lambda: services.edit(image, "My old dog.", owner),
        lambda: services.pick(image, best, owner),
        lambda: services.restore(image, 1, owner),
    ):
        with pytest.raises(QuotaExceeded, match="3 versions"):
            again()
    assert services.edit(image, "My dog.", owner) == last  # nothing new
    assert (len(history(image)), Feedback.objects.count()) == (3, 2)
    image.refresh_from_db()
    assert image.caption == "My dog."


def test_models_write_no_more_versions_either_and_their_jobs_end_well(
    image: Image, write: Write, configure: Callable[..., object]
) -> None:
    configure(max_captions=2)
    for number in range(3):
        write(f"Dog {number}.")
    assert (image.caption, len(history(image))) == ("Dog 1.", 2)
    assert set(Job.objects.values_list("state", flat=True)) == {JobState.DONE}
    with pytest.raises(QuotaExceeded, match="2 candidates"):
        services.check_candidates(image)
