"""What photo software, file managers and network drives leave beside photos."""

from __future__ import annotations

import re

_JUNK = re.compile(
    r"""
    @eadir | @recycle | @recently-snapshot | @tmp | [#](recycle|snapshot) | \.?@__thumb
    | \$recycle\.bin | system\ volume\ information | thumbs\.db | desktop\.ini
    | __macosx | \._.* | \.ds_store | \.trashes | \.trash(-.*)? | \.dtrash
    | .*\.lrdata | .*\.lrcat-data | \.thumbnails | \.picasaoriginals
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def is_left_out(name: str) -> bool:
    """Whether a file or folder below one that is searched, by its own name, is hidden or junk."""
    return is_hidden(name) or is_junk(name)


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name, without its folders, is none of a person's."""
    return _JUNK.fullmatch(name) is not None


def is_hidden(name: str) -> bool:
    """Whether file managers do not show a file or folder of this name."""
    return name.startswith(".") and name not in (".", "..")
