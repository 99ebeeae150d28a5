"""Zip files that are sent while they are made."""

from __future__ import annotations

import io
from typing import Any


class ZipBuffer(io.RawIOBase):
    """A file that zipfile writes to and that cannot seek: its bytes are taken out and sent as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        """Required by zipfile: True."""
        return True

    def write(self, data: Any) -> int:
        """Keep the bytes until `take`."""
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        """Return and forget what was written since the last call."""
        taken, self._waiting = bytes(self._waiting), bytearray()
        return taken
