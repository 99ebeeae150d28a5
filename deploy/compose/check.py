"""Check a running service from outside, as somebody without an account: deploy/check runs it.

    check.py URL STATE send      # upload a photo over TLS, wait for its caption on the websocket, remember it
    check.py URL STATE still     # everything that was sent is there once, with its caption and its file
    check.py URL STATE forget    # begin anew

STATE is the file that remembers. CHECK_CA: authorities to trust; the system's where it is empty.
"""

from __future__ import annotations

import io
import json
import os
import random
import ssl
import sys
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import connect

PATIENCE_S = 120.0
NOT_YET = (409, 502, 503, 504)  # what was restarted is not reached by all yet; 409: a first try goes on


class Failed(Exception):
    """What was expected, and did not come."""


@dataclass(slots=True, kw_only=True)
class State:
    """Who we are, and what we sent: the captions of our photos, by id."""

    cookies: dict[str, str] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)


def photo() -> bytes:
    """A photo that nobody sent before."""
    chance = random.SystemRandom()
    picture = Image.linear_gradient("L").convert("RGB").resize((320, 240))
    for _ in range(40):
        at = chance.randrange(300), chance.randrange(220)
        picture.paste(tuple(chance.randrange(256) for _ in range(3)), (*at, at[0] + 20, at[1] + 20))
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()


def patient(api: httpx.Client, method: str, path: str, **words: Any) -> httpx.Response:
    """The answer to a request that is sent again while the service says that it cannot answer yet."""
    end = time.monotonic() + PATIENCE_S
    while True:
        answer = api.request(method, path, **words)
        if answer.status_code not in NOT_YET or time.monotonic() > end:
            return answer
        time.sleep(float(answer.headers.get("retry-after", 1)))


def send(api: httpx.Client, url: str, context: ssl.SSLContext, state: State) -> str:
    """Upload a photo, and give its caption as the websocket tells it."""
    once = {"Idempotency-Key": str(uuid.uuid4())}
    file = {"files": ("check.jpg", photo(), "image/jpeg")}
    answer = patient(api, "POST", "/api/v1/images", files=file, headers=once)
    if answer.status_code != 202:
        raise Failed(f"the upload was answered {answer.status_code}: {answer.text}")
    image = answer.json()["items"][0]["id"]
    cookies = {**state.cookies, **dict(api.cookies)}
    caption = listen(url, context, cookies, image)
    state.cookies, state.captions[image] = cookies, caption
    return caption


def listen(url: str, context: ssl.SSLContext, cookies: dict[str, str], image: str) -> str:
    """Wait for the caption of an image, over as many websockets as it takes."""
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    secure = context if url.startswith("https") else None
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            address = url.replace("http", "ws", 1) + "/ws?after=0"
            with connect(address, additional_headers=headers, ssl=secure, proxy=None) as socket:
                while (left := end - time.monotonic()) > 0:
                    event = json.loads(socket.recv(timeout=left))
                    if event["type"] == "caption.ready" and event["data"]["image"] == image:
                        return str(event["data"]["caption"])
        except (OSError, InvalidHandshake, WebSocketException):
            time.sleep(0.5)  # what we were connected to was restarted
    raise Failed(f"no caption of {image} came within {PATIENCE_S:g} s")


def still(api: httpx.Client, state: State) -> int:
    """Check that each photo is there once, with its caption and file; say how many they are."""
    items = pages(api)
    ids = [item["id"] for item in items]
    if sorted(ids) != sorted(state.captions):
        lost = sorted(set(state.captions) - set(ids))
        raise Failed(f"{len(ids)} photos are there instead of {len(state.captions)}; lost: {lost}")
    for item in items:
        if item["caption"] != state.captions[item["id"]]:
            raise Failed(f"{item['id']} has the caption {item['caption']!r} now")
        file = patient(api, "GET", item["urls"]["master"]["jpeg"])
        if file.status_code != 200 or not file.headers["content-type"].startswith("image/"):
            raise Failed(f"the file of {item['id']} was answered {file.status_code}")
    return len(ids)


def pages(api: httpx.Client) -> list[dict[str, Any]]:
    """Everything in our library."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = patient(api, "GET", "/api/v1/images", params={"cursor": cursor} if cursor else None)
        found = answer.raise_for_status().json()
        items += found["items"]
        cursor = found["next"]
    return items


def main(url: str, place: str, what: str) -> int:
    """Do one of the three, and print what came of it."""
    path = Path(place)
    if what == "forget":
        path.unlink(missing_ok=True)
        print("forgotten")
        return 0
    state = State(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else State()
    context = ssl.create_default_context(cafile=os.environ.get("CHECK_CA") or None)
    transport = httpx.HTTPTransport(verify=context, retries=3)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in state.cookies.items())}
    with httpx.Client(
        base_url=url, transport=transport, headers=headers if state.cookies else {}, timeout=60
    ) as api:
        try:
            said = (
                f"captioned: {send(api, url, context, state)}"
                if what == "send"
                else f"all {still(api, state)} photos are there"
            )
        except (Failed, httpx.HTTPError) as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    path.write_text(json.dumps(asdict(state)), encoding="utf-8")
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
