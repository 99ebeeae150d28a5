"""One's own account: consent, keys, the export of everything, the end of everything."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from cutline.server.account import deletion, export, keys, services
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.errors import Conflict, Forbidden
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images import storage
from cutline.server.images.models import Image, Rendition, RenditionKind, Report, StoredFile, Tag
from cutline.server.mail.models import Mail
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.people.viewers import owner_of
from cutline.server.voices import services as voices
from cutline.server.webhooks.models import Delivery, Webhook
from tests.server.account.accounts import PASSWORD, Person
from tests.server.account.test_claiming import make_image, write
from tests.server.services.process import ANSWERS_S, wait_until

pytestmark = pytest.mark.django_db


# -- the session and the account -------------------------------------------------------------------------


def test_the_session_tells_limits_and_the_model(person: Person) -> None:
    answer = person.api("GET", "/session").json()
    assert answer["viewer"] == {
        "owner": None,
        "user": None,
        "email": None,
        "name": None,
        "role": "user",
        "scopes": None,
    }
    assert answer["limits"]["max_images"] == 200
    assert answer["limits"]["max_upload_bytes"] == 32 * 2**20
    assert "@" in answer["model"]
    person.sign_up()
    signed_in = person.api("GET", "/session").json()["limits"]
    assert signed_in["max_images"] == 1_000_000
    assert signed_in["max_bulk_bytes"] == 8 * answer["limits"]["max_bulk_bytes"]  # as bulks themselves count


def test_consent_is_given_and_taken_back_with_its_time(person: Person) -> None:
    me = person.api("PATCH", "/me", {"may_train": True}).json()
    assert me["may_train"] is True
    given = me["may_train_changed_at"]
    assert given is not None
    again = person.api("PATCH", "/me", {"may_train": True}).json()
    assert again["may_train_changed_at"] == given
    taken = person.api("PATCH", "/me", {"may_train": False}).json()
    assert taken["may_train"] is False
    assert taken["may_train_changed_at"] > given


def test_nobody_consents_who_did_not_say_so(person: Person) -> None:
    person.sign_up()
    assert person.api("GET", "/me").json()["may_train"] is False


def test_the_name_of_an_account_can_be_changed_and_its_role_cannot(person: Person) -> None:
    person.sign_up()
    assert person.api("PATCH", "/me", {"name": " Ada "}).json()["name"] == "Ada"
    assert person.api("PATCH", "/me", {"role": "admin"}).status_code == 422
    assert person.api("PATCH", "/me", {"name": "x" * 121}).status_code == 422
    assert person.user.role == Role.USER


def test_somebody_without_account_has_no_name(person: Person) -> None:
    assert person.api("PATCH", "/me", {"name": "Ada"}).status_code == 403


def test_another_site_cannot_change_the_account(person: Person) -> None:
    person.sign_up()
    answer = person.api("PATCH", "/me", {"may_train": True}, Origin="https://evil.example")
    assert answer.status_code == 403
    assert answer.json()["code"] == "cross_origin"
    basic = {"Origin": "https://evil.example", "Authorization": "Basic dTpw"}  # as browsers add it themselves
    assert person.api("PATCH", "/me", {"may_train": True}, **basic).status_code == 403


# -- keys ------------------------------------------------------------------------------------------------


def make_key(person: Person, *scopes: str, **words: Any) -> dict[str, Any]:
    answer = person.api("POST", "/keys", {"name": "script", "scopes": scopes or ["account"], **words})
    assert answer.status_code == 201, answer.content
    key: dict[str, Any] = answer.json()
    return key


def test_a_key_is_shown_once_and_works_until_it_is_revoked(person: Person) -> None:
    person.sign_up()
    made = make_key(person)
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert Client().get("/api/v1/me", headers=headers).json()["email"] == person.email
    listed = person.api("GET", "/keys").json()["items"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["key"] not in json.dumps(listed)
    assert made["key"].startswith(listed[0]["prefix"])
    assert listed[0]["last_used_at"] is not None
    assert person.api("DELETE", f"/keys/{made['id']}").status_code == 204
    assert person.api("DELETE", f"/keys/{made['id']}").status_code == 204
    assert Client().get("/api/v1/me", headers=headers).status_code == 401
    assert person.api("GET", "/keys").json()["items"][0]["revoked_at"] is not None


def test_a_key_of_somebody_without_account_ends_where_an_account_begins(person: Person) -> None:
    headers = {"X-API-Key": make_key(person)["key"]}
    assert Client().get("/api/v1/me", headers=headers).json()["user"] is None
    person.sign_up()
    assert Client().get("/api/v1/me", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": " ", "scopes": ["caption"]},
        {"scopes": ["caption"]},
        {"name": "x", "scopes": ["caption"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["caption"], "expires_at": "2050-01-01T00:00:00"},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(person: Person, body: dict[str, Any]) -> None:
    assert person.api("POST", "/keys", body).status_code == 422
    assert not ApiKey.objects.exists()


def test_a_key_with_an_expiry_stops_then(person: Person) -> None:
    soon = (timezone.now() + timedelta(hours=1)).isoformat()
    made = make_key(person, expires_at=soon)
    ApiKey.objects.update(expires_at=timezone.now())
    assert Client().get("/api/v1/me", headers={"X-API-Key": made["key"]}).status_code == 401


def test_a_key_can_neither_make_keys_nor_end_the_account(person: Person) -> None:
    person.sign_up()
    headers = {"X-API-Key": make_key(person)["key"]}
    body = {"name": "x", "scopes": ["account"]}
    client = Client()
    answers = [
        client.post("/api/v1/keys", body, content_type="application/json", headers=headers),
        client.delete("/api/v1/me", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert User.objects.filter(email=person.email).exists()


def test_a_key_without_the_scope_account_does_not_reach_the_account(person: Person) -> None:
    headers = {
        "X-API-Key": make_key(person, "caption", "images:read", "images:write", "bulk", "webhooks")["key"]
    }
    for path in ("/me", "/me/export", "/keys"):
        assert Client().get(f"/api/v1{path}", headers=headers).status_code == 403, path


def test_nobody_sees_or_revokes_another_s_keys(person: Person, other: Person) -> None:
    made = make_key(person)
    other.write_something()
    assert other.api("GET", "/keys").json()["items"] == []
    assert other.api("DELETE", f"/keys/{made['id']}").status_code == 404
    assert Person().api("DELETE", f"/keys/{made['id']}").status_code == 404
    assert ApiKey.objects.get().revoked_at is None


def test_there_is_an_end_to_the_number_of_keys() -> None:
    owner = Owner.objects.create()
    for _ in range(50):
        keys.create(owner, name="x", scopes=["caption"])
    with pytest.raises(Conflict):
        keys.create(owner, name="x", scopes=["caption"])
    keys.revoke(owner.pk, ApiKey.objects.all()[0].pk)
    keys.create(owner, name="x", scopes=["caption"])


# -- everything that can belong to somebody --------------------------------------------------------------


def fill(owner: Owner) -> Image:
    """Give an owner one of everything; gives the image, whose files are really there."""
    image = make_image(owner)
    for rendition in list(image.renditions.all()):
        rendition.delete()
        rendition.file.delete()
    for kind, format, data in (
        (RenditionKind.ORIGINAL, "png", b"the original"),
        (RenditionKind.MASTER, "jpeg", b"the master"),
        (RenditionKind.THUMBNAIL, "webp", b"the thumbnail"),
    ):
        file = storage.put(f"images/{image.pk}/{kind}-{owner.pk}.{format}", data)
        storage.keep(file)
        Rendition.objects.create(image=image, kind=kind, format=format, width_px=1, height_px=1, file=file)
    write(image, "a cat")
    write(image, "my cat", "person")
    Tag.objects.create(image=image, name="cat")
    caption = image.captions.get()
    image.captions.update(model_hash="c" * 64)
    Feedback.objects.create(kind="edit", image=image, viewer=owner, before="a cat", after="my cat")
    Rating.objects.create(caption=caption, viewer=owner, value=1)
    Report.objects.create(image=image, reporter=owner, reason="spam", text="I report myself")
    keys.create(owner, name="script", scopes=["caption"])
    archive = storage.put(f"bulk/{owner.pk}/archive.zip", b"zip")
    storage.keep(archive)
    bulk = Bulk.objects.create(owner=owner, name="holiday.zip", archive=archive)
    BulkItem.objects.create(bulk=bulk, number=0, name="beach.jpg", image=image)
    hook = Webhook.objects.create(owner=owner, url="https://example.org/hook", secret="whsec_secret")
    Delivery.objects.create(webhook=hook, type="caption.ready", body={"id": 1})
    voices.save(owner, "Ours", {"tone": "dry"})
    voices.remember(owner, {"tone": "warm"})
    return image


def rows() -> dict[str, int]:
    """How many rows each table of the service has."""
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.label not in ("contenttypes.ContentType", "auth.Permission", "sessions.Session")
    }


def unpack(answer: Any) -> dict[str, bytes]:
    """The members of a zip that was sent."""
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def lines(data: bytes) -> list[dict[str, Any]]:
    """The objects of JSON lines."""
    return [json.loads(line) for line in data.decode().splitlines()]


# -- export ----------------------------------------------------------------------------------------------


def test_the_export_holds_everything_of_one_s_own(person: Person) -> None:
    person.sign_up()
    image = fill(person.owner)
    answer = person.api("GET", "/me/export")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/zip"
    assert "cutline-export.zip" in answer["Content-Disposition"]
    members = unpack(answer)
    assert members[f"images/{image.pk}/original.png"] == b"the original"
    assert members[f"images/{image.pk}/master.jpeg"] == b"the master"
    account = json.loads(members["account.json"])
    assert account["account"]["email"] == person.email
    assert account["account"]["sessions"][0]["ip"] == "127.0.0.1"
    (told,) = lines(members["images.jsonl"])
    assert told["tags"] == ["cat"]
    assert [version["text"] for version in told["versions"]] == ["a cat", "my cat"]
    assert [caption["text"] for caption in told["captions"]] == ["a cat"]
    assert [caption["model_hash"] for caption in told["captions"]] == ["c" * 64]
    assert sorted(told["files"]) == [f"images/{image.pk}/master.jpeg", f"images/{image.pk}/original.png"]
    assert lines(members["feedback.jsonl"])[0]["after"] == "my cat"
    assert lines(members["ratings.jsonl"])[0]["value"] == 1
    assert lines(members["reports.jsonl"])[0]["text"] == "I report myself"
    assert lines(members["jobs.jsonl"])[0]["image"] == str(image.pk)
    assert lines(members["bulks.jsonl"])[0]["items"][0]["name"] == "beach.jpg"
    assert lines(members["webhooks.jsonl"])[0]["url"] == "https://example.org/hook"
    assert lines(members["keys.jsonl"])[0]["name"] == "script"
    assert lines(members["voices.jsonl"])[0]["voice"] == {"tone": "dry"}
    assert lines(members["last_voice.jsonl"])[0]["voice"] == {"tone": "warm"}


def test_the_export_holds_no_secret(person: Person) -> None:
    person.sign_up()
    fill(person.owner)
    session = person.browser.cookies["sessionid"].value
    secrets = ["whsec_secret", ApiKey.objects.get().digest, person.user.password, session]
    members = unpack(person.api("GET", "/me/export"))
    for name, data in members.items():
        for secret in secrets:
            assert secret.encode() not in data, name


def test_the_export_holds_nothing_of_others(person: Person, other: Person) -> None:
    person.sign_up()
    mine, theirs = fill(person.owner), fill(other.write_something())
    everything = b"".join(
        b" ".join((name.encode(), data)) for name, data in unpack(person.api("GET", "/me/export")).items()
    )
    assert str(mine.pk).encode() in everything
    for secret in (str(theirs.pk), str(theirs.owner_id)):
        assert secret.encode() not in everything


def test_somebody_without_account_exports_too_and_a_stranger_has_nothing(person: Person) -> None:
    assert person.api("GET", "/me/export").status_code == 404
    image = fill(person.write_something())
    members = unpack(person.api("GET", "/me/export"))
    assert json.loads(members["account.json"])["account"] is None
    assert f"images/{image.pk}/master.jpeg" in members


def test_an_export_of_many_images_asks_the_database_seldom(
    person: Person, django_assert_max_num_queries: Any
) -> None:
    owner = person.write_something()
    for _ in range(30):
        write(make_image(owner), "text")
    Rendition.objects.all().delete()
    with django_assert_max_num_queries(60):
        unpack(person.api("GET", "/me/export"))


# -- deletion --------------------------------------------------------------------------------------------


def test_deleting_the_account_leaves_nothing_of_it_and_everything_of_others(
    person: Person, other: Person
) -> None:
    other.sign_up()
    theirs = fill(other.owner)
    files = set(StoredFile.objects.filter(state="live").values_list("key", flat=True))
    before = rows()
    user = person.sign_up()
    person.log_out()
    fill(person.write_something())
    person.log_in()
    mine = person.owner
    fill(mine)
    Feedback.objects.create(kind="copy", image=theirs, viewer=mine)
    Rating.objects.create(caption=theirs.captions.get(), viewer=mine, value=-1)
    Authenticator.objects.create(user=user, type="totp", data={"secret": "x"})
    # An address is the same in another case, and what waits there would still be sent.
    EmailMessage("Your link", "of another day", to=[person.email.upper()]).send()
    answer = person.api("DELETE", "/me")
    assert answer.status_code == 204, answer.content
    after = rows()
    assert {name: count for name, count in after.items() if count != before[name]} == {
        "images.StoredFile": before["images.StoredFile"] + 8  # doomed, for the sweep
    }
    assert set(StoredFile.objects.filter(state="live").values_list("key", flat=True)) == files
    storage.sweep_files()
    assert rows() == before
    assert storage.read(next(key for key in files if "master" in key)) == b"the master"
    assert person.owner_id is None
    assert not Mail.objects.filter(recipient__iexact=person.email).exists()


def test_deleting_the_account_ends_its_sessions_and_keys_everywhere(person: Person) -> None:
    person.sign_up()
    headers = {"X-API-Key": make_key(person)["key"]}
    elsewhere = Person()
    elsewhere.log_in()
    sessions = Session.objects.count()
    assert person.api("DELETE", "/me").status_code == 204
    assert Session.objects.count() == sessions - 2
    assert elsewhere.api("GET", "/session").json()["viewer"]["owner"] is None
    assert Client().get("/api/v1/me", headers=headers).status_code == 401
    assert person.log_in().status_code == 400
    assert Person().log_in().status_code == 400


def test_the_address_of_a_deleted_account_is_free_again(person: Person) -> None:
    first = person.sign_up()
    person.api("DELETE", "/me")
    cache.clear()  # the same address gets a mail every three minutes at most
    assert Person().sign_up().pk != first.pk


def test_deleting_an_account_needs_a_fresh_sign_in(person: Person) -> None:
    person.sign_up()
    session = person.browser.session
    session["signed_in_at"] -= 3600
    session.save()
    answer = person.api("DELETE", "/me")
    assert answer.status_code == 403
    assert answer.json()["code"] == "reauthentication_required"
    assert person.account("POST", "auth/reauthenticate", password=PASSWORD).status_code == 200
    assert person.api("DELETE", "/me").status_code == 204


def test_somebody_without_account_can_delete_what_the_session_owns(person: Person, other: Person) -> None:
    theirs = other.write_something()
    fill(person.write_something())
    assert person.api("DELETE", "/me").status_code == 204
    assert list(Owner.objects.all()) == [theirs]
    assert not StoredFile.objects.filter(state="live").exists()
    assert person.api("DELETE", "/me").status_code == 404


def test_the_last_admin_cannot_go(person: Person) -> None:
    user = person.sign_up()
    User.objects.update(role=Role.ADMIN)
    assert person.api("DELETE", "/me").status_code == 409
    User.objects.create_superuser("root@example.org", "x")
    assert person.api("DELETE", "/me").status_code == 204
    assert not User.objects.filter(pk=user.pk).exists()


@pytest.mark.both_databases
def test_deletion_and_export_work_on_both_databases() -> None:
    user = User.objects.create_user("ada@example.org", "x")
    fill(owner_of(user))
    data = b"".join(export.export_account(user))
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    deletion.delete_account(user)
    assert not Owner.objects.exists()
    assert not StoredFile.objects.filter(state="live").exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_what_is_deleted_while_it_is_still_written_to_is_gone_too() -> None:
    owner = Owner.objects.create()
    image = make_image(owner, "a")
    write(image, "A dog.")
    deletion = threading.Thread(target=delete, args=(owner,))
    with transaction.atomic():  # as a thread that makes renditions does
        Image.objects.filter(pk=image.pk).update(rendered_at=timezone.now())
        file = storage.put(f"images/{image.pk}/late.webp", b"late")
        storage.keep(file)
        Rendition.objects.create(
            image=image, kind=RenditionKind.LARGE, format="webp", width_px=1, height_px=1, file=file
        )
        deletion.start()
        wait_until(somebody_waits, what="the deletion waits for the write")
    deletion.join(ANSWERS_S)
    assert not Owner.objects.filter(pk=owner.pk).exists()
    assert not Rendition.objects.exists()
    assert not StoredFile.objects.filter(state="live").exists()


def delete(owner: Owner) -> None:
    """In a thread of its own."""
    try:
        deletion.delete_owner(owner)
    finally:
        connection.close()


def somebody_waits() -> bool:
    """Whether a query waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


# -- roles -----------------------------------------------------------------------------------------------


def test_only_an_admin_changes_roles() -> None:
    admin = User.objects.create_superuser("root@example.org", "x")
    ada = User.objects.create_user("ada@example.org", "x")
    moderator = User.objects.create_user("mod@example.org", "x", role=Role.MODERATOR)
    with pytest.raises(Forbidden):
        services.change_role(ada, Role.ADMIN, by=moderator)
    with pytest.raises(Forbidden):
        services.change_role(ada, Role.ADMIN, by=ada)
    services.change_role(ada, Role.REVIEWER, by=admin)
    ada.refresh_from_db()
    assert ada.role == Role.REVIEWER
    assert ada.is_staff
    with pytest.raises(Conflict):
        services.change_role(admin, Role.USER, by=admin)
