"""Where the service's model comes from."""

from __future__ import annotations

from dataclasses import dataclass

from cutline.registry import Registry, open_registry
from cutline.server.config import settings
from cutline.server.errors import Conflict
from cutline.server.models_in_service import is_followed, parse_uri

NOTHING_CHANGED = "Nothing was changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The registry that the service's model comes from, and the alias that it follows."""

    registry: Registry
    alias: str


def followed() -> Followed:
    """The registry that the default model follows. Raises Conflict where it follows none."""
    if not is_followed(settings().model):
        raise Conflict(
            "This service's model does not come from an alias of a registry.",
            kept=NOTHING_CHANGED,
            hint="Set CUTLINE_MODEL to registry:PLACE#champion.",
        )
    reference = parse_uri(settings().model)[1]
    return Followed(registry=open_registry(reference.place), alias=reference.ref)
