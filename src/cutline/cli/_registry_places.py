"""How commands name a registry, and a version in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cutline.registry import Registry

VARIABLE = "CUTLINE_REGISTRY"

place_argument = click.argument("place", metavar="REGISTRY", envvar=VARIABLE, default="")
version_argument = click.argument("version", metavar="REGISTRY#VERSION", envvar=VARIABLE, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """A registry, and what stands behind the # (or the default)."""

    registry: Registry
    ref: str


def at(text: str, *, default: str = "champion", trust_all: bool = False) -> At:
    """Open what REGISTRY#VERSION means. ``trust_all``: whether it is signed does not matter."""
    import dataclasses

    from cutline.registry import RegistrySettings, open_registry, parse_reference
    from cutline.settings import from_environment

    settings = from_environment(RegistrySettings())
    if trust_all:
        settings = dataclasses.replace(settings, registry_public_keys="")
    reference = parse_reference(text, default=default)
    place = reference.place or parse_reference(settings.registry).place
    return At(registry=open_registry(place, settings=settings), ref=reference.ref)
