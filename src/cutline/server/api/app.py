"""The API: every router under /api/v1, one way to answer errors."""

from __future__ import annotations

from ninja import NinjaAPI

from cutline.server.api import (
    bulk,
    captions,
    events,
    feedback,
    gallery,
    images,
    jobs,
    people,
    problems,
    stats,
    webhooks,
)
from cutline.server.api.auth import anyone

api = NinjaAPI(
    title="Cutline",
    version="1",
    description="Photos in, captions out.",
    urls_namespace="api",
    auth=anyone,
)
problems.add_handlers(api)
for module in (people, images, gallery, captions, jobs, feedback, bulk, webhooks, events, stats):
    api.add_router("", module.router)
