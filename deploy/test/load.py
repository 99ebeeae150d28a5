"""Use a running service as an account does, and miss nothing: load.py URL photos NUMBER|verify|requests.

    photos    upload NUMBER photos, each as often as it takes under one Idempotency-Key; wait for
              all captions; check that each is there once, with its file
    verify    check that again
    requests  send reads and uploads until SIGTERM, none twice; each answer that is an error is a failure

The key of the account is in LOAD_KEY; what was sent is remembered in /load. CHECK_CA: authorities to trust.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

STATE = Path("/load/sent.json")
PER_SECOND = 4
CLIENTS = 8
PATIENCE_S = 900.0
AGAIN = (409, 425, 429, 500, 502, 503, 504)  # 409: the first try is still under way


class Failed(Exception):
    """What was expected, and did not come."""


def photo(number: int) -> bytes:
    """The photo with a number."""
    chance = random.Random(number)
    picture = Image.linear_gradient("L").convert("RGB").resize((480, 360))
    for _ in range(40):
        at = chance.randrange(440), chance.randrange(320)
        picture.paste(tuple(chance.randrange(256) for _ in range(3)), (*at, at[0] + 40, at[1] + 40))
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()


def client(url: str) -> httpx.Client:
    """A connection pool of the account."""
    context = ssl.create_default_context(cafile=os.environ.get("CHECK_CA") or None)
    return httpx.Client(
        base_url=url,
        verify=context,
        headers={"Authorization": f"Bearer {os.environ['LOAD_KEY']}"},
        timeout=30,
    )


def patient(api: httpx.Client, method: str, path: str, **words: Any) -> httpx.Response:
    """The answer to a request that is sent again until it is answered."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            answer = api.request(method, path, **words)
        except httpx.TransportError:
            time.sleep(0.5)
            continue
        if answer.status_code not in AGAIN:
            return answer
        time.sleep(float(answer.headers.get("retry-after", 0.5)))
    raise Failed(f"{method} {path} was not answered within {PATIENCE_S:g} s")


def upload(api: httpx.Client, run: str, number: int) -> str:
    """Upload a photo, once; gives its id."""
    answer = patient(
        api,
        "POST",
        "/api/v1/images",
        files={"files": (f"{number}.jpg", photo(number), "image/jpeg")},
        headers={"Idempotency-Key": f"{run}-{number}"},
    )
    if answer.status_code != 202:
        raise Failed(f"upload {number} was answered {answer.status_code}: {answer.text}")
    return str(answer.json()["items"][0]["id"])


def library(api: httpx.Client) -> list[dict[str, Any]]:
    """Everything in the account's library."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        words = {"cursor": cursor, "limit": "100"} if cursor else {"limit": "100"}
        found = patient(api, "GET", "/api/v1/images", params=words).raise_for_status().json()
        items += found["items"]
        cursor = found["next"]
    return items


def send(api: httpx.Client, count: int) -> None:
    """Upload photos beside each other, at a pace, and remember them."""
    run = f"{time.time():.0f}"
    there = [item["id"] for item in library(api)]
    began = time.monotonic()

    def one(number: int) -> str:
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        return upload(api, run, number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = list(pool.map(one, range(count)))
    STATE.write_text(json.dumps(there + ids), encoding="utf-8")
    print(f"sent {count} photos in {time.monotonic() - began:.0f} s", flush=True)
    end = time.monotonic() + PATIENCE_S
    while waiting := sum(not item["caption"] for item in library(api)):
        if time.monotonic() > end:
            raise Failed(f"{waiting} photos have no caption")
        time.sleep(2)
    print(f"all are captioned after {time.monotonic() - began:.0f} s", flush=True)


def verify(api: httpx.Client) -> None:
    """All that was sent or there before is there once, and nothing else; each has a caption and a file."""
    sent = json.loads(STATE.read_text(encoding="utf-8"))
    items = library(api)
    ids = [item["id"] for item in items]
    if sorted(ids) != sorted(sent) or len(set(ids)) != len(ids):
        lost, more = set(sent) - set(ids), len(ids) - len(set(ids) & set(sent))
        raise Failed(f"{len(lost)} of {len(sent)} photos are lost, {more} are there beside them")
    for item in items:
        if not item["caption"]:
            raise Failed(f"{item['id']} has no caption")
        file = patient(api, "GET", item["urls"]["master"]["jpeg"])
        if file.status_code != 200 or not file.headers["content-type"].startswith("image/"):
            raise Failed(f"the file of {item['id']} was answered {file.status_code}")
    print(f"all {len(items)} photos are there, none twice, each with its caption and file")


def requests(url: str) -> None:
    """Send requests until SIGTERM; raises Failed where one was answered with an error, or not at all."""
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: stop.set())
    failures: list[str] = []
    counts: list[int] = []

    def visit(who: int) -> None:
        count = 0
        while not stop.wait(0.5):
            with client(url) as api:  # a new connection each time, as new visitors have
                for method, path in (("GET", "/"), ("GET", "/api/v1/images"), ("POST", "/api/v1/images")):
                    count += 1
                    number = 10**6 + who * 10**5 + count
                    files = {"files": ("x.jpg", photo(number), "image/jpeg")} if method == "POST" else None
                    try:
                        answer = api.request(method, path, files=files)
                    except httpx.TransportError as error:
                        failures.append(f"{time.strftime('%X')} {method} {path}: {error!r}")
                    else:
                        if answer.status_code >= 400:
                            failures.append(f"{time.strftime('%X')} {method} {path}: {answer.status_code}")
        counts.append(count)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(visit, range(4)))
    print("\n".join(failures))
    print(f"{sum(counts)} requests, {len(failures)} failed")
    if failures:
        raise Failed("requests failed")


def main(url: str, what: str, number: str = "0") -> int:
    """Do one of the three."""
    try:
        if what == "requests":
            requests(url)
            return 0
        with client(url) as api:
            if what == "photos":
                send(api, int(number))
            verify(api)
    except (Failed, httpx.HTTPError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
