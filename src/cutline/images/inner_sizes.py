"""Sizes that a file states besides its own: of tiles, strips and samples. They cost memory like a photo's."""

from __future__ import annotations

from PIL import Image

from cutline.errors import UnreadableImage
from cutline.images.boxes import properties
from cutline.images.limits import Limits, check_limit

_TILE_WIDTH, _TILE_LENGTH = 322, 323
_BITS, _SAMPLES = 258, 277
_MAX_TILE_PX = 4096  # along one side, where the photo itself is smaller
_MAX_BITS_PER_PIXEL = 6 * 64


def check_inner_sizes(image: Image.Image, kind: str, data: bytes, name: str, limits: Limits) -> None:
    """Refuse a file whose parts are larger than a photo may be. Raises ImageTooLarge or UnreadableImage."""
    if kind == "TIFF":
        _check_tiff(image, name, limits)
    elif kind in ("HEIF", "AVIF"):
        for box, content in properties(data):
            if box == b"ispe":
                width, height = (int.from_bytes(content[at : at + 4], "big") for at in (4, 8))
                _check_part(name, width, height, limits)


def _check_tiff(image: Image.Image, name: str, limits: Limits) -> None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    width, length = (_first(tags.get(tag)) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    if width or length:
        _check_part(name, width, length, limits)
        if width > max(_MAX_TILE_PX, 2 * image.width) or length > max(_MAX_TILE_PX, 2 * image.height):
            raise UnreadableImage(
                f"{name} is damaged: a photo of {image.width} x {image.height} pixels in tiles of "
                f"{width} x {length}."
            )
    bits = tags.get(_BITS, (1,))
    each = bits if isinstance(bits, tuple) else (bits,)
    samples = _first(tags.get(_SAMPLES)) or len(each)
    if max(each) * samples > _MAX_BITS_PER_PIXEL:
        raise UnreadableImage(f"{name} is damaged: {samples} samples of {max(each)} bits in each pixel.")


def _check_part(name: str, width: int, height: int, limits: Limits) -> None:
    check_limit(
        name, "pixels along one side of a tile", max(width, height), "max_side_px", limits.max_side_px
    )
    check_limit(name, "pixels in a tile", width * height, "max_pixels", limits.max_pixels)


def _first(value: object) -> int:
    """A tag's number; some files state several."""
    number = value[0] if isinstance(value, tuple) and value else value
    return number if isinstance(number, int) else 0
