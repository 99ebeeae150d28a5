"""What is being done, and what failed."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["jobs"])
