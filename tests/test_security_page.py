"""docs/security.md: what it claims of each requirement of OWASP's standard stands in files and tests."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([^|]+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)
# Of levels 1 and 2 of ASVS 5.0.0, by chapter.
REQUIREMENTS = {
    1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13,
    16: 16, 17: 7,
}  # fmt: skip


@cache
def rows() -> list[tuple[str, str, str, str]]:
    """(number, requirement, status, evidence) of each row of the page."""
    return ROW.findall((ROOT / "docs/security.md").read_text())


def test_every_requirement_of_level_2_has_its_row() -> None:
    numbers = [number for number, *_ in rows()]
    assert len(set(numbers)) == len(numbers)
    assert Counter(int(number.split(".")[0]) for number in numbers) == REQUIREMENTS


def test_what_is_met_names_code_and_a_test_that_exist() -> None:
    missing = []
    for number, _, status, evidence in rows():
        if status != "met":
            continue
        named = re.findall(r"`([^`]+)`", evidence)
        tests = [each for each in named if "::" in each]
        assert tests, f"{number} names no test"
        assert len(tests) < len(named), f"{number} names no code"
        for each in named:
            path, _, test = each.partition("::")
            file = ROOT / path
            if not file.is_file() or (
                test and not re.search(rf"^(async )?def {test}\(", file.read_text(), re.M)
            ):
                missing.append((number, each))
    assert missing == []


def test_what_is_not_met_says_why() -> None:
    for number, _, status, why in rows():
        assert status in ("met", "not met", "operator", "n/a"), number
        if status != "met":
            assert len(why) > 5, number
