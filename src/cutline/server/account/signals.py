"""At every login, whatever the way in: what the session owned becomes the account's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from allauth.socialaccount import signals as social_signals
from django.conf import settings as django_settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import Signal
from django.http import HttpRequest

from cutline.server import security_log
from cutline.server.account import adapters
from cutline.server.account.claiming import claim
from cutline.server.events.services import recheck
from cutline.server.people import viewers
from cutline.server.people.models import Owner, User
from cutline.server.request_context import context_of
from cutline.server.security_log import Event

_EVENTS: Sequence[tuple[Signal, Event]] = (
    (account_signals.user_signed_up, Event.SIGNED_UP),
    (account_signals.password_changed, Event.PASSWORD_CHANGED),
    (account_signals.password_set, Event.PASSWORD_CHANGED),
    (account_signals.password_reset, Event.PASSWORD_CHANGED),
    (account_signals.email_changed, Event.EMAIL_CHANGED),
    (account_signals.password_reset_code_rejected, Event.SIGN_IN_FAILED),
    (account_signals.email_verification_code_rejected, Event.SIGN_IN_FAILED),
    (mfa_signals.authenticator_added, Event.SECOND_FACTOR_ADDED),
    (mfa_signals.authenticator_removed, Event.SECOND_FACTOR_REMOVED),
    (mfa_signals.authenticator_reset, Event.SECOND_FACTOR_ADDED),
    (mfa_signals.authentication_failed, Event.SECOND_FACTOR_FAILED),
    (social_signals.social_account_added, Event.PROVIDER_ADDED),
    (social_signals.social_account_removed, Event.PROVIDER_REMOVED),
)


@dataclass(frozen=True, slots=True)
class SignedOut:
    """In the context of a request that ended its session: the browser is told to forget what it keeps."""


def connect() -> None:
    """Connect the receivers; called once, by the app's ready()."""
    user_logged_in.connect(_signed_in, dispatch_uid="cutline.account.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="cutline.account.signed_out")
    user_login_failed.connect(_sign_in_failed, dispatch_uid="cutline.account.sign_in_failed")
    for signal, event in _EVENTS:
        signal.connect(
            partial(_note, event), weak=False, dispatch_uid=f"cutline.account.{event}.{id(signal)}"
        )


def _note(event: Event, sender: object, user: User | None = None, **words: Any) -> None:
    login = words.get("sociallogin")
    account = user or getattr(login, "user", None) or getattr(words.get("socialaccount"), "user", None)
    security_log.write(event, account=account.pk if isinstance(account, User) else "")


def _sign_in_failed(sender: object, credentials: dict[str, Any], **words: Any) -> None:
    email = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    # The address itself is somebody's; the mark shows that tries are for the same one.
    security_log.write(
        Event.SIGN_IN_FAILED, tried=security_log.mark_of(email, django_settings.SECRET_KEY) if email else ""
    )


def _signed_in(sender: object, request: HttpRequest, user: User, **words: Any) -> None:
    request.session[adapters.SIGNED_IN_AT] = time.time()
    security_log.identify(user=user.pk)
    security_log.write(Event.SIGNED_IN)
    # Taken out of the session: were the account closed later, the session must not still name its owner.
    owner_id = request.session.pop(viewers.OWNER_IN_SESSION, None)
    owner = Owner.objects.filter(pk=UUID(owner_id)).first() if owner_id else None
    if owner is not None:
        claim(owner, user)
        recheck(owner.pk)
    else:
        viewers.owner_of(user)
    vars(request).pop("viewer", None)


def _signed_out(sender: object, request: HttpRequest, user: User | None, **words: Any) -> None:
    context_of(request).put(SignedOut())
    if user is not None:
        security_log.write(Event.SIGNED_OUT, account=user.pk)
    for owner_id in Owner.objects.filter(user=user).values_list("pk", flat=True) if user else ():
        recheck(owner_id)
