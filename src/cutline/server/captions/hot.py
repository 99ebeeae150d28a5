"""Photos that were just uploaded, small and in memory.

Where workers are threads of the web process, photos need not be read and decoded a second time. Nothing
depends on it: what is not here is read from the store.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from PIL import Image

_MOST = 128

_lock = threading.Lock()
_pictures: OrderedDict[UUID, Image.Image] = OrderedDict()


def keep(image_id: UUID, picture: Image.Image) -> None:
    """Keep an opened photo for the worker threads of this process, if it has any. The oldest go first."""
    from cutline.server.captioner import prepare
    from cutline.server.jobs import hints

    if not hints.are_heard_here():
        return
    small = prepare(picture)
    with _lock:
        _pictures[image_id] = small
        while len(_pictures) > _MOST:
            _pictures.popitem(last=False)


def take(image_id: UUID) -> Image.Image | None:
    """A photo that was kept, as small as the default model wants it; once."""
    with _lock:
        return _pictures.pop(image_id, None)
