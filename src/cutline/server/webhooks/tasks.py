"""The worker's side of webhooks."""

from __future__ import annotations

from cutline.server.celery_app import app
from cutline.server.webhooks import services


@app.task(name=services.DELIVER)
def deliver() -> None:
    """Make every call that is due."""
    services.deliver_due()
