"""Mails about what opens an account to programs: so that an owner notices what somebody else created."""

from __future__ import annotations

from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter
from django.http import HttpRequest

from cutline.server.people.models import ApiKey
from cutline.server.people.viewers import public_url
from cutline.server.webhooks.models import Webhook


def notify_of_key(request: HttpRequest, key: ApiKey) -> None:
    """Mail an account that a key was made. Owners without an account get none."""
    user = key.owner.user
    if user is not None:
        context = {"key": key, "url": f"{public_url(request)}/account"}
        get_adapter(request).send_notification_mail("account/email/key_made", user, context, email=user.email)


def notify_of_webhook(request: HttpRequest, webhook: Webhook) -> None:
    """Mail an account that a webhook was made or changed. Its path may be a secret: the mail omits it."""
    user = webhook.owner.user
    if user is not None:
        context = {"host": urlsplit(webhook.url).hostname, "url": f"{public_url(request)}/account"}
        get_adapter(request).send_notification_mail(
            "account/email/webhook_made", user, context, email=user.email
        )
