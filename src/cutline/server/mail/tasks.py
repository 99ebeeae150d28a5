"""The worker's side of the outbox."""

from __future__ import annotations

from cutline.server.celery_app import app
from cutline.server.mail import services


@app.task(name=services.SEND)
def send() -> None:
    """Send every mail that is due."""
    services.send_due()
