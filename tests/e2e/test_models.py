"""Operators look after models: from people's edits to a challenger, its canary, a promotion, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from playwright.sync_api import Locator, expect

from cutline.captioning.bundle import sealed
from cutline.metrics.page import whole_page
from cutline.registry import DataRecord, Draft, GateReport, Registry, RegistrySettings, Version, open_registry
from tests.e2e.conftest import CAT, FLOWER, PASSWORD, Person
from tests.e2e.test_axe import Auditor
from tests.server.services.process import wait_until
from tests.server.services.service import Service

EMAIL = "operator@example.org"
NEW = "cutline-base@9.1.0"


def registry_of(live: Service) -> Registry:
    """The registry that the service follows."""
    cache = RegistrySettings(registry_cache=live.env["CUTLINE_REGISTRY_CACHE"])
    return open_registry(live.env["CUTLINE_MODEL"].removeprefix("registry:"), settings=cache)


def learn(registry: Registry, captions: int) -> Version:
    """What a run of the learner leaves behind; tests/learning trains for real.

    The challenger has the champion's graphs under another version, and its report says what is true of it.
    """
    champion = registry.find("champion")
    bundle = registry.bundle(champion)
    gates = [
        {"name": name, "about": about, "passed": True, "figure": 1.0, "threshold": threshold}
        for name, about, threshold in (
            ("golden", "golden photos stay alike", "at least 0.5"),
            ("size", "bytes of the bundle", "at most 1.1"),
        )
    ]
    rows = "".join(f"<tr><th>{gate['name']}</th><td>{gate['figure']}</td></tr>" for gate in gates)
    body = f"<h1>Passed: {NEW}</h1><table>{rows}</table><script>document.title = 'It ran'</script>"
    version = registry.push(
        Draft(
            bundle=sealed(replace(bundle.manifest, version="9.1.0"), bundle.files),
            data=DataRecord(hash="d" * 64, description=f"{captions} captions by people"),
            parents=(champion.id,),
            metrics={"gates": {"golden": 1.0, "size": 1.0}},
            gates=GateReport(
                passed=True,
                summary="All 2 gates passed.",
                report={"passed": True, "gates": gates},
                page=whole_page("Gates", [body]).encode(),
            ),
        )
    )
    facts = {"counts": {"captions": captions}, "fewest_new": 50}
    registry.record_run(
        by="learner",
        ending="challenger",
        why="All 2 gates passed.",
        champion=champion.id,
        version=version.id,
        facts=facts,
    )
    registry.promote(version.id, to="challenger", by="learner", why="All 2 gates passed.")
    return version


def edits(person: Person, live: Service, photo: Any, words: str) -> str:
    """Somebody consents, captions a photo and writes better words; the path of its page."""
    path = person.caption(photo)
    person.press("Edit")
    person.page.get_by_role("textbox", name="Caption", exact=True).fill(words)
    person.press("Save")
    expect(person.heading).to_have_text(words)
    assert person.context.request.patch(f"{live.url}/api/v1/me", data={"may_train": True}).ok
    return path


def decide(operator: Person, button: str, why: str, *, within: Locator) -> None:
    """Press a button, find that it wants a reason, and give it."""
    operator.press(button, within=within)
    question = operator.page.get_by_role("dialog")
    expect(question.get_by_role("button", name=button)).to_be_disabled()
    question.get_by_label("Reason").fill(why)
    operator.press(button, within=question)
    expect(question).to_have_count(0)


def test_edits_lead_to_a_challenger_that_is_tried_promoted_and_taken_back(
    new_person: Callable[..., Person], live: Service
) -> None:
    first, second = new_person(), new_person()
    path = edits(first, live, CAT, "A cat sleeps on a sill.")
    edits(second, live, FLOWER, "A white flower in bloom.")
    live.manage(
        "shell",
        "--no-imports",
        "--command",
        "from cutline.server.people.models import User;"
        f"User.objects.create_superuser('{EMAIL}', '{PASSWORD}')",
    )
    operator = new_person(bypass_csp=True, reduced_motion="reduce")
    auditor, page = Auditor(operator), operator.page
    operator.enter_password(EMAIL)
    operator.is_signed_in()
    operator.open("/models")
    learning = operator.main.get_by_role("region", name="Learning")
    waiting = int(learning.get_by_role("definition").first.inner_text())
    assert waiting >= 2
    registry = registry_of(live)
    old = registry.find("champion")

    version = learn(registry, waiting)
    operator.open("/models")
    challenger = operator.main.get_by_role("region", name="Challenger", exact=True)
    expect(challenger).to_contain_text(NEW)
    expect(learning).to_contain_text(f"A challenger: {NEW}")
    operator.press(f"Details of {NEW}")
    gates = page.get_by_role("region", name="Gates", exact=True)
    expect(gates.get_by_role("row", name="golden")).to_contain_text("at least 0.5")
    with operator.context.expect_page() as opened:
        page.get_by_role("link", name="Report of the gates").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text(f"Passed: {NEW}")
    opened.value.close()

    operator.press("Change shares", within=challenger)
    question = page.get_by_role("dialog")
    auditor.look("the question how many people the challenger captions for")
    question.get_by_label("Canary, percent").fill("100")
    question.get_by_label("Reason").fill("its report looks good")
    operator.press("Change shares", within=question)
    expect(challenger).to_contain_text("Canary: 100% of people")
    image = f"{live.url}/api/v1{path}/captions"

    def captions_of_the_new_one() -> bool:
        """The process loads a challenger while the champion writes on."""
        models = [each["model"] for each in first.context.request.get(image).json()["items"]]
        if NEW not in models:
            first.context.request.post(image, data={"n": 1}, headers={"Prefer": "wait=20"})
        return NEW in models

    wait_until(captions_of_the_new_one, what="a caption of the challenger")
    operator.open("/models")
    arms = operator.main.get_by_role("region", name="Champion and challenger").first
    expect(arms.get_by_role("row", name="Captions")).to_contain_text("of 1 people")
    expect(arms.get_by_role("row", name="Failed")).to_contain_text("0%")
    operator.press(f"Details of {NEW}")
    expect(gates).to_be_visible()
    auditor.look("the models, with a challenger and its details")

    decide(operator, "Promote", "people edit it less", within=challenger)
    champion = operator.main.get_by_role("region", name="Champion", exact=True)
    expect(champion).to_contain_text(NEW)
    expect(challenger).to_contain_text("No challenger")

    def is_in_use() -> bool:
        [used] = first.context.request.get(f"{live.url}/api/v1/models").json()["items"]
        return f"{used['name']}@{used['version']}" == NEW

    wait_until(is_in_use, what="the new champion")
    first.open("/about/model")
    past = first.main.get_by_role("region", name="Which model wrote the captions").get_by_role("listitem")
    expect(past.first).to_contain_text(f"{NEW} · in use now")
    expect(past.first).to_contain_text(f"Learned from: {waiting} captions by people")

    decide(operator, "Roll back", "it names the wrong sports", within=champion)
    expect(champion).to_contain_text(old.label)
    decided = operator.main.get_by_role("region", name="What was decided").get_by_role("listitem")
    expect(decided.first).to_contain_text(f"champion went back from {NEW} to {old.label}")
    expect(decided.first).to_contain_text("it names the wrong sports")
    expect(decided.first).to_contain_text(EMAIL)
    assert registry.find("champion").id == old.id
    assert registry.alias("challenger").version != version.id
    body = {"canary_percent": 0, "why": "the test is over"}
    assert operator.context.request.put(f"{live.url}/api/v1/registry/shares", data=body).ok
    assert auditor.found == {}
    assert operator.complaints == first.complaints == second.complaints == []
