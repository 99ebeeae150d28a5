"""Raw photos without a usable preview, developed by LibRaw (the extra `raw`) in a process of its own.

LibRaw reads a hundred formats in C++: what a hostile file makes of it must cost that process, and not ours.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from PIL import Image

from cutline.errors import ImageTooLarge, UnsupportedImage
from cutline.images.limits import Limits

_PROGRAM = Path(__file__).with_name("developer.py")
_TIMEOUT_S = 60.0
_EXTRA = "rawpy"


def can_develop() -> bool:
    """Whether the extra `raw` is installed."""
    return importlib.util.find_spec(_EXTRA) is not None


def develop(data: bytes, what: str, limits: Limits, enough_px: int | None) -> Image.Image:
    """The sensor's data as sRGB, upright. Raises UnsupportedImage or ImageTooLarge.

    what: the photo, and why it must be developed, as the beginning of an error's message.
    """
    import subprocess  # takes longer to import than a JPEG to open

    command = [sys.executable, "-P", str(_PROGRAM), str(limits.max_pixels), str(limits.max_side_px)]
    try:
        done = subprocess.run(
            [*command, str(enough_px or 0)], input=data, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnsupportedImage(
            f"{what}, and LibRaw took more than {_TIMEOUT_S:.0f} seconds to develop it."
        ) from error
    except OSError as error:
        raise UnsupportedImage(f"{what}, and LibRaw does not start ({error}).") from error
    head, _, pixels = done.stdout.partition(b"\n")
    match head.split():
        case [b"pixels", b"L" | b"RGB" as mode, width, height] if done.returncode == 0:
            size = int(width), int(height)
            if size[0] * size[1] * len(mode) == len(pixels):
                return Image.frombytes(mode.decode(), size, pixels).convert("RGB")
        case [b"large", width, height]:
            raise ImageTooLarge(
                f"{what}, and has {int(width):,} x {int(height):,} pixels; "
                f"the limit is {limits.max_pixels:,}.",
                hint="If you trust the file, raise CUTLINE_MAX_PIXELS.",
            )
    reason = head.decode("utf-8", "replace").removeprefix("failed ") or f"it ended with {done.returncode}"
    raise UnsupportedImage(f"{what}, and LibRaw cannot develop it ({reason}).")
