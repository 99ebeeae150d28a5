"""Many photos at once."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["bulk"])
