"""Django's mail goes into the outbox: a request never waits for a mail server."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from cutline.server.mail import services


class OutboxBackend(BaseEmailBackend):
    """Writes each message as rows, one per recipient, in the caller's transaction."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queue the messages; returns how many there were."""
        for message in email_messages:
            services.queue(message)
        return len(email_messages)
