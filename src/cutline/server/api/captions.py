"""Captions: one-off captioning, candidates, versions, attention."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["captions"])
