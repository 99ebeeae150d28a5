"""What operators decide about models: by the API, the command, and who may not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client

from cutline.captioning.bundle import Bundle
from cutline.errors import GatesNotPassed
from cutline.registry import Registry
from cutline.server import security_log
from cutline.server.account import keys
from cutline.server.canary import operations
from cutline.server.canary.past import past
from cutline.server.captions.models import Caption
from cutline.server.errors import Conflict, Forbidden, Invalid
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.people.viewers import owner_of
from cutline.server.security_log import Event
from cutline.server.steering import shares
from tests.server.canary.conftest import PAGE, push

pytestmark = pytest.mark.django_db
BY: dict[str, Any] = {"by": "a test", "why": "it is a test"}
Logged = list[tuple[Event, dict[str, Any]]]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    """What goes into the security log."""
    found: Logged = []
    monkeypatch.setattr(security_log, "write", lambda event, **details: found.append((event, details)))
    return found


def client_of(role: Role, *scopes: str) -> Client:
    """Somebody with a role: by session, or with a key of these scopes."""
    name = "-".join([role, *scopes]).replace(":", "")
    user = User.objects.create_user(f"{name}@example.org", role=role)
    if not scopes:
        client = Client()
        client.force_login(user)
        return client
    secret = keys.create(owner_of(user), name="k", scopes=scopes)[1]
    return Client(headers={"Authorization": f"Bearer {secret}"})


def write(client: Client, method: str, path: str, **body: Any) -> Any:
    return client.generic(
        method, f"/api/v1/registry/{path}", json.dumps(body), content_type="application/json"
    )


def test_an_administrator_looks_promotes_and_goes_back(
    registry: Registry, bundle: Bundle, logged: Logged
) -> None:
    client = client_of(Role.ADMIN)
    champion, challenger = registry.find("champion").id, registry.find("challenger").id
    told = client.get("/api/v1/registry").json()
    assert (told["champion"], told["challenger"], told["problem"]) == (champion, challenger, "")
    assert told["shares"]["canary_percent"] == 50
    assert {each["name"] for each in told["comparison"]["champion"]["measures"]} >= {
        *("edited", "picked", "rated_up", "rated_down", "failed", "edit_distance", "median_s")
    }
    versions = client.get("/api/v1/registry/versions").json()["items"]
    assert [each["aliases"] for each in versions] == [["challenger"], ["champion"]]
    assert versions[0]["parents"] == [champion]
    one = client.get(f"/api/v1/registry/versions/{challenger[:12]}").json()
    assert one["metrics"] == {"gates": {"base": 0.62}}
    assert [each["name"] for each in one["report"]] == ["base"]

    answer = write(client, "POST", "promote", version=challenger, why="better", expected=champion)
    assert answer.status_code == 200, answer.content
    assert answer.json()["by"] == "admin@example.org"
    assert registry.alias("champion").version == challenger
    assert registry.alias("challenger").version == ""
    assert registry.history()[-1].by == f"account:{User.objects.get().pk}"
    assert client.get("/api/v1/registry").json()["challenger"] == ""
    last, first = past()
    assert (last.model, first.model) == ("cutline-base@9.1.0", registry.find("0").label)
    assert (last.learned, last.parents, first.since) == ("300 captions by people", (first.model,), None)

    late = write(client, "POST", "promote", version="0", why="no", expected=champion)
    assert (late.status_code, late.json()["code"]) == (409, "alias_moved")
    assert write(client, "POST", "rollback", why="it names wrong sports").status_code == 200
    assert registry.alias("champion").version == champion
    promoted, rolled_back = logged[-2:]
    assert (promoted[0], rolled_back[0]) == (Event.MODEL_PROMOTED, Event.MODEL_ROLLED_BACK)
    assert promoted[1]["version"] == rolled_back[1]["before"] == challenger
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "model.promoted as champion: better",
        "model.rolled_back as champion: it names wrong sports",
    ]
    bad = push(registry, bundle, "9.2.0", passed=False)
    refused = write(client, "POST", "promote", version=bad, why="I like it", to="challenger")
    assert (refused.status_code, refused.json()["code"]) == (409, "gates_not_passed")


def test_a_challenger_that_is_refused_can_still_be_seen_and_stopped(
    registry: Registry, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(Role.ADMIN)
    challenger = registry.alias("challenger").version
    registry.record_run(by="learner", ending="challenger", why="good", version=challenger)
    signing = Ed25519PrivateKey.generate().public_key()
    key = signing.public_bytes_raw().hex()
    monkeypatch.setenv("CUTLINE_REGISTRY_PUBLIC_KEYS", key)
    told = client.get("/api/v1/registry").json()
    assert "is not signed here" in told["problem"]
    assert (told["champion"], told["challenger"]) == (registry.find("0").id, challenger)
    assert [each["alias"] for each in told["moves"]] == ["challenger"]
    assert [each["ending"] for each in told["runs"]] == ["challenger"]
    assert write(client, "POST", "stop", why="nobody signed it").status_code == 200
    told = client.get("/api/v1/registry").json()
    assert (told["challenger"], told["problem"]) == ("", "")


def test_the_page_can_go_back_however_many_challengers_came_since(registry: Registry, bundle: Bundle) -> None:
    client = client_of(Role.ADMIN)
    assert client.get("/api/v1/registry").json()["since"] is None
    challenger = registry.alias("challenger").version
    promoted = registry.promote(challenger, by="a test", why="better")
    for _ in range(31):
        registry.promote("0", to="challenger", by="learner", why="again")
        registry.clear("challenger", by="a test", why="no")
    told = client.get("/api/v1/registry").json()
    assert told["since"][:23] == promoted.at[:23]  # the API tells milliseconds
    assert {each["alias"] for each in told["moves"]} == {"challenger"}


def test_what_waits_came_after_the_last_run_that_learned_began(registry: Registry) -> None:
    client = client_of(Role.ADMIN)
    began = "2026-01-02T03:04:05+00:00"
    registry.record_run(by="learner", ending="rejected", why="no", facts={"began": began, "learned": began})
    for _ in range(30):
        facts = {"began": "2026-02-02T03:04:05+00:00", "learned": began, "fewest_new": 7}
        registry.record_run(by="learner", ending="not started", why="9 wait", facts=facts)
    waiting = client.get("/api/v1/registry").json()["waiting"]
    assert datetime.fromisoformat(waiting["since"]) == datetime.fromisoformat(began)
    assert waiting["enough"] == 7


def test_shares_change_without_a_restart_and_a_challenger_is_stopped(
    registry: Registry, logged: Logged
) -> None:
    client = client_of(Role.ADMIN, "models")
    owner = next(each for each in map(str, range(99)) if shares.current().has_in_canary(each))
    answer = write(client, "PUT", "shares", canary_percent=0, why="it is slow")
    assert answer.json()["shadow_percent"] == 0
    assert not shares.current().has_in_canary(owner)
    assert write(client, "PUT", "shares", shadow_percent=100, why="look first").status_code == 200
    assert (shares.current().canary_percent, shares.current().shadow_percent) == (0, 100)
    assert write(client, "PUT", "shares", canary_percent=101, why="more").status_code == 422
    assert write(client, "POST", "stop", why="it repeats words").status_code == 200
    assert registry.alias("challenger").version == ""
    assert write(client, "POST", "stop", why="again").status_code == 409
    assert [event for event, _ in logged][-1] == Event.MODEL_STOPPED
    assert {event for event, _ in logged} >= {Event.MODEL_SHARES_CHANGED}


@pytest.mark.parametrize("why", ["", "  ", "\u202e", "x" * 1001])
def test_nothing_is_decided_without_a_reason(registry: Registry, why: str) -> None:
    client = client_of(Role.ADMIN)
    for method, path in (("POST", "promote"), ("POST", "rollback"), ("POST", "stop"), ("PUT", "shares")):
        body = {"version": "0"} if path == "promote" else {}
        assert write(client, method, path, why=why, **body).status_code == 422, path
    assert registry.history("challenger")[1:] == registry.history() == []
    with pytest.raises(Invalid):
        operations.stop(by="a test", why=why)


READ = ("", "versions", "versions/0", "versions/0/report")


def test_nobody_else_may_look_or_decide(registry: Registry) -> None:
    """Readers of the staff look; administrators decide; a key does as its account, with the scope alone."""
    demoted = client_of(Role.ADMIN, "models")
    User.objects.filter(role=Role.ADMIN).update(role=Role.USER)
    looks = {
        "nobody": (Client(), 401, 401),
        "a user": (client_of(Role.USER), 403, 403),
        "a user's key": (client_of(Role.USER, "account"), 403, 403),
        "the key of somebody who was staff": (demoted, 403, 403),
        "an administrator's key without the scope": (client_of(Role.ADMIN, "account", "caption"), 403, 403),
        "a reviewer": (client_of(Role.REVIEWER), 200, 403),
        "a moderator's key": (client_of(Role.MODERATOR, "models"), 200, 403),
    }
    for who, (client, looking, deciding) in looks.items():
        for path in READ[:3]:
            assert client.get(f"/api/v1/registry/{path}".rstrip("/")).status_code == looking, (who, path)
        for method, path in (("POST", "promote"), ("POST", "rollback"), ("POST", "stop"), ("PUT", "shares")):
            body = {"version": "0"} if path == "promote" else {}
            assert write(client, method, path, why="I may", **body).status_code == deciding, (who, path)
    assert len(registry.history("challenger")) == 1
    assert client_of(Role.MODERATOR, "models", "account").get("/api/v1/stats").status_code == 403


def test_a_key_for_models_is_made_by_staff_alone() -> None:
    for owner in (Owner.objects.create(), owner_of(User.objects.create_user("u@example.org"))):
        with pytest.raises(Forbidden):
            keys.create(owner, name="k", scopes=["models"])
    assert ApiKey.objects.count() == 0


def test_a_report_runs_and_loads_nothing(registry: Registry) -> None:
    client = client_of(Role.REVIEWER)
    id_ = registry.find("challenger").id
    answer = client.get(f"/api/v1/registry/versions/{id_}/report")
    assert answer.content == PAGE
    policy = answer["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["sandbox", "default-src 'none'"]
    assert "allow-scripts" not in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert client.get("/api/v1/registry/versions/0/report").status_code == 404


def test_runs_and_waiting_feedback_are_told(registry: Registry) -> None:
    client = client_of(Role.REVIEWER)
    for may_train in (True, True, False):
        owner = Owner.objects.create(may_train=may_train)
        image = Image.objects.create(owner=owner, content_hash=str(owner.pk), width_px=4, height_px=3)
        caption = Caption.objects.create(image=image, rank=0, text="A dog.", model="m@1")
        Feedback.objects.create(
            kind=Feedback.Kind.EDIT, image=image, caption=caption, before="A dog.", after="A cat."
        )
        Rating.objects.create(caption=caption, viewer=owner, value=1)
    told = client.get("/api/v1/registry").json()["waiting"]
    assert (told["edits"], told["ratings"], told["consenting"]) == (2, 2, 2)
    assert (told["enough"], told["since"]) == (None, None)
    counts = {"counts": {"captions": 120}, "fewest_new": 50}
    registry.record_run(by="learner", ending="rejected", why="base: worse", facts=counts)
    registry.record_run(by="learner", ending="failed", why="The disk is full.")
    told = client.get("/api/v1/registry").json()
    assert [(each["ending"], each["captions"]) for each in told["runs"]] == [
        ("failed", None),
        ("rejected", 120),
    ]
    assert (told["waiting"]["edits"], told["waiting"]["enough"]) == (0, 50)


def test_a_registry_that_does_not_answer_is_told(
    registry: Registry, configure: Callable[..., Any], tmp_path: Any
) -> None:
    (tmp_path / "file").write_text("x")
    client = client_of(Role.ADMIN)
    move = next((tmp_path / "models/aliases/challenger").iterdir())
    move.unlink()
    move.write_text("{}")
    told = client.get("/api/v1/registry")
    assert told.status_code == 200
    assert told.json()["problem"]
    assert told.json()["champion"] == ""
    configure(model="")
    assert client.get("/api/v1/registry").json()["code"] == "conflict"
    with pytest.raises(Conflict):
        operations.roll_back(**BY)


def test_an_alias_of_any_name_that_is_served_needs_passed_gates(
    registry: Registry, bundle: Bundle, configure: Callable[..., Any]
) -> None:
    registry.promote("0", to="stable", **BY)
    configure(model=f"registry:{registry.where}#stable")
    bad = push(registry, bundle, "9.2.0", passed=False)
    with pytest.raises(GatesNotPassed):
        operations.promote(bad, **BY)
    operations.promote(registry.find("challenger").id, **BY)
    assert registry.find("stable").label == "cutline-base@9.1.0"


def test_the_command_does_the_same(registry: Registry, logged: Logged) -> None:
    def run(*words: str) -> Any:
        out = io.StringIO()
        call_command("models", *words, stdout=out)
        return json.loads(out.getvalue())

    assert run("show")["challenger"]["id"] == registry.find("challenger").id
    assert run("share", "--shadow", "20", "--why", "look first")["shadow_percent"] == 20
    assert run("promote", "challenger", "--why", "better")["action"] == "promote"
    assert run("rollback", "--why", "worse")["action"] == "rollback"
    assert registry.history()[-1].by.startswith("command:")
    with pytest.raises(CommandError, match="no challenger"):
        run("stop", "--why", "it is gone already")
    assert len(logged) == 3
