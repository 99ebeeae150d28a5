"""Which registry, and which version of it, a text means: FOLDER#ALIAS, s3://BUCKET/PREFIX?endpoint=URL#ID."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cutline.errors import ConfigError
from cutline.object_store import Bucket
from cutline.registry.cache import Cache, default_cache
from cutline.registry.manifest import CHAMPION
from cutline.registry.registry import Registry
from cutline.registry.s3 import S3Store
from cutline.registry.signing import Signer, Verifier
from cutline.registry.store import FolderStore, Store
from cutline.settings import from_environment

SCHEME = "registry"
_MOST = 1000  # of characters


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """What CUTLINE_REGISTRY... says: registry_cache is CUTLINE_REGISTRY_CACHE, and so on.

    ``registry``: the registry where none is named. ``registry_cache``: the local cache's folder.
    ``registry_public_keys``: public keys (files, or hexadecimal digits), separated by commas; where there are
    any, only versions that one of them signed are used. ``registry_private_key``: the file of the key that
    signs what is pushed. ``registry_access_key``, ``registry_secret_key``: for a bucket.
    """

    registry: str = ""
    registry_cache: str = ""
    registry_public_keys: str = ""
    registry_private_key: str = ""
    registry_access_key: str = ""
    registry_secret_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A registry's place, and an alias or a version's id in it."""

    place: str
    ref: str


def parse_reference(text: str, *, default: str = CHAMPION) -> Reference:
    """Read [registry:]PLACE[#REF]. Raises ConfigError for what cannot be a place."""
    place, mark, ref = text.removeprefix(f"{SCHEME}:").partition("#")
    if len(text) > _MOST or "\0" in text:
        raise ConfigError(f"{text[:80]!r} is no place of a registry.")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", place) and not place.startswith(("s3://", "file://")):
        raise ConfigError(
            f"{place!r} is no place of a registry.", hint="Use a folder, or s3://BUCKET/PREFIX."
        )
    return Reference(place=place, ref=ref if mark and ref else default)


def open_registry(
    place: str | os.PathLike[str] | None = None, *, settings: RegistrySettings | None = None
) -> Registry:
    """Open the registry in a folder or bucket; None is the one of CUTLINE_REGISTRY. Nothing is written yet.

    A folder need not exist: such a registry has version 0 alone. Raises ConfigError, MissingExtra.
    """
    chosen = from_environment(RegistrySettings()) if settings is None else settings
    text = chosen.registry if place is None else os.fspath(place)
    cache = Cache(Path(chosen.registry_cache) if chosen.registry_cache else default_cache())
    return Registry(
        _store(parse_reference(text).place, chosen.registry_access_key, chosen.registry_secret_key),
        cache=cache,
        signer=Signer(Path(chosen.registry_private_key)) if chosen.registry_private_key else None,
        verifier=Verifier.from_setting(chosen.registry_public_keys),
    )


def is_reference(uri: str | os.PathLike[str] | None) -> bool:
    """Whether a captioner's URI means a version of a registry."""
    return isinstance(uri, str) and uri.removeprefix("openvino:").startswith(f"{SCHEME}:")


def local(uri: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """The same captioner's URI, but of the local cache where it means a version of a registry.

    Raises RegistryError, ConfigError, MissingExtra.
    """
    if not isinstance(uri, str) or not is_reference(uri):
        return uri
    engine = "openvino:" if uri.startswith("openvino:") else ""
    reference = parse_reference(uri.removeprefix("openvino:"))
    registry = open_registry(reference.place)
    return f"{engine}{registry.local_bundle(registry.find(reference.ref))}"


@lru_cache(maxsize=8)
def _store(place: str, access_key: str, secret_key: str) -> Store | None:
    if not place:
        return None
    if place.startswith("s3://"):
        return S3Store(Bucket.from_url(place), access_key=access_key, secret_key=secret_key)
    return FolderStore(Path(place.removeprefix("file://")).expanduser())
