"""Hostile uploads: each file of the corpus is sent to the running service.

Every one ends in a clear error or a clean success, and afterwards nothing is left of them: no row, no file,
no temporary file, no memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server.conftest import EXAMPLES
from tests.server.services.client import Visitor
from tests.server.services.process import wait_until
from tests.server.services.service import Mode, Service
from tests.server.uploads.hostile import Hostile, corpus

GROWTH_BYTES = 48 * 2**20  # allocators keep what they had; a leak of the corpus would be far more
REFUSALS = {"image_unreadable", "image_unsupported", "image_too_large"}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service puts temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, temporary: Path, tiny_model: Path) -> Iterator[Service]:
    """A service of its own, that forgets fast."""
    wishes = {
        "undo_s": 0,
        "sweep_s": 1,
        "max_images_anonymous": 100_000,
        "max_attempts": 1,
        "model": tiny_model,
    }
    service = Service(Mode.LAPTOP, tmp_path_factory.mktemp("hostile"), settings=wishes)
    service.env["TMPDIR"] = str(temporary)
    service.env["MALLOC_ARENA_MAX"] = "2"  # or memory would depend on which threads happened to decode
    service.start()
    yield service
    service.stop()


def send(visitor: Visitor, file: Hostile) -> httpx.Response:
    """Upload one file, under its own name."""
    return visitor.post(
        "/images",
        files=[("files", (file.name, file.data, "image/jpeg"))],
        data={"n": 1, "strategy": "greedy"},
    )


def memory(service: Service) -> int:
    """Bytes that the web process has of its own."""
    web = psutil.Process(service.web.pid)
    return sum(int(each.memory_info().rss) for each in (web, *web.children(recursive=True)))


def test_the_corpus_is_large_and_varied() -> None:
    files = corpus()
    assert len(files) >= 1_000
    assert len({(file.name, file.data) for file in files}) == len(files)
    kinds = Counter(file.kind for file in files)
    assert all(kinds[kind] >= 10 for kind in ("truncated", "flipped", "bomb", "polyglot", "metadata", "name"))


def test_every_file_ends_in_a_clear_error_or_a_clean_success(service: Service, temporary: Path) -> None:
    files = corpus()
    outcomes: Counter[str] = Counter()
    sizes: list[int] = []
    images: set[str] = set()
    with service.visitor() as visitor:
        [first] = visitor.upload((EXAMPLES / "cat.jpg").read_bytes())  # loads the model
        images.add(first["id"])
        jobs_end(visitor)
        others = set(temporary.rglob("*"))  # what onnxruntime keeps there
        for number, file in enumerate(files):
            answer = send(visitor, file)
            outcome = check(file, answer)
            outcomes[outcome] += 1
            if outcome in ("created", "exists"):
                images.add(answer.json()["items"][0]["id"])
            if number % 100 == 99:
                sizes.append(memory(service))
        assert outcomes["created"] > 100, outcomes  # not everything that is odd is refused
        assert sum(outcomes[code] for code in REFUSALS) > 400, outcomes
        jobs_end(visitor)
        assert visitor.get("/images", params={"limit": 1}).status_code == 200
        nothing_is_left(service, visitor, images)
        wait_until(lambda: set(temporary.rglob("*")) == others, what="no temporary files")
        # The second time, all that is loaded once is loaded: what grows now would grow on and on.
        before = memory(service)
        for file in files[::6]:
            check(file, send(visitor, file))
        jobs_end(visitor)
        assert memory(service) - before < GROWTH_BYTES, sizes
        listed = all_images(visitor)
        nothing_is_left(service, visitor, listed)
        wait_until(lambda: set(temporary.rglob("*")) == others, what="no temporary files")


def check(file: Hostile, answer: httpx.Response) -> str:
    """What became of a file; fails where the answer is neither a success nor a clear error."""
    told = f"{file.kind}: {file.name[:60]!r}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code == 202:
        [item] = answer.json()["items"]
        assert item["status"] in ("created", "exists"), told
        assert item["id"], told
        return str(item["status"])
    # A name longer than any header may be is refused with the form that it is in.
    assert answer.status_code in ((400, 422) if file.kind == "name" else (413, 422)), told
    assert answer.headers["Content-Type"] == "application/problem+json", told
    problem = answer.json()
    assert problem["code"] in REFUSALS | {"invalid", "malformed"}, told
    assert len(problem["detail"]) > 15, told
    assert "Traceback" not in answer.text, told
    assert "/site-packages/" not in answer.text, told
    return str(problem["code"])


def jobs_end(visitor: Visitor) -> None:
    """Wait until every job has ended, and done its work."""

    def ended() -> bool:
        waiting = [
            visitor.get("/images", params={"state": state, "limit": 1}).json()["items"]
            for state in ("queued", "running")
        ]
        return not any(waiting)

    wait_until(ended, what="the jobs' end")
    failed = visitor.get("/images", params={"state": "failed"}).json()["items"]
    assert failed == []


def all_images(visitor: Visitor) -> set[str]:
    """The ids of all images in the visitor's library."""
    found: set[str] = set()
    cursor = ""
    while True:
        answer = visitor.get("/images", params={"limit": 200, "cursor": cursor}).json()
        found |= {item["id"] for item in answer["items"]}
        if not answer["next"]:
            return found
        cursor = answer["next"]


def nothing_is_left(service: Service, visitor: Visitor, images: set[str]) -> None:
    """Delete everything, and wait until it is gone from the database and the store."""
    ids = sorted(images)
    for start in range(0, len(ids), 500):
        answer = visitor.post("/images/actions", json={"ids": ids[start : start + 500], "action": "delete"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["failed"] == []

    def gone() -> bool:
        counts = [service.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]
        return not any(counts) and not service.stored_keys()

    try:
        wait_until(gone, what="that nothing is left")
    except TimeoutError:
        left = {table: service.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}
        raise AssertionError(f"left: {left}, {list(service.stored_keys())[:5]}") from None
    folders = [path for path in (service.data / "files").rglob("*") if path.name != "images"]
    assert folders == []


TABLES = (
    "images_image",
    "images_rendition",
    "images_storedfile",
    "images_search_document",
    "jobs_job",
    "captions_caption",
)
