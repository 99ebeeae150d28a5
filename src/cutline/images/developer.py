"""The process that `developing.py` starts: a raw photo on standard input, its pixels on standard output.

It is run by its path and imports nothing of Cutline's. Arguments: most pixels, longest side, and how many
pixels the shorter side needs at most (0: all). The answer's first line is `pixels MODE WIDTH HEIGHT`,
`large WIDTH HEIGHT` or `failed REASON`.
"""

from __future__ import annotations

import importlib
import io
import os
import sys

_MAX_MEMORY_BYTES = 4 * 2**30
_MAX_CPU_S = 120


def main() -> None:
    """Answer on standard output, also where something failed."""
    max_pixels, max_side_px, enough_px = map(int, sys.argv[1:4])
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # LibRaw itself prints to standard output
    _limit_resources()
    try:
        answer = developed(sys.stdin.buffer.read(), max_pixels, max_side_px, enough_px)
    except Exception as error:
        answer = [f"failed {reason_of(error)}\n".encode()]
    output.writelines(answer)
    output.flush()


def developed(data: bytes, max_pixels: int, max_side_px: int, enough_px: int) -> list[bytes]:
    """The answer for a raw photo, as pieces. Raises what rawpy raises."""
    rawpy = importlib.import_module("rawpy")
    with rawpy.imread(io.BytesIO(data)) as raw:
        sizes = raw.sizes
        width, height = max(sizes.raw_width, sizes.iwidth), max(sizes.raw_height, sizes.iheight)
        if width * height > max_pixels or max(width, height) > max_side_px:
            return [f"large {width} {height}\n".encode()]
        half = 0 < 2 * enough_px <= min(sizes.iwidth, sizes.iheight)
        pixels = raw.postprocess(use_camera_wb=True, half_size=half, output_bps=8)
    rows, columns, channels = pixels.shape
    return [f"pixels {'L' if channels == 1 else 'RGB'} {columns} {rows}\n".encode(), pixels.tobytes()]


def reason_of(error: Exception) -> str:
    """What an error says, in one line; LibRaw's say it in bytes."""
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return " ".join(text.split()) or type(error).__name__


def _limit_resources() -> None:
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:  # Windows has none
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
