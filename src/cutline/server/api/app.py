"""The API: every router under /api/v1, one way to answer errors."""

from __future__ import annotations

from cutline.server.api import (
    bulk,
    captions,
    errors,
    events,
    feedback,
    gallery,
    images,
    jobs,
    likeness,
    people,
    problems,
    registry,
    restyle,
    stats,
    styles,
    voices,
    webhooks,
)
from cutline.server.api.auth import anyone
from cutline.server.api.openapi import CutlineAPI
from cutline.server.api.parsing import SafeParser

DESCRIPTION = """\
Photos in, captions out. Everything works without an account: the first write gives a session cookie that owns
what it makes. Programs send an API key. Errors are problem documents (RFC 9457) with stable codes.
"""

api = CutlineAPI(
    title="Cutline",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    auth=anyone,
    parser=SafeParser(),
)
problems.add_handlers(api)
for module in (
    people,
    images,
    likeness,
    gallery,
    captions,
    styles,
    restyle,
    voices,
    jobs,
    feedback,
    bulk,
    webhooks,
    events,
    stats,
    registry,
    errors,
):
    api.add_router("", module.router)
