"""Colours of other spaces as sRGB: by an ICC profile, or by numbers.

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
from PIL import Image, ImageChops

Floats = NDArray[np.float32]
logger = logging.getLogger("cutline.images")

_ROWS_AT_ONCE = 256
_MAX_REMEMBERED_BYTES = 65_536  # of a profile: real ones of sRGB have up to 4,000; padded ones are not kept
_STEPS_OF_LIGHT = 65_535
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
        same_colours = np.allclose(self.primaries, BT_709, atol=0.005)
        same_curve = abs(self.gamma - 2.2) < 0.05 if self.gamma else self.transfer in _SRGB_TRANSFERS
        return same_colours and same_curve


BT_709 = _PRIMARIES[1]
ADOBE_RGB = NumberedSpace(primaries=((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65), gamma=563 / 256)


def numbered(primaries: int, transfer: int) -> NumberedSpace:
    """The space of two numbers of ITU-T H.273; unknown ones are taken as sRGB's."""
    return NumberedSpace(primaries=_PRIMARIES.get(primaries, BT_709), transfer=transfer)


def to_srgb(
    image: Image.Image, mode: str, profile: bytes | None, space: NumberedSpace | None, name: str
) -> Image.Image:
    """An RGB image of another colour space as sRGB; the same image where it is sRGB, or says nothing.

    mode: of the image before it became RGB. A profile that cannot be used is logged as a warning.
    """
    if mode in ("CMYK", "LAB"):  # these have been converted, with their profile
        return image
    if space is not None:
        return image if space.is_srgb else _from_numbers(image, space)
    if not profile:
        return image
    try:
        is_known = len(profile) <= _MAX_REMEMBERED_BYTES and _is_srgb(profile)
        return image if is_known else _from_profile(image, profile)
    except (OSError, ValueError, TypeError) as error:
        warn_of_profile(name, error)
        return image


def warn_of_profile(name: str, reason: object) -> None:
    """Log that a photo's profile is of no use."""
    logger.warning(
        "%s: its colour profile cannot be used (%s); its colours are read as if it had none.", name, reason
    )


# -- profiles --------------------------------------------------------------------------------------------


def _from_profile(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms  # little colour management is ever needed: most photos are sRGB

    source = _opened(profile)
    given = image
    if _is_for_grey(source):
        given, *others = image.split()
        if any(ImageChops.difference(given, each).getbbox() for each in others):
            raise ValueError("it is for grey, and the photo is in colour")
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
        raise ValueError(reason_of(error)) from error
    return cast(Image.Image, converted)


def _is_for_grey(profile: Any) -> bool:
    return bool(profile.profile.xcolor_space.strip() == "GRAY")


def _opened(profile: bytes) -> Any:
    from PIL import ImageCms

    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except ImageCms.PyCMSError as error:
        raise ValueError(reason_of(error)) from error


@lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile changes no colour by more than two steps of 255, on a grid of colours."""
    if _is_for_grey(_opened(profile)):
        return False
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(36, 6, 3)
    converted = _from_profile(Image.fromarray(grid), profile)
    difference = np.abs(np.asarray(converted, dtype=np.int16) - grid)
    return bool(difference.max() <= 2)


def reason_of(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


# -- numbers ---------------------------------------------------------------------------------------------


def _from_numbers(image: Image.Image, space: NumberedSpace) -> Image.Image:
    """Decode to light, turn into sRGB's primaries, tone map what is HDR, encode; some rows at a time."""
    decode = _decoder(space)
    light = decode(np.linspace(0, 1, 256, dtype=np.float32)).astype(np.float32)
    matrix = (np.linalg.inv(_to_xyz(BT_709)) @ _adapted(_to_xyz(space.primaries))).astype(np.float32)
    pixels = np.asarray(image)
    result = np.empty_like(pixels)
    for top in range(0, len(pixels), _ROWS_AT_ONCE):
        linear = light[pixels[top : top + _ROWS_AT_ONCE]] @ matrix.T
        if space.transfer in (_PQ, _HLG):
            linear = _tone_mapped(linear)
        steps = (np.clip(linear, 0, 1) * _STEPS_OF_LIGHT + 0.5).astype(np.uint16)
        result[top : top + _ROWS_AT_ONCE] = _codes()[steps]
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


@lru_cache(maxsize=1)
def _codes() -> NDArray[np.uint8]:
    """sRGB's codes of light in steps so fine that no code is a step off: [_STEPS_OF_LIGHT + 1]."""
    light = np.linspace(0, 1, _STEPS_OF_LIGHT + 1)
    coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(coded * 255), dtype=np.uint8)


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
    ours = bradford @ _to_xyz(BT_709).sum(axis=1)
    theirs = bradford @ matrix.sum(axis=1)
    return np.asarray(np.linalg.inv(bradford) @ np.diag(ours / theirs) @ bradford @ matrix)
