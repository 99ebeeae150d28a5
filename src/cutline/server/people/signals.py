"""At every login, whatever the way in: what the session owned becomes the account's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from cutline.server.people import services, viewers
from cutline.server.people.models import Owner, User


def connect() -> None:
    """Listen; called once, when the app is ready."""
    user_logged_in.connect(_claim, dispatch_uid="cutline.people.claim")


def _claim(sender: object, request: HttpRequest, user: User, **words: Any) -> None:
    # Taken out of the session: were the account closed later, the session must not still name its owner.
    owner_id = request.session.pop(viewers.OWNER_IN_SESSION, None)
    owner = Owner.objects.filter(pk=UUID(owner_id)).first() if owner_id else None
    if owner is not None:
        services.claim(owner, user)
    else:
        viewers.owner_of(user)
    vars(request).pop("viewer", None)
