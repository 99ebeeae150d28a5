"""What everybody may see, and links to what is shared."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["gallery"])
