"""JPEGs that lack their end: most of them have every row, or all but a few, and deserve a caption."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cutline.errors import UnreadableImage
from cutline.images.frames import jpeg_scan_headers

END_OF_IMAGE = b"\xff\xd9"
MAX_MISSING_ROWS = 0.1
"""The share of rows that may be missing."""
_FILL = 128  # the decoder makes blocks without data mid-grey


def missing_rows(image: Image.Image, data: bytes) -> float:
    """The share of rows for which a JPEG has no data, of one decoded with an end mark behind it.

    Of a progressive one, 1.0 where only coarse scans are there: every row, but none of its detail.
    Raises UnreadableImage for what holds no row at all.
    """
    if image.info.get("progressive") and not _has_details(data):
        return 1.0
    rows = np.asarray(image).reshape(image.height, -1).astype(np.int16)
    filled = (np.abs(rows - _FILL) <= 1).all(axis=1)
    present = np.flatnonzero(~filled)
    if not len(present):
        raise UnreadableImage("no row of it is there")
    return 1 - (int(present[-1]) + 1) / image.height


def _has_details(data: bytes) -> bool:
    """Whether the scan that gives brightness its last bit has begun (ITU-T T.81, G.1.1)."""
    for header in jpeg_scan_headers(data):
        components = header[0] if header else 0
        spectral = header[1 + 2 * components : 4 + 2 * components]
        if components == 1 and len(spectral) == 3 and spectral[1] == 63 and spectral[2] & 15 == 0:
            return True
    return False
