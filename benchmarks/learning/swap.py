"""python -m benchmarks.learning.swap [--mode laptop] [--seconds 20] [--gone 60] [--output benchmarks]

Starts the service, with its model behind an alias of a registry in S3, and lets 20 clients (--clients) ask
for captions without a pause: half of them by POST /caption, half by uploads, whose jobs workers do. They are
of one network: of many, whoever has had more work done than others rests meanwhile, which is not measured.
Then, under that load, a version is promoted, and rolled back; a worker is killed while another version comes
(where there are workers); the registry's S3 is killed, and a version is promoted when it is back. Printed is,
for each, how many requests failed, and how long the slowest one took beside the usual p99; and what the
service has in memory before and after it all. It exits with 1 where a request failed, one took longer than
twice the usual p99 while models changed, a version did not come into use, or the memory of another model was
not given back.

The photos lie in an S3 of their own: this is about the registry. While a worker is killed, time has no bound
but that of the lease, after which another one does its job.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.abuse.memory import resident_mb
from benchmarks.report import BUSY, rows
from benchmarks.service.pictures import variants
from cutline.captioning.bundle import read_bundle, sealed
from cutline.captioning.sources import default_bundle
from cutline.errors import RegistryUnavailable
from cutline.registry import Draft, GateReport, Registry, RegistrySettings, Version, open_registry
from tests.server.services.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.server.services.process import wait_until
from tests.server.services.service import Mode, Service, running_alone

HERE = Path(__file__).resolve().parent
CLIENTS, MOST_TIMES = 20, 2.0
# Below this nobody notices; ratios of so short times say more of the machine than of the service.
_NOTICED_S = 0.1
_POLL_S = 1.0
_LOOKS = 6  # each half as long as a process takes from one look at its alias to the next
_LEASE_S = 10.0
_SETTLES_S = 20.0  # until memory that was given back is given back
_TIMEOUT_S = 120.0
_BY = "benchmark"
_MODEL = "import os\nfrom pathlib import Path\nimport cutline\n" + (
    "def mb(): return int(Path('/proc/self/status').read_text().partition('VmRSS:')[2].split()[0]) // 1024\n"
    "first = cutline.load(); first.caption({photo!r}); before = mb()\n"
    "second = cutline.load(); second.caption({photo!r}); print(mb() - before)\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: when it ended, how long it took, and whether it was answered."""

    ended: float
    seconds: float
    is_answered: bool
    what: str = ""


class Clients:
    """So many clients that ask without a pause, until it is left."""

    def __init__(self, service: Service, count: int) -> None:
        self._service = service
        self.count = count
        self._asked: list[Asked] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._photos = variants()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]

    def __enter__(self) -> Clients:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def since(self, began: float) -> list[Asked]:
        """The requests that ended after a moment."""
        return [each for each in list(self._asked) if each.ended >= began]

    def _ask(self, number: int) -> None:
        act = self._caption if number % 2 else self._upload
        with httpx.Client(base_url=f"{self._service.url}/api/v1", timeout=_TIMEOUT_S) as client:
            while not self._over.is_set():
                began, what = time.monotonic(), ""
                try:
                    act(client)
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    what = repr(error)[:300]
                ended = time.monotonic()
                self._asked.append(Asked(ended=ended, seconds=ended - began, is_answered=not what, what=what))

    def _photo(self) -> bytes:
        with self._lock:
            return next(self._photos)

    def _caption(self, client: httpx.Client) -> None:
        answer = client.post("/caption", files={"image": ("photo.jpg", self._photo())})
        answer.raise_for_status().json()["captions"][0]["text"]

    def _upload(self, client: httpx.Client) -> None:
        """Upload a photo, wait until it has its caption, and delete it: a quota would end the measurement."""
        answer = client.post(
            "/images", files={"files": ("photo.jpg", self._photo())}, headers={"Prefer": "wait=60"}
        )
        [item] = answer.raise_for_status().json()["items"]
        end = time.monotonic() + _TIMEOUT_S
        while not client.get(f"/images/{item['id']}").raise_for_status().json()["caption"]:
            if time.monotonic() > end:
                raise ValueError(f"{item['id']} has no caption after {_TIMEOUT_S:g} s")
            time.sleep(0.2)
        client.delete(f"/images/{item['id']}").raise_for_status()


