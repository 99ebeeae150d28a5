"""python -m benchmarks.abuse [--mode laptop] [--seconds 14] [--attack NAME ...] [--output benchmarks]

Starts the service with its own limits. People look at the gallery, caption and upload at a steady rate, each
from an address of their own; then each attack runs in turn from one other address (Linux: all of 127.0.0.0/8
is this machine). Printed are the p95 of people's requests without the attack, just before and after it, and
with it, and the most memory of the service. What misses a bound is measured once more, and judged by what was
seen both times. It exits with 1 where a bound is missed. Both modes take about 18 minutes.

The attack "nothing" is an attacker who does nothing: how far its ratio is from 1 is what the machine adds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.abuse import report
from benchmarks.abuse.attacks import ATTACKS, attacking
from benchmarks.abuse.memory import Memory, cpu_s
from benchmarks.abuse.people import People, Seen, account_keys, summaries
from cutline.server.config import ServerSettings
from tests.server.services.process import wait_until
from tests.server.services.service import Mode, Service, running_alone

HERE = Path(__file__).resolve().parent
# What tests set otherwise: here the service is as people run it.
_AS_SHIPPED = (
    "rate_anonymous",
    "rate_user",
    "rate_caption",
    "rate_visitors",
    "rate_accounts",
    "rate_websockets",
    "max_images_network",
    "max_bytes_network",
    "max_bulks_network",
)
_BEGINS_S = 1.0  # an attack, before it is measured
_REST_S = 3.0  # after an attack


def main() -> int:
    """Measure, print, write; 1 where a bound is missed."""
    asked = _arguments()
    results: dict[str, Any] = {"machine": machine.facts(), "modes": {}}
    for mode in asked.mode or list(Mode):
        _say(f"-- {mode}")
        results["modes"][mode] = _measured(Mode(mode), asked.attack or list(ATTACKS), asked.seconds)
    (asked.output / "abuse.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (asked.output / "abuse.md").write_text(report.table(results), encoding="utf-8")
    print(report.table(results))
    return int(not report.all_kept(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abuse", description=__doc__)
    parser.add_argument(
        "--mode", action="append", choices=list(Mode), help="only this one; both, if left out"
    )
    parser.add_argument("--seconds", type=float, default=14, help="with each attack, and as long without")
    parser.add_argument(
        "--attack", action="append", choices=list(ATTACKS), help="only this one; again for more"
    )
    parser.add_argument("--output", type=Path, default=HERE.parent, help="a folder for the results")
    return parser.parse_args()


def _measured(mode: Mode, names: Sequence[str], seconds: float) -> dict[str, Any]:
    """What each attack did to people in one mode."""
    found: dict[str, Any] = {}
    with _running(mode) as service, People(service) as people:
        keys = account_keys(service, [f"attacker-{name}@example.org" for name in names])
        people.seen(seconds / 2)  # loads the model, fills caches
        measurement = _Measurement(service, people, seconds)
        for name, key in zip(names, keys, strict=True):
            _say(f"{name}: {ATTACKS[name].what}")
            found[name] = measurement.under(name, key)
            _say(f"  {report.line(found[name])}")
            if not report.is_kept(found[name]):
                found[name] = measurement.under(name, key, again=True)
                _say(f"  with once more: {report.line(found[name])}")
    return found


@dataclass(slots=True)
class _Seen:
    """People's requests without an attack and with it, and what the service used."""

    without: Mapping[str, list[Seen]]
    with_: Mapping[str, list[Seen]]
    peak_mb: int
    cores: list[float]
    answers: str


class _Measurement:
    """Attacks one after the other. What people see between two of them counts for both."""

    def __init__(self, service: Service, people: People, seconds: float) -> None:
        self._service, self._people, self._seconds = service, people, seconds
        self._pids = [process.pid for process in service.processes]
        self._last: _Seen | None = None
        self._before = self._calm()

    def under(self, name: str, key: str, *, again: bool = False) -> dict[str, Any]:
        """What an attack does; again: together with what the last one did."""
        seen = self._attacked(name, key)
        if again and self._last is not None:
            seen = _both(self._last, seen)
        self._last = seen
        return {
            "what": ATTACKS[name].what,
            "without": summaries(seen.without),
            "with": summaries(seen.with_),
            "peak_mb": seen.peak_mb,
            "cores": seen.cores,
            "answers": seen.answers,
        }

    def _attacked(self, name: str, key: str) -> _Seen:
        before, calm_cores = self._before
        self._pids = [process.pid for process in self._service.processes]
        memory = Memory(self._pids)
        with memory, attacking(name, self._service, key) as attack:
            time.sleep(_BEGINS_S)
            began_s = cpu_s(self._pids)
            with_ = self._people.seen(self._seconds)
            cores = (cpu_s(self._pids) - began_s) / self._seconds
        _recover(self._service)
        after, _ = self._before = self._calm()
        return _Seen(
            without=_joined(before, after),
            with_=with_,
            peak_mb=memory.peak_mb,
            cores=[round(calm_cores, 2), round(cores, 2)],
            answers=attack.answers(),
        )

    def _calm(self) -> tuple[Mapping[str, list[Seen]], float]:
        """People's requests while nobody attacks, and how many cores the service keeps busy."""
        began_s = cpu_s(self._pids)
        seen = self._people.seen(self._seconds / 2)
        return seen, (cpu_s(self._pids) - began_s) / (self._seconds / 2)


def _joined(one: Mapping[str, list[Seen]], other: Mapping[str, list[Seen]]) -> Mapping[str, list[Seen]]:
    return {kind: [*one[kind], *other[kind]] for kind in one}


def _both(one: _Seen, other: _Seen) -> _Seen:
    return _Seen(
        without=_joined(one.without, other.without),
        with_=_joined(one.with_, other.with_),
        peak_mb=max(one.peak_mb, other.peak_mb),
        cores=other.cores,
        answers=other.answers,
    )


def _recover(service: Service) -> None:
    """Let what an attack left behind come to its end; start again what it ended."""
    if not service.web.alive:
        service.start_web()
    wait_until(service.is_ready, what="the service, after an attack", every_s=0.5)
    time.sleep(_REST_S)


@contextmanager
def _running(mode: Mode) -> Iterator[Service]:
    settings: dict[str, object] = {
        name: ServerSettings.model_fields[name].get_default() for name in _AS_SHIPPED
    }
    settings["log_level"] = "WARNING"
    with tempfile.TemporaryDirectory(prefix="cutline-abuse-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running_alone(mode, folder, settings) as service:
            yield service


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
