"""Images in the admin: staff see what was offered to others, moderators decide, reviewers only look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from cutline.server.captions import services as captions
from cutline.server.images import moderation, tags, visibility
from cutline.server.images.models import Image, Moderation, Report, Visibility
from cutline.server.people.models import Owner, Role, User

pytestmark = [pytest.mark.django_db]

Upload = Callable[..., Image]
LIST = "/admin/images/image/"


@pytest.fixture
def staff(client: Client) -> Callable[[Role], Client]:
    """A browser of somebody with a role."""

    def sign_in(role: Role) -> Client:
        client.force_login(User.objects.create_user(f"{role}@example.org", "x", role=role))
        return client

    return sign_in


@pytest.fixture
def images(upload: Upload) -> dict[str, Image]:
    """One image of each kind, with a caption that tells it."""
    found = {name: upload(number) for number, name in enumerate(("private", "unlisted", "held", "public"))}
    for name, image in found.items():
        Image.objects.filter(pk=image.pk).update(caption=f"caption of the {name} one")
    visibility.set_visibility(found["unlisted"], Visibility.UNLISTED)
    for name, score in (("held", 0.6), ("public", 0.01)):
        visibility.set_visibility(found[name], Visibility.PUBLIC)
        moderation.record_score(found[name], score)
    return found


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MODERATOR, Role.ADMIN])
def test_staff_see_what_was_offered_to_others_alone(
    staff: Callable[[Role], Client], images: dict[str, Image], role: Role
) -> None:
    browser = staff(role)
    everything = browser.get(LIST).content.decode()
    for name, image in images.items():
        page = browser.get(f"{LIST}{image.pk}/change/").content.decode()
        seen = name in ("held", "public")
        assert (f"caption of the {name} one" in page) == seen
        assert (f"/files/images/{image.pk}" in page) == seen
        assert (f"/files/images/{image.pk}" in everything) == seen


def test_a_reported_unlisted_picture_can_be_looked_at(
    staff: Callable[[Role], Client], images: dict[str, Image], other: Owner
) -> None:
    image = images["unlisted"]
    moderation.report(image, other, Report.Reason.VIOLENT, "look at that")
    page = staff(Role.MODERATOR).get(f"{LIST}{image.pk}/change/").content.decode()
    assert "caption of the unlisted one" in page
    assert "look at that" in page


def test_the_queue_has_what_is_held_or_reported(
    staff: Callable[[Role], Client], images: dict[str, Image], other: Owner
) -> None:
    moderation.report(images["public"], other, Report.Reason.SPAM)
    moderation.report(images["public"], images["public"].owner, Report.Reason.SPAM)
    page = staff(Role.MODERATOR).get(LIST, {"queue": "look"})
    assert {image.pk for image in page.context["cl"].result_list} == {images["held"].pk, images["public"].pk}


def decide(browser: Client, action: str, *images: Image) -> None:
    data = {"action": action, "_selected_action": [str(image.pk) for image in images]}
    assert browser.post(LIST, data).status_code in (200, 302, 403)


def test_a_moderator_decides_and_it_is_logged(
    staff: Callable[[Role], Client], images: dict[str, Image]
) -> None:
    decide(staff(Role.MODERATOR), "approve", images["held"], images["private"])
    held, private = (Image.objects.get(pk=images[name].pk) for name in ("held", "private"))
    assert held.moderation == Moderation.APPROVED
    assert held.published_at is not None
    assert private.moderation == Moderation.NONE
    assert LogEntry.objects.get().object_id == str(held.pk)
    assert held.decisions.filter(by__email="moderator@example.org").count() == 1


def test_a_reviewer_changes_nothing(staff: Callable[[Role], Client], images: dict[str, Image]) -> None:
    browser = staff(Role.REVIEWER)
    for action in ("approve", "hold", "reject"):
        decide(browser, action, images["held"], images["public"])
    assert Image.objects.get(pk=images["held"].pk).moderation == Moderation.HELD
    assert Image.objects.get(pk=images["public"].pk).moderation == Moderation.APPROVED
    assert browser.get("/admin/images/report/").status_code == 200
    assert browser.get("/admin/images/decision/").status_code == 200


def test_the_lists_cost_the_same_queries_however_long(
    staff: Callable[[Role], Client], upload: Upload, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(12):
        visibility.set_visibility(upload(number), Visibility.PUBLIC)
    browser = staff(Role.ADMIN)
    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        assert browser.get(LIST).status_code == 200


def test_the_queue_has_the_pictures_whose_words_nobody_read(
    staff: Callable[[Role], Client], images: dict[str, Image], owner: Owner
) -> None:
    browser = staff(Role.MODERATOR)
    public = images["public"]
    assert str(public.pk) not in browser.get(f"{LIST}?queue=look").content.decode()
    captions.edit(public, "words of a person", owner)
    tags.set_tags(public, ["sunset"])
    queue = browser.get(f"{LIST}?queue=look").content.decode()
    assert str(public.pk) in queue
    assert "words of a person" in queue
    assert "#sunset" in browser.get(f"{LIST}{public.pk}/change/").content.decode()
    browser.post(LIST, {"action": "approve", "_selected_action": [str(public.pk)]})
    assert str(public.pk) not in browser.get(f"{LIST}?queue=look").content.decode()
