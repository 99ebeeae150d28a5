"""Who may see an image: visibility, moderation, reports, decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from cutline.server.captions import selectors as caption_selectors
from cutline.server.captions import services as captions
from cutline.server.captions.models import Caption
from cutline.server.errors import Conflict, Forbidden, Invalid, NotFound
from cutline.server.events.models import Event
from cutline.server.images import classifier, deletion, moderation, selectors, tags, visibility
from cutline.server.images.models import Decision, Image, Moderation, Report, Visibility
from cutline.server.images.show import shown
from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context
from cutline.server.jobs.models import Job, JobKind, JobState
from cutline.server.people.models import Owner, Role, User
from cutline.server.people.viewers import Viewer
from cutline.server.uploads import services as uploads
from tests.server.images.conftest import viewer_of_owner

pytestmark = [pytest.mark.django_db]

Upload = Callable[..., Image]
NOBODY = Viewer(owner_id=None)


def publish(image: Image, score: float = 0.01) -> Image:
    visibility.set_visibility(image, Visibility.PUBLIC)
    return moderation.record_score(image, score)


def sees(viewer: Viewer, image: Image) -> bool:
    """Whether a viewer finds an image, alike by every way."""
    try:
        selectors.image_for(viewer, image.pk)
        by_id = True
    except NotFound:
        by_id = False
    assert selectors.visible_to(viewer).filter(pk=image.pk).exists() == by_id
    return by_id


def test_a_private_image_is_404_to_others(upload: Upload, owner: Owner, other: Owner) -> None:
    image = upload(1)
    assert sees(viewer_of_owner(owner), image)
    for viewer in (viewer_of_owner(other), NOBODY, *(viewer_of_owner(other, role) for role in Role)):
        assert not sees(viewer, image)
        with pytest.raises(NotFound):
            selectors.image_for(viewer, image.pk, share_token=image.share_token)
        with pytest.raises(NotFound):
            selectors.own_image(viewer, image.pk)
    with pytest.raises(NotFound):
        selectors.shared_image(image.share_token)
    with pytest.raises(NotFound):
        selectors.image_for(viewer_of_owner(owner), uuid4())


def test_an_unlisted_image_is_seen_with_its_link_alone(upload: Upload, other: Owner) -> None:
    image = visibility.set_visibility(upload(1), Visibility.UNLISTED)
    assert not sees(viewer_of_owner(other), image)
    assert selectors.shared_image(image.share_token) == image
    assert selectors.image_for(NOBODY, image.pk, share_token=image.share_token) == image
    for wrong in ("", "x", image.share_token[:-1], image.share_token + "A"):
        with pytest.raises(NotFound):
            selectors.image_for(NOBODY, image.pk, share_token=wrong)
        with pytest.raises(NotFound):
            selectors.shared_image(wrong)


def test_an_old_link_does_not_work_after_the_image_was_private(upload: Upload) -> None:
    image = visibility.set_visibility(upload(1), Visibility.UNLISTED)
    old = image.share_token
    visibility.set_visibility(image, Visibility.PRIVATE)
    visibility.set_visibility(image, Visibility.UNLISTED)
    with pytest.raises(NotFound):
        selectors.shared_image(old)


def test_a_public_image_waits_for_moderation(upload: Upload, other: Owner) -> None:
    image = visibility.set_visibility(upload(1), Visibility.PUBLIC)
    assert image.moderation == Moderation.PENDING
    assert Job.objects.filter(image=image, kind=JobKind.MODERATE).count() == 1
    assert not sees(viewer_of_owner(other), image)
    assert sees(viewer_of_owner(other, Role.MODERATOR), image)
    assert not selectors.gallery()
    moderation.record_score(image, 0.01)
    assert sees(viewer_of_owner(other), image)
    assert sees(NOBODY, image)
    assert [each.pk for each in selectors.gallery()] == [image.pk]
    event = Event.objects.get(type="moderation.changed")
    assert event.data == {"image": str(image.pk), "moderation": "approved", "published": True, "reason": ""}


@pytest.mark.parametrize(
    ("score", "expected", "seen"),
    [(0.1, Moderation.APPROVED, True), (0.5, Moderation.HELD, False), (0.95, Moderation.REJECTED, False)],
)
def test_the_score_publishes_holds_or_refuses(
    upload: Upload, score: float, expected: Moderation, seen: bool
) -> None:
    image = publish(upload(1), score)
    assert (image.moderation, sees(NOBODY, image)) == (expected, seen)
    assert Decision.objects.get().nsfw_score == score


def test_a_refused_picture_cannot_be_made_public_again(upload: Upload) -> None:
    image = publish(upload(1), 0.95)
    visibility.set_visibility(image, Visibility.PRIVATE)
    with pytest.raises(Conflict):
        visibility.set_visibility(image, Visibility.PUBLIC)


def test_an_approved_picture_that_comes_back_is_not_asked_about_again(upload: Upload) -> None:
    image = publish(upload(1))
    visibility.set_visibility(image, Visibility.PRIVATE)
    assert not sees(NOBODY, image)
    visibility.set_visibility(image, Visibility.PUBLIC)
    assert sees(NOBODY, image)
    assert Job.objects.filter(kind=JobKind.MODERATE).count() == 1


def test_a_person_is_not_overruled_by_the_machine(upload: Upload, moderator: User) -> None:
    image = visibility.set_visibility(upload(1), Visibility.PUBLIC)
    moderation.decide(image, moderator, Moderation.REJECTED, "a logo")
    moderation.record_score(image, 0.01)
    image.refresh_from_db()
    assert image.moderation == Moderation.REJECTED
    assert not sees(NOBODY, image)


@pytest.mark.parametrize("role", [Role.USER, Role.REVIEWER])
def test_only_moderators_decide(upload: Upload, role: Role) -> None:
    person = User.objects.create_user("x@example.org", role=role)
    with pytest.raises(Forbidden):
        moderation.decide(publish(upload(1)), person, Moderation.REJECTED)


def test_what_is_no_decision_is_refused(upload: Upload, moderator: User) -> None:
    with pytest.raises(Invalid):
        moderation.decide(publish(upload(1)), moderator, Moderation.PENDING)


def test_three_people_who_object_take_a_picture_out_of_sight(upload: Upload, moderator: User) -> None:
    image = publish(upload(1))
    people = [Owner.objects.create() for _ in range(moderation.HOLD_AFTER_REPORTS)]
    for person in people[:-1]:
        moderation.report(image, person, Report.Reason.SPAM)
        moderation.report(image, person, Report.Reason.VIOLENT, "really")
    assert sees(NOBODY, image)
    assert Report.objects.count() == len(people) - 1
    moderation.report(image, people[-1], Report.Reason.SPAM)
    assert not sees(NOBODY, image)
    moderation.decide(image, moderator, Moderation.APPROVED)
    assert sees(NOBODY, image)
    assert not Report.objects.filter(resolved_at=None).exists()
    for person in [Owner.objects.create() for _ in range(moderation.HOLD_AFTER_REPORTS)]:
        moderation.report(image, person, Report.Reason.SPAM)
    assert sees(NOBODY, image)  # a moderator has looked: numbers alone do not overrule them


def test_what_others_see_tells_nothing_of_the_owners(upload: Upload, owner: Owner, other: Owner) -> None:
    image = publish(upload(1, keep_original=True))
    image.refresh_from_db()
    [mine] = shown([image], viewer_of_owner(owner), "https://cutline.example")
    [theirs] = shown([image], viewer_of_owner(other), "https://cutline.example")
    assert (mine["file_name"], mine["mine"]) == ("1.jpg", True)
    assert mine["original_url"]
    assert mine["share_url"] == f"https://cutline.example/shared/{image.share_token}"
    assert theirs["mine"] is False
    assert theirs["job"] is None
    assert not {"file_name", "source_url", "share_url", "keep_original", "original_url"} & set(theirs)
    assert "original" not in str(theirs["urls"])


def test_the_classifier_lets_ordinary_photos_pass(upload: Upload, owner: Owner, photo: bytes) -> None:
    image = uploads.store_upload(owner, photo, "cat.jpg").image
    visibility.set_visibility(image, Visibility.PUBLIC)
    Job.objects.filter(kind=JobKind.CAPTION).delete()
    job = jobs.claim("a worker")
    assert job is not None
    assert job.kind == JobKind.MODERATE
    classifier.run(job, Context(job))
    image.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, image.moderation) == (JobState.DONE, Moderation.APPROVED)
    assert image.nsfw_score is not None
    assert image.nsfw_score < 0.3
    assert image.published_at is not None


def unread(image: Image) -> bool:
    image.refresh_from_db()
    return image.words_unread_at is not None


def written_by_model(image: Image, text: str, **options: str) -> Caption:
    """A candidate, which the image shows."""
    caption = Caption.objects.create(
        image=image, rank=0, text=text, log_prob=-1, model="m@1", options={"n": 1, **options}
    )
    captions.pick(image, caption, image.owner)
    return caption


def read_by(viewer: Viewer, image: Image) -> tuple[str, str, list[str]]:
    """The words that somebody reads below an image, alike in the gallery."""
    found = selectors.image_for(viewer, image.pk)
    [one] = shown([found], viewer, "https://cutline.example")
    assert selectors.gallery().filter(pk=image.pk).exists()
    assert one["alt_text"] == one["caption"]
    return one["caption"], one["caption_by"], one["tags"]


def is_found(text: str) -> bool:
    """Whether the gallery's search leads to an image by these words."""
    return selectors.gallery(selectors.Filters(text=text)).exists()


