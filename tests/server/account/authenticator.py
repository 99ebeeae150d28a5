"""A passkey in software: it makes keys and signs as the hardware does (WebAuthn Level 2, no attestation)."""

from __future__ import annotations

import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

FLAG = AuthenticatorData.FLAG


class Passkey:
    """One credential of one account; `counter` goes up at each use."""

    def __init__(self, origin: str = "http://testserver") -> None:
        self.origin = origin
        self.counter = 0
        self.id = secrets.token_bytes(32)
        self.user_handle = b""
        self._private = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What navigator.credentials.create gives for these options, as JSON."""
        wanted = options["publicKey"]
        self.user_handle = websafe_decode(wanted["user"]["id"])
        assert -7 in [each["alg"] for each in wanted["pubKeyCredParams"]]
        public = ES256.from_cryptography_key(self._private.public_key())
        data = AuthenticatorData.create(
            sha256(wanted["rp"]["id"].encode()),
            FLAG.UP | FLAG.UV | FLAG.AT,
            self.counter,
            bytes(AttestedCredentialData.create(bytes(16), self.id, public)),
        )
        client = CollectedClientData.create("webauthn.create", wanted["challenge"], self.origin)
        response = {
            "clientDataJSON": websafe_encode(bytes(client)),
            "attestationObject": websafe_encode(bytes(AttestationObject.create("none", data, {}))),
        }
        return self._credential(response, {"credProps": {"rk": True}})

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """What navigator.credentials.get gives for these options, as JSON."""
        wanted = options["publicKey"]
        self.counter += 1
        data = AuthenticatorData.create(sha256(wanted["rpId"].encode()), FLAG.UP | FLAG.UV, self.counter)
        client = CollectedClientData.create("webauthn.get", wanted["challenge"], self.origin)
        signature = self._private.sign(bytes(data) + sha256(bytes(client)), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": websafe_encode(bytes(client)),
            "authenticatorData": websafe_encode(bytes(data)),
            "signature": websafe_encode(signature),
            "userHandle": websafe_encode(self.user_handle),
        }
        return self._credential(response, {})

    def _credential(self, response: dict[str, str], extensions: dict[str, Any]) -> dict[str, Any]:
        credential = {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "response": response,
            "clientExtensionResults": extensions,
        }
        plain: dict[str, Any] = json.loads(json.dumps(credential))
        return plain
