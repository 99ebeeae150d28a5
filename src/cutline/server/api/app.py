"""The API: every router under /api/v1, one way to answer errors."""

from __future__ import annotations

from ninja import NinjaAPI
from ninja.operation import Operation

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


class CutlineApi(NinjaAPI):
    """The API, whose operations are named as their functions: clients are generated from it."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The function's name; a test sees to it that no two share one."""
        return operation.view_func.__name__


api = CutlineApi(
    title="Cutline",
    version="1",
    description="Photos in, captions out.",
    urls_namespace="api",
    auth=anyone,
)
problems.add_handlers(api)
for module in (people, images, gallery, captions, jobs, feedback, bulk, webhooks, events, stats):
    api.add_router("", module.router)
