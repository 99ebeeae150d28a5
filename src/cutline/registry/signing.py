"""Signatures of versions: ed25519, over the manifest, which holds the hash of every file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cutline.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
_CONTEXT = b"cutline registry, version manifest, 1\n"  # so that no signature means anything elsewhere


class Signer:
    """Signs with one private key, a PEM file without a password."""

    def __init__(self, path: Path) -> None:
        self._key = _private_key(path)
        self.key_id = _key_id(self._key.public_key())

    def sign(self, manifest: bytes) -> bytes:
        """The signature of a manifest, 64 bytes."""
        return self._key.sign(_CONTEXT + manifest)


class Verifier:
    """Knows the public keys that are trusted."""

    def __init__(self, keys: Sequence[Ed25519PublicKey]) -> None:
        self._keys = keys

    @classmethod
    def from_setting(cls, text: str) -> Verifier | None:
        """Read keys, separated by commas: each a PEM file, or 64 hexadecimal digits. None for no key.

        Raises ConfigError, MissingExtra.
        """
        keys = [_public_key(each) for each in filter(None, map(str.strip, text.split(",")))]
        return cls(keys) if keys else None

    def accepts(self, manifest: bytes, signatures: Iterable[bytes]) -> bool:
        """Whether one of the signatures is of this manifest, by one of the keys."""
        return any(_is_of(key, signature, manifest) for signature in signatures for key in self._keys)


def _is_of(key: Ed25519PublicKey, signature: bytes, manifest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, _CONTEXT + manifest)
    except InvalidSignature:
        return False
    return True


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _private_key(path: Path) -> Ed25519PrivateKey:
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"The private key {path} cannot be read.", hint=_MADE_BY) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} holds a key of another kind than ed25519.", hint=_MADE_BY)
    return key


def _public_key(text: str) -> Ed25519PublicKey:
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    try:
        key = load_pem_public_key(Path(text).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"The public key {text} cannot be read.", hint=_SHOWN_BY) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{text} holds a key of another kind than ed25519.", hint=_SHOWN_BY)
    return key


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "Signatures need cryptography, which is not installed.",
            hint="Install it with: pip install 'cutline[registry]'",
        ) from error


_MADE_BY = "Make one with: openssl genpkey -algorithm ed25519 -out key.pem"
_SHOWN_BY = "Make it of the private key with: openssl pkey -in key.pem -pubout -out key.pub.pem"
