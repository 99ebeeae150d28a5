"""Raw photos: their preview is opened, upright, and none is taken for damaged."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from cutline.errors import ImageError, ImageTooLarge, UnsupportedImage
from cutline.images import Limits, developing, open_image
from cutline.images.raw import RAW_ENDINGS, raw_kind
from tests.raw_photos import KINDS, Value, embedded, jpeg, sensor, strip
from tests.raw_photos import Tiff as RawTiff

HAS_LIBRAW = importlib.util.find_spec("rawpy") is not None


@pytest.fixture
def without_libraw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(developing, "_EXTRA", "no_such_package")


def is_red(image: Image.Image, place: tuple[int, int]) -> bool:
    pixel = image.getpixel(place)
    assert isinstance(pixel, tuple)
    return pixel[0] > 200 and pixel[2] < 60


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_preview_of_a_raw_photo_is_opened(kind: str) -> None:
    image = open_image(KINDS[kind](jpeg(), 1))
    assert image.size == (320, 213)
    assert is_red(image, (300, 100))
    assert not is_red(image, (20, 100))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"mrw"}))
@pytest.mark.parametrize(
    ("orientation", "size", "red"), [(6, (213, 320), (100, 300)), (3, (320, 213), (20, 100))]
)
def test_a_preview_stands_upright(
    kind: str, orientation: int, size: tuple[int, int], red: tuple[int, int]
) -> None:
    image = open_image(KINDS[kind](jpeg(), orientation))
    assert image.size == size
    assert is_red(image, red)


def test_a_preview_that_stands_upright_already_is_not_turned_again() -> None:
    assert open_image(KINDS["nef"](jpeg((213, 320)), 6)).size == (213, 320)
    exif = Image.Exif()
    exif[274] = 1
    assert open_image(KINDS["nef"](jpeg(exif=exif), 6)).size == (320, 213), "the preview states its own"


def test_a_thumbnail_that_is_no_jpeg_is_a_preview_too() -> None:
    tiff = RawTiff(">")
    plain = tiff.blob(b"\xf0\x10\x10" * 96)
    tags = {254: 1, 256: 12, 257: 8, 258: (8, 8, 8), 259: 1, 262: 2, 273: plain, 277: 3, 278: 8, 279: 288}
    below = tiff.directory(sensor(tiff))
    data = tiff.whole(tiff.directory(tags | {274: 8, 330: below, 50706: b"\1\4\0\0"}))
    image = open_image(data)
    assert image.size == (8, 12)
    assert is_red(image, (4, 6))


@pytest.mark.parametrize("kind", KINDS)
def test_a_raw_photo_without_preview_says_what_to_install(kind: str, without_libraw: None) -> None:
    with pytest.raises(UnsupportedImage, match="no preview") as caught:
        open_image(KINDS[kind](None, 1))
    assert "pip install 'cutline[raw]'" in caught.value.hint


def test_a_black_preview_is_not_used(without_libraw: None) -> None:
    tiff = RawTiff()
    below = [tiff.directory(sensor(tiff))]
    black, real = jpeg((400, 300), "black", "black"), jpeg((160, 120))
    below.append(tiff.directory(strip(tiff, black, (400, 300))))
    only_black = {50706: b"\1\4\0\0", 330: list(below)}
    with pytest.raises(UnsupportedImage, match="black preview only"):
        open_image(tiff.whole(tiff.directory(only_black)))
    below.append(tiff.directory(strip(tiff, real, (160, 120))))
    assert open_image(tiff.whole(tiff.directory({50706: b"\1\4\0\0", 330: below}))).size == (160, 120)


def plain_thumbnail(tiff: RawTiff, picture: Image.Image) -> dict[int, Value]:
    """The tags of an uncompressed picture."""
    width, height = picture.size
    at, length = tiff.blob(picture.convert("RGB").tobytes()), 3 * width * height
    return {
        254: 1, 256: width, 257: height, 258: (8, 8, 8), 259: 1, 262: 2, 273: at, 277: 3, 278: height,
        279: length,
    }  # fmt: skip


def with_thumbnail(picture: Image.Image, *, is_developable: bool) -> bytes:
    """A DNG with this thumbnail and a sensor's picture of 600 x 400."""
    tiff = RawTiff()
    tags = sensor(tiff) | {258: 16, 278: 400, 33421: (2, 2), 33422: b"\0\1\1\2"}
    if is_developable:
        ramp = b"".join(((x + y) * 60 % 65536).to_bytes(2, "little") for y in range(400) for x in range(600))
        tags |= {273: tiff.blob(ramp), 279: len(ramp)}
    below = tiff.directory(tags)
    return tiff.whole(tiff.directory(plain_thumbnail(tiff, picture) | {330: below, 50706: b"\1\4\0\0"}))


def dotted(size: tuple[int, int], dots: Sequence[tuple[int, int]]) -> Image.Image:
    picture = Image.new("RGB", size)
    for dot in dots:
        picture.putpixel(dot, (255, 255, 255))
    return picture


NOISE = Image.frombytes("RGB", (160, 120), bytes(each % 30 for each in random.Random(2).randbytes(57_600)))
POOR = {
    "hot pixels on black": dotted((160, 120), [(20, 30), (100, 70)]),
    "dark grey": Image.new("RGB", (160, 120), (16, 16, 16)),
    "white": Image.new("RGB", (160, 120), "white"),
    "dark noise": NOISE,
    "very small": Image.new("RGB", (16, 12), (200, 20, 20)),
}


