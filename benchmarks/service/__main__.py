"""python -m benchmarks.service [--rounds 100] [--photos 512] [--sizes 1000 100000] [--output benchmarks]

Starts the service in both modes with real servers, measures, prints, and writes service.json and service.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.service import measures, report
from benchmarks.service.pictures import variants
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.sources import default_bundle
from tests.server.services.service import Mode, Servers, Service

HERE = Path(__file__).resolve().parent
CLIENTS, WORKERS = 64, 2
PLENTY = {"max_images_anonymous": 1_000_000, "log_level": "WARNING"}


@contextmanager
def running(mode: Mode, folder: Path, servers: Servers) -> Iterator[Service]:
    """The service in a mode."""
    service = Service(
        mode,
        folder / mode,
        servers=servers if mode is Mode.PRODUCTION else None,
        workers=WORKERS,
        settings=PLENTY,
    )
    try:
        service.start()
        yield service
    finally:
        service.stop()


def measure(folder: Path, servers: Servers, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    bare, photos = BundleCaptioner(default_bundle()), variants()
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "model": f"{bare.name}@{bare.version}",
        "one": {},
        "lists": {},
    }
    for mode in Mode:
        with running(mode, folder, servers) as service:
            _say(f"one photo at a time, {mode}")
            results["one"][mode] = measures.one_by_one(service, bare, photos, rounds=chosen.rounds)
            if mode is Mode.PRODUCTION:
                _say(f"{CLIENTS} clients")
                results["many"] = _many(service, bare, photos, chosen.photos)
            results["lists"][mode] = _lists(service, photos, chosen.sizes)
    return results


def _many(
    service: Service, bare: BundleCaptioner, photos: Iterator[bytes], count: int
) -> dict[str, float | int]:
    batch = measures.take(photos, count)
    measures.many_clients(service, measures.take(photos, 2 * CLIENTS), clients=CLIENTS)  # warms up
    measures.bare_bulk(bare, batch[:64])
    service_per_s = measures.many_clients(service, batch, clients=CLIENTS)
    bare_per_s = measures.bare_bulk(bare, batch)
    return {
        "clients": CLIENTS,
        "workers": WORKERS,
        "photos": count,
        "service_per_s": service_per_s,
        "bare_per_s": bare_per_s,
    }


def _lists(
    service: Service, photos: Iterator[bytes], sizes: list[int]
) -> dict[str, dict[str, dict[str, float]]]:
    found = {}
    with service.visitor() as visitor:
        (item,) = visitor.upload(next(photos))
        owner = str(
            service.rows("SELECT owner_id FROM images_image WHERE id = %s", _key(service, item["id"]))[0][0]
        )
        have = 0
        for size in sizes:
            _say(f"lists of {size:,} images, {service.mode}")
            measures.fill(service, owner, size - have)
            have = size
            found[str(size)] = measures.lists(visitor, rounds=30)
    return found


def _key(service: Service, image: str) -> str:
    """An id as the database writes it."""
    return image if service.mode is Mode.PRODUCTION else image.replace("-", "")


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description="Measure the service.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--photos", type=int, default=512, help="photos of all clients together")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000], help="lengths of lists")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="a folder for the results")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cutline-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        servers = Servers.below(folder)
        try:
            servers.start()
            results = measure(folder, servers, chosen)
        finally:
            servers.stop()
    (chosen.output / "service.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (chosen.output / "service.md").write_text(report.table(results), encoding="utf-8")
    print(report.table(results))


if __name__ == "__main__":
    main()
