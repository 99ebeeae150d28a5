"""A registry in a bucket does as one in a folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import cutline
from cutline.errors import AliasMoved, RegistryUnavailable, VersionMissing, VersionRefused
from cutline.registry import (
    Draft,
    GateReport,
    Registry,
    RegistrySettings,
    contents,
    open_registry,
    prune,
    verify,
)
from cutline.registry.s3 import S3Store
from tests.captioning.tiny_bundle import Tiny, make_bundle
from tests.server.services.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore

BY = {"by": "a test", "why": "it is a test"}
PASSED = GateReport(passed=True)


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three tiny bundles, the first of which ships."""
    made = [make_bundle(tmp_path / f"tiny-{seed}", Tiny(seed=seed)) for seed in range(3)]
    for module in ("contents", "registry"):
        monkeypatch.setattr(f"cutline.registry.{module}.default_bundle", lambda: made[0])
    contents.shipped.cache_clear()
    yield made
    contents.shipped.cache_clear()


@pytest.fixture
def opened(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Registry]:
    """Open the registry in a bucket of this test, each time with a client of its own."""
    name = f"registry-{uuid4().hex[:8]}"
    place = store.create(name).replace(name, f"{name}/models")
    monkeypatch.setenv("CUTLINE_REGISTRY", place)
    monkeypatch.setenv("CUTLINE_REGISTRY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUTLINE_REGISTRY_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("CUTLINE_REGISTRY_SECRET_KEY", SECRET_KEY)
    return lambda: open_registry()


@pytest.mark.parametrize("place", ["bucket"])
def test_versions_and_aliases_in_a_bucket(
    opened: Callable[[], Registry], bundles: list[Path], place: str
) -> None:
    registry = opened()
    assert registry.find().is_built_in
    one, two = (registry.push(Draft(bundle=each, gates=PASSED)) for each in bundles[1:])
    assert opened().push(Draft(bundle=bundles[1], gates=PASSED)) == one
    registry.promote(one.id, **BY)
    start, won = threading.Barrier(4), []

    def move(id_: str) -> None:
        mine = opened()
        start.wait()
        with suppress(AliasMoved):
            won.append(mine.promote(id_, expected=one.id, **BY).token)

    threads = [threading.Thread(target=move, args=(id_,)) for id_ in (two.id, "0") * 2]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [move.token for move in opened().moves_after("champion", 1)] == won
    assert len(won) == 1
    assert opened().rollback(**BY).version == one.id
    assert (
        cutline.load(f"registry:{os.environ['CUTLINE_REGISTRY']}#champion").about().bundle_hash
        == one.manifest.bundle_hash
    )
    assert verify(registry).problems == []
    assert verify(registry).moves == 3
    assert [each.id for each in prune(registry, keep=0, by="a test", now=10**11).versions] == [two.id]
    with pytest.raises(VersionMissing, match="prune"):
        opened().bundle(opened().find(two.id))


class Dies(BaseException):
    """As if the process had ended."""


@pytest.mark.parametrize("place", ["bucket"])
def test_a_push_to_a_bucket_that_ends_at_any_request(
    opened: Callable[[], Registry], bundles: list[Path], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = S3Store.create
    everything = os.environ["CUTLINE_REGISTRY"]
    for step in range(50):
        monkeypatch.setenv("CUTLINE_REGISTRY", everything.replace("/models", f"/{step}"))
        left = step

        def dying(self: S3Store, key: str, data: bytes) -> bool:
            nonlocal left
            left -= 1
            if left == -1:
                raise Dies
            return create(self, key, data)

        with monkeypatch.context() as patched:
            patched.setattr(S3Store, "create", dying)
            try:
                opened().push(Draft(bundle=bundles[1]))
            except Dies:
                assert len(opened().versions()) == 1
            else:
                break
    assert step > len(contents.of_draft(Draft(bundle=bundles[1])).files)
    assert len(opened().versions()) == 2
    assert verify(opened()).problems == []


@pytest.mark.parametrize("place", ["bucket"])
def test_a_store_that_ignores_conditions_is_refused(
    opened: Callable[[], Registry], bundles: list[Path], place: str
) -> None:
    registry = opened()
    client = registry.store._client  # type: ignore[attr-defined]
    put = client.put_object
    client.put_object = lambda **said: put(
        **{name: each for name, each in said.items() if name != "IfNoneMatch"}
    )
    with pytest.raises(RegistryUnavailable, match="ignores the conditions"):
        registry.push(Draft(bundle=bundles[1]))


def test_a_bucket_that_is_not_there_is_one_clear_error(bundles: list[Path], tmp_path: Path) -> None:
    settings = RegistrySettings(
        registry_cache=str(tmp_path), registry_access_key="a", registry_secret_key="b"
    )
    registry = open_registry("s3://models?endpoint=http://127.0.0.1:9", settings=settings)
    with pytest.raises((RegistryUnavailable, VersionRefused)):
        registry.find()
