"""What the model in use says of itself."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from cutline.captioning.sources import default_bundle

pytestmark = pytest.mark.django_db


def test_the_card_of_the_default_model_is_its_bundles() -> None:
    answer = Client().get("/api/v1/models/default/card").json()
    manifest = json.loads((default_bundle() / "bundle.json").read_text(encoding="utf-8"))
    assert answer["card"] == (default_bundle() / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert answer["metrics"] == manifest["metrics"]
    assert answer["licence"] == manifest["licence"]


def test_an_unknown_model_has_no_card() -> None:
    answer = Client().get("/api/v1/models/..%2F..%2Fetc/card")
    assert answer.status_code in (404, 422)
    assert Client().get("/api/v1/models/other/card").json()["code"] == "invalid"
