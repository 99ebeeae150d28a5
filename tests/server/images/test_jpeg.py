"""Stripping a JPEG byte for byte: the same pixels, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from cutline.images import open_image
from cutline.server.images.jpeg import stripped
from cutline.server.images.verify import examine
from tests.colour_profiles import D50, D65, P3, PROPHOTO, SRGB, grey_profile, matrix_profile

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


def adobe_rgb() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif.get_ifd(0x8769).update({0xA001: 0xFFFF, 0xA005: {1: "R03"}})
    return exif


OTHER_COLOURS: dict[str, tuple[str, dict[str, object]]] = {
    "Display P3": ("RGB", {"icc_profile": matrix_profile(P3, D65, 2.2)}),
    "ProPhoto, progressive": (
        "RGB",
        {"icc_profile": matrix_profile(PROPHOTO, D50, 1.8), "progressive": True},
    ),
    "Adobe RGB by EXIF": ("RGB", {"exif": adobe_rgb()}),
    "linear grey": ("L", {"icc_profile": grey_profile(1.0)}),
    "CMYK": ("CMYK", {}),
}


@pytest.mark.parametrize("name", OTHER_COLOURS)
def test_what_is_kept_of_other_colours_is_srgb(name: str) -> None:
    mode, options = OTHER_COLOURS[name]
    colour = Image.new("RGB", (64, 48), (200, 100, 50)).convert(mode)
    file = io.BytesIO()
    colour.save(file, "JPEG", quality=95, **options)
    shown = np.asarray(open_image(file.getvalue()), dtype=int)
    with Image.open(io.BytesIO(file.getvalue())) as plain:
        assert np.abs(np.asarray(plain.convert("RGB"), dtype=int) - shown).max() > 12 or mode == "CMYK"
    with Image.open(io.BytesIO(examine(file.getvalue()).master)) as kept:
        assert not kept.info.get("icc_profile")
        assert np.abs(np.asarray(kept, dtype=int) - shown).max() <= 3


@pytest.mark.parametrize(
    "options",
    [{}, {"icc_profile": SRGB}, {"icc_profile": b"no profile"}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_is_srgb_or_says_nothing_is_kept_as_it_came(mode: str, options: dict[str, object]) -> None:
    told = jpeg(lambda picture, file: picture.save(file, "JPEG", **options), mode)  # type: ignore[arg-type]
    assert examine(told).master.endswith(told[told.index(b"\xff\xda") :])


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
