"""What was measured, as Markdown, and whether it keeps to the bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report import BUSY, rows

MOST_TIMES, MOST_MB = 2.0, 1500
# Below this nobody notices; ratios of so short times say more of the machine than of the service.
_NOTICED_S = 0.1
_KINDS = ("gallery", "caption", "upload")


def times(found: Mapping[str, Any]) -> float:
    """How many times longer people's requests took, p95 over p95, of the kind that suffered most."""
    return max(
        max(float(found["with"][kind]["p95_s"]), _NOTICED_S) / max(float(each["p95_s"]), _NOTICED_S)
        for kind, each in found["without"].items()
    )


def in_vain(found: Mapping[str, Any]) -> int:
    """How many of people's requests got no answer or an error."""
    return sum(int(each["in_vain"]) for each in found["with"].values())


def is_kept(found: Mapping[str, Any]) -> bool:
    """Whether both bounds are kept, and everybody was served."""
    return times(found) <= MOST_TIMES and found["peak_mb"] < MOST_MB and not in_vain(found)


def all_kept(results: Mapping[str, Any]) -> bool:
    """Whether every attack in every mode keeps to the bounds."""
    return all(is_kept(found) for attacks in results["modes"].values() for found in attacks.values())


def line(found: Mapping[str, Any]) -> str:
    """One attack in a line."""
    asked = sum(int(each["count"]) for each in found["with"].values())
    return (
        f"p95 times {times(found):.1f}, {found['peak_mb']} MB, {in_vain(found)} of {asked} in vain,"
        f" {_cores(found)} cores busy"
        f" (attacker: {found['answers']})"
    )


def _cores(found: Mapping[str, Any]) -> str:
    """How many cores the service kept busy: a busy machine changes that less than it changes times."""
    return " to ".join(f"{each:.2f}" for each in found["cores"])


def table(results: Mapping[str, Any]) -> str:
    """All of them."""
    machine = results["machine"]
    return "\n".join(
        [
            "<!-- Written by `python -m benchmarks.abuse`. -->",
            f"On {machine['cores']} cores ({machine['processor']},"
            f" {machine['memory_gb']} GB), {machine['system']}, Python {machine['python']};"
            f" load average before: {machine['load_before']}." + (f" {BUSY}" if machine["busy"] else ""),
            "Attacker, people and service share these cores. p95 of people's requests in ms, without the"
            " attack just before and after it, and with it. The bounds are"
            f" {MOST_TIMES:g} times (from {1000 * _NOTICED_S:g} ms on) and {MOST_MB:,} MB.",
            *(line for mode, attacks in results["modes"].items() for line in _mode(mode, attacks)),
            "",
        ]
    )


def _mode(mode: str, attacks: Mapping[str, Any]) -> list[str]:
    kept = sum(map(is_kept, attacks.values()))
    return [
        "",
        f"In {mode} mode {kept} of {len(attacks)} are kept.",
        "",
        *rows(
            ("attack from one address", *_KINDS, "times", "in vain", "peak MB", "cores busy", "kept"),
            [_row(found) for found in attacks.values()],
        ),
    ]


def _row(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        found["what"],
        *(
            f"{1000 * found['without'][kind]['p95_s']:.0f} to {1000 * found['with'][kind]['p95_s']:.0f}"
            for kind in _KINDS
        ),
        f"{times(found):.1f}",
        str(in_vain(found)),
        f"{found['peak_mb']:,}",
        _cores(found),
        "yes" if is_kept(found) else "**no**",
    )