def test_words_that_change_after_publication_show_once_a_moderator_has_read_them(
    upload: Upload, owner: Owner, moderator: User
) -> None:
    image, me = upload(1), viewer_of_owner(owner)
    written_by_model(image, "a dog")
    publish(image)
    assert not unread(image)
    captions.edit(image, "a rude word", owner)
    assert unread(image)
    assert read_by(NOBODY, image) == ("a dog", "model", [])
    assert read_by(me, image) == ("a rude word", "person", [])
    assert not is_found("rude")
    moderation.decide(image, moderator, Moderation.APPROVED)
    assert not unread(image)
    assert read_by(NOBODY, image) == ("a rude word", "person", [])
    assert is_found("rude")
    tags.set_tags(image, ["one"])
    assert unread(image)
    assert read_by(NOBODY, image) == ("a rude word", "person", [])
    assert not selectors.gallery(selectors.Filters(tags=["one"])).exists()
    captions.edit(image, "ruder", owner)  # what was read before stays, whatever comes
    assert read_by(NOBODY, image) == ("a rude word", "person", [])
    moderation.decide(image, moderator, Moderation.APPROVED)
    assert read_by(NOBODY, image) == ("ruder", "person", ["one"])
    tags.set_tags(image, ["one", "two"])
    assert read_by(NOBODY, image)[2] == ["one"]
    tags.set_tags(image, ["two"])
    assert read_by(NOBODY, image)[2] == []
    moderation.decide(image, moderator, Moderation.APPROVED)
    tags.set_tags(image, [])  # takes away, says nothing
    assert not unread(image)
    captions.edit(image, "other words", owner)
    moderation.decide(image, moderator, Moderation.REJECTED)
    assert not unread(image)
    assert not sees(NOBODY, image)


