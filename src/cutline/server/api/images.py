"""Photos: upload, library, visibility, deletion."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["images"])
