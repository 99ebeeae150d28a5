"""What happens by the clock: the sweep finds lost work and removes what is too old."""

from __future__ import annotations

from cutline.server.celery_app import app


@app.task(name="cutline.sweep")
def sweep() -> None:
    """Run every part of the sweep."""
