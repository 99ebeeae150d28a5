"""What an anonymous session owns is the account's after signing up or in."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cutline.server.account import claiming, deletion, keys
from cutline.server.captions.models import Caption, Version
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import (
    Image,
    Rendition,
    RenditionKind,
    Report,
    StoredFile,
    Tag,
    Visibility,
)
from cutline.server.jobs.models import Job
from cutline.server.people.models import Owner, User
from cutline.server.people.viewers import owner_of
from tests.server.account.accounts import Person

pytestmark = pytest.mark.django_db

_numbers = itertools.count()


def make_image(owner: Owner, picture: str = "", *, original: bool = False, **fields: Any) -> Image:
    """A captioned image with its files."""
    picture = picture or str(next(_numbers))
    image = Image.objects.create(
        owner=owner, content_hash=picture.ljust(64, "0"), width_px=4, height_px=3, **fields
    )
    for kind in (RenditionKind.MASTER, *((RenditionKind.ORIGINAL,) if original else ())):
        file = StoredFile.objects.create(
            key=f"images/{image.pk}/{next(_numbers)}-{kind}.jpg", state=StoredFile.State.LIVE
        )
        Rendition.objects.create(image=image, kind=kind, format="jpeg", file=file, width_px=4, height_px=3)
    return image


def write(image: Image, text: str, by: str = "model", *, days_ago: float = 0) -> Version:
    """Give an image a caption, as a model or a person would."""
    job = Job.objects.create(owner=image.owner, image=image)
    caption = None
    if by == "model":
        caption = Caption.objects.create(image=image, job=job, rank=0, text=text, log_prob=-1, model="m@1")
    version = Version.objects.create(
        image=image,
        number=image.versions.count() + 1,
        text=text,
        by=by,
        action=Version.Action.GENERATED if by == "model" else Version.Action.EDITED,
        caption=caption,
        created_at=timezone.now() - timedelta(days=days_ago),
    )
    image.caption, image.caption_by = text, by
    image.save()
    return version


def texts(image: Image) -> list[str]:
    """An image's history, oldest first."""
    return list(image.versions.order_by("number").values_list("text", flat=True))


@pytest.fixture
def account() -> Owner:
    """The owner of an account."""
    return owner_of(User.objects.create_user("ada@example.org", "x"))


@pytest.fixture
def anonymous() -> Owner:
    """The owner of a session without an account."""
    return Owner.objects.create()


def claim(anonymous: Owner, account: Owner) -> None:
    assert account.user is not None
    assert claiming.claim(anonymous, account.user) == account


# -- by way of signing up and in -------------------------------------------------------------------------


def test_signing_up_claims_what_the_session_owns(person: Person) -> None:
    owner = person.write_something()
    image = make_image(owner, expires_at=timezone.now() + timedelta(days=7))
    user = person.sign_up()
    image.refresh_from_db()
    assert image.owner.user == user
    assert image.expires_at is None
    assert person.owner_id == str(image.owner_id)
    assert "owner_id" not in person.browser.session


def test_consent_given_before_signing_up_stands(person: Person) -> None:
    person.api("PATCH", "/me", {"may_train": True})
    person.sign_up()
    assert person.api("GET", "/me").json()["may_train"] is True


def test_signing_up_claims_nothing_before_the_address_is_verified(person: Person) -> None:
    owner = person.write_something()
    person.account("POST", "auth/signup", email=person.email, password="correct horse battery staple")
    owner.refresh_from_db()
    assert owner.user is None
    assert person.owner_id == str(owner.pk)


def test_signing_in_claims_what_the_session_owns(person: Person) -> None:
    person.sign_up()
    mine = make_image(person.owner)
    person.log_out()
    owner = person.write_something()
    new = make_image(owner, expires_at=timezone.now())
    key, _ = keys.create(owner, name="script", scopes=["caption"])
    person.log_in()
    assert set(Image.objects.filter(owner=person.owner)) == {mine, new}
    new.refresh_from_db()
    key.refresh_from_db()
    assert new.expires_at is None
    assert key.revoked_at is not None


