"""Staff need a second factor; nobody is locked out by others' wrong passwords; the log forgets names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from cutline.server.account import deletion, keys
from cutline.server.config import RunMode, ServerSettings
from cutline.server.people.models import Role, User
from cutline.server.people.viewers import owner_of
from tests.server.account.accounts import PASSWORD, Person

pytestmark = pytest.mark.django_db


# -- a second factor for staff ---------------------------------------------------------------------------


def staff(person: Person, role: Role) -> User:
    user = person.sign_up()
    User.objects.filter(pk=user.pk).update(role=role)
    return user


def opens(person: Person) -> tuple[int, int, str]:
    """What the admin and the numbers for staff answer, and the role that the service takes them in."""
    role: str = person.api("GET", "/session").json()["viewer"]["role"]
    return person.browser.get("/admin/").status_code, person.api("GET", "/stats").status_code, role


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MODERATOR, Role.ADMIN])
def test_staff_without_a_second_factor_are_users_like_others(
    person: Person, configure: Callable[..., object], role: Role
) -> None:
    user = staff(person, role)
    assert opens(person) == (200, 200, role)  # as on a laptop
    configure(staff_second_factor="true")
    assert opens(person) == (302, 403, "user")
    Authenticator.objects.create(user=user, type=Authenticator.Type.RECOVERY_CODES, data={})
    assert opens(person) == (302, 403, "user")
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    assert opens(person) == (200, 200, role)


def test_the_admin_s_own_form_asks_staff_to_set_one_up(
    person: Person, configure: Callable[..., object]
) -> None:
    staff(person, Role.ADMIN)
    configure(staff_second_factor="true")
    browser = Client()
    form = {"username": person.email, "password": PASSWORD}
    answer = browser.post("/admin/login/?next=/admin/", form)
    assert answer.status_code == 200
    assert "set one up on your account page" in answer.content.decode()
    assert browser.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    ("mode", "chosen", "needed"),
    [
        (RunMode.DEVELOPMENT, "", False),
        (RunMode.PRODUCTION, "", True),
        (RunMode.PRODUCTION, "false", False),
        (RunMode.DEVELOPMENT, "true", True),
    ],
)
def test_it_is_asked_for_in_production_unless_the_operator_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, mode: RunMode, chosen: str, needed: bool
) -> None:
    monkeypatch.setenv("CUTLINE_STAFF_SECOND_FACTOR", chosen)
    assert ServerSettings(mode=mode).staff_needs_second_factor is needed


# -- wrong passwords -------------------------------------------------------------------------------------


def log_in(person: Person, password: str, address: str) -> int:
    browser = Client(REMOTE_ADDR=address)
    body = {"email": person.email, "password": password}
    answer = browser.post("/_allauth/browser/v1/auth/login", body, content_type="application/json")
    status: int = answer.status_code
    return status


def test_wrong_passwords_of_others_do_not_lock_the_owner_out(person: Person) -> None:
    person.sign_up()
    wrong = [log_in(person, f"wrong {number}", "2001:db8::1") for number in range(8)]
    assert wrong == [400] * 8
    assert log_in(person, PASSWORD, "2001:db8::2") == 400  # the same network is refused, rightly or not
    assert log_in(person, PASSWORD, "192.0.2.1") == 200
    assert log_in(person, PASSWORD, "2001:db8:0:1::1") == 200


# -- names in the log of what staff did ------------------------------------------------------------------


def test_the_log_of_staff_forgets_a_deleted_account(person: Person, other: Person) -> None:
    chief, user = other.sign_up(), person.sign_up()
    owner = owner_of(user)
    key, _ = keys.create(owner, name="Ada's laptop", scopes=["caption"])
    for row in (user, owner, key, chief):
        LogEntry.objects.create(
            user=chief,
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=str(row),
            action_flag=2,
        )
    deletion.delete_account(user)
    told: list[Any] = list(LogEntry.objects.order_by("pk").values_list("object_repr", flat=True))
    assert told == ["(deleted)"] * 3 + [other.email]
