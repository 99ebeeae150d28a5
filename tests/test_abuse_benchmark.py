"""benchmarks/abuse: what counts as kept, and that its files are what they claim to be."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

import pytest
from PIL import Image

from benchmarks.abuse import attacks, report
from benchmarks.abuse.memory import Memory, cpu_s
from benchmarks.abuse.people import summaries
from cutline.errors import ImageTooLarge
from cutline.images import open_image


def found(
    *, without: float = 0.2, with_: float = 0.3, in_vain: int = 0, peak_mb: int = 900
) -> dict[str, Any]:
    def of(p95_s: float, in_vain: int = 0) -> dict[str, Any]:
        each = {"count": 9, "in_vain": in_vain, "median_s": 0.1, "p95_s": p95_s}
        return {"gallery": each, "caption": each, "upload": each}

    return {
        "what": "an attack",
        "without": of(without),
        "with": of(with_, in_vain),
        "peak_mb": peak_mb,
        "cores": [0.3, 0.5],
        "answers": "",
    }


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({}, True),
        ({"with_": 0.4}, True),
        ({"with_": 0.41}, False),
        ({"without": 0.001, "with_": 0.19}, True),
        ({"in_vain": 1}, False),
        ({"peak_mb": 1500}, False),
    ],
)
def test_the_bounds_are_twice_the_time_1500_mb_and_an_answer_for_everybody(
    changes: dict[str, Any], is_kept: bool
) -> None:
    result = found(**changes)
    assert report.is_kept(result) is is_kept
    machine = dict.fromkeys(("cores", "processor", "memory_gb", "system", "python", "load_before", "busy"), 0)
    results = {"machine": machine, "modes": {"laptop": {"a": result}, "production": {"a": found()}}}
    assert report.all_kept(results) is is_kept
    assert ("**no**" in report.table(results)) is not is_kept


def test_what_failed_counts_with_the_time_that_it_took() -> None:
    summary = summaries({"gallery": [(0.1, True)] * 18 + [(30.0, False)] * 2})["gallery"]
    assert (summary["count"], summary["in_vain"], summary["p95_s"]) == (20, 2, 30.0)


def test_the_attacks_files_are_what_they_claim() -> None:
    png = attacks._large_png()
    assert len(png) < 100_000
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (5470, 5460)
    with pytest.raises(ImageTooLarge):
        open_image(attacks._tiled_tiff())
    assert len(zipfile.ZipFile(io.BytesIO(attacks._empty_members())).infolist()) == 20_000


def test_the_memory_of_this_process_is_seen() -> None:
    began_s = cpu_s([os.getpid()])
    with Memory([os.getpid()]) as memory:
        while not memory.peak_mb or cpu_s([os.getpid()]) == began_s:
            pass
    assert memory.peak_mb > 10
