"""Attacks from one address, each a request that is sent again and again by several threads of a process.

    python -m benchmarks.abuse.attacks NAME URL SILENT_PORT KEY

The process runs at the lowest priority, since a real attacker has a machine of their own. It says when it
begins; at SIGTERM it prints what it was answered, by status (0: cut off).
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

ADDRESS = "127.200.0.1"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """Where the service is, a server that never answers, and a key of an account."""

    url: str
    silent: str
    key: str

    def client(self, **words: Any) -> httpx.Client:
        """A new visitor: no cookies, no key."""
        transport = httpx.HTTPTransport(local_address=ADDRESS)
        return httpx.Client(base_url=self.url, transport=transport, timeout=60, **words)

    def post(self, path: str, **words: Any) -> int:
        """A request of a new visitor; its status."""
        with self.client() as client:
            return client.post(path, **words).status_code

    def connection(self) -> socket.socket:
        """A plain connection."""
        made = httpx.URL(self.url)
        return socket.create_connection((made.host, made.port or 80), 60, source_address=(ADDRESS, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What is sent, and by how many at once. send gives the status of the answer.

    file: makes what takes long to make, once, before it begins.
    """

    what: str
    send: Callable[[Attacker], int]
    threads: int = 4
    file: Callable[[], bytes] = bytes


# -- files -----------------------------------------------------------------------------------------------


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _comments() -> bytes:
    return b"<!---->" * 24 + b"x"


