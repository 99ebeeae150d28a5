"""Stripping a JPEG byte for byte: the same pixels, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from cutline.images import open_image
from cutline.server.images.jpeg import stripped
from cutline.server.images.verify import examine

GPS_IFD = 0x8825


def jpeg(make: Callable[[Image.Image, io.BytesIO], None], mode: str = "RGB") -> bytes:
    picture = Image.effect_noise((64, 48), 40).convert(mode)
    data = io.BytesIO()
    make(picture, data)
    return data.getvalue()


def with_gps(orientation: int = 1, **words: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretMaker"
    exif.get_ifd(GPS_IFD)[2] = (52.0, 31.0, 12.0)
    exif.get_ifd(GPS_IFD)[1] = "N"
    words.setdefault("comment", "a secret comment")
    words.setdefault("icc_profile", b"secret profile" * 50)
    return jpeg(lambda picture, data: picture.save(data, "JPEG", exif=exif, **words))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_stay_as_they_are(mode: str, progressive: bool) -> None:
    data = jpeg(lambda picture, file: picture.save(file, "JPEG", progressive=progressive), mode)
    bare = stripped(data)
    assert bare is not None
    assert (bare.width_px, bare.height_px) == (64, 48)
    assert open_image(bare.data).tobytes() == open_image(data).tobytes()


def test_metadata_and_what_hides_behind_the_end_go() -> None:
    data = with_gps() + b"PK\x03\x04 secret archive"
    bare = stripped(data)
    assert bare is not None
    assert b"ecret" not in bare.data
    assert b"Exif" not in bare.data
    assert bare.data.endswith(b"\xff\xd9")
    with Image.open(io.BytesIO(bare.data)) as again:
        assert not again.getexif()
        assert not {"exif", "comment", "icc_profile"} & set(again.info)
    assert open_image(bare.data).tobytes() == open_image(data).tobytes()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photo_is_not_taken_as_it_came(orientation: int) -> None:
    assert stripped(with_gps(orientation)) is None
    photo = examine(with_gps(orientation))
    assert photo.picture.size == ((64, 48) if orientation < 5 else (48, 64))
    assert open_image(photo.master).size == photo.picture.size
    assert b"Exif" not in photo.master


def test_an_orientation_that_only_xmp_tells_counts() -> None:
    xmp = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"></x:xmpmeta>'
    data = jpeg(lambda picture, file: picture.save(file, "JPEG", xmp=xmp))
    assert stripped(data) is None
    assert examine(data).picture.size == (48, 64)


def test_every_cut_is_refused_or_upright() -> None:
    data = with_gps()
    for end in range(len(data) - 2):
        assert stripped(data[:end]) is None


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_other_formats_are_written_anew_without_metadata(format: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(GPS_IFD)[1] = "N"
    exif[0x010F] = "SecretMaker"
    words = {} if format in ("GIF", "BMP") else {"exif": exif}
    photo = examine(jpeg(lambda picture, data: picture.save(data, format, **words)))
    assert photo.master.startswith(b"\xff\xd8\xff")
    assert b"SecretMaker" not in photo.master
    assert photo.format == format.lower()


def test_a_large_photo_is_kept_small_enough(configure: Callable[..., object]) -> None:
    configure(master_side_px=512)
    photo = examine(jpeg(lambda picture, data: picture.resize((1600, 1200)).save(data, "JPEG")))
    assert max(photo.picture.size) <= 512
    assert photo.picture.width * 3 == pytest.approx(photo.picture.height * 4, abs=4)
    assert open_image(photo.master).size == photo.picture.size
    assert photo.placeholder.startswith("data:image/webp;base64,")
    assert len(photo.placeholder) < 400
