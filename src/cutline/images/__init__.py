"""The only door through which bytes become pixels: verify, orient, strip, resize.

Whatever is handed in, `open_image` either returns a plain 8-bit RGB photo, upright and without metadata,
or raises one ImageError. Sizes are checked on the header, before anything is decoded, and only the decoder
that a file's first bytes ask for ever sees them: a name's extension is never believed.

    opening.py: files.py (bytes) -> formats.py -> limits.py, frames.py -> orientation.py, colours.py
    colours: colour_tags.py and png.py read what a file says of them; colour_spaces.py converts to sRGB
    raw photos: raw.py finds their previews, which opening.py opens; developing.py develops those without
    room.py: memory for the pixels of all decoders
    preprocessing.py: the plain photo -> a model's input
"""

from __future__ import annotations

from cutline.images.formats import FORMATS, sniff
from cutline.images.limits import DEFAULT_LIMITS, Limits
from cutline.images.opening import CONVERTED, Source, open_image, opened_image
from cutline.images.preprocessing import Mode, Pixels, Preprocessing, Resample, read_pixels, to_pixels
from cutline.images.raw import RAW_ENDINGS, raw_kind
from cutline.images.room import guard_decoding

__all__ = [
    "CONVERTED",
    "DEFAULT_LIMITS",
    "FORMATS",
    "RAW_ENDINGS",
    "Limits",
    "Mode",
    "Pixels",
    "Preprocessing",
    "Resample",
    "Source",
    "guard_decoding",
    "open_image",
    "opened_image",
    "raw_kind",
    "read_pixels",
    "sniff",
    "to_pixels",
]
