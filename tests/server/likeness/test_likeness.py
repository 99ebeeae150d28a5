"""Photos like one, copies, and what a text means: who finds what, and what is left of what is gone."""

from __future__ import annotations

import base64
import io
import uuid
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from PIL import Image as Pillow

from cutline.errors import OptionError
from cutline.server import captioner
from cutline.server.account.claiming import claim
from cutline.server.images import deletion
from cutline.server.images.models import Image, Moderation, Visibility
from cutline.server.images.search import text_of
from cutline.server.images.selectors import Filters
from cutline.server.likeness import comparing, filling, gallery, keeping, pgvector, search, shelves
from cutline.server.likeness.models import Embedding
from cutline.server.likeness.search import Among, By
from cutline.server.people.models import Owner, User
from cutline.server.people.viewers import Viewer
from cutline.server.uploads.services import store_upload
from cutline.vectors import unit

pytestmark = pytest.mark.django_db
both = pytest.mark.both_databases

SPACE, OTHER_SPACE = "a" * 64, "b" * 64
COLOURS = {"red": (220, 30, 30), "pink": (220, 60, 90), "green": (30, 180, 40), "blue": (30, 60, 210)}


@pytest.fixture(autouse=True)
def _empty() -> None:
    shelves.shelves.clear()
    gallery.gallery.clear()
    cache.clear()


@pytest.fixture
def owner(db: None) -> Owner:
    """An account's owner."""
    return Owner.objects.create(user=User.objects.create_user("ann@example.org"))


def viewer(owner: Owner | None) -> Viewer:
    """The owner, asking."""
    return Viewer(owner_id=owner.pk if owner else None)


def add(owner: Owner, colour: str, *, space: str = SPACE, public: bool = False, shift: int = 0) -> Image:
    """A photo of a colour: its row, its vector and its placeholder."""
    caption = f"A {colour} wall"
    rgb = tuple(value + shift for value in COLOURS[colour])
    image = Image.objects.create(
        owner=owner,
        content_hash=uuid.uuid4().hex * 2,
        width_px=8,
        height_px=8,
        placeholder=_placeholder(rgb),
        caption=caption,
        search_text=text_of(caption, ()),
        visibility=Visibility.PUBLIC if public else Visibility.PRIVATE,
        moderation=Moderation.APPROVED if public else Moderation.NONE,
        published_at=timezone.now() if public else None,
    )
    put(image, rgb, space)
    return image


def put(image: Image, rgb: tuple[int, ...], space: str) -> None:
    """Say where a photo lies."""
    vector = unit(np.array(rgb, np.float32) - 110)
    keeping.keep(
        [keeping.Place(image_id=image.pk, owner_id=image.owner_id, space=space, model="m@1", vector=vector)]
    )


def _placeholder(rgb: tuple[int, ...]) -> str:
    data = io.BytesIO()
    Pillow.new("RGB", (16, 12), rgb).save(data, "WEBP")
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def captions(answer: search.Answer) -> list[str]:
    """What was found, by its captions."""
    return [image.caption.split()[1] for image in answer.images]


def like(asks: Owner | None, image: Image, scope: Among = Among.LIBRARY) -> list[str]:
    """Photos like one, for somebody."""
    return captions(search.similar(viewer(asks), image, scope=scope, count=10))


@both
def test_photos_like_one_are_found_among_what_the_viewer_may_see(owner: Owner) -> None:
    stranger = Owner.objects.create()
    red, pink, green = (add(owner, colour) for colour in ("red", "pink", "green"))
    add(stranger, "red")
    public = add(stranger, "pink", public=True)
    answer = search.similar(viewer(owner), red, scope=Among.LIBRARY, count=10)
    assert captions(answer) == ["pink", "green"]
    assert answer.likeness[pink.pk] > 0.9 > answer.likeness[green.pk]
    assert like(owner, red, Among.GALLERY) == ["pink"]
    assert like(None, public, Among.LIBRARY) == []
    assert like(None, public, Among.GALLERY) == []
    deletion.delete([pink])
    assert like(owner, red) == ["green"]
    deletion.undelete(pink)
    assert like(owner, red) == ["pink", "green"]
    deletion.purge_now([pink])
    assert like(owner, red) == ["green"]
    assert not Embedding.objects.filter(image_id=pink.pk).exists()
    kept = {image_id for place in shelves.shelves._places.values() for image_id in place.shelf.image_ids}
    assert pink.pk not in kept


