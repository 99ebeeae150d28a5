from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_bundle import Tiny, make_bundle

from cutline.registry import Draft, GateReport, Registry, RegistrySettings, contents, open_registry

PASSED = GateReport(passed=True, summary="All gates passed.", report={"gates": []})
MakeDraft = Callable[..., Draft]
OpenHere = Callable[..., Registry]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles that differ; the first one ships."""
    folder = tmp_path_factory.mktemp("bundles")
    return [make_bundle(folder / f"tiny-{seed}", Tiny(seed=seed)) for seed in range(5)]


@pytest.fixture(autouse=True)
def ships(bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let a tiny bundle be the one that ships, and keep caches and settings of the developer's out."""
    for module in ("contents", "registry"):
        monkeypatch.setattr(f"cutline.registry.{module}.default_bundle", lambda: bundles[0])
    monkeypatch.setenv("CUTLINE_REGISTRY_CACHE", str(tmp_path / "cache"))
    contents.shipped.cache_clear()
    yield bundles[0]
    contents.shipped.cache_clear()


@pytest.fixture
def open_here(tmp_path: Path) -> OpenHere:
    """Open the registry of this test, with settings."""

    def opened(place: str = "models", **settings: str) -> Registry:
        chosen = RegistrySettings(registry_cache=str(tmp_path / "cache"), **settings)
        return open_registry(tmp_path / place, settings=chosen)

    return opened


@pytest.fixture
def registry(open_here: OpenHere) -> Registry:
    """A registry in a folder that does not exist yet."""
    return open_here()


@pytest.fixture
def draft(bundles: list[Path]) -> MakeDraft:
    """Drafts of other bundles than the one that ships: draft(1) to draft(4). They have passed their gates."""
    return lambda number, **more: Draft(bundle=bundles[number], **({"gates": PASSED} | more))
