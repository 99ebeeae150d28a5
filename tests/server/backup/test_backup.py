"""Backups of the service: one point in time, restored as it was, or refused with what was kept."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, models, transaction

from cutline.errors import BackupError
from cutline.server.api.models import IdempotentAnswer
from cutline.server.backup import places, restoring, services, tables
from cutline.server.images import storage, stores
from cutline.server.images.bucket import Bucket
from cutline.server.images.models import Image, Rendition, StoredFile
from cutline.server.people.models import Owner, User
from tests.server.services.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore

KEY = "5BGRrpMc8wVlQKOvD0GGvRF4K5AFz1rTzYZkvVUoLQ4="
Configure = Callable[..., Any]


@pytest.fixture(autouse=True)
def _here(configure: Configure, tmp_path: Path) -> None:
    """A store of its own."""
    configure(storage_url=f"file://{tmp_path}/files", backup_key=KEY)


def photo(owner: Owner, content: bytes) -> StoredFile:
    """A photo of somebody, with its file."""
    image = Image.objects.create(owner=owner, content_hash=uuid4().hex, width_px=4, height_px=3)
    Image.objects.filter(pk=image.pk).update(caption="Ein Hund läuft ☂", read_tags=["a", {"b": None}])
    file = storage.put(f"images/{image.pk}/{uuid4().hex}.jpg", content)
    storage.keep(file)
    Rendition.objects.create(image=image, kind="master", format="jpeg", width_px=4, height_px=3, file=file)
    return file


@pytest.fixture
def filled(db: None) -> Owner:
    """An account in a group, with photos, bytes and empty columns."""
    user = User.objects.create(email="ada@example.com")
    user.groups.add(Group.objects.create(name="a group of this test"))
    owner = Owner.objects.create(user=user)
    for content in (b"one", b"two" * 1000):
        photo(owner, content)
    IdempotentAnswer.objects.create(owner=owner, key="k", fingerprint="f", source="s", body=b"\0\xff\n")
    storage.put("images/pending.jpg", b"being written")
    storage.discard([storage.put("images/gone.jpg", b"deleted")])
    return owner


def everything() -> dict[str, Any]:
    """Each row and each file, as they are now."""
    found: dict[str, Any] = {}
    for name, model in tables.tables().items():
        file, _ = tables.dump(model)
        with file:
            found[name] = list(tables.rows(file))
    live = StoredFile.objects.filter(state=StoredFile.State.LIVE)
    return found | {file.key: storage.read(file) for file in live}


def wipe(tmp_path: Path) -> None:
    """Lose everything."""
    with transaction.atomic():
        tables.empty(tables.tables())
    for path in (tmp_path / "files").rglob("*.jpg"):
        path.unlink()


def the_backup(tmp_path: Path) -> Path:
    [found] = (tmp_path / "backups").iterdir()
    return found


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_what_was_lost_comes_back_as_it_was(filled: Owner, tmp_path: Path) -> None:
    before = everything()
    made = services.back_up(str(tmp_path / "backups"))
    assert (made.encrypted, made.about.files, made.about.database) == (True, 2, connection.vendor)
    assert b"Hund" not in the_backup(tmp_path).read_bytes()
    wipe(tmp_path)
    assert everything() != before
    restoring.restore(made.name)
    assert everything() == before
    # Numbers of new rows go on after those that were restored, and the search finds what came back.
    Image.objects.first().tags.create(name="new")  # type: ignore[union-attr]
    photo(filled, b"three")


def test_a_backup_may_be_read_without_a_key_where_there_is_none(
    filled: Owner, tmp_path: Path, configure: Configure
) -> None:
    configure(backup_key="")
    made = services.back_up(str(tmp_path / "backups"))
    assert not made.encrypted
    with tarfile.open(the_backup(tmp_path)) as tar:
        names = tar.getnames()
    assert sum(name.startswith("files/images/") for name in names) == 2
    assert names[-2:] == ["backup.json", "SHA256SUMS"]
    assert (tmp_path / "backups").stat().st_mode & 0o077 == 0
    assert the_backup(tmp_path).stat().st_mode & 0o077 == 0


def test_restoring_into_what_is_not_empty_is_refused_and_replaces_when_told(
    filled: Owner, tmp_path: Path
) -> None:
    before = everything()
    made = services.back_up(str(tmp_path / "backups"))
    later = photo(filled, b"made after the backup")
    with pytest.raises(BackupError, match="database is not empty") as refusal:
        restoring.restore(made.name)
    assert refusal.value.kept == "Nothing was changed."
    assert storage.read(later) == b"made after the backup"
    restoring.restore(made.name, replace=True)
    assert everything() == before
    assert not stores.store().exists(later.key)


def test_a_store_that_is_not_empty_is_not_restored_into(filled: Owner, tmp_path: Path) -> None:
    made = services.back_up(str(tmp_path / "backups"))
    tables.empty(tables.tables())
    with pytest.raises(BackupError, match="store is not empty"):
        restoring.restore(made.name)


@pytest.mark.parametrize("damage", ["cut", "changed", "another key", "no key", "missing", "text"])
def test_a_backup_that_is_not_whole_changes_nothing(
    damage: str, filled: Owner, tmp_path: Path, configure: Configure
) -> None:
    services.back_up(str(tmp_path / "backups"))
    path = the_backup(tmp_path)
    data = bytearray(path.read_bytes())
    match damage:
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "changed":
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        case "another key":
            configure(backup_key="0" * 64)
        case "no key":
            configure(backup_key="")
        case "missing":
            path.unlink()
        case "text":
            path.write_text("This is a letter.")
    before = everything()
    with pytest.raises(BackupError) as refusal:
        restoring.restore(str(path), replace=True)
    assert refusal.value.kept == "Nothing was changed."
    assert everything() == before


def test_rows_that_do_not_fit_leave_the_database_as_it_was(
    filled: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = services.back_up(str(tmp_path / "backups"))
    before = everything()
    loaded: list[str] = []

    def fail(model: type[models.Model], file: IO[bytes]) -> int:
        loaded.append(model._meta.db_table)
        return load(model, file) - (len(loaded) == 20)

    load = tables.load
    monkeypatch.setattr(tables, "load", fail)
    with pytest.raises(BackupError, match="lacks rows") as refusal:
        restoring.restore(made.name, replace=True)
    assert "rows that it had" in refusal.value.kept
    assert everything() == before


def test_files_that_are_deleted_meanwhile_are_of_one_point_with_the_rows(
    filled: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = list(StoredFile.objects.filter(state=StoredFile.State.LIVE))
    took = {"snapshots": 0}
    dumps = services._dumps

    def delete_after_the_first(stack: ExitStack) -> Any:
        found = dumps(stack)
        took["snapshots"] += 1
        if took["snapshots"] == 1:  # one before it could be copied, and its owner adds another
            Rendition.objects.filter(file=files[0]).delete()
            storage.discard([files[0]])
            storage.sweep_files()
            photo(filled, b"new")
        return found

    monkeypatch.setattr(services, "_dumps", delete_after_the_first)
    made = services.back_up(str(tmp_path / "backups"))
    assert took["snapshots"] == 2
    assert (made.about.files, made.about.missing) == (2, ())
    before = everything()
    wipe(tmp_path)
    restoring.restore(made.name)
    assert everything() == before


def test_a_file_that_was_copied_and_deleted_then_does_not_come_back(
    filled: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, lost = StoredFile.objects.filter(state=StoredFile.State.LIVE).order_by("key")
    stores.store().delete(lost.key)  # so that a second snapshot is made
    copy = services._copy

    def delete_what_was_copied(*words: Any) -> set[str]:
        vanished = copy(*words)
        if Rendition.objects.filter(file=copied).delete()[0]:
            storage.discard([copied])
            storage.sweep_files()
        return vanished

    monkeypatch.setattr(services, "_copy", delete_what_was_copied)
    made = services.back_up(str(tmp_path / "backups"))
    assert made.about.missing == (lost.key,)
    assert len(made.about.deleted) == 1
    wipe(tmp_path)
    restoring.restore(made.name)
    assert not stores.store().exists(copied.key)


def test_a_backup_that_fails_leaves_none_and_says_so(
    filled: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, name: str, mode: str = "rb") -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(stores.Folder, "open", broken)
    with pytest.raises(BackupError, match="Permission denied") as refusal:
        services.back_up(str(tmp_path / "backups"))
    assert refusal.value.kept == "No backup was made."
    assert list((tmp_path / "backups").iterdir()) == []


def test_what_is_half_written_does_not_look_like_a_backup(
    filled: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    finish = services._finish

    def look(*words: Any, **named: Any) -> Any:
        seen.extend(path.name for path in (tmp_path / "backups").iterdir())
        return finish(*words, **named)

    monkeypatch.setattr(services, "_finish", look)
    services.back_up(str(tmp_path / "backups"))
    assert [Path(name).suffix for name in seen] == [".partial"]
    assert the_backup(tmp_path).suffix == ".enc"


def test_a_backup_of_a_newer_release_is_refused(filled: Owner, tmp_path: Path) -> None:
    made = services.back_up(str(tmp_path / "backups"))
    newer = dataclasses.replace(made.about, migrations=(*made.about.migrations, "images.9999_later"))
    with pytest.raises(BackupError, match="newer Cutline"):
        restoring._migrated_as(newer)


def test_a_backup_of_an_older_release_wants_a_database_without_tables(filled: Owner, tmp_path: Path) -> None:
    made = services.back_up(str(tmp_path / "backups"))
    there = [each for each in made.about.migrations if not each.startswith("likeness.")]  # a later app
    older = tuple("images.0001_initial" if each.startswith("images.") else each for each in there)
    with pytest.raises(BackupError, match="without tables"):
        restoring._migrated_as(dataclasses.replace(made.about, migrations=older))


def test_the_commands_say_what_they_did(filled: Owner, tmp_path: Path, configure: Configure) -> None:
    said = io.StringIO()
    configure(backup_url=tmp_path / "backups")
    call_command("backup", stdout=said)
    path = the_backup(tmp_path)
    call_command("restore", str(path), check=True, stdout=said)
    wrote, checked = said.getvalue().splitlines()
    assert wrote.startswith(f"wrote and checked {path}: ")
    assert wrote.endswith(" rows, 2 files (encrypted)")
    assert checked.startswith("checked ")
    with pytest.raises(CommandError, match=r"not empty.*Nothing was changed"):
        call_command("restore", str(path))
    configure(backup_url="")
    with pytest.raises(CommandError, match="CUTLINE_BACKUP_URL"):
        call_command("backup")
    configure(backup_key="hunter2")
    with pytest.raises(CommandError, match=r"CUTLINE_BACKUP_KEY must be 32 random bytes.*No backup was made"):
        call_command("backup", str(tmp_path / "more"))


def test_another_secret_key_is_noticed(filled: Owner, tmp_path: Path, settings: Any) -> None:
    made = services.back_up(str(tmp_path / "backups"))
    told = io.StringIO()
    call_command("restore", made.name, check=True, stdout=io.StringIO(), stderr=told)
    assert told.getvalue() == ""
    settings.SECRET_KEY = "another one"
    call_command("restore", made.name, check=True, stdout=io.StringIO(), stderr=told)
    assert "CUTLINE_SECRET_KEY is another one" in told.getvalue()


@pytest.mark.parametrize("place", ["bucket"])
def test_files_and_backups_may_be_in_buckets(
    place: str, db: None, store: ObjectStore, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, backups = (f"{name}-{uuid4().hex[:8]}" for name in ("files", "backups"))
    configure(
        storage_url=store.create(files).replace("?", "/photos?"),
        storage_access_key=ACCESS_KEY,
        storage_secret_key=SECRET_KEY,
        backup_access_key=ACCESS_KEY,
        backup_secret_key=SECRET_KEY,
    )
    monkeypatch.setattr(places, "_PART", 5 * 2**20)  # the least that S3 takes: two parts
    place = store.create(backups).replace("?", "/daily?")
    owner = Owner.objects.create()
    for content in (os.urandom(6 * 2**20), b"two"):
        photo(owner, content)
    before = everything()
    made = services.back_up(place)
    [key] = store.keys(backups)
    assert made.name == f"s3://{backups}/{key}"
    tables.empty(tables.tables())
    assert not stores.store().is_empty()
    for key_of_file in store.keys(files):
        store.client.delete_object(Bucket=files, Key=key_of_file)
    assert stores.store().is_empty()
    restoring.restore(place.replace("/daily", f"/{key}"))
    assert everything() == before
    monkeypatch.setattr(Bucket, "open", lambda *words: (_ for _ in ()).throw(OSError("away")))
    with pytest.raises(BackupError, match="away"):
        services.back_up(place)
    assert store.keys(backups) == {key}
    assert not store.client.list_multipart_uploads(Bucket=backups).get("Uploads")
