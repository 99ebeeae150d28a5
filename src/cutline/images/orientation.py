"""Which way up a photo is, by EXIF."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from cutline.images.decoder_errors import DECODER_ERRORS

TURNS: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8. Damaged EXIF must not cost the photo, so it reads as upright."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def turn_unless_stated(image: Image.Image, orientation: int) -> None:
    """Give a picture an orientation from elsewhere, unless it states one or its EXIF is damaged."""
    try:
        exif = image.getexif()
        if orientation != 1 and ORIENTATION not in exif:
            exif[ORIENTATION] = orientation
    except DECODER_ERRORS:
        return