def test_words_from_before_publication_wait_too_and_a_private_picture_s_never(
    upload: Upload, owner: Owner
) -> None:
    written, tagged, silent = upload(1), upload(2), upload(3)
    captions.edit(written, "a person's words", owner)
    tags.set_tags(tagged, ["one"])
    assert not unread(written)
    assert not unread(tagged)
    assert [unread(publish(image)) for image in (written, tagged, silent)] == [True, True, False]
    visibility.set_visibility(written, Visibility.PRIVATE)
    assert not unread(written)


def test_words_from_before_publication_do_not_show_before_they_are_read(
    upload: Upload, owner: Owner, moderator: User
) -> None:
    image = upload(1)
    written_by_model(image, "a dog")
    captions.edit(image, "a rude word", owner)
    tags.set_tags(image, ["rude"])
    publish(image)
    assert read_by(NOBODY, image) == ("a dog", "model", [])
    written_by_model(image, "a puppy")  # the owner picks another of the model's
    assert read_by(NOBODY, image) == ("a puppy", "model", [])
    captions.restore(image, 2, owner)
    assert read_by(NOBODY, image) == ("a puppy", "model", [])
    moderation.decide(image, moderator, Moderation.APPROVED)
    assert read_by(NOBODY, image) == ("a rude word", "person", ["rude"])
    visibility.set_visibility(image, Visibility.PRIVATE)
    visibility.set_visibility(image, Visibility.PUBLIC)
    assert read_by(NOBODY, image) == ("a puppy", "model", [])


