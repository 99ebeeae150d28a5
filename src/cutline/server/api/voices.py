"""Voices: those that are there for everybody, and those that the viewer keeps."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from cutline.server import styler
from cutline.server.api.auth import anyone, needs
from cutline.server.api.schemas import problems
from cutline.server.api.voice_fields import VoiceIn, VoiceOut
from cutline.server.people import selectors as people
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.voices import selectors, services
from cutline.server.voices.models import SavedVoice

router = Router(tags=["styles"])


class PresetOut(Schema):
    """A voice that is there for everybody."""

    name: str
    voice: VoiceOut


class SavedVoiceOut(PresetOut):
    """A voice of your own."""

    changed_at: datetime


class VoicesOut(Schema):
    """Which voices there are."""

    presets: list[PresetOut]
    tones: list[str] = Field(description="Suggestions; a tone is free text.")
    saved: list[SavedVoiceOut] = Field(
        description="Your own, by name; for a key with the scope images:read, and for sessions."
    )
    last: VoiceOut | None = Field(description="The voice that you used last; as saved.")


@router.get("/voices", auth=anyone, response=VoicesOut)
def list_voices(request: HttpRequest) -> dict[str, object]:
    """The voices to choose from. Creates no session."""
    viewer = viewer_of(request)
    last = selectors.last(viewer)
    return {
        "presets": [
            {"name": name, "voice": styler.whole_record(voice)} for name, voice in styler.presets().items()
        ],
        "tones": selectors.TONES,
        "saved": [_saved(each) for each in selectors.saved(viewer)],
        "last": styler.whole_record(last) if last is not None else None,
    }


def _saved(row: SavedVoice) -> dict[str, object]:
    return {"name": row.name, "voice": styler.whole_record(row.voice), "changed_at": row.changed_at}


@router.put(
    "/voices/{str:name}",
    auth=needs("images:write"),
    response={200: SavedVoiceOut, **problems(409)},
)
def save_voice(request: HttpRequest, name: str, voice: VoiceIn) -> dict[str, object]:
    """Save a voice under a name, in the place of an earlier one of that name."""
    record = styler.record_of(voice.voice(viewer_of(request)))
    return _saved(services.save(ensure_owner(request), name, record))


@router.delete(
    "/voices/{str:name}",
    auth=needs("images:write"),
    response={204: None, **problems(404)},
)
def delete_voice(request: HttpRequest, name: str) -> Status[None]:
    """Delete a saved voice. What was written in it stays."""
    services.delete(people.owner_for(viewer_of(request)), name)
    return Status(204, None)
