"""Operators look after models: from people's edits to a challenger, its canary, a promotion, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Locator, expect

from benchmarks.learning.domain import feed, learn
from cutline.registry import Registry, RegistrySettings, Version, open_registry
from tests.e2e.conftest import PASSWORD, Person
from tests.e2e.test_axe import Auditor
from tests.learning.exports import sentence, write_photo
from tests.server.services.process import wait_until
from tests.server.services.service import Service

EMAIL = "operator@example.org"
OTHERS = 20  # people, with two photos each
# Few captions of photos that show nothing: a short training, and gates that let through what it does.
LEARNER = {
    "data": {"fewest_captions": 20, "fewest_new": 5},
    "training": {"epochs": 1, "rewards": [], "strengths": [1.0]},
    "gates": {
        "fit_share": 0,
        "repeated": 1,
        "vocabulary": 1,
        "length": 1,
        "calibration": 1,
        "latency": 1000,
        "size": 10,
    },
}


@pytest.fixture
def live(folder: Path, serve: Callable[..., AbstractContextManager[Service]]) -> Iterator[Service]:
    """A service of its own, where nobody else has said anything that could be learned from."""
    place = folder / "models"
    settings = {
        "model": f"registry:{place / 'registry'}",  # which has the one that ships, to begin with
        "model_poll_s": 0.5,
        "registry_cache": place / "cache",
    }
    with serve(place, **settings) as service:
        yield service


def registry_of(service: Service) -> Registry:
    """The registry that the service follows."""
    cache = RegistrySettings(registry_cache=service.env["CUTLINE_REGISTRY_CACHE"])
    return open_registry(service.env["CUTLINE_MODEL"].removeprefix("registry:"), settings=cache)


def photos(folder: Path, count: int) -> list[Path]:
    """So many photos, no two alike."""
    folder.mkdir()
    found = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(found):
        write_photo(path, number)
    return found


def learn_from_people(service: Service, folder: Path) -> Version:
    """Run the learner once, beside the service; the challenger."""
    config = folder / "learn.yaml"
    config.write_text(yaml.safe_dump(LEARNER | {"work": str(folder / "learning")}))
    outcome = learn(service.env, config)
    assert outcome["ending"] == "challenger", outcome["reason"]
    return registry_of(service).find("challenger")


def edits(person: Person, live: Service, photo: Path, said: tuple[str, ...]) -> str:
    """Somebody consents, captions a photo and writes better words; the path of its page."""
    [words] = said
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
    new_person: Callable[..., Person], live: Service, tmp_path: Path
) -> None:
    first, second = new_person(), new_person()
    looks = photos(tmp_path / "photos", 2 + 2 * OTHERS)
    given = [(photo, (sentence(number),)) for number, photo in enumerate(looks)]
    path = edits(first, live, *given[0])
    edits(second, live, *given[1])
    feed(live, given[2:], OTHERS)
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
    assert waiting == len(given)
    registry = registry_of(live)
    old = registry.find("champion")

    version = learn_from_people(live, tmp_path)
    new = version.label
    operator.open("/models")
    challenger = operator.main.get_by_role("region", name="Challenger", exact=True)
    expect(challenger).to_contain_text(new)
    expect(learning).to_contain_text(f"A challenger: {new}")
    operator.press(f"Details of {new}")
    gates = page.get_by_role("region", name="Gates", exact=True)
    expect(gates.get_by_role("row", name="golden")).to_contain_text("at least 0.5")
    expect(gates.get_by_role("row", name="held-back likelihood")).to_contain_text("p < 0.05")
    with operator.context.expect_page() as opened:
        page.get_by_role("link", name="Report of the gates").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text(f"Passed: {new}")
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
        if new not in models:
            first.context.request.post(image, data={"n": 1}, headers={"Prefer": "wait=20"})
        return new in models

    wait_until(captions_of_the_new_one, what="a caption of the challenger")
    operator.open("/models")
    arms = operator.main.get_by_role("region", name="Champion and challenger").first
    expect(arms.get_by_role("row", name="Captions")).to_contain_text("of 1 people")
    expect(arms.get_by_role("row", name="Failed")).to_contain_text("0%")
    operator.press(f"Details of {new}")
    expect(gates).to_be_visible()
    auditor.look("the models, with a challenger and its details")

    decide(operator, "Promote", "people edit it less", within=challenger)
    champion = operator.main.get_by_role("region", name="Champion", exact=True)
    expect(champion).to_contain_text(new)
    expect(challenger).to_contain_text("No challenger")

    def is_in_use() -> bool:
        [used] = first.context.request.get(f"{live.url}/api/v1/models").json()["items"]
        return f"{used['name']}@{used['version']}" == new

    wait_until(is_in_use, what="the new champion")
    first.open("/about/model")
    past = first.main.get_by_role("region", name="Which model wrote the captions").get_by_role("listitem")
    expect(past.first).to_contain_text(f"{new} · in use now")
    learned = version.manifest.data.description
    assert "captions by people" in learned
    expect(past.first).to_contain_text(f"Learned from: {learned}")

    decide(operator, "Roll back", "it names the wrong sports", within=champion)
    expect(champion).to_contain_text(old.label)
    decided = operator.main.get_by_role("region", name="What was decided").get_by_role("listitem")
    expect(decided.first).to_contain_text(f"champion went back from {new} to {old.label}")
    expect(decided.first).to_contain_text("it names the wrong sports")
    expect(decided.first).to_contain_text(EMAIL)
    assert registry.find("champion").id == old.id
    assert registry.alias("challenger").version != version.id
    body = {"canary_percent": 0, "why": "the test is over"}
    assert operator.context.request.put(f"{live.url}/api/v1/registry/shares", data=body).ok
    assert auditor.found == {}
    assert operator.complaints == first.complaints == second.complaints == []
