"""The whole contract against the running service: whatever is sent, only what is documented comes back.

Each operation is tried with generated requests, valid and invalid; every second one names things that exist.
Schemathesis goes through all fields, too, with what each takes and does not take (its coverage phase): some
4,600 requests, of which those that differ by a value alone are thinned out.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation.meta import CoveragePhaseData

from cutline.server.people.keys import EVERYBODYS
from tests.chat_server import chat_server
from tests.server import photos
from tests.server.services.client import Visitor
from tests.server.services.mailbox import Mailbox
from tests.server.services.process import ANSWERS_S, wait_until
from tests.server.services.receiver import Receiver
from tests.server.services.service import Mode, Service

EXAMPLES = 4
load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
    ]
)

contract = schemathesis.openapi.from_path(Path(__file__).parents[3] / "contracts/openapi.json")


class Things:
    """An account with one of everything, made anew where a request took it away."""

    def __init__(self, service: Service, receiver: Receiver, mailbox: Mailbox) -> None:
        with service.visitor() as visitor:
            visitor.sign_up(mailbox, "schema@example.org")
            self.key = str(visitor.new_key(*EVERYBODYS, name="all")["key"])
        self.service = service
        self.receiver = receiver
        self.client = Visitor(service.url, key=self.key)
        self.numbers = itertools.count(5000)
        self.known: dict[str, Any] = {}
        self.fresh_for = ""

    def refresh(self, operation: str) -> None:
        """Make what the operations before this one took away."""
        if operation == self.fresh_for:
            return
        self.fresh_for = operation
        known = self.known
        if not self._is_there("images/{image_id}"):
            (item,) = self.client.upload(photos.generated(next(self.numbers)))
            known.update(image_id=item["id"], job_id=item["job"], number=1, code="not_found")
            wait_until(
                lambda: self.client.get(f"/images/{item['id']}/captions").json()["items"],
                what="the caption of a photo",
            )
            known["caption_id"] = self.client.get(f"/images/{item['id']}/captions").json()["items"][0]["id"]
            image = self.client.patch(f"/images/{item['id']}", json={"visibility": "unlisted"}).json()
            known["token"] = image["share_url"].rpartition("/")[2]
        if not self._is_there("bulk/{bulk_id}"):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("a.jpg", photos.generated(next(self.numbers)))
            answer = self.client.post("/bulk", files={"archive": ("a.zip", archive.getvalue())})
            known["bulk_id"] = answer.raise_for_status().json()["id"]
        if not self._is_there("webhooks/{webhook_id}"):
            answer = self.client.post("/webhooks", json={"url": f"{self.receiver.url}/schema"})
            known["webhook_id"] = answer.raise_for_status().json()["id"]
            answer = self.client.post(f"/webhooks/{known['webhook_id']}/test").raise_for_status()
            known["delivery_id"] = answer.json()["id"]
        answer = self.client.post("/keys", json={"name": "spare", "scopes": ["caption"]})
        if answer.status_code == 201:
            known["key_id"] = answer.json()["id"]

    def _is_there(self, path: str) -> bool:
        try:
            return self.client.get("/" + path.format(**self.known)).status_code == 200
        except KeyError:
            return False


@pytest.fixture(scope="module")
def things(folder: Path, receiver: Receiver, mailbox: Mailbox, tiny_model: Path) -> Iterator[Things]:
    chosen = {"candidates": 1, "fetch_timeout_s": 1, "log_level": "ERROR", "mail_url": mailbox.url}
    chosen["model"] = tiny_model
    with chat_server() as model:
        chosen["restyler"] = f"openai:{model.url}#writer"
        service = Service(Mode.LAPTOP, folder / "schema", settings=chosen)
        service.start()
        try:
            found = Things(service, receiver, mailbox)
            yield found
            found.client.close()
        finally:
            service.kill()  # a kind end would wait for what is sent to nowhere


@pytest.fixture(scope="module")
def turns() -> Iterator[int]:
    return itertools.count()


class Thinning:
    """Leaves out most of the requests that schemathesis describes in the same words as one before.

    They differ by one value of one field: ten wrong types of `n`, say. The first is sent, and of all others,
    counted over all fields and operations, each fifth: so it is another one each time, and all kinds come.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, str | None]] = set()
        self._repeated = itertools.count(1)

    def leaves_out(self, case: schemathesis.Case) -> bool:
        """Whether it does so with this request. Those of the other phases are all sent."""
        found = case.meta.phase.data if case.meta else None
        if not isinstance(found, CoveragePhaseData):
            return False
        kind = (case.operation.label, found.description, case.media_type)
        if kind not in self._seen:
            self._seen.add(kind)
            return False
        return next(self._repeated) % 5 != 0


@pytest.fixture(scope="module")
def thinning() -> Thinning:
    return Thinning()


@contract.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_only_what_is_documented_comes_back(
    case: schemathesis.Case, things: Things, turns: Any, thinning: Thinning
) -> None:
    if thinning.leaves_out(case):
        return
    turn = next(turns)
    if case.method == "DELETE" and case.path in ("/api/v1/me", "/api/v1/keys"):
        headers = {}  # the account and its key are needed for the rest
    else:
        headers = {"Authorization": f"Bearer {things.key}"} if turn % EXAMPLES else {}
    if turn % 2 and case.path_parameters:
        things.refresh(case.operation.label)
        for name in case.path_parameters:
            case.path_parameters[name] = things.known.get(name, case.path_parameters[name])
    case.call_and_validate(base_url=things.service.url, headers=headers, checks=CHECKED, timeout=ANSWERS_S)


def test_the_page_of_the_contract_needs_nobody_else(things: Things) -> None:
    page = httpx.get(f"{things.service.url}/api/v1/docs", timeout=ANSWERS_S)
    assert page.status_code == 200
    for address in page.text.split('"'):
        assert not address.startswith(("http:", "https:", "//")), address
        if address.startswith("/static/"):
            assert httpx.get(things.service.url + address, timeout=ANSWERS_S).status_code == 200
    assert "swagger" in page.text
    served = httpx.get(f"{things.service.url}/api/v1/openapi.json", timeout=ANSWERS_S).json()
    assert set(served["paths"]) == set(contract.raw_schema["paths"])
