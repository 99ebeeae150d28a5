"""Calls to other people's servers."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["webhooks"])