def test_a_shelf_follows_what_comes_and_goes(owner: Owner) -> None:
    red = add(owner, "red")
    assert like(owner, red) == []
    pink = add(owner, "pink")
    assert like(owner, red) == ["pink"]
    Image.objects.filter(pk=pink.pk).delete()  # by another process, which tells nobody here
    blue = add(owner, "blue")
    assert like(owner, red) == ["blue"]
    before = Owner.objects.create()
    add(before, "green")
    late = add(owner, "pink")
    assert like(owner, late) == ["red", "blue"]
    assert owner.user is not None
    claim(before, owner.user)
    assert sorted(like(owner, blue)) == ["green", "pink", "red"]


@both
def test_the_gallery_is_followed_whatever_comes_and_goes(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = add(owner, "red")
    older, public = add(owner, "green"), add(owner, "pink", public=True)
    assert like(owner, red, Among.GALLERY) == ["pink"]
    Image.objects.filter(pk=public.pk).update(published_at=None)
    Image.objects.filter(pk=older.pk).update(published_at=timezone.now())  # as many as before, none is new
    assert like(owner, red, Among.GALLERY) == ["green"]
    deletion.delete([older])
    assert like(owner, red, Among.GALLERY) == []
    add(owner, "blue", public=True)
    deletion.undelete(older)
    assert like(owner, red, Among.GALLERY) == ["green", "blue"]
    late = add(owner, "pink", public=True, space=OTHER_SPACE)
    put(late, COLOURS["pink"], SPACE)
    assert like(owner, red, Among.GALLERY) == ["pink", "green", "blue"]
    gone = Image.objects.get(caption="A blue wall")
    Image.objects.filter(pk=older.pk).update(deleted_at=timezone.now())
    assert like(owner, red, Among.GALLERY) == ["pink", "blue"]
    Image.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())
    Image.objects.filter(pk=older.pk).update(deleted_at=None)  # as many, and the last is the last
    monkeypatch.setattr(gallery, "_FRESH_S", -1.0)
    assert like(owner, red, Among.GALLERY) == ["pink", "green"]


