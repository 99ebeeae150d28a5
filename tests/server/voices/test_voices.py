"""Voices that people keep."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cutline.server.account import claiming, deletion, keys
from cutline.server.errors import QuotaExceeded
from cutline.server.people.models import Owner, User
from cutline.server.people.viewers import Viewer, owner_of
from cutline.server.voices import selectors, services
from cutline.server.voices.models import LastVoice, SavedVoice
from tests.server.account.accounts import Person

pytestmark = pytest.mark.django_db

DRY = {"tone": "dry", "hashtags": 2}


@pytest.fixture
def person() -> Person:
    return Person()


def voices(person: Person, **headers: str) -> Any:
    return person.api("GET", "/voices", **headers).json()


def test_everybody_sees_presets_and_tones_and_becomes_nobody_by_looking(person: Person) -> None:
    found = voices(person)
    presets = {each["name"]: each["voice"] for each in found["presets"]}
    assert {"instagram", "alt-text", "product", "museum label", "news cutline", "academic figure"} <= set(
        presets
    )
    assert (presets["instagram"]["hashtags"], presets["instagram"]["emoji"]) == (3, True)
    assert (presets["alt-text"]["tone"], presets["alt-text"]["audience"]) == ("plain", "personal")
    assert len(found["tones"]) == len(set(found["tones"])) > 3
    assert (found["saved"], found["last"]) == ([], None)
    assert not Owner.objects.exists()


def test_a_voice_is_saved_under_a_name_replaced_and_deleted(person: Person) -> None:
    answer = person.api("PUT", "/voices/Our%20shop", {"preset": "product", "tone": "dry", "avoid": ["cheap"]})
    assert answer.status_code == 200, answer.content
    saved = answer.json()
    assert saved["name"] == "Our shop"
    assert saved["voice"] == {
        **{"tone": "dry", "audience": "promotional", "length": "long", "hashtags": 2, "emoji": False},
        **{"language": "en", "prefix": "", "suffix": "", "avoid": ["cheap"]},
    }
    assert person.api("PUT", "/voices/Haiku", {"tone": "like a haiku"}).status_code == 200
    person.api("PUT", "/voices/our%20SHOP", {"preset": "Our shop", "emoji": True})
    found = voices(person)["saved"]
    assert [(each["name"], each["voice"]["emoji"]) for each in found] == [
        ("Haiku", False),
        ("our SHOP", True),
    ]
    assert found[1]["voice"]["avoid"] == ["cheap"]
    assert person.api("DELETE", "/voices/Our%20shop").status_code == 204
    assert person.api("DELETE", "/voices/Our%20shop").status_code == 404
    assert [each["name"] for each in voices(person)["saved"]] == ["Haiku"]


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        ("x" * 41, {}),
        ("%20", {}),
        ("a%E2%80%AEb", {}),
        ("Instagram", {}),
        ("mine", {"preset": "nobody's"}),
        ("mine", {"mood": "dry"}),
        ("mine", {"tone": "x" * 5000}),
        ("mine", {"hashtags": 11}),
        ("mine", {"audience": "aliens"}),
        ("mine", {"avoid": ["x"] * 31}),
    ],
)
def test_what_is_no_voice_or_no_name_is_refused(person: Person, name: str, voice: dict[str, Any]) -> None:
    answer = person.api("PUT", f"/voices/{name}", voice)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid", "option_invalid")
    assert not SavedVoice.objects.exists()


def test_there_is_room_for_some_voices() -> None:
    owner = Owner.objects.create()
    for number in range(services.MAX_VOICES_ANONYMOUS):
        services.save(owner, f"voice {number}", DRY)
    services.save(owner, "Voice 1", DRY)
    with pytest.raises(QuotaExceeded):
        services.save(owner, "one more", DRY)


def test_nobody_sees_or_changes_another_s_voices(person: Person) -> None:
    owner = owner_of(User.objects.create_user("ann@example.org", "x"))
    services.save(owner, "mine", {"tone": "secret"})
    services.remember(owner, {"tone": "secret"})
    person.write_something()
    assert "secret" not in json.dumps(voices(person))
    assert person.api("DELETE", "/voices/mine").status_code == 404
    assert person.api("PUT", "/voices/other", {"preset": "mine"}).status_code == 422
    _, weak = keys.create(owner, name="k", scopes=["caption"])
    assert "secret" not in json.dumps(voices(Person(), Authorization=f"Bearer {weak}"))
    assert Person().api("PUT", "/voices/x", {}, Authorization=f"Bearer {weak}").status_code == 403
    _, writes = keys.create(owner, name="k", scopes=["images:write"])
    answer = Person().api("PUT", "/voices/x", {"preset": "mine"}, Authorization=f"Bearer {writes}")
    assert answer.status_code == 422
    _, strong = keys.create(owner, name="k", scopes=["images:read"])
    found = voices(Person(), Authorization=f"Bearer {strong}")
    assert (found["saved"][0]["name"], found["last"]["tone"]) == ("mine", "secret")


def test_signing_in_claims_voices_and_what_the_account_has_stands() -> None:
    user = User.objects.create_user("ann@example.org", "x")
    account, visitor = owner_of(user), Owner.objects.create()
    services.save(account, "Dry", {"tone": "dry"})
    for name in ("dry", "warm"):
        services.save(visitor, name, {"tone": "warm"})
    services.remember(visitor, {"tone": "warm"})
    claiming.claim(visitor, user)
    viewer = Viewer(owner_id=account.pk)
    assert [(each.name, each.voice["tone"]) for each in selectors.saved(viewer)] == [
        ("Dry", "dry"),
        ("warm", "warm"),
    ]
    assert selectors.last(viewer) == {"tone": "warm"}
    services.remember(account, {"tone": "dry"})
    later = Owner.objects.create()
    services.remember(later, {"tone": "late"})
    claiming.claim(later, user)
    assert selectors.last(viewer) == {"tone": "dry"}


def test_voices_go_with_their_owner() -> None:
    owner = owner_of(User.objects.create_user("ann@example.org", "x"))
    services.save(owner, "mine", DRY)
    services.remember(owner, DRY)
    assert owner.user is not None
    deletion.delete_account(owner.user)
    assert not SavedVoice.objects.exists()
    assert not LastVoice.objects.exists()
