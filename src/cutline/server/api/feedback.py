"""Ratings, impressions and copies."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["feedback"])