@lru_cache(maxsize=1)
def _large_png() -> bytes:
    width, height = 5470, 5460
    packer, rows = zlib.compressobj(9), []
    row = bytes(1 + 3 * width)
    for _ in range(height):
        rows.append(packer.compress(row))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"".join([*rows, packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


@lru_cache(maxsize=1)
def _tiled_tiff() -> bytes:
    """16 x 16 pixels, in one tile of 32,768 x 32,768."""
    data = zlib.compress(bytes(2**20), 9)
    tags = [
        (256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
        (322, 4, 32768), (323, 4, 32768), (324, 4, 8), (325, 4, len(data)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory + bytes(4)


@lru_cache(maxsize=1)
def _long_gif() -> bytes:
    data = io.BytesIO()
    frames = [Image.new("P", (400, 400), number % 256) for number in range(1500)]
    for number, frame in enumerate(frames):
        frame.putpixel((number % 400, number // 400), 1 + number % 200)
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], optimize=False)
    return data.getvalue()


@lru_cache(maxsize=1)
def _small_photo() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    return data.getvalue()


@lru_cache(maxsize=1)
def _empty_members() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}.jpg", b"")
    return data.getvalue()


# -- what is sent ----------------------------------------------------------------------------------------


def _caption(make: Callable[[], bytes]) -> Callable[[Attacker], int]:
    return lambda attacker: attacker.post("/api/v1/caption", files={"image": ("a.jpg", make())})


def _nothing(attacker: Attacker) -> int:
    time.sleep(1)
    return 0


def _slow_fetches(attacker: Attacker) -> int:
    urls = [f"{attacker.silent}/{number}.jpg" for number in range(20)]
    return attacker.post("/api/v1/images/from-url", json={"urls": urls})


def _flood(attacker: Attacker) -> int:
    """A new session, a key of it if there is one to be had, and then as much as it gives."""
    with attacker.client() as client:
        client.post("/api/v1/images/actions", json={"ids": [], "action": "delete"})
        made = client.post("/api/v1/keys", json={"name": "a", "scopes": ["images:read"]})
        headers = {"X-API-Key": made.json()["key"]} if made.is_success else {}
        for _ in range(50):
            status = client.get("/api/v1/gallery?limit=200", headers=headers).status_code
    return status


def _json_bomb(path: str) -> Callable[[Attacker], int]:
    bomb = b"[" + b"[]," * (32 * 2**20 // 3 - 1) + b"[]]"
    headers = {"Content-Type": "application/json"}
    return lambda attacker: attacker.post(path, content=bomb, headers=headers)


def _base64_bomb(attacker: Attacker) -> int:
    return attacker.post("/api/v1/caption", json={"image": "A" * (22 * 2**20)})


def _webhook_tests(attacker: Attacker) -> int:
    with attacker.client(headers={"X-API-Key": attacker.key}) as client:
        made = client.post("/api/v1/webhooks", json={"url": attacker.silent})
        hooks = [made.json()["id"]] if made.is_success else []
        hooks = hooks or [each["id"] for each in client.get("/api/v1/webhooks").json().get("items", [])]
        return [client.post(f"/api/v1/webhooks/{hook}/test").status_code for hook in hooks[:3]][-1]


def _free_storage(attacker: Attacker) -> int:
    picture = io.BytesIO()
    Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(picture, "PNG")
    headers = {"Idempotency-Key": os.urandom(8).hex()}
    files = {"files": ("a.png", picture.getvalue())}
    return attacker.post("/api/v1/images", files=files, headers=headers)


def _empty_archives(attacker: Attacker) -> int:
    return attacker.post("/api/v1/bulk", files={"archive": ("a.zip", _empty_members())})


def _announced_body(attacker: Attacker) -> int:
    """3 GiB with a key that is wrong, of which much is sent before anybody answers."""
    with attacker.connection() as connection:
        connection.sendall(
            b"POST /api/v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: ck_wrong\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3300000000\r\n\r\n"
        )
        block = bytes(2**16)
        for _ in range(1000):
            connection.sendall(block)
        return int(connection.recv(64).split()[1])


def _half_requests(attacker: Attacker) -> int:
    """50 requests that never end, for a while."""
    held = []
    try:
        for number in range(50):
            held.append(attacker.connection())
            head = b"POST /api/v1/caption HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            body = b"Content-Length: 100000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x"
            held[-1].sendall(head + body if number % 2 else head)
        held[0].settimeout(10)
        held[0].recv(1)
    finally:
        for each in held:
            each.close()
    return 0


def _websockets(attacker: Attacker) -> int:
    """50 websockets that are opened, and stay for a while."""
    held = []
    try:
        for _ in range(50):
            held.append(attacker.connection())
            held[-1].sendall(
                b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
        answers = [each.recv(64).split() for each in held]
        held[0].settimeout(5)
        held[0].recv(4096)
    finally:
        for each in held:
            each.close()
    return max(int(answer[1]) if len(answer) > 1 else 0 for answer in answers)


def _readiness(attacker: Attacker) -> int:
    with attacker.client() as client:
        return [client.get("/readyz").status_code for _ in range(50)][-1]


def _many_parts(attacker: Attacker) -> int:
    part = b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return attacker.post("/api/v1/caption", content=part * 400_000 + b"--x--\r\n", headers=headers)


def _passwords(attacker: Attacker) -> int:
    with attacker.client() as client:
        client.get("/_allauth/browser/v1/config")
        headers = {"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": attacker.url}
        login = {"email": "person-0@example.org", "password": os.urandom(8).hex()}
        return client.post("/_allauth/browser/v1/auth/login", json=login, headers=headers).status_code


ATTACKS: Mapping[str, Attack] = {
    "nothing": Attack(what="nothing at all", send=_nothing, threads=1),
    "comments": Attack(
        what="comments that a nested pattern would match for days, as a photo",
        send=_caption(_comments),
    ),
    "fetches": Attack(what="20 URLs of a silent server, 40 times at once", send=_slow_fetches, threads=40),
    "pixels": Attack(
        what="PNGs of 87 KB with 30 million pixels, 20 at once",
        send=_caption(_large_png),
        threads=20,
        file=_large_png,
    ),
    "tiles": Attack(
        what="a TIFF of 16 x 16 with a tile of 32,768",
        send=_caption(_tiled_tiff),
        threads=8,
        file=_tiled_tiff,
    ),
    "frames": Attack(what="GIFs with 1,500 frames", send=_caption(_long_gif), threads=8, file=_long_gif),
    "flood": Attack(what="ever new sessions and keys that page through the gallery", send=_flood, threads=16),
    "json": Attack(what="32 MiB of [[],[],...] to /bulk", send=_json_bomb("/api/v1/bulk")),
    "sign-in": Attack(
        what="32 MiB of [[],[],...] to sign in", send=_json_bomb("/_allauth/browser/v1/auth/login")
    ),
    "base64": Attack(what="22 MiB of base64 to /caption", send=_base64_bomb, threads=8),
    "parts": Attack(what="forms of 400,000 parts", send=_many_parts),
    "webhooks": Attack(what="tests of webhooks to a silent server", send=_webhook_tests, threads=8),
    "storage": Attack(
        what="photos of ever new visitors, with idempotency keys", send=_free_storage, threads=8
    ),
    "archives": Attack(what="archives of 20,000 empty files", send=_empty_archives, file=_empty_members),
    "bodies": Attack(what="bodies of 3 GiB with a wrong key", send=_announced_body, threads=8),
    "halves": Attack(what="500 half requests that never end", send=_half_requests, threads=10),
    "websockets": Attack(what="500 websockets", send=_websockets, threads=10),
    "readiness": Attack(what="/readyz, again and again", send=_readiness, threads=16),
    "passwords": Attack(what="wrong passwords", send=_passwords, threads=8),
}


# -- running one -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Running:
    """An attack that runs, or ran."""

    process: subprocess.Popen[str]
    output: str = field(default="")

    def answers(self) -> str:
        """What the attacker was answered, by status."""
        return self.output.strip().splitlines()[-1] if self.output.strip() else "nothing"


@contextmanager
def attacking(name: str, service: Any, key: str) -> Iterator[Running]:
    """Attack a service until the context is left. key: of an account that the attacker has."""
    with _silent_server() as silent:
        command = [sys.executable, "-m", "benchmarks.abuse.attacks", name, service.url, silent, key]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.nice(19)
        )
        running = Running(process)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            running.output, _ = process.communicate()


@contextmanager
def _silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    held = []
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:

        def take() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:  # closed
                    return

        threading.Thread(target=take, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for each in held:
                each.close()


def main() -> None:
    """Attack until SIGTERM."""
    name, url, silent, key = sys.argv[1:]
    attack, attacker = ATTACKS[name], Attacker(url=url, silent=silent, key=key)
    answers: Counter[int] = Counter()

    def report(number: int, frame: object) -> None:
        print(json.dumps(dict(sorted(answers.items()))), flush=True)
        os._exit(0)

    def run() -> None:
        while True:
            try:
                status = attack.send(attacker)
            except (httpx.HTTPError, OSError, ValueError, IndexError):
                status = 0
            answers[status] += 1

    signal.signal(signal.SIGTERM, report)
    attack.file()  # not by each thread
    print("begins", flush=True)
    for _ in range(attack.threads):
        threading.Thread(target=run, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
