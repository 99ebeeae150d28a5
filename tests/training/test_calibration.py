"""A confidence is fitted on dev photos, judged on others, and refused where it promises too much."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundle import make_bundle

from cutline.captioning.bundle import read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.evidence import Evidence
from cutline.cli.main import main
from cutline.errors import DataError
from cutline.training import calibration
from cutline.training.calibration import Judged, fit


def judged(count: int, seed: int = 0) -> list[Judged]:
    """Captions that are acceptable with the probability that a logistic function of their evidence says."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(-1, 0.5, count)
    agreement = rng.uniform(0, 1, count)
    right = rng.random(count) < 1 / (1 + np.exp(-(4 * (mean + 1) + 2 * agreement - 1)))
    return [
        Judged(
            key=f"a/{place}",
            evidence=Evidence(mean_log_prob=mean[place], tokens=9, agreement=agreement[place]),
            cider=1.0 if right[place] else 0.0,
        )
        for place in range(count)
    ]


def test_what_made_captions_acceptable_is_found_again() -> None:
    found = fit(judged(4000), threshold=0.4, data="made up")
    assert found.evidence["mean_log_prob"].weight == pytest.approx(4, rel=0.15)
    assert found.evidence["agreement"].weight == pytest.approx(2, rel=0.2)
    assert found.calibration_error < 0.03
    assert found == fit(judged(4000), threshold=0.4, data="made up")
    # On captions that it has never seen, what it says comes true.
    others = judged(4000, seed=1)
    sure = np.array([found.of(each.evidence) for each in others])
    for low in (0.0, 0.25, 0.5, 0.75):
        chosen = (sure >= low) & (sure < low + 0.25)
        assert np.mean([each.cider for each, is_one in zip(others, chosen, strict=True) if is_one]) == (
            pytest.approx(sure[chosen].mean(), abs=0.06)
        )


def test_few_photos_and_captions_that_are_all_good_are_refused() -> None:
    with pytest.raises(DataError, match="49 photos"):
        fit(judged(49), threshold=0.4, data="")
    with pytest.raises(DataError, match=r"No captions reach a CIDEr-D of 5"):
        fit(judged(60), threshold=5, data="")


def test_the_command_writes_a_bundle_that_says_how_sure_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_bundle(tmp_path / "tiny")
    shades = [(4 * place, 255 - 3 * place, (37 * place) % 256) for place in range(60)]
    for place, shade in enumerate(shades):
        Image.new("RGB", (12, 12), shade).save(tmp_path / f"{place}.png")
    written = BundleCaptioner(source, threads=1).caption([tmp_path / f"{place}.png" for place in range(60)])
    texts = {
        f"{place}.png": [caption.text if place % 3 else "something else"]
        for place, [caption] in enumerate(written)
    }
    data, recipe, target = tmp_path / "captions.json", tmp_path / "recipe.yaml", tmp_path / "new"
    data.write_text(json.dumps(texts))
    recipe.write_text(
        f"name: x\noutput: {tmp_path / 'run'}\nstages: [{{name: text, objective: text}}]\n"
        f"data: [{{path: {data}, kind: caption-map, images: {tmp_path}, split: dev}}]\n"
    )
    command = ["bundle", "calibrate", str(source), str(recipe), str(target), "--version", "9.9.9"]
    monkeypatch.setattr(calibration, "LARGEST_ERROR", 0.0)
    assert main(command) == 1
    assert "Fit it on more photos" in capsys.readouterr().err
    assert not target.exists()

    monkeypatch.setattr(calibration, "LARGEST_ERROR", 1.0)
    assert main(command) == 0
    assert "tiny@9.9.9, expected calibration error 0." in capsys.readouterr().out
    first = read_bundle(target)
    assert first.manifest.version == "9.9.9"
    [[caption]] = BundleCaptioner(first, threads=1).caption(tmp_path / "1.png")
    assert caption.confidence is not None
    assert main(command) == 0  # the same photos give the same file
    assert read_bundle(target).files == first.files