class Measurement:
    """One mode: what its clients see while models change."""

    def __init__(
        self, service: Service, registry: Registry, store: ObjectStore, *, clients: int, seconds: float
    ) -> None:
        self._service, self._registry, self._store = service, registry, store
        self._seconds = seconds
        self._clients = Clients(service, clients)
        self._p99_s = 0.0
        self.found: dict[str, Any] = {}

    def go(self, versions: Sequence[Version], gone_s: float) -> dict[str, Any]:
        """All that is done under load, in turn."""
        first, second, third = versions
        with self._clients:
            time.sleep(self._seconds / 2)  # loads models, fills caches
            usual = self._phase("nothing changes", lambda: time.sleep(2 * self._seconds))
            self._p99_s = usual["p99_s"]
            before = self._memory()
            self._phase("a version is promoted", lambda: self._promote(first))
            self._phase("it is rolled back", self._roll_back)
            if self._service.workers:
                self._phase("a worker is killed while one comes", lambda: self._kill_a_worker(second))
            self._phase(
                f"S3 is gone for {gone_s:g} s, then one comes", lambda: self._without_s3(third, gone_s)
            )
            after = self._settled(before)
        return {"phases": self.found, "memory_mb": {"before": before, "after": after}}

    def _phase(self, name: str, act: Callable[[], None]) -> dict[str, Any]:
        """Do something, and go on until there are as many answers as clients, at least; what they saw."""
        began = time.monotonic()
        act()
        if self._p99_s:
            time.sleep(self._seconds / 4)
        wait_until(lambda: len(self._clients.since(began)) >= self._clients.count, what="as many answers")
        seen = self._clients.since(began)
        times = [each.seconds for each in seen]
        failed = [each.what for each in seen if not each.is_answered]
        found = {
            "requests": len(seen),
            "failed": len(failed),
            "why": sorted(set(failed))[:3],
            "median_s": statistics.median(times),
            "p99_s": statistics.quantiles(times, n=100, method="inclusive")[-1],
            "slowest_s": max(times),
        }
        self.found[name] = found
        _say(f"  {name}: {len(seen)} requests, {len(failed)} failed, slowest {max(times):.2f} s {failed[:1]}")
        return found

    def _promote(self, version: Version) -> None:
        self._registry.promote(version.id, by=_BY, why="to see what people notice")
        self._in_use(version)

    def _roll_back(self) -> None:
        self._registry.rollback(by=_BY, why="to see what people notice")
        self._in_use(self._registry.find())

    def _kill_a_worker(self, version: Version) -> None:
        worker = self._service.workers[0]
        self._registry.promote(version.id, by=_BY, why="while a worker is killed")
        time.sleep(_POLL_S)  # it is loading by now, and at work
        worker.kill()
        time.sleep(self._seconds / 4)
        worker.start()
        self._in_use(version)
        time.sleep(2 * _LEASE_S)  # what it had in work is taken up

    def _without_s3(self, version: Version, gone_s: float) -> None:
        self._store.kill()
        began = time.monotonic()
        with suppress(RegistryUnavailable):
            self._registry.promote(version.id, by=_BY, why="nobody hears of it")
        time.sleep(max(0.0, began + gone_s - time.monotonic()))
        self._store.start()
        if self._registry.find().id != version.id:
            self._registry.promote(version.id, by=_BY, why="S3 is back")
        self._in_use(version)

    def _in_use(self, version: Version) -> None:
        """Wait until each process has the version in use: until all have told of it, and none of another."""
        agreed = 0

        def all_agree() -> bool:
            nonlocal agreed
            agreed = agreed + 1 if self._says(version) else 0
            return agreed >= _LOOKS

        wait_until(all_agree, what=f"{version.label} in use", every_s=_POLL_S / 2)

    def _says(self, version: Version) -> bool:
        with suppress(httpx.HTTPError):
            said = httpx.get(f"{self._service.url}/readyz", timeout=30).json().get("models", [])
            told = [(each["version"], each["state"]) for each in said if each["id"] == "default"]
            return told == [(version.id[:12], "current")]
        return False

    def _memory(self) -> dict[str, int]:
        return {each.name: resident_mb([each.pid]) for each in self._service.processes if each.alive}

    def _settled(self, before: Mapping[str, int]) -> dict[str, int]:
        """The least that is in memory in the next while: what is given back is so between two batches."""
        least = self._memory()
        end = time.monotonic() + _SETTLES_S
        while time.monotonic() < end and any(least[name] > before.get(name, 0) for name in least):
            time.sleep(0.5)
            least = {name: min(least[name], now) for name, now in self._memory().items()}
        return least


