"""At every login, whatever the way in: what the session owned becomes the account's."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from cutline.server.people import adapters, services, viewers
from cutline.server.people.models import Owner, User


def connect() -> None:
    """Listen; called once, when the app is ready."""
    user_logged_in.connect(_signed_in, dispatch_uid="cutline.people.signed_in")


def _signed_in(sender: object, request: HttpRequest, user: User, **words: Any) -> None:
    request.session[adapters.SIGNED_IN_AT] = time.time()
    # Taken out of the session: were the account closed later, the session must not still name its owner.
    owner_id = request.session.pop(viewers.OWNER_IN_SESSION, None)
    owner = Owner.objects.filter(pk=UUID(owner_id)).first() if owner_id else None
    if owner is not None:
        services.claim(owner, user)
    else:
        viewers.owner_of(user)
    vars(request).pop("viewer", None)
