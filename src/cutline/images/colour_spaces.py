"""Colours of other spaces as sRGB: embedded ICC profiles, and what PNG, HEIC and AVIF say by numbers.

Display P3 read as sRGB is dull, ProPhoto greyish, and HDR (PQ, HLG) washed out. A photo that says nothing of
its colours is taken as sRGB.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.images.boxes import properties

Floats = NDArray[np.float32]
logger = logging.getLogger("cutline.images")

NUMBERED = "cutline_colours"
"""The key of ``Image.info`` under which `note_colours` keeps a NumberedSpace."""

_PNG_CHUNKS_READ = 64
_ROWS_AT_ONCE = 256
_MAX_REMEMBERED_BYTES = 65_536  # of a profile: real ones of sRGB have up to 4,000; padded ones are not kept
_SRGB_TRANSFERS = frozenset({1, 2, 6, 13, 14, 15})  # read as sRGB by every viewer; 2 is "unspecified"
_PQ, _HLG, _LINEAR, _GAMMA_22, _GAMMA_28 = 16, 18, 8, 4, 5
_WHITE_NITS = 203.0  # of diffuse white in HDR (ITU-R BT.2408)
_D65 = (0.3127, 0.3290)
# Red, green, blue and white as x, y (ITU-T H.273); 2 is "unspecified".
_PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedSpace:
    """A space by numbers: red, green, blue, white as x, y; a transfer of ITU-T H.273, or a gamma instead."""

    primaries: tuple[tuple[float, float], ...]
    transfer: int = 13
    gamma: float | None = None

    @property
    def is_srgb(self) -> bool:
        """Whether converting would change nothing that can be seen."""
        same_colours = np.allclose(self.primaries, _PRIMARIES[1], atol=0.005)
        same_curve = abs(self.gamma - 2.2) < 0.05 if self.gamma else self.transfer in _SRGB_TRANSFERS
        return same_colours and same_curve


def note_colours(image: Image.Image, kind: str, data: bytes) -> None:
    """Keep in ``image.info`` what a PNG, HEIC or AVIF file says of its colours by numbers."""
    space = None
    if kind == "PNG":
        space = _space_of_png(image, data)
    elif kind in ("HEIF", "AVIF") and "icc_profile" not in image.info:
        found = (content for box, content in properties(data) if box == b"colr" and content[:4] == b"nclx")
        space = next((_numbered(_number(each, 4), _number(each, 6)) for each in found), None)
    if space is not None and not space.is_srgb:
        image.info[NUMBERED] = space


def to_srgb(image: Image.Image, mode: str, info: dict[Any, Any], name: str) -> Image.Image:
    """An RGB image of another colour space as sRGB; the same image where it is sRGB, or says nothing.

    mode and info: of the image before it became RGB. A profile that cannot be used is logged as a warning.
    """
    space = info.get(NUMBERED)
    if isinstance(space, NumberedSpace):
        return _from_numbers(image, space)
    profile = info.get("icc_profile")
    if not profile or mode in ("CMYK", "LAB"):  # these have been converted with their profile
        return image
    try:
        is_known = len(profile) <= _MAX_REMEMBERED_BYTES and _is_srgb(profile)
        return image if is_known else _from_profile(image, profile)
    except (OSError, ValueError, TypeError) as error:
        logger.warning(
            "%s: its colour profile cannot be used (%s); its colours are taken as sRGB.", name, error
        )
        return image


# -- profiles --------------------------------------------------------------------------------------------


def _from_profile(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms  # little colour management is ever needed: most photos are sRGB

    source = _opened(profile)
    is_grey = source.profile.xcolor_space.strip() == "GRAY"
    given = image.getchannel(0) if is_grey else image
    try:
        converted = ImageCms.profileToProfile(
            given,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError as error:
        raise ValueError(_reason(error)) from error
    return cast(Image.Image, converted)


def _opened(profile: bytes) -> Any:
    from PIL import ImageCms

    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except ImageCms.PyCMSError as error:
        raise ValueError(_reason(error)) from error


@lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile changes no colour by more than two steps of 255, on a grid of colours."""
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(36, 6, 3)
    converted = _from_profile(Image.fromarray(grid), profile)
    difference = np.abs(np.asarray(converted, dtype=np.int16) - grid)
    return bool(difference.max() <= 2) and _opened(profile).profile.xcolor_space.strip() != "GRAY"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# -- numbers ---------------------------------------------------------------------------------------------