def measure(mode: Mode, *, clients: int, seconds: float, gone_s: float) -> dict[str, Any]:
    """One mode, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="cutline-swap-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with _store(folder / "registry") as store:
            place = store.create("registry").replace("s3://registry", "s3://registry/models")
            registry = open_registry(place, settings=_registry_settings(folder / "own-cache"))
            versions = _pushed(registry)
            settings = {
                "model": f"registry:{place}",
                "model_poll_s": _POLL_S,
                "lease_s": _LEASE_S,
                "registry_cache": folder / "cache",
                "registry_access_key": ACCESS_KEY,
                "registry_secret_key": SECRET_KEY,
                "log_level": "WARNING",
            }
            with running_alone(mode, folder, settings) as service:
                measurement = Measurement(service, registry, store, clients=clients, seconds=seconds)
                return measurement.go(versions, gone_s)


def _registry_settings(cache: Path) -> RegistrySettings:
    return RegistrySettings(
        registry_cache=str(cache), registry_access_key=ACCESS_KEY, registry_secret_key=SECRET_KEY
    )


def _pushed(registry: Registry) -> list[Version]:
    """Three versions, which have the graphs of the bundle that ships."""
    bundle = read_bundle(default_bundle())
    made = [sealed(replace(bundle.manifest, version=f"{number}.0.0"), bundle.files) for number in (7, 8, 9)]
    return [registry.push(Draft(bundle=each, gates=GateReport(passed=True))) for each in made]


@contextmanager
def _store(folder: Path) -> Iterator[ObjectStore]:
    folder.mkdir()
    store = ObjectStore(folder)
    store.start()
    try:
        yield store
    finally:
        store.stop()


def model_mb() -> int:
    """What another model takes in memory."""
    photo = str(next((HERE.parents[1] / "examples").glob("*.jpg")))
    done = subprocess.run(
        [sys.executable, "-c", _MODEL.format(photo=photo)], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout)


# What was found


def slowest(found: Mapping[str, Any]) -> float:
    """How many times the usual p99 the slowest request took while models changed, and no worker died."""
    usual = max(float(found["phases"]["nothing changes"]["p99_s"]), _NOTICED_S)
    return max(
        max(float(each["slowest_s"]), _NOTICED_S) / usual
        for name, each in found["phases"].items()
        if name != "nothing changes" and "killed" not in name
    )


def failed(found: Mapping[str, Any]) -> int:
    """How many requests failed in all."""
    return sum(int(each["failed"]) for each in found["phases"].values())


def left_mb(found: Mapping[str, Any]) -> int:
    """How much more a process has in memory than before models changed, at most."""
    before, after = found["memory_mb"]["before"], found["memory_mb"]["after"]
    return max(int(after[name]) - int(before[name]) for name in before)


def is_kept(found: Mapping[str, Any], model: int) -> bool:
    """Whether nobody noticed. More in memory than half a model is another model."""
    return not failed(found) and slowest(found) <= MOST_TIMES and left_mb(found) < model / 2


def table(results: Mapping[str, Any]) -> str:
    """All of it, as Markdown."""
    about = results["machine"]
    lines = [
        "<!-- Written by `python -m benchmarks.learning.swap`. -->",
        f"On {about['cores']} cores ({about['processor']}, {about['memory_gb']} GB), {about['system']},"
        f" Python {about['python']}; load average before: {about['load_before']}."
        + (f" {BUSY}" if about["busy"] else ""),
        f"{results['clients']} clients ask without a pause, and share these cores with the service. Another"
        f" model takes {results['model_mb']} MB.",
    ]
    for mode, found in results["modes"].items():
        kept = "kept" if is_kept(found, results["model_mb"]) else "**not kept**"
        lines += [
            "",
            f"{mode}: {failed(found)} failed, slowest {slowest(found):.1f} times the usual p99,"
            f" {left_mb(found):+} MB afterwards: {kept}.",
            "",
            *rows(
                ("while", "requests", "failed", "median, s", "p99, s", "slowest, s"),
                [
                    (
                        name,
                        f"{each['requests']:,}",
                        str(each["failed"]),
                        *(f"{each[key]:.2f}" for key in ("median_s", "p99_s", "slowest_s")),
                    )
                    for name, each in found["phases"].items()
                ],
            ),
        ]
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure, print, write; 1 where somebody noticed."""
    asked = _arguments()
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "clients": asked.clients,
        "model_mb": model_mb(),
        "modes": {},
    }
    for mode in asked.mode or list(Mode):
        _say(f"-- {mode}")
        results["modes"][mode] = measure(
            Mode(mode), clients=asked.clients, seconds=asked.seconds, gone_s=asked.gone
        )
    (asked.output / "swap.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (asked.output / "swap.md").write_text(table(results), encoding="utf-8")
    print(table(results))
    return int(not all(is_kept(found, results["model_mb"]) for found in results["modes"].values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.swap", description=__doc__)
    parser.add_argument(
        "--mode", action="append", choices=list(Mode), help="only this one; both, if left out"
    )
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=20, help="how long each part is looked at, about")
    parser.add_argument("--gone", type=float, default=60, help="how long S3 is gone")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="a folder for the results")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