def test_what_a_person_let_the_model_begin_with_waits_like_their_own_words(
    upload: Upload, owner: Owner
) -> None:
    image, other = upload(1), viewer_of_owner(Owner.objects.create())
    dog = written_by_model(image, "a dog")
    publish(image)
    begun = written_by_model(image, "a rude word and a dog", prefix="a rude word")
    assert unread(image)
    assert read_by(NOBODY, image) == ("a dog", "model", [])
    assert list(caption_selectors.candidates(other, image)) == []
    with pytest.raises(NotFound):
        caption_selectors.caption_for(other, begun.pk)
    assert caption_selectors.captions_for(other, [begun.pk]) == []
    assert set(caption_selectors.candidates(viewer_of_owner(owner), image)) == {dog, begun}
    hidden = upload(2)
    written_by_model(hidden, "a cat")
    written_by_model(hidden, "a rude word and a cat", prefix="a rude word")
    publish(hidden)
    assert read_by(NOBODY, hidden) == ("a cat", "model", [])


def test_words_show_at_once_where_the_operator_wants_it(
    upload: Upload, owner: Owner, configure: Callable[..., object]
) -> None:
    configure(moderate_words="false")
    image = publish(upload(1))
    captions.edit(image, "a person's words", owner)
    assert unread(image)
    assert read_by(NOBODY, image) == ("a person's words", "person", [])
    assert is_found("person")


@pytest.mark.parametrize("names", [[""], ["#"], ["x" * 41], ["a\u200bb"], [f"t{n}" for n in range(51)]])
def test_tags_that_make_no_sense_are_refused(upload: Upload, names: list[str]) -> None:
    with pytest.raises(Invalid):
        tags.set_tags(upload(1), names)


def test_nothing_can_be_done_to_a_deleted_image(upload: Upload, owner: Owner) -> None:
    image = upload(1)
    deletion.delete([image])
    changes: list[Callable[[], Any]] = [
        lambda: visibility.set_visibility(image, Visibility.PUBLIC),
        lambda: tags.set_tags(image, ["a"]),
        lambda: moderation.report(image, owner, Report.Reason.SPAM),
    ]
    for change in changes:
        with pytest.raises(NotFound):
            change()


def test_a_picture_whose_judgement_was_lost_is_judged_when_it_is_published_again(upload: Upload) -> None:
    image = visibility.set_visibility(upload(1), Visibility.PUBLIC)
    Job.objects.filter(kind=JobKind.MODERATE).update(state=JobState.FAILED)
    visibility.set_visibility(image, Visibility.PRIVATE)
    visibility.set_visibility(image, Visibility.PUBLIC)
    visibility.set_visibility(image, Visibility.PRIVATE)
    visibility.set_visibility(image, Visibility.PUBLIC)
    assert Job.objects.filter(kind=JobKind.MODERATE, state=JobState.QUEUED).count() == 1
