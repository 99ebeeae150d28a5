"""Mails: rows in the transaction that wants them sent, sent by a worker, forgotten after a while."""

from __future__ import annotations

import logging
import smtplib
from datetime import datetime, timedelta
from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cutline.server import leases
from cutline.server.celery_app import enqueue
from cutline.server.config import settings
from cutline.server.mail.models import Mail
from cutline.server.mail.transport import transport
from cutline.server.observability.metrics import MAILS

logger = logging.getLogger(__name__)

SEND = "cutline.mail.send"
KEEP = timedelta(days=7)  # rows of what was sent or failed: an address is personal
_WHOLE_BODY = "text/html"


def queue(message: EmailMessage) -> list[Mail]:
    """Write a message to the outbox, a row for each recipient; it is sent after the transaction commits."""
    html = next((str(body) for body, kind in getattr(message, "alternatives", ()) if kind == _WHOLE_BODY), "")
    mails = Mail.objects.bulk_create(
        Mail(
            recipient=recipient,
            subject=str(message.subject),
            text=str(message.body),
            html=html,
            sender=message.from_email,
        )
        for recipient in message.recipients()
    )
    transaction.on_commit(lambda: enqueue(SEND))
    return mails


def send_due() -> int:
    """Send what is due, one after the other, until nothing is left; returns how many were tried."""
    tried = 0
    while mail := claim():
        send(mail)
        tried += 1
    return tried


def claim() -> Mail | None:
    """Take the next mail that is due, with a lease; None when there is none."""
    return leases.claim(_due(timezone.now()).order_by("run_after"), for_s=settings().lease_s)


def _due(now: datetime) -> QuerySet[Mail]:
    return Mail.objects.filter(leases.is_free(now), state=Mail.State.WAITING, run_after__lte=now)


def send(mail: Mail) -> None:
    """Send a claimed mail and record what came of it: sent, to be tried again, or failed for good."""
    message = EmailMultiAlternatives(
        mail.subject,
        mail.text,
        mail.sender or settings().mail_from,
        [mail.recipient],
        # The same in each try, so that a mail server or reader can drop a second copy.
        headers={"Message-ID": f"<{mail.id}@{_domain()}>", "Auto-Submitted": "auto-generated"},
    )
    if mail.html:
        message.attach_alternative(mail.html, _WHOLE_BODY)
    backend, options = transport()
    try:
        get_connection(backend, **options).send_messages([message])
    except (OSError, smtplib.SMTPException) as error:
        _failed(mail, error)
    else:
        _record(mail, state=Mail.State.SENT, text="", html="", error="", sent_at=timezone.now())
        MAILS.labels("sent").inc()


def _failed(mail: Mail, error: Exception) -> None:
    refused = isinstance(
        error, smtplib.SMTPRecipientsRefused | smtplib.SMTPSenderRefused | smtplib.SMTPDataError
    )
    for_good = (refused and _permanent(error)) or mail.attempts >= settings().max_attempts
    logger.warning(
        "A mail was not sent.", extra={"mail": str(mail.id), "attempts": mail.attempts, "error": repr(error)}
    )
    MAILS.labels("failed" if for_good else "retried").inc()
    if for_good:
        _record(mail, state=Mail.State.FAILED, text="", html="", error=str(error)[:500])
        return
    wait_s = settings().retry_base_s * 2 ** (mail.attempts - 1)
    _record(mail, run_after=timezone.now() + timedelta(seconds=wait_s), error=str(error)[:500])
    enqueue(SEND, after_s=wait_s + 0.1)


def _permanent(error: Exception) -> bool:
    """Whether a mail server said 5xx: it will say so again."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500


def _record(mail: Mail, **values: Any) -> None:
    """Write what came of a try and end the lease; nothing where it ran out, and another has the mail."""
    leases.change(Mail.objects.all(), mail, mail.lease_token, {**values, **leases.FREE})


def _domain() -> str:
    return settings().mail_from.rpartition("@")[2].rstrip("> ") or "localhost"


def forget(address: str) -> None:
    """Remove every mail to an address, as when its account is deleted."""
    Mail.objects.filter(recipient__iexact=address).delete()


def sweep() -> None:
    """Hint at mails that are due, and remove the rows of old ones."""
    now = timezone.now()
    if _due(now).exists():
        enqueue(SEND)
    Mail.objects.filter(created_at__lt=now - KEEP).exclude(state=Mail.State.WAITING).delete()
