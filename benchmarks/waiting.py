"""What `Prefer: wait` costs the others: 100 clients wait while four ask, as built and with a thread each.

    python -m benchmarks.waiting

Each service runs twice, in turn, without a worker, so that the clients wait to the end. "A thread each" is
what Django does by itself: the endpoint sleeps, and looks for its job once a second. The figures stand in the
docstring of server/api/wait.py.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

WAITING, ASKING = 100, 4
MEASURED_S = 10.0
WAIT_S = 40


def serve(kind: str) -> None:
    """Run the service on a free port, which is printed; "held" makes its waiting requests hold threads."""
    import socket

    import uvicorn

    from cutline.server.asgi import application  # sets Django up

    if kind == "held":
        _hold_threads()

    async def without_worker(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await application(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(without_worker, lifespan="off", log_level="error")).run([listening])


def _hold_threads() -> None:
    from cutline.server.api import captions, wait

    def when_done(request: Any, *, jobs: list[Any], **_: Any) -> None:
        end = time.monotonic() + wait.wait_s_of(request)
        while time.monotonic() < end and wait._any_open(jobs):
            time.sleep(wait.LOOK_AGAIN_S)

    vars(captions)["when_done"] = when_done


def measured(kind: str) -> dict[str, float]:
    """Start a service of a kind, let clients wait there, and say what the others get meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CUTLINE_")},
            "CUTLINE_DATA_DIR": folder,
            "CUTLINE_RATE_ANONYMOUS": "1000000/minute",
        }
        migrate = [sys.executable, "-m", "cutline.cli.main", "manage", "migrate"]
        subprocess.run(migrate, env=env, check=True, capture_output=True)
        command = [sys.executable, "-m", "benchmarks.waiting", kind]
        service = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert service.stdout is not None
            port = int(service.stdout.readline())
            return asyncio.run(_measure(f"http://127.0.0.1:{port}/api/v1", service.pid))
        finally:
            service.kill()
            service.wait()


async def _measure(url: str, pid: int) -> dict[str, float]:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "JPEG")
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        sent = await client.post("/images", files={"files": ("a.jpg", file.getvalue(), "image/jpeg")})
        image = sent.raise_for_status().json()["images"][0]
        alone = await _asked(client)
        path, headers = f"/images/{image}/captions", {"Prefer": f"wait={WAIT_S}"}
        waiting = [asyncio.create_task(client.post(path, json={}, headers=headers)) for _ in range(WAITING)]
        await asyncio.sleep(8)  # until all of them wait
        during = await _asked(client)
        assert not any(each.done() for each in waiting)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        for each in waiting:
            each.cancel()
    found = {name: int(value) for name, value in re.findall(r"(Threads|VmRSS):\s+(\d+)", status)}
    return {
        "threads": found["Threads"],
        "memory_mb": found["VmRSS"] / 1024,
        "alone_per_s": alone,
        "during_per_s": during,
        "during_of_alone": during / alone,
    }


async def _asked(client: httpx.AsyncClient) -> float:
    """How many requests a second are answered."""
    end = time.monotonic() + MEASURED_S
    counts = [0] * ASKING

    async def ask(which: int) -> None:
        while time.monotonic() < end:
            (await client.get("/me")).raise_for_status()
            counts[which] += 1

    await asyncio.gather(*(ask(which) for which in range(ASKING)))
    return sum(counts) / MEASURED_S


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1])
    else:
        for kind in ("as built", "held") * 2:
            figures = {name: round(value, 2) for name, value in measured(kind).items()}
            print(json.dumps({"kind": kind, **figures}), flush=True)
