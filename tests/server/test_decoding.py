"""One budget of pixels and of bytes for whatever opens a photo, by the size that its header tells."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.test import Client
from PIL import Image as Pillow

from cutline.images import open_image
from cutline.server import captioner, decoding
from cutline.server.api import limits
from cutline.server.errors import ServiceUnavailable
from cutline.server.images import classifier, renditions
from cutline.server.images.models import Image
from cutline.server.images.verify import examine
from cutline.server.people.models import Owner
from cutline.server.shares import Payer
from cutline.server.uploads.services import store_upload

SOMEBODY, OTHERS = Payer(names=("somebody",), patience_s=0.01), Payer(names=("others",))

Configure = Callable[..., object]


def saved(width_px: int, height_px: int, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (width_px, height_px), (9, 99, 199)).save(file, format, **options)
    return file.getvalue()


@contextmanager
def held(pixels: int) -> Iterator[None]:
    """So many pixels are in memory, in somebody else's thread."""
    with decoding._PIXELS.taken(pixels, OTHERS):
        yield


@pytest.fixture
def image(transactional_db: None, make_photo: Callable[..., bytes]) -> Image:
    return store_upload(Owner.objects.create(), make_photo(1), "photo.jpg").image


def test_every_decoder_waits_for_room(image: Image, photo: bytes, subtests: pytest.Subtests) -> None:
    captioner.get_captioner()
    decoders: dict[str, Callable[[], object]] = {
        "an upload": lambda: examine(photo),
        "a photo captioned on the spot": lambda: captioner.write(photo, captioner.wanted({}, n=1)),
        "moderation": lambda: classifier.nsfw_score(photo),
        "renditions": lambda: renditions.render(image.pk),
        "anything else": lambda: open_image(photo),
    }
    for name, decode in decoders.items():
        with subtests.test(name), decoding.on_behalf_of(SOMEBODY):
            with held(60_000_000), pytest.raises(ServiceUnavailable):
                decode()
            decode()


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("WEBP", {}), ("TIFF", {}), ("AVIF", {}), ("GIF", {}), ("JPEG", {"progressive": True})],
)
def test_a_photo_counts_as_its_header_says(format: str, options: dict[str, object]) -> None:
    data = saved(2000, 1500, format, **options)
    with decoding.on_behalf_of(SOMEBODY):
        with held(57_000_000):
            open_image(data, enough_px=100)
        with held(57_000_001), pytest.raises(ServiceUnavailable):
            open_image(data, enough_px=100)


def test_a_jpeg_that_is_read_at_an_eighth_counts_as_that() -> None:
    with decoding.on_behalf_of(SOMEBODY), held(59_000_000):
        open_image(saved(4000, 3000, "JPEG"), enough_px=300)


def test_a_thread_that_has_room_asks_for_no_more() -> None:
    data = saved(2000, 1500, "PNG")
    with decoding.on_behalf_of(SOMEBODY), decoding.guard(60_000_000):
        open_image(data)


def test_what_cannot_be_read_leaves_its_room() -> None:
    damaged = saved(2000, 1500, "PNG")[:500]
    for _ in range(100):
        with pytest.raises(Exception, match=r"cut short|damaged"):
            open_image(damaged)
    with decoding.on_behalf_of(SOMEBODY), decoding.guard(60_000_000):
        pass


def test_photos_wait_unread_while_too_many_are_in_memory(
    client: Client, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    monkeypatch.setattr(limits, "_PATIENCE_S", 0.01)
    photo = saved(200, 100, "PNG")
    with ExitStack() as full:
        full.enter_context(decoding._BYTES.taken(10**12, OTHERS))
        answers = [
            client.post("/api/v1/caption", {"image": io.BytesIO(photo)}),
            client.post("/api/v1/images", {"files": io.BytesIO(photo)}),
        ]
    assert [(answer.status_code, answer["Retry-After"]) for answer in answers] == [(503, "5")] * 2
    assert client.post("/api/v1/caption", {"image": io.BytesIO(photo)}).status_code == 200