@pytest.mark.skipif(not HAS_LIBRAW, reason="rawpy is not installed")
@pytest.mark.parametrize("name", ["hot pixels on black", "dark noise"])
def test_a_preview_that_shows_nothing_gives_way_to_the_sensors_data(name: str) -> None:
    assert open_image(with_thumbnail(POOR[name], is_developable=True)).size == (600, 400)


@pytest.mark.parametrize("name", sorted(set(POOR) - {"hot pixels on black"}))
def test_a_preview_that_shows_little_is_better_than_an_error(
    name: str, without_libraw: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_image(with_thumbnail(POOR[name], is_developable=False)).size == POOR[name].size
    assert "The preview is used all the same" in caplog.text
    assert "cutline[raw]" in caplog.text


def test_a_dark_preview_with_something_on_it_is_used(caplog: pytest.LogCaptureFixture) -> None:
    moon = [(x, y) for x in range(70, 82) for y in range(50, 62)]
    assert open_image(with_thumbnail(dotted((160, 120), moon), is_developable=True)).size == (160, 120)
    assert not caplog.records


def test_parts_of_the_sensors_picture_are_no_previews(without_libraw: None) -> None:
    """A lossy DNG consists of small JPEGs: each is a piece of the photo."""
    tiff = RawTiff()
    tiles = [tiff.blob(jpeg()) for _ in range(4)]
    tags = {
        256: 640,
        257: 426,
        258: (8, 8, 8),
        259: 34892,
        262: 34892,
        277: 3,
        322: 320,
        323: 213,
        324: tiles,
    }
    data = tiff.whole(tiff.directory(tags | {325: [len(jpeg())] * 4, 50706: b"\1\4\0\0"}))
    with pytest.raises(UnsupportedImage, match="no preview"):
        open_image(data)


def test_a_damaged_preview_gives_way_to_a_smaller_one() -> None:
    tiff = RawTiff()
    large = jpeg((640, 426))
    broken = large[: large.index(b"\xff\xda")] + b"\xff\xd9"
    below = [tiff.directory(sensor(tiff)), tiff.directory(strip(tiff, broken, (640, 426)))]
    below.append(tiff.directory(strip(tiff, jpeg(), (320, 213))))
    assert open_image(tiff.whole(tiff.directory({50706: b"\1\4\0\0", 330: below}))).size == (320, 213)


def test_limits_hold_for_previews() -> None:
    with pytest.raises(ImageTooLarge, match="68,160 pixels"):
        open_image(KINDS["nef"](jpeg(), 1), limits=Limits(max_pixels=68_000))
    assert open_image(KINDS["nef"](jpeg((640, 426)), 1), enough_px=100).size == (160, 107)


@pytest.mark.skipif(not HAS_LIBRAW, reason="rawpy is not installed")
def test_a_raw_photo_without_preview_is_developed() -> None:
    tiff = RawTiff()
    ramp = b"".join(((x + y) * 60 % 65536).to_bytes(2, "little") for y in range(400) for x in range(600))
    tags = sensor(tiff) | {273: tiff.blob(ramp), 279: len(ramp), 50706: b"\1\4\0\0"}
    data = tiff.whole(tiff.directory(tags))
    assert open_image(data).size == (600, 400)
    with pytest.raises(ImageTooLarge, match="600 x 400"):
        open_image(data, limits=Limits(max_pixels=1000))


@pytest.mark.skipif(not HAS_LIBRAW, reason="rawpy is not installed")
@pytest.mark.parametrize("kind", ["cr3", "raf", "orf", "mrw"])
def test_what_libraw_cannot_develop_is_not_called_damaged(kind: str) -> None:
    with pytest.raises(UnsupportedImage, match="raw photo"):
        open_image(KINDS[kind](None, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_raw_photo_gives_a_photo_or_an_image_error(kind: str, without_libraw: None) -> None:
    chance = random.Random(kind)
    whole = KINDS[kind](jpeg((64, 48)), 6)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            data[chance.randrange(min(len(data), 600) if chance.random() < 0.5 else len(data))] = (
                chance.randrange(256)
            )
        try:
            assert open_image(bytes(data), limits=Limits(max_pixels=4_000_000)).mode == "RGB"
        except ImageError:
            continue


def test_directories_that_lead_round_and_many_jpegs_end(without_libraw: None) -> None:
    tiff = RawTiff()
    round_about = tiff.directory({330: [8] * 1000, 50706: b"\1\4\0\0"}, following=8)
    with pytest.raises(UnsupportedImage):
        open_image(tiff.whole(round_about) + b"\xff\xd8\xff" * 1_000_000)


def test_every_raw_kind_has_an_ending() -> None:
    for kind, make in KINDS.items():
        assert f".{kind}" in RAW_ENDINGS
        assert (raw_kind(make(jpeg(), 1)) or "").lower() == kind
    assert raw_kind(jpeg()) is None
    assert raw_kind(b"") is None


def test_a_plain_tiff_is_no_raw_photo(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.tif")
    assert raw_kind((tmp_path / "a.tif").read_bytes()) is None


def test_a_raw_photo_that_begins_with_its_thumbnail_is_none_of_the_tiffs() -> None:
    """Some have their sensor's data where only their maker knows."""
    tiff = RawTiff()
    data = tiff.whole(tiff.directory(embedded(tiff, jpeg()) | {254: 1, 259: 6, 271: "NIKON", 274: 6}))
    assert raw_kind(data) == "NEF"
    assert open_image(data).size == (213, 320)
