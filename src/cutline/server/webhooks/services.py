"""Webhooks: what is sent to whom, signed how, and tried how often."""

from __future__ import annotations

from cutline.server.events.models import Event


def enqueue_for(event: Event) -> None:
    """Make the deliveries of an event, in the caller's transaction."""
