"""Run the health checks of Podman's containers, as systemd's timers would: health.py SOCKET."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from typing import Any

EVERY_S = 5.0
PATIENCE_S = 60.0


class Engine(http.client.HTTPConnection):
    """Podman's API at a socket."""

    def __init__(self, path: str) -> None:
        super().__init__("podman", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path: str, address: str) -> Any:
    """What the engine answers."""
    engine = Engine(path)
    try:
        engine.request("GET", f"/v4.0.0/libpod/{address}")
        answer = engine.getresponse()
        return json.loads(answer.read() or b"null")
    finally:
        engine.close()


def main(path: str) -> int:
    """Check all that run, for as long as this process is left alone."""
    while True:
        try:
            for each in ask(path, "containers/json") or ():
                ask(
                    path, f"containers/{each['Id']}/healthcheck"
                )  # one without a check answers that it has none
        except (OSError, ValueError, http.client.HTTPException) as error:
            print(f"{time.strftime('%X')} {error!r}", file=sys.stderr, flush=True)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