def test_the_gallery_is_read_once_however_many_search_it(
    owner: Owner, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = add(owner, "red")
    for colour in ("pink", "green"):
        add(owner, colour, public=True)
    assert like(owner, red, Among.GALLERY) == ["pink", "green"]
    add(owner, "blue")  # a stranger to the gallery is read alone
    with django_assert_max_num_queries(8) as asked:
        assert like(owner, red, Among.GALLERY) == ["pink", "green"]
    joins = [each["sql"] for each in asked.captured_queries if " JOIN " in each["sql"]]
    assert not joins  # of the gallery's photos with their embeddings, which are many
    with django_assert_max_num_queries(6):
        assert like(owner, red, Among.GALLERY) == ["pink", "green"]
    monkeypatch.setattr(gallery, "_AT_ONCE", 0)
    add(owner, "blue")  # more than can be looked at by themselves
    assert like(owner, red, Among.GALLERY) == ["pink", "green"]


def test_of_two_models_with_as_many_photos_the_one_in_use_compares(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = [SPACE]
    monkeypatch.setattr(
        captioner, "about", lambda: captioner.ModelInfo(name="m", version="1", bundle_hash=used[0])
    )
    images = [add(owner, colour, public=True) for colour in ("red", "pink", "green")]
    for image in images:  # the challenger's come later, and are another view of the photos
        put(image, COLOURS["red" if image is not images[1] else "blue"], OTHER_SPACE)
    for scope in Among:
        used[0] = SPACE
        assert like(owner, images[0], scope) == ["pink", "green"]
        used[0] = OTHER_SPACE
        assert like(owner, images[0], scope) == ["green", "pink"]
        used[0] = "c" * 64  # has placed none
        assert like(owner, images[0], scope) == ["pink", "green"]


def test_photos_are_compared_in_the_space_that_most_of_them_are_in(owner: Owner) -> None:
    images = [add(owner, colour, space=OTHER_SPACE) for colour in ("red", "pink", "green")]
    put(images[0], (0, 0, 0), SPACE)
    assert like(owner, images[0]) == ["pink", "green"]
    fresh = add(owner, "blue")  # the model in use has placed two, the one before three
    answer = search.similar(viewer(owner), fresh, scope=Among.LIBRARY, count=9)
    assert (captions(answer), answer.reason) == ([], "pending")
    for image in images[1:]:
        put(image, (110, 110, 200), SPACE)
    assert like(owner, fresh)[0] in ("pink", "green")


@both
def test_words_and_meaning_are_ranked_together(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    red, _, green = (add(owner, colour) for colour in ("red", "pink", "green"))

    def ask(text: str, by: By, **filters: Any) -> search.Answer:
        return search.ranked(viewer(owner), Filters(text=text, **filters), by=by, count=10)

    answer = ask("red", By.HYBRID)  # the model in use has placed none of them
    assert (captions(answer), answer.reason, answer.likeness) == (["red"], "pending", {})
    assert captions(ask("red", By.MEANING)) == []

    def embed_nothing(text: str) -> captioner.Seen:
        raise OptionError("It has no text tower.")

    monkeypatch.setattr(captioner, "embed_text", embed_nothing)
    answer = ask("red", By.HYBRID)
    assert (captions(answer), answer.reason, answer.likeness) == (["red"], "no_text_tower", {})
    assert captions(ask("red", By.MEANING)) == []
    place = {"ruby": COLOURS["red"], "wall": COLOURS["green"]}

    def embed_text(text: str) -> captioner.Seen:
        vector = unit(np.array(place[text], np.float32) - 110)
        model = captioner.ModelInfo(name="m", version="1", bundle_hash=SPACE)
        return captioner.Seen(vector=vector, model=model)

    monkeypatch.setattr(captioner, "embed_text", embed_text)
    assert captions(ask("ruby", By.HYBRID)) == ["red", "pink", "green"]
    assert captions(ask("ruby", By.WORDS)) == []
    assert captions(ask("wall", By.HYBRID))[0] == "green"
    deletion.delete([red])
    assert captions(ask("ruby", By.MEANING)) == ["pink", "green"]
    assert captions(ask("ruby", By.MEANING, since=green.created_at)) == ["green"]


def test_copies_are_found_in_one_s_own_library_alone(owner: Owner) -> None:
    stranger = Owner.objects.create()
    first, second = add(owner, "red"), add(owner, "red", shift=4)
    for image in (add(owner, "pink"), add(stranger, "red"), add(stranger, "red")):
        assert image.pk
    found = search.duplicates(viewer(owner), count=10)
    assert [[image.pk for image in group] for group in found.groups] == [[first.pk, second.pk]]
    deletion.delete([first])
    assert not search.duplicates(viewer(owner), count=10).groups
    assert not search.duplicates(viewer(None), count=10).groups


def test_copies_in_a_large_library_are_looked_for_in_the_background_and_kept(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Callable[[], None]] = []

    class Pool:
        def submit(self, work: Callable[..., None], *arguments: Any) -> None:
            begun.append(lambda: work(*arguments))

    monkeypatch.setattr(comparing, "_FEW", 1)
    monkeypatch.setattr(comparing, "_pool", Pool())
    monkeypatch.setattr(comparing, "connection", Mock())  # the test's own stays open

    def ask() -> tuple[list[list[uuid.UUID]], str]:
        found = search.duplicates(viewer(owner), count=10)
        return [[image.pk for image in group] for group in found.groups], found.reason

    first, second = add(owner, "red").pk, add(owner, "red", shift=4).pk
    assert ask() == ask() == ([], "pending")
    assert len(begun) == 1  # one looks, however many ask
    begun.pop()()
    assert ask() == ([[first, second]], "")
    shelves.shelves.clear()  # another process
    assert ask() == ([[first, second]], "")
    assert not begun
    third = add(owner, "red", shift=2).pk
    assert ask() == ([[first, second]], "")  # what is known, at once
    begun.pop()()
    assert ask() == ([[first, second, third]], "")
    assert not begun


def test_what_the_model_has_not_placed_is_placed_in_the_background(
    owner: Owner, make_photo: Callable[..., bytes]
) -> None:
    images = [store_upload(owner, make_photo(number), f"{number}.jpg").image for number in (1, 2)]
    gone = add(owner, "red", space=OTHER_SPACE)  # no file: it cannot be read
    long_ago = timezone.now() - filling._OLD * 2
    Embedding.objects.update(created_at=long_ago)
    while filling.fill():
        pass
    space = captioner.about().bundle_hash
    placed = Embedding.objects.filter(space=space)
    assert set(placed.exclude(vector=b"").values_list("image_id", flat=True)) == {each.pk for each in images}
    assert set(placed.filter(vector=b"").values_list("image_id", flat=True)) == {gone.pk}
    assert Embedding.objects.exclude(space=space).exists()  # a model that is put back finds what it knew
    Embedding.objects.filter(space=space).update(created_at=long_ago)
    cache.clear()
    assert filling.fill() == 0
    assert not Embedding.objects.exclude(space=space).exists()
    answer = search.similar(viewer(owner), images[0], scope=Among.LIBRARY, count=5)
    assert {image.pk for image in answer.images} == {images[1].pk, gone.pk}


def test_photos_that_could_not_be_placed_at_first_are_looked_at_once_in_a_pass(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that came meanwhile are found, wherever they stand in the order."""
    ids = sorted(add(owner, "red", space=OTHER_SPACE).pk for _ in range(5))
    monkeypatch.setattr(filling, "_AT_ONCE", 2)
    monkeypatch.setattr(captioner, "is_idle", lambda: False)  # a turn is two photos
    asked: list[uuid.UUID] = []
    monkeypatch.setattr(filling, "_place", lambda image_id: asked.append(image_id))
    first, others = ids[0], ids[1:]
    Image.objects.filter(pk=first).update(deleted_at=timezone.now())
    assert filling.fill() == 2
    Image.objects.filter(pk=first).update(deleted_at=None)
    while filling.fill():
        pass
    assert asked == [*others, first]


def test_the_api_answers_with_images_and_reasons(owner: Owner) -> None:
    red, pink = add(owner, "red"), add(owner, "pink")
    client = Client()
    assert owner.user is not None
    client.force_login(owner.user)
    answer = client.get(f"/api/v1/images/{red.pk}/similar?limit=5").json()
    assert [each["image"]["id"] for each in answer["items"]] == [str(pink.pk)]
    assert answer["items"][0]["likeness"] > 0.9
    assert answer["reason"] == ""
    answer = client.get("/api/v1/images/search?q=red&by=words").json()
    assert [(each["image"]["id"], each["likeness"]) for each in answer["items"]] == [(str(red.pk), None)]
    assert client.get("/api/v1/images/duplicates").json() == {"groups": [], "reason": ""}
    for wrong in ("search", "search?q=+", "search?q=a&by=luck", f"{red.pk}/similar?limit=0"):
        assert client.get(f"/api/v1/images/{wrong}").status_code == 422
    assert Client().get(f"/api/v1/images/{red.pk}/similar").status_code == 404


@pytest.mark.postgresql
def test_a_database_without_pgvector_is_searched_in_memory(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgvector, "_STATEMENTS", ("CREATE EXTENSION no_such_extension",))
    pgvector.install()  # only says so
    monkeypatch.setattr(pgvector, "is_there", lambda: False)
    red, _ = add(owner, "red"), add(owner, "pink")
    assert like(owner, red) == ["pink"]
    monkeypatch.undo()
    if pgvector.is_there():
        pgvector.place_those_left()
        assert like(owner, red) == ["pink"]
        monkeypatch.setattr(search, "_MOST_IN_DATABASE", 1)
        assert like(owner, red) == ["pink"]
