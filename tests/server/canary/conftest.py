from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from cutline.captioning.bundle import Bundle, read_bundle, sealed
from cutline.captioning.sources import default_bundle
from cutline.registry import DataRecord, Draft, GateReport, Registry, open_registry

REPORT = {"gates": [{"name": "base", "about": "as good", "passed": True, "figure": 1, "threshold": "0"}]}
PAGE = b"<!doctype html><title>Gates</title><script>parent.alert(1)</script>"


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return read_bundle(default_bundle())


@pytest.fixture
def registry(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configure: Callable[..., Any]
) -> Registry:
    """A registry with a challenger, which the service follows."""
    monkeypatch.setenv("CUTLINE_REGISTRY_CACHE", str(tmp_path / "cache"))
    cache.clear()
    uri = f"registry:{tmp_path / 'models'}"
    configure(model=uri, canary_percent=50)
    made = open_registry(uri)
    id_ = push(made, bundle, "9.1.0")
    made.promote(id_, to="challenger", by="a test", why="it is a test")
    return made


def push(registry: Registry, bundle: Bundle, version: str, *, passed: bool = True) -> str:
    """Push the bundle that ships under another version, with a report of its gates; its id."""
    draft = Draft(
        bundle=sealed(replace(bundle.manifest, version=version), bundle.files),
        data=DataRecord(hash="a" * 64, description="300 captions by people"),
        parents=(registry.find("0").id,),
        metrics={"gates": {"base": 0.62}},
        gates=GateReport(passed=passed, summary="All 1 gates passed.", report=REPORT, page=PAGE),
    )
    return registry.push(draft).id
