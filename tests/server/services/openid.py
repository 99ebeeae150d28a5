"""An OpenID Connect provider as a process: the oidc-provider-mock wheel, which signs real tokens."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx

from tests.server.services.process import ANSWERS_S, Process, answers, free_ports


class OpenIdProvider:
    """Knows the users it is told of; lets in whoever names one of them."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.client_id, self.secret = "cutline", "a-client-secret"
        program = Path(sys.executable).with_name("oidc-provider-mock")
        command = [program, "--port", str(self.port), "--require-nonce", "false"]
        self.process = Process("openid", command, folder=folder)

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://127.0.0.1:{self.port}"

    def setting(self, provider_id: str = "house") -> str:
        """The provider as CUTLINE_OPENID_PROVIDERS wants it."""
        provider = {
            "id": provider_id,
            "name": "House",
            "server_url": self.url,
            "client_id": self.client_id,
            "secret": self.secret,
        }
        return json.dumps([provider])

    def start(self) -> None:
        """Start it, without users. Raises ServerFailed."""
        self.process.start(self._ready)

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def add(self, subject: str, *, email: str, verified: bool = True, name: str = "") -> None:
        """Make a user known, or change one."""
        claims = {"email": email, "email_verified": verified, "name": name or subject}
        httpx.put(f"{self.url}/users/{subject}", json=claims, timeout=ANSWERS_S).raise_for_status()

    def consent(self, authorize_url: str, subject: str) -> str:
        """Do what a user does on the provider's page; where the browser is sent then (with the code)."""
        answer = httpx.post(authorize_url, data={"sub": subject}, timeout=ANSWERS_S)
        if answer.status_code not in (302, 303):
            raise AssertionError(f"{answer.status_code}: {answer.text}")
        return answer.headers["location"]

    def _ready(self) -> bool:
        return answers(f"{self.url}/.well-known/openid-configuration")
