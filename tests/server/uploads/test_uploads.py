"""What becomes of an upload: one image for one picture, nothing but pixels kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from PIL import Image as Pillow

from cutline.errors import CutlineError, ImageTooLarge, UnreadableImage, UnsupportedImage
from cutline.images import developing, open_image
from cutline.server.errors import NotFound, QuotaExceeded
from cutline.server.events.models import Event
from cutline.server.images import deletion, file_links, renditions, selectors, storage
from cutline.server.images.models import Image, Rendition, StoredFile
from cutline.server.jobs.models import Job, JobKind, JobState
from cutline.server.people.models import Owner
from cutline.server.uploads import services as uploads
from tests import raw_photos
from tests.colour_profiles import D65, P3, matrix_profile
from tests.server.images.conftest import is_there, keys_of, viewer_of_owner
from tests.server.services.process import ANSWERS_S

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Upload = Callable[..., Image]


def test_an_upload_is_stored_with_its_job_and_event(upload: Upload, owner: Owner) -> None:
    image = upload(1, options={"n": 2}, request_id="r-1")
    job = Job.objects.get(image=image)
    assert (job.kind, job.state, job.options, job.request_id) == (
        JobKind.CAPTION,
        JobState.QUEUED,
        {"n": 2},
        "r-1",
    )
    assert all(is_there(key) for key in keys_of(image))
    assert set(StoredFile.objects.values_list("state", flat=True)) == {StoredFile.State.LIVE}
    event = Event.objects.get(type="image.created")
    assert event.owner_id == owner.pk
    assert event.data == {"image": str(image.pk), "job": str(job.pk)}


def test_the_same_picture_of_one_owner_is_one_image(upload: Upload, make_photo: Callable[..., bytes]) -> None:
    image = upload(1)
    again = uploads.store_upload(image.owner, make_photo(1), "other name.jpg")
    assert (again.image.pk, again.is_new) == (image.pk, False)
    assert again.job == Job.objects.get()
    assert StoredFile.objects.count() == 1


def test_the_same_picture_with_other_metadata_is_the_same(owner: Owner, photo: bytes) -> None:
    first = uploads.store_upload(owner, photo, "a.jpg")
    comment = b"\xff\xfe\x00\x08secret"
    second = uploads.store_upload(owner, photo[:2] + comment + photo[2:], "b.jpg")
    assert second.image.pk == first.image.pk


def test_two_owners_of_a_picture_have_an_image_each(upload: Upload, other: Owner) -> None:
    assert upload(1).pk != upload(1, other).pk


def test_a_deleted_picture_that_comes_again_is_brought_back(upload: Upload) -> None:
    image = upload(1)
    deletion.delete([image])
    assert upload(1).pk == image.pk
    assert Image.objects.get().deleted_at is None


def test_the_original_is_kept_only_if_wanted_and_for_the_owner_alone(
    upload: Upload, owner: Owner, other: Owner, make_photo: Callable[..., bytes]
) -> None:
    image = upload(1)
    assert selectors.rendition_url(image, "original", "", viewer_of_owner(owner)) is None
    uploads.store_upload(owner, make_photo(1), "1.jpg", keep_original=True)  # now it is wanted
    image.refresh_from_db()
    assert image.keep_original
    original = image.renditions.get(kind="original")
    assert storage.read(original.file_id) == make_photo(1)
    assert selectors.rendition_url(image, "original", "", viewer_of_owner(owner))
    assert selectors.rendition_url(image, "original", "", viewer_of_owner(other)) is None


def test_gps_leaves_with_no_file_that_is_shown(owner: Owner) -> None:
    exif = Pillow.Exif()
    exif[0x010F] = "SecretMaker"
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    data = io.BytesIO()
    Pillow.effect_noise((900, 700), 30).convert("RGB").save(data, "JPEG", exif=exif)
    image = uploads.store_upload(owner, data.getvalue(), "gps.jpg").image
    assert renditions.render(image.pk)
    assert not renditions.render(image.pk)
    made = list(image.renditions.all())
    assert {(each.kind, each.format) for each in made} == {
        ("master", "jpeg"),
        ("thumbnail", "jpeg"),
        ("thumbnail", "webp"),
        ("large", "webp"),
    }
    for each in made:
        content = storage.read(each.file_id)
        assert b"SecretMaker" not in content
        with Pillow.open(io.BytesIO(content)) as opened:
            assert not opened.getexif()
            assert opened.size == (each.width_px, each.height_px)
            assert opened.height > opened.width  # it was lying on its side
    assert (image.width_px, image.height_px) == (700, 900)


def test_every_file_that_is_shown_is_in_srgb(owner: Owner) -> None:
    data = io.BytesIO()
    photo = Pillow.new("RGB", (1400, 60), (200, 100, 50))
    photo.save(data, "JPEG", icc_profile=matrix_profile(P3, D65, 2.2))
    stored = uploads.store_upload(owner, data.getvalue(), "phone.jpg", keep_original=True).image
    assert renditions.render(stored.pk)
    wanted = open_image(data.getvalue()).getpixel((9, 9))
    shown = list(stored.renditions.exclude(kind="original"))
    assert len(shown) == 5
    for each in shown:
        with Pillow.open(io.BytesIO(storage.read(each.file_id))) as opened:
            found = opened.convert("RGB").getpixel((9, 9))
        assert found == pytest.approx(wanted, abs=4), (each.kind, each.format)
    assert storage.read(stored.renditions.get(kind="original").file_id) == data.getvalue()


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", UnreadableImage), (b"no picture", UnreadableImage), (b"\xff\xd8\xff" * 9, UnreadableImage)],
)
def test_what_is_no_photo_leaves_nothing_behind(owner: Owner, data: bytes, error: type[CutlineError]) -> None:
    with pytest.raises(error):
        uploads.store_upload(owner, data, "x.jpg")
    assert not StoredFile.objects.exists()
    assert not Image.objects.exists()


def test_too_large_a_file_is_refused(owner: Owner, photo: bytes, configure: Callable[..., Any]) -> None:
    configure(max_upload_bytes=1000)
    with pytest.raises(ImageTooLarge, match="send the JPEG that the camera made"):
        uploads.store_upload(owner, photo, "x.jpg")


def test_nobody_has_more_images_than_the_quota(
    upload: Upload, other: Owner, configure: Callable[..., Any]
) -> None:
    configure(max_images_anonymous=2)
    upload(1, other)
    upload(2, other)
    with pytest.raises(QuotaExceeded):
        upload(3, other)
    assert not upload(1, other).deleted_at  # what is there already counts once
    upload(3)  # an account has another quota


@pytest.mark.django_db(transaction=True)
def test_uploads_at_once_do_not_pass_the_quota_together(
    other: Owner, configure: Callable[..., Any], make_photo: Callable[..., bytes]
) -> None:
    configure(max_images_anonymous=3)
    others = 8
    together = threading.Barrier(others)

    def send(number: int) -> bool:
        try:
            together.wait(ANSWERS_S)
            uploads.store_upload(other, make_photo(number), f"{number}.jpg")
        except QuotaExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(others) as pool:
        taken = list(pool.map(send, range(others)))
    assert taken.count(True) == Image.objects.filter(owner=other).count() == 3
    storage.sweep_files()
    assert StoredFile.objects.count() == 3  # those that were refused left nothing


@pytest.mark.django_db(transaction=True)
def test_a_failure_while_storing_leaves_no_image_and_no_file(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **words: object) -> None:
        raise RuntimeError("the process is confused")

    monkeypatch.setattr(uploads, "emit", fail)
    with pytest.raises(RuntimeError):
        upload(1)
    storage.sweep_files()
    assert not Image.objects.exists()
    assert not Rendition.objects.exists()
    assert not StoredFile.objects.exists()


def test_what_comes_for_a_session_that_was_claimed_goes_to_the_account(
    upload: Upload, owner: Owner, other: Owner
) -> None:
    Owner.objects.filter(pk=other.pk).update(merged_into=owner)
    image = upload(1, other)  # still holds the session's owner in hand
    assert image.owner_id == owner.pk
    assert image.expires_at is None
    assert Job.objects.get().owner_id == owner.pk


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\cat.jpg", "cat.jpg"),
        ("a\0b\u202egpj.exe", "abgpj.exe"),
        ("  Ünïcode 猫.jpg ", "Ünïcode 猫.jpg"),
        ("👩\u200d👧 می\u200cرسد.jpg", "👩\u200d👧 می\u200cرسد.jpg"),
        ("x" * 300 + ".jpg", "x" * 255),
        ("", ""),
    ],
)
def test_file_names_are_for_reading_alone(sent: str, kept: str) -> None:
    assert uploads.clean_file_name(sent) == kept


def test_anonymous_images_expire_with_their_files(upload: Upload, other: Owner, owner: Owner) -> None:
    image, stays = upload(1, other), upload(1)
    keys = keys_of(image)
    assert image.expires_at is not None
    assert stays.expires_at is None
    Image.objects.filter(pk=image.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert deletion.purge() == 1
    storage.sweep_files()
    assert [each.pk for each in Image.objects.all()] == [stays.pk]
    assert not any(is_there(key) for key in keys)
    assert StoredFile.objects.count() == 1
    assert Event.objects.filter(type="image.deleted", owner=other).exists()


def test_a_deleted_image_can_be_brought_back_until_it_is_purged(
    upload: Upload, owner: Owner, configure: Callable[..., Any]
) -> None:
    viewer = viewer_of_owner(owner)
    image = upload(1)
    assert deletion.delete([image]) == 1
    assert deletion.delete([image]) == 0
    with pytest.raises(NotFound):
        selectors.image_for(viewer, image.pk)
    assert deletion.purge() == 0
    deletion.undelete(selectors.own_deleted_image(viewer, image.pk))
    assert selectors.image_for(viewer, image.pk) == image
    deletion.delete([image])
    configure(undo_s=0)
    assert deletion.purge() == 1
    with pytest.raises(NotFound):
        selectors.own_deleted_image(viewer, image.pk)
    storage.sweep_files()
    assert not StoredFile.objects.exists()


def test_renditions_that_were_never_made_are_found(upload: Upload) -> None:
    image = upload(1)
    assert renditions.sweep() == 0
    Image.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert Image.objects.filter(rendered_at=None).count() == 1
    renditions.render(image.pk)
    assert renditions.sweep() == 0


@pytest.mark.django_db(transaction=True)
def test_the_same_picture_many_times_at_once_is_one_image(
    owner: Owner, make_photo: Callable[..., bytes]
) -> None:
    barrier = threading.Barrier(6)
    found: list[uploads.Stored | BaseException] = []

    def work() -> None:
        try:
            barrier.wait(ANSWERS_S)
            found.append(uploads.store_upload(owner, make_photo(5), "5.jpg"))
        except BaseException as error:
            found.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWERS_S)
    assert [each for each in found if isinstance(each, BaseException)] == []
    assert {each.image.pk for each in found if isinstance(each, uploads.Stored)} == {Image.objects.get().pk}
    assert sum(each.is_new for each in found if isinstance(each, uploads.Stored)) == 1
    assert Job.objects.count() == 1
    storage.sweep_files()
    assert StoredFile.objects.count() == 1
    assert set(StoredFile.objects.values_list("state", flat=True)) == {StoredFile.State.LIVE}


@pytest.mark.parametrize("kind", ["cr3", "nef", "raf"])
def test_a_raw_photo_is_kept_as_its_preview_and_its_original_given_back(owner: Owner, kind: str) -> None:
    raw = raw_photos.KINDS[kind](raw_photos.jpeg(), 6)
    image = uploads.store_upload(owner, raw, f"a.{kind}", keep_original=True).image
    assert (image.width_px, image.height_px) == (213, 320)
    assert open_image(renditions.read_master(image.pk)).size == (213, 320)
    original = image.renditions.get(kind="original")
    assert (original.format, storage.read(original.file)) == (kind, raw)
    assert file_links.content_disposition(original.file.key, "").startswith("attachment")
    renditions.render(image.pk)
    assert image.renditions.filter(kind="thumbnail").exists()


def test_a_raw_photo_without_preview_is_refused_with_the_reason(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(developing, "_EXTRA", "no_such_package")
    with pytest.raises(UnsupportedImage, match="no preview"):
        uploads.store_upload(owner, raw_photos.dng(None), "a.dng")
    assert not StoredFile.objects.exists()