def test_signing_in_elsewhere_claims_nothing_of_others(person: Person, other: Person) -> None:
    theirs = make_image(other.write_something())
    person.write_something()
    person.sign_up()
    theirs.refresh_from_db()
    assert theirs.owner == other.owner
    assert theirs.owner.user is None


def test_after_signing_out_the_session_owns_nothing(person: Person) -> None:
    make_image(person.write_something())
    person.sign_up()
    person.log_out()
    assert person.owner_id is None


def test_an_account_s_things_cannot_be_claimed_by_another(account: Owner) -> None:
    bob = User.objects.create_user("bob@example.org", "x")
    image = make_image(account)
    assert claiming.claim(account, bob).user == bob
    image.refresh_from_db()
    assert image.owner == account


# -- the same picture ------------------------------------------------------------------------------------


def test_the_same_picture_becomes_one_with_the_captions_history_and_tags_of_both(
    account: Owner, anonymous: Owner
) -> None:
    mine, theirs = make_image(account, "cat"), make_image(anonymous, "cat", file_name="cat.jpg")
    write(mine, "a cat")
    write(theirs, "a sleeping cat")
    for image, names in ((mine, ["cat", "home"]), (theirs, ["cat", "sofa"])):
        Tag.objects.bulk_create(Tag(image=image, name=name) for name in names)
    claim(anonymous, account)
    image = Image.objects.get()
    assert image.pk == mine.pk
    assert sorted(image.tags.values_list("name", flat=True)) == ["cat", "home", "sofa"]
    assert sorted(image.captions.values_list("text", flat=True)) == ["a cat", "a sleeping cat"]
    assert texts(image) == ["a cat", "a sleeping cat", "a cat"]
    last = image.versions.order_by("number").last()
    assert last is not None
    assert (last.text, last.action, last.restored_from) == (image.caption, "restored", 1)
    assert image.file_name == "cat.jpg"
    assert {"sofa", "home", "cat"} <= set(image.search_text.split())
    assert Job.objects.filter(image=image, owner=account).count() == 2


def test_a_person_s_text_stands_over_a_machine_s_whichever_side_it_comes_from(
    account: Owner, anonymous: Owner
) -> None:
    mine, theirs = make_image(account, "a"), make_image(anonymous, "a")
    write(mine, "machine")
    write(theirs, "person", "person", days_ago=2)
    claim(anonymous, account)
    mine.refresh_from_db()
    assert (mine.caption, mine.caption_by) == ("person", "person")
    assert texts(mine) == ["machine", "person"]


def test_of_two_persons_texts_the_newer_is_shown_and_both_are_kept(account: Owner, anonymous: Owner) -> None:
    mine, theirs = make_image(account, "a"), make_image(anonymous, "a")
    write(mine, "newer", "person")
    write(theirs, "older", "person", days_ago=2)
    claim(anonymous, account)
    mine.refresh_from_db()
    assert mine.caption == "newer"
    assert texts(mine) == ["newer", "older", "newer"]


def test_numbers_of_the_history_stay_true_after_merging(account: Owner, anonymous: Owner) -> None:
    mine, theirs = make_image(account, "a"), make_image(anonymous, "a")
    write(mine, "one")
    write(theirs, "two")
    write(theirs, "three", "person")
    Version.objects.create(image=theirs, number=3, text="two", by="model", action="restored", restored_from=1)
    claim(anonymous, account)
    restored = mine.versions.get(number=4)
    assert restored.restored_from == 2
    assert mine.versions.get(number=2).text == restored.text


def test_a_picture_of_both_that_was_never_captioned_takes_the_other_s_caption(
    account: Owner, anonymous: Owner
) -> None:
    mine, theirs = make_image(account, "a"), make_image(anonymous, "a")
    write(theirs, "a dog")
    claim(anonymous, account)
    mine.refresh_from_db()
    assert (mine.caption, texts(mine)) == ("a dog", ["a dog"])


