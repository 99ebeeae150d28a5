"""What happened to the viewer's things, for those who do not keep a socket open."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["events"])
