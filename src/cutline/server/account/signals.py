"""At every login, whatever the way in: what the session owned becomes the account's."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest

from cutline.server.account import adapters
from cutline.server.account.claiming import claim
from cutline.server.events.services import recheck
from cutline.server.people import viewers
from cutline.server.people.models import Owner, User


def connect() -> None:
    """Connect the receivers; called once, by the app's ready()."""
    user_logged_in.connect(_signed_in, dispatch_uid="cutline.account.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="cutline.account.signed_out")


def _signed_in(sender: object, request: HttpRequest, user: User, **words: Any) -> None:
    request.session[adapters.SIGNED_IN_AT] = time.time()
    # Taken out of the session: were the account closed later, the session must not still name its owner.
    owner_id = request.session.pop(viewers.OWNER_IN_SESSION, None)
    owner = Owner.objects.filter(pk=UUID(owner_id)).first() if owner_id else None
    if owner is not None:
        claim(owner, user)
        recheck(owner.pk)
    else:
        viewers.owner_of(user)
    vars(request).pop("viewer", None)


def _signed_out(sender: object, user: User | None, **words: Any) -> None:
    for owner_id in Owner.objects.filter(user=user).values_list("pk", flat=True) if user else ():
        recheck(owner_id)