def _space_of_png(image: Image.Image, data: bytes) -> NumberedSpace | None:
    """The strongest of what a PNG says: cICP, then a profile, then sRGB, then gAMA and cHRM."""
    if (coded := _png_chunk(data, b"cICP")) and len(coded) >= 2:
        image.info.pop("icc_profile", None)
        return _numbered(coded[0], coded[1])
    if image.info.get("icc_profile") or "srgb" in image.info:
        return None
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    if not gamma and not points:
        return None
    primaries = _PRIMARIES[1]
    if points and len(points) == 8 and all(0 < each < 1 for each in points):
        white, *colours = ((points[at], points[at + 1]) for at in range(0, 8, 2))
        primaries = (*colours, white)
    exponent = 1 / gamma if gamma and 0.1 < gamma < 2 else None
    return NumberedSpace(primaries=primaries, gamma=exponent)


def _png_chunk(data: bytes, wanted: bytes) -> bytes | None:
    at = 8
    for _ in range(_PNG_CHUNKS_READ):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == wanted:
            return data[at + 8 : at + 8 + length]
        if kind in (b"IDAT", b""):
            return None
        at += 12 + length
    return None


def _numbered(primaries: int, transfer: int) -> NumberedSpace:
    return NumberedSpace(primaries=_PRIMARIES.get(primaries, _PRIMARIES[1]), transfer=transfer)


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "big")


def _from_numbers(image: Image.Image, space: NumberedSpace) -> Image.Image:
    """Decode to light, turn into sRGB's primaries, tone map what is HDR, encode; some rows at a time."""
    decode = _decoder(space)
    light = decode(np.linspace(0, 1, 256, dtype=np.float32)).astype(np.float32)
    matrix = (np.linalg.inv(_to_xyz(_PRIMARIES[1])) @ _adapted(_to_xyz(space.primaries))).astype(np.float32)
    pixels = np.asarray(image)
    result = np.empty_like(pixels)
    for top in range(0, len(pixels), _ROWS_AT_ONCE):
        linear = light[pixels[top : top + _ROWS_AT_ONCE]] @ matrix.T
        if space.transfer in (_PQ, _HLG):
            linear = _tone_mapped(linear)
        coded = _encode(np.clip(linear, 0, 1))
        result[top : top + _ROWS_AT_ONCE] = np.rint(coded * 255).astype(np.uint8)
    return Image.fromarray(result)


def _decoder(space: NumberedSpace) -> Callable[[Floats], Floats]:
    """From coded values in 0..1 to light, of which 1 is diffuse white."""
    if space.gamma:
        gamma = space.gamma
        return lambda coded: coded**gamma
    powers = {_GAMMA_22: 2.2, _GAMMA_28: 2.8, _LINEAR: 1.0}
    if space.transfer in powers:
        power = powers[space.transfer]
        return lambda coded: coded**power
    return {_PQ: _decode_pq, _HLG: _decode_hlg}.get(space.transfer, _decode_srgb)


def _decode_srgb(coded: Floats) -> Floats:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encode(light: Floats) -> Floats:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def _decode_pq(coded: Floats) -> Floats:
    """SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = coded ** (1 / m2)
    nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return np.asarray(nits / _WHITE_NITS, dtype=np.float32)


def _decode_hlg(coded: Floats) -> Floats:
    """ITU-R BT.2100, shown on a screen of 1,000 nits."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    return (1000 * scene**1.2 / _WHITE_NITS).astype(np.float32)


def _tone_mapped(light: Floats) -> Floats:
    """Light of up to 1,000 nits in 0..1 (Reinhard et al., 2002, eq. 4), by the brightest channel."""
    white = 1000 / _WHITE_NITS
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    mapped = brightest * (1 + brightest / white**2) / (1 + brightest)
    return np.asarray(light * (np.minimum(mapped, 1.0) / brightest), dtype=np.float32)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """The matrix from linear RGB to CIE XYZ, [3, 3]."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    colours, white = columns[:, :3], columns[:, 3]
    return np.asarray(colours * np.linalg.solve(colours, white))


def _adapted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix with its white moved to D65 (Bradford's method; Lam, 1985)."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    ours = bradford @ _to_xyz(_PRIMARIES[1]).sum(axis=1)
    theirs = bradford @ matrix.sum(axis=1)
    return np.asarray(np.linalg.inv(bradford) @ np.diag(ours / theirs) @ bradford @ matrix)
