"""The viewer, their account, keys and consent."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["people"])
