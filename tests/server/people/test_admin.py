"""People in the admin: who may look, who may change, and what is logged."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client

from cutline.server.account import keys
from cutline.server.admin.site import StaffAdmin
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.people.viewers import owner_of
from tests.server.account.accounts import Person
from tests.server.account.test_claiming import make_image

pytestmark = pytest.mark.django_db

PAGES = ("/admin/people/user/", "/admin/people/owner/", "/admin/people/apikey/")


@pytest.fixture
def ada() -> User:
    """An account, with an image and a key."""
    user = User.objects.create_user("ada@example.org", "x", name="Ada")
    owner = owner_of(user)
    make_image(owner, caption="secret words")
    keys.create(owner, name="script", scopes=["caption"])
    return user


def staff(role: Role) -> Client:
    """The browser of somebody with a role."""
    client = Client()
    client.force_login(User.objects.create_user(f"{role}@example.org", "x", role=role))
    return client


def change_role(client: Client, user: User, role: Role) -> Any:
    return client.post(f"/admin/people/user/{user.pk}/change/", {"role": role})


def act(client: Client, page: str, action: str, *objects: Any) -> Any:
    form = {"action": action, "_selected_action": [item.pk for item in objects]}
    return client.post(page, form, follow=True)


@pytest.mark.parametrize("page", PAGES)
def test_staff_look_and_others_do_not(ada: User, page: str) -> None:
    for role in (Role.REVIEWER, Role.MODERATOR, Role.ADMIN):
        assert staff(role).get(page).status_code == 200, role
    assert staff(Role.USER).get(page).status_code == 302
    assert Client().get(page).status_code == 302


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MODERATOR])
def test_only_admins_change_anything(ada: User, role: Role) -> None:
    client = staff(role)
    assert client.get(f"/admin/people/user/{ada.pk}/change/").status_code == 200
    assert change_role(client, ada, Role.ADMIN).status_code == 403
    assert client.post(f"/admin/people/user/{ada.pk}/delete/", {"post": "yes"}).status_code == 403
    act(client, "/admin/people/user/", "close", ada)
    act(client, "/admin/people/apikey/", "revoke", ApiKey.objects.get())
    ada.refresh_from_db()
    assert (ada.role, ada.is_active) == (Role.USER, True)
    assert ApiKey.objects.get().revoked_at is None


def test_an_admin_changes_a_role_and_it_is_logged(ada: User) -> None:
    assert change_role(staff(Role.ADMIN), ada, Role.MODERATOR).status_code == 302
    ada.refresh_from_db()
    assert ada.role == Role.MODERATOR
    entry = LogEntry.objects.get()
    assert (entry.user.role, entry.object_id) == (Role.ADMIN, str(ada.pk))


def test_the_admin_changes_nothing_of_an_account_but_its_role(ada: User) -> None:
    form = {"role": Role.USER, "email": "eve@example.org", "is_superuser": "on", "password": "x"}
    staff(Role.ADMIN).post(f"/admin/people/user/{ada.pk}/change/", form)
    ada.refresh_from_db()
    assert ada.email == "ada@example.org"
    assert not ada.is_superuser


def test_the_last_admin_stays(ada: User) -> None:
    client = staff(Role.ADMIN)
    root = User.objects.get(role=Role.ADMIN)
    change_role(client, root, Role.USER)
    act(client, "/admin/people/user/", "close", root)
    client.post(f"/admin/people/user/{root.pk}/delete/", {"post": "yes"})
    root.refresh_from_db()
    assert (root.role, root.is_active) == (Role.ADMIN, True)


def test_closing_ends_sessions_and_is_logged_and_reopening_lets_in_again(person: Person) -> None:
    user = person.sign_up()
    client = staff(Role.ADMIN)
    act(client, "/admin/people/user/", "close", user)
    assert person.owner_id is None
    assert person.log_in().status_code != 200
    act(client, "/admin/people/user/", "reopen", user)
    assert Person().log_in().status_code == 200
    messages = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert list(messages) == ["closed", "reopened"]


def test_signing_somebody_out_everywhere(person: Person) -> None:
    user = person.sign_up()
    act(staff(Role.ADMIN), "/admin/people/user/", "sign_out", user)
    assert person.owner_id is None
    assert Person().log_in().status_code == 200


def test_who_lost_a_second_factor_signs_in_without(person: Person) -> None:
    user = person.sign_up()
    for kind in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES):
        Authenticator.objects.create(user=user, type=kind, data={})
    assert Person().log_in().status_code != 200
    act(staff(Role.REVIEWER), "/admin/people/user/", "remove_second_factors", user)
    assert Authenticator.objects.filter(user=user).count() == 2
    act(staff(Role.ADMIN), "/admin/people/user/", "remove_second_factors", user)
    assert not Authenticator.objects.filter(user=user).exists()
    assert person.owner_id is None
    assert Person().log_in().status_code == 200


def test_an_admin_deletes_an_account_with_all_that_belongs_to_it(ada: User) -> None:
    client = staff(Role.ADMIN)
    page = client.get(f"/admin/people/user/{ada.pk}/delete/")
    assert page.status_code == 200
    assert b"secret words" not in page.content
    client.post(f"/admin/people/user/{ada.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not Owner.objects.filter(images__isnull=False).exists()


def test_a_key_is_revoked_and_that_is_logged(ada: User) -> None:
    key = ApiKey.objects.get()
    act(staff(Role.ADMIN), "/admin/people/apikey/", "revoke", key)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert LogEntry.objects.get().change_message == "revoked"


def test_no_page_shows_a_secret_or_what_is_private(ada: User) -> None:
    client = staff(Role.ADMIN)
    key = ApiKey.objects.get()
    pages = [
        *PAGES,
        f"/admin/people/user/{ada.pk}/change/",
        f"/admin/people/owner/{ada.owner.pk}/change/",
        f"/admin/people/apikey/{key.pk}/change/",
    ]
    for page in pages:
        text = client.get(page).content.decode()
        for secret in (key.digest, ada.password, "secret words"):
            assert secret not in text, page
    assert client.get(f"/admin/people/apikey/?digest__startswith={key.digest[0]}").status_code != 200


def test_every_page_of_the_admin_obeys_the_roles() -> None:
    assert [page for page in admin.site._registry.values() if not isinstance(page, StaffAdmin)] == []
