"""python -m benchmarks.abuse [--mode laptop] [--seconds 20] [--attack NAME ...] [--output benchmarks]

Starts the service with its own limits. People look at the gallery, caption and upload at a steady rate, each
from an address of their own; then each attack runs in turn from one other address (Linux: all of 127.0.0.0/8
is this machine). Printed are the p95 of people's requests without the attack, just before and after it, and
with it, and the most memory of the service. It exits with 1 where a bound is missed.

The attack "nothing" is an attacker who does nothing: how far its ratio is from 1 is what the machine adds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.abuse import report
from benchmarks.abuse.attacks import ATTACKS, attacking
from benchmarks.abuse.memory import Memory, cpu_s
from benchmarks.abuse.people import People, summaries
from cutline.server.config import ServerSettings
from tests.server.services.objectstore import ObjectStore
from tests.server.services.postgresql import PostgreSQL
from tests.server.services.process import wait_until
from tests.server.services.redis import Redis
from tests.server.services.service import Mode, Servers, Service

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
    results: dict[str, Any] = {"machine": machine.facts(), "mode": asked.mode, "attacks": {}}
    with _running(Mode(asked.mode)) as service, People(service) as people:
        people.seen(asked.seconds / 2)  # loads the model, fills caches
        for name in asked.attack or list(ATTACKS):
            _say(f"{name}: {ATTACKS[name].what}")
            results["attacks"][name] = found = _under(name, service, people, asked.seconds)
            _say(f"  {report.line(found)}")
    (asked.output / "abuse.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (asked.output / "abuse.md").write_text(report.table(results), encoding="utf-8")
    print(report.table(results))
    return int(not all(report.is_kept(found) for found in results["attacks"].values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abuse", description=__doc__)
    parser.add_argument("--mode", choices=list(Mode), default=Mode.LAPTOP)
    parser.add_argument("--seconds", type=float, default=20, help="with each attack, and as long without")
    parser.add_argument(
        "--attack", action="append", choices=list(ATTACKS), help="only this one; again for more"
    )
    parser.add_argument("--output", type=Path, default=HERE.parent, help="a folder for the results")
    return parser.parse_args()


def _under(name: str, service: Service, people: People, seconds: float) -> dict[str, Any]:
    """People's requests just before and after an attack, and with it."""
    pids = [process.pid for process in service.processes]
    began_s = cpu_s(pids)
    without = people.seen(seconds / 2)
    cores = [(cpu_s(pids) - began_s) / (seconds / 2)]
    memory = Memory(pids)
    with memory, attacking(name, service) as attack:
        time.sleep(_BEGINS_S)
        began_s = cpu_s(pids)
        during = people.seen(seconds)
        cores.append((cpu_s(pids) - began_s) / seconds)
    _recover(service)
    after = people.seen(seconds / 2)
    return {
        "what": ATTACKS[name].what,
        "without": summaries({kind: [*without[kind], *after[kind]] for kind in after}),
        "with": summaries(during),
        "peak_mb": memory.peak_mb,
        "cores": [round(each, 2) for each in cores],
        "answers": attack.answers(),
    }


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
        servers = None
        if mode is Mode.PRODUCTION:
            servers = Servers(postgresql=PostgreSQL(folder), redis=Redis(folder), store=ObjectStore(folder))
            servers.start()
        service = Service(mode, folder / mode, servers=servers, settings=settings)
        try:
            service.start()
            yield service
        finally:
            service.stop()
            if servers:
                servers.stop()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
