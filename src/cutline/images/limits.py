"""What one photo may cost, and the checks of it."""

from __future__ import annotations

from dataclasses import dataclass

from cutline.errors import ConfigError, ImageTooLarge, UnreadableImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one photo may cost at most. CUTLINE_MAX_PIXELS (and so on) in the environment sets each."""

    max_file_bytes: int = 128 * 2**20
    max_pixels: int = 120_000_000  # a 108-megapixel phone photo still passes
    max_side_px: int = 32_768
    max_frames: int = 2_000  # of an animation; only the first frame is ever decoded
    max_total_pixels: int = 4_000_000_000  # width x height x frames, or x scans of a progressive JPEG
    max_metadata_bytes: int = 32 * 2**20  # EXIF, XMP, colour profile, comments

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ConfigError(f"The limit {name} is {getattr(self, name)}, but must be at least 1.")


DEFAULT_LIMITS = Limits()


def check_limit(name: str, what: str, value: int, limit_name: str, limit: int) -> None:
    if value > limit:
        raise ImageTooLarge(
            f"{name} has {value:,} {what}; the limit is {limit:,}.",
            hint=f"If you trust the file, raise CUTLINE_{limit_name.upper()}.",
        )


def check_size(name: str, size: tuple[int, int], limits: Limits) -> None:
    if min(size) < 1:
        raise UnreadableImage(f"{name} is damaged: its header says {size[0]} x {size[1]} pixels.")
    check_limit(name, "pixels along one side", max(size), "max_side_px", limits.max_side_px)
    check_limit(name, "pixels", size[0] * size[1], "max_pixels", limits.max_pixels)
