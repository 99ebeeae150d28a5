"""What people do with voices: save one under a name, delete one, use one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from cutline.server import styler
from cutline.server.errors import Invalid, NotFound, QuotaExceeded
from cutline.server.people.models import Owner
from cutline.server.people.owners import lock_owner
from cutline.server.transactions import retried
from cutline.server.voices.models import MAX_NAME, LastVoice, SavedVoice
from cutline.texts import is_readable

MAX_VOICES, MAX_VOICES_ANONYMOUS = 50, 10


@retried
def save(owner: Owner, name: str, voice: Mapping[str, Any]) -> SavedVoice:
    """Save a voice under a name, in the place of an earlier one of that name, whatever its case.

    voice: as styler.record_of gives it. Raises Invalid for the name, QuotaExceeded, Conflict.
    """
    name = _clean_name(name)
    lock_owner(owner)
    now = timezone.now()
    found = SavedVoice.objects.filter(owner=owner, key=name.casefold()).first()
    if found is None:
        _check_room(owner)
        found = SavedVoice(owner=owner, key=name.casefold(), created_at=now)
    found.name, found.voice, found.changed_at = name, dict(voice), now
    found.save()
    return found


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or "/" in name or not is_readable(name):
        raise Invalid(
            f"A voice's name has 1 to {MAX_NAME} characters, none of them a slash or a control character."
        )
    if name.casefold() in {preset.casefold() for preset in styler.presets()}:
        raise Invalid(f"{name} is a voice that is there for everybody.", hint="Choose another name.")
    return name


def _check_room(owner: Owner) -> None:
    most = MAX_VOICES if owner.user_id else MAX_VOICES_ANONYMOUS
    if SavedVoice.objects.filter(owner=owner).count() >= most:
        raise QuotaExceeded(f"You have {most} voices; that is the limit.", hint="Delete one.")


@retried
def delete(owner: Owner, name: str) -> None:
    """Delete a saved voice. Raises NotFound."""
    if not SavedVoice.objects.filter(owner=owner, key=" ".join(name.split()).casefold()).delete()[0]:
        raise NotFound("You have no such voice.")


@retried
def remember(owner: Owner, voice: Mapping[str, Any]) -> None:
    """Remember the voice that somebody used last, as styler.record_of gives it."""
    values = {"voice": dict(voice), "used_at": timezone.now()}
    LastVoice.objects.update_or_create(owner=owner, defaults=values)
