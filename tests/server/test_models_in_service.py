"""A service follows the alias of a registry without dropping a request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client import REGISTRY

from cutline.captioning.bundle import Bundle, read_bundle, sealed
from cutline.captioning.sources import default_bundle
from cutline.errors import RegistryUnavailable, VersionRefused
from cutline.registry import Draft, GateReport, Registry, open_registry
from cutline.registry.store import FolderStore
from cutline.server import captioner, models_in_service
from cutline.server.models_in_service import Loading, Shelf
from cutline.server.steering import shares

BY = {"by": "a test", "why": "it is a test"}
PASSED = GateReport(passed=True)
Configure = Callable[..., Any]


class Served:
    """A model that remembers where it came from, and whether it was closed."""

    def __init__(self, loading: Loading) -> None:
        self.loading, self.is_closed = loading, False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configure: Configure) -> Iterator[Registry]:
    monkeypatch.setenv("CUTLINE_REGISTRY_CACHE", str(tmp_path / "cache"))
    uri = f"registry:{tmp_path / 'models'}"
    captioner.close_captioners()  # what other tests loaded follows nothing
    configure(model=uri, model_poll_s=0)
    yield open_registry(uri)
    captioner.close_captioners()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(default_bundle())


def push(registry: Registry, bundle: Bundle, version: str, **more: Any) -> str:
    """Push the bundle that ships under another version; its id."""
    named = sealed(replace(bundle.manifest, version=version), bundle.files)
    return registry.push(Draft(bundle=named, gates=PASSED, **more)).id


def swaps() -> float:
    return REGISTRY.get_sample_value("cutline_model_swaps_total", {"model": "default"}) or 0.0


class Factory:
    """Makes what a shelf serves, unless it is told to refuse a version."""

    def __init__(self) -> None:
        self.made: list[Served] = []
        self.refused: set[str] = set()

    def __call__(self, loading: Loading) -> Served:
        if any(id_ in loading.uri for id_ in self.refused):
            raise VersionRefused("It failed on the golden photos.")
        self.made.append(Served(loading))
        return self.made[-1]


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
def shelf(registry: Registry, factory: Factory) -> Iterator[Shelf[Served]]:
    made = Shelf(uri_of=lambda model: f"registry:{registry.where}", make=factory)
    yield made
    made.close()


def test_a_promoted_version_takes_the_place_of_the_old_one(
    registry: Registry, bundle: Bundle, shelf: Shelf[Served], factory: Factory
) -> None:
    first = shelf.get("default")
    assert shelf.statuses()[0].version == registry.find("0").id
    shelf.follow()
    assert shelf.get("default") is first
    id_ = push(registry, bundle, "9.1.0", files={"golden.json": b'{"cat.jpg": "A cat."}'})
    registry.promote(id_, **BY)
    shelf.follow()
    second = shelf.get("default")
    assert (first.is_closed, second.is_closed) == (True, False)
    assert second.loading.must_be_tried
    assert second.loading.expected == {"cat.jpg": "A cat."}
    [status] = shelf.statuses()
    assert (status.state, status.version, status.label) == ("current", id_, "cutline-base@9.1.0")
    registry.rollback(**BY)
    shelf.follow()
    assert second.is_closed
    assert shelf.statuses()[0].label == f"cutline-base@{bundle.manifest.version}"


def test_how_it_stands_is_told_at_every_moment(shelf: Shelf[Served], monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.get("default")
    seen = []
    for name in ("set", "delete_many"):
        real = getattr(models_in_service.cache, name)

        def call(*given: Any, real: Any = real, **named: Any) -> Any:
            done = real(*given, **named)
            seen.append(models_in_service.told_of(["default"]))
            return done

        monkeypatch.setattr(models_in_service.cache, name, call)
    shelf.follow()
    assert len(seen) == 2
    assert all(status.state == "current" for [status] in seen)


def test_what_is_refused_changes_nothing_and_is_not_tried_all_the_time(
    registry: Registry,
    bundle: Bundle,
    shelf: Shelf[Served],
    factory: Factory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = shelf.get("default")
    bad = push(registry, bundle, "9.1.0")
    factory.refused = {bad}
    registry.promote(bad, **BY)
    shelf.follow()
    [status] = shelf.statuses()
    assert (status.state, status.refused, status.version) == ("refused", bad, registry.find("0").id)
    assert "golden" in status.reason
    factory.refused = set()
    shelf.follow()
    assert shelf.get("default") is first
    assert not first.is_closed
    monkeypatch.setattr(models_in_service, "RETRY_S", 0.0)
    shelf.follow()
    assert shelf.statuses()[0].version == bad


def test_damaged_files_change_nothing(
    registry: Registry, bundle: Bundle, shelf: Shelf[Served], factory: Factory
) -> None:
    first = shelf.get("default")
    id_ = push(registry, bundle, "9.1.0")
    registry.promote(id_, **BY)
    sha256 = registry.find(id_).manifest.files["bundle/bundle.json"].sha256
    (Path(registry.where) / "objects" / sha256[:2] / sha256).write_bytes(b"damaged")
    shelf.follow()
    assert shelf.get("default") is first
    assert shelf.statuses()[0].state == "refused"
    registry.rollback(**BY)
    shelf.follow()
    assert shelf.statuses()[0].state == "current"
    assert shelf.get("default") is first


def gone(*arguments: object, **named: object) -> Any:
    raise RegistryUnavailable("The registry is away.")


def test_a_registry_that_is_away_changes_nothing(
    registry: Registry, bundle: Bundle, shelf: Shelf[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shelf.get("default")
    registry.promote(push(registry, bundle, "9.1.0"), **BY)
    with monkeypatch.context() as away:
        away.setattr(FolderStore, "listed", gone)
        shelf.follow()
        assert shelf.statuses()[0].state == "unreachable"
        assert shelf.get("default") is first
    shelf.follow()
    assert shelf.statuses()[0].label == "cutline-base@9.1.0"


def test_a_start_without_the_registry_takes_what_was_there_last(
    registry: Registry, bundle: Bundle, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = push(registry, bundle, "9.1.0")
    registry.promote(id_, **BY)
    for known in (registry.find("0").id, id_):
        with monkeypatch.context() as away:
            for name in ("listed", "read"):
                away.setattr(FolderStore, name, gone)
            late = Shelf(uri_of=lambda model: f"registry:{registry.where}", make=factory)
            late.get("default")
        [status] = late.statuses()
        assert (status.state, status.version) == ("unreachable", known)
        late.follow()
        assert late.statuses()[0].version == id_
        late.close()


def test_a_start_with_a_broken_champion_takes_the_one_before(
    registry: Registry, bundle: Bundle, shelf: Shelf[Served], factory: Factory
) -> None:
    good, bad = (push(registry, bundle, version) for version in ("9.1.0", "9.2.0"))
    registry.promote(good, **BY)
    registry.promote(bad, **BY)
    factory.refused = {bad}
    shelf.get("default")
    [status] = shelf.statuses()
    assert (status.version, status.state, status.refused) == (good, "refused", bad)


def test_a_challenger_is_served_beside_the_champion_until_it_is_one(
    registry: Registry, bundle: Bundle, shelf: Shelf[Served], factory: Factory
) -> None:
    assert shelf.challenger("default") is None
    champion = shelf.get("default")
    id_ = push(registry, bundle, "9.1.0")
    registry.promote(id_, to="challenger", **BY)
    assert shelf.challenger("default") is None  # it is loaded when the aliases are looked at
    shelf.follow()
    challenger = shelf.challenger("default")
    assert challenger is not None
    assert challenger.loading.must_be_tried
    assert shelf.get("default") is champion
    registry.clear("challenger", **BY)
    shelf.follow()
    assert challenger.is_closed
    assert shelf.challenger("default") is None
    registry.promote(id_, to="challenger", **BY)
    registry.promote(id_, **BY)
    shelf.follow()
    assert shelf.challenger("default") is None
    assert shelf.statuses()[0].version == id_
    assert [each.is_closed for each in factory.made] == [True, True, False]


def test_a_challenger_that_is_refused_serves_nobody(
    registry: Registry, bundle: Bundle, shelf: Shelf[Served], factory: Factory
) -> None:
    shelf.get("default")
    assert shelf.challenger("default") is None
    bad = push(registry, bundle, "9.1.0")
    factory.refused = {bad}
    registry.promote(bad, to="challenger", **BY)
    shelf.follow()
    assert shelf.challenger("default") is None
    assert [each.state for each in shelf.statuses()] == ["current", "refused"]
    assert REGISTRY.get_sample_value("cutline_model_kept", {"model": "default#challenger"}) == 1
    registry.clear("challenger", **BY)
    shelf.follow()
    assert REGISTRY.get_sample_value("cutline_model_kept", {"model": "default#challenger"}) == 0


@pytest.mark.django_db
def test_the_same_owners_are_in_the_canary_and_stay_in_as_it_grows(configure: Configure) -> None:
    owners = [f"owner-{number}" for number in range(1000)]
    before: set[str] = set()
    for percent in (0, 10, 50, 100):
        configure(canary_percent=percent)
        chosen = shares.current()
        inside = {owner for owner in owners if chosen.has_in_canary(owner)}
        assert before <= inside
        assert abs(len(inside) - 10 * percent) < 50
        before = inside
    assert not captioner.wanted({}).in_canary
    configure(models='{"other": ""}')
    assert not captioner.wanted({"model": "other"}, in_canary=True).in_canary


class Failing:
    """A challenger whose graph breaks."""

    def caption(self, *photos: object, **options: object) -> list[list[captioner.Caption]]:
        raise RuntimeError("the graph broke")

    def about(self) -> captioner.ModelInfo:
        return captioner.ModelInfo(name="other", version="2", bundle_hash="2" * 64)


def test_where_the_challenger_fails_the_champion_captions(
    registry: Registry, photo: bytes, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(model=f"registry:{registry.where}", model_poll_s=0)
    wanted = captioner.wanted({"n": 1}, in_canary=True)
    label = captioner.write(photo, wanted).model.label
    monkeypatch.setattr(Shelf, "challenger", lambda self, model: Failing())
    failed: list[str] = []
    told = captioner.write(
        photo, wanted, on_failure=lambda model, error: failed.append(f"{model.label}: {error}")
    )
    assert told.model.label == label
    assert failed == ["other@2: the graph broke"]
    tried = captioner.try_challenger(photo, wanted)
    assert tried is not None
    assert (tried.captions, tried.model.label) == ((), "other@2")


@pytest.mark.django_db
@pytest.mark.slow
def test_models_change_while_many_ask_and_nobody_notices(
    registry: Registry, bundle: Bundle, photo: bytes, client: Client
) -> None:
    ids = [push(registry, bundle, version) for version in ("9.1.0", "9.2.0")]
    wanted = captioner.wanted({"n": 1})
    captioner.write(photo, wanted)
    before = swaps()
    stop, labels, errors = threading.Event(), set(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                labels.add(captioner.write(photo, wanted).model.label)
            except Exception as error:  # any would be one too many
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    try:
        for id_ in ids:
            registry.promote(id_, **BY)
            captioner.follow()
            assert captioner.write(photo, wanted).model.label == registry.find().label
    finally:
        stop.set()
        for each in threads:
            each.join()
    assert errors == []
    assert len(labels) == 3
    assert [each.name for each in threading.enumerate()].count("cutline-batcher") == 1
    answer = client.get("/readyz").json()
    assert answer["models"] == [
        {"id": "default", "label": "cutline-base@9.2.0", "version": ids[1][:12], "state": "current"}
    ]
    kept = client.get("/metrics").content.decode()
    assert 'cutline_model_kept{model="default"} 0.0' in kept
    assert swaps() == before + 2


@pytest.mark.django_db
@pytest.mark.slow
def test_a_champion_that_writes_nonsense_is_told_of_and_not_used(
    registry: Registry, bundle: Bundle, photo: bytes, client: Client
) -> None:
    wanted = captioner.wanted({"n": 1})
    before = captioner.write(photo, wanted)
    tokenizer = json.loads(bundle.files["tokenizer.json"])
    words = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {
        word: len(words) - 1 - number if number > 3 else number for word, number in words.items()
    }
    shuffled = sealed(bundle.manifest, bundle.files | {"tokenizer.json": json.dumps(tokenizer).encode()})
    id_ = registry.push(
        Draft(bundle=shuffled, gates=PASSED, files={"golden.json": b'{"cat.jpg": "A cat."}'})
    ).id
    registry.promote(id_, **BY)
    captioner.follow()
    after = captioner.write(photo, wanted)
    assert [each.text for each in after.captions] == [each.text for each in before.captions]
    answer = client.get("/readyz")
    [told] = answer.json()["models"]
    assert (answer.status_code, told["state"], told["refused"]) == (200, "refused", id_[:12])
    assert 'cutline_model_kept{model="default"} 1.0' in client.get("/metrics").content.decode()


def test_the_thread_follows_by_itself_and_ends(
    registry: Registry, bundle: Bundle, factory: Factory, configure: Configure
) -> None:
    configure(model_poll_s=0.01)
    swapped = threading.Event()

    class Telling(Served):
        def close(self) -> None:
            swapped.set()

    shelf = Shelf(uri_of=lambda model: f"registry:{registry.where}", make=Telling)
    shelf.get("default")
    registry.promote(push(registry, bundle, "9.1.0"), **BY)
    assert swapped.wait(60)
    shelf.close()
    assert "cutline-models" not in [each.name for each in threading.enumerate()]