def test_the_files_that_are_not_needed_go_to_the_sweep_and_an_original_is_kept(
    account: Owner, anonymous: Owner
) -> None:
    mine = make_image(account, "a")
    theirs = make_image(anonymous, "a", original=True, keep_original=True)
    master = theirs.renditions.get(kind=RenditionKind.MASTER).file_id
    original = theirs.renditions.get(kind=RenditionKind.ORIGINAL).file_id
    claim(anonymous, account)
    mine.refresh_from_db()
    assert mine.keep_original
    assert mine.renditions.get(kind=RenditionKind.ORIGINAL).file_id == original
    states = dict(StoredFile.objects.values_list("key", "state"))
    assert states[master] == StoredFile.State.DISCARDED
    assert states[original] == StoredFile.State.LIVE
    assert Rendition.objects.count() == 2


def test_feedback_ratings_and_reports_move_and_the_account_s_own_stand(
    account: Owner, anonymous: Owner
) -> None:
    public = make_image(Owner.objects.create())
    write(public, "a bird")
    caption = public.captions.get()
    for viewer, value in ((account, 1), (anonymous, -1)):
        Rating.objects.create(caption=caption, viewer=viewer, value=value)
        Report.objects.create(image=public, reporter=viewer, reason="spam")
        Feedback.objects.create(kind="copy", image=public, caption=caption, viewer=viewer)
    claim(anonymous, account)
    assert list(Rating.objects.values_list("viewer", "value")) == [(account.pk, 1)]
    assert Report.objects.get().reporter == account
    assert list(Feedback.objects.values_list("viewer", flat=True)) == [account.pk] * 2


def test_a_picture_that_the_account_had_deleted_comes_back_private(account: Owner, anonymous: Owner) -> None:
    mine = make_image(
        account, "a", deleted_at=timezone.now(), visibility=Visibility.PUBLIC, published_at=timezone.now()
    )
    make_image(anonymous, "a")
    claim(anonymous, account)
    mine.refresh_from_db()
    assert mine.deleted_at is None
    assert (mine.visibility, mine.published_at) == (Visibility.PRIVATE, None)


def test_a_picture_that_the_session_had_deleted_does_not_come_back(account: Owner, anonymous: Owner) -> None:
    mine = make_image(account, "a")
    theirs = make_image(anonymous, "a", deleted_at=timezone.now())
    write(theirs, "private words")
    claim(anonymous, account)
    assert texts(mine) == []
    theirs.refresh_from_db()
    assert theirs.owner == anonymous  # hidden, and purged there


# -- what comes late, what nobody comes back to ----------------------------------------------------------


def test_what_arrives_for_a_claimed_owner_is_passed_on(account: Owner, anonymous: Owner) -> None:
    claim(anonymous, account)
    late = make_image(anonymous)
    deletion.sweep_owners()
    late.refresh_from_db()
    assert late.owner == account
    Owner.objects.filter(pk=anonymous.pk).update(last_seen_at=timezone.now() - timedelta(days=2))
    deletion.sweep_owners()
    assert not Owner.objects.filter(pk=anonymous.pk).exists()
    assert Image.objects.filter(owner=account).count() == 1


def test_anonymous_owners_whom_nobody_comes_back_to_go(account: Owner, anonymous: Owner) -> None:
    with_image = Owner.objects.create()
    make_image(with_image)
    Owner.objects.update(last_seen_at=timezone.now() - timedelta(days=90))
    recent = Owner.objects.create()
    deletion.sweep_owners()
    assert set(Owner.objects.all()) == {account, with_image, recent}


@pytest.mark.both_databases
def test_claiming_works_on_both_databases(account: Owner, anonymous: Owner) -> None:
    mine, theirs = make_image(account, "a"), make_image(anonymous, "a")
    write(mine, "one")
    write(theirs, "two", "person")
    make_image(anonymous, "b")
    claim(anonymous, account)
    mine.refresh_from_db()
    assert mine.caption == "two"
    assert Image.objects.filter(owner=account).count() == 2
