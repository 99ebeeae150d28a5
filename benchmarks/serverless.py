"""python -m benchmarks.serverless [--runs 5]

The function's cold start, as AWS Lambda has it: from the start of the process on two cores until it asks for
its first event, and until the first photo's captions are with the service; its memory at the peak; and what a
photo takes then. The runtime's client is AWS's own; runtime API, bucket and service are one small server.
With --seaweedfs, a real store instead: SeaweedFS tells the function of a photo over HTTP, and serves it.
The exit code is 1 where a must is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.abuse.memory import cpu_s
from benchmarks.report import BUSY, Must
from cutline.signatures import fault_of, new_secret
from tests.server.services.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.server.services.process import answers, free_ports, wait_until
from tests.serverless.cloud import KEY, Cloud, a_cloud, s3_event, sqs_event

PHOTO = (Path(__file__).resolve().parents[1] / "examples" / "cat.jpg").read_bytes()
CORES = 2
MOST_S, MOST_MB = 1.5, 400.0
PATIENCE_S = 120.0


@contextmanager
def process(variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The function, with these variables alone, on two cores."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    started = subprocess.Popen(
        [sys.executable, "-m", "cutline.serverless"],
        env={**inherited, **variables},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield started
    finally:
        started.terminate()
        started.wait()


def peak_mb(process_id: int) -> float:
    """The most memory that a process had so far."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def on_lambda(secret: str) -> dict[str, float]:
    """One cold start."""
    with a_cloud() as cloud:
        cloud.objects[f"/photos/{KEY}"] = PHOTO
        variables = {
            "AWS_LAMBDA_RUNTIME_API": cloud.url.removeprefix("http://"),
            "CUTLINE_STORAGE_URL": f"s3://photos?endpoint={cloud.url}",
            "CUTLINE_STORAGE_ACCESS_KEY": "a",
            "CUTLINE_STORAGE_SECRET_KEY": "b",
            "CUTLINE_PUBLIC_URL": cloud.url,
            "CUTLINE_CALLBACK_SECRET": secret,
        }
        began = time.perf_counter()
        with process(variables) as function:
            wait_until(lambda: cloud.asked, what="the first poll", timeout_s=PATIENCE_S, every_s=0.002)
            ready_s = time.perf_counter() - began
            first_s = ready_s + _photo_s(cloud)
            first_cpu_s = cpu_s([function.pid])
            warm_s = statistics.median(_photo_s(cloud) for _ in range(20))
            return {
                "ready_s": ready_s,
                "first_s": first_s,
                "first_cpu_s": first_cpu_s,
                "warm_s": warm_s,
                "peak_mb": peak_mb(function.pid),
            }


def _photo_s(cloud: Cloud) -> float:
    """What one photo takes, from the event to the answer that all is done."""
    began = time.perf_counter()
    cloud.events.put(sqs_event(one=s3_event()))
    kind, told = cloud.answers.get(timeout=PATIENCE_S)
    if (kind, told) != ("response", {"batchItemFailures": []}):
        raise SystemExit(f"The function answered with {told}.")
    return time.perf_counter() - began


def by_seaweedfs(secret: str) -> None:
    """A photo that is written to SeaweedFS comes back as captions: its own notification, its own bucket."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as name, a_cloud() as cloud:
        os.environ["WEED_NOTIFICATION_WEBHOOK_ENABLED"] = "true"
        os.environ["WEED_NOTIFICATION_WEBHOOK_ENDPOINT"] = f"http://127.0.0.1:{port}/"
        store = ObjectStore(Path(name))
        store.start()
        try:
            place = store.create("photos")
            variables = {
                "PORT": str(port),
                "CUTLINE_STORAGE_URL": place,
                "CUTLINE_STORAGE_ACCESS_KEY": ACCESS_KEY,
                "CUTLINE_STORAGE_SECRET_KEY": SECRET_KEY,
                "CUTLINE_PUBLIC_URL": cloud.url,
                "CUTLINE_CALLBACK_SECRET": secret,
            }
            with process(variables):
                wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), what="the function")
                store.client.put_object(Bucket="photos", Key=KEY, Body=PHOTO)
                wait_until(lambda: cloud.calls, what="the captions", timeout_s=PATIENCE_S)
        finally:
            store.stop()
        headers, body = cloud.calls[0]
        if fault := fault_of([secret], headers, body):
            raise SystemExit(fault)
        print(f"SeaweedFS told of {KEY}; the service was told {json.loads(body)['captions'][0]['text']!r}")


def main() -> int:
    """Measure, print, and say whether the musts are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serverless", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seaweedfs", action="store_true")
    arguments = parser.parse_args()
    secret = new_secret()
    if arguments.seaweedfs:
        by_seaweedfs(secret)
        return 0
    runs = [on_lambda(secret) for _ in range(arguments.runs)]
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(f"ready for events after {middle['ready_s']:.2f} s")
    print(
        f"captions of the first photo after {middle['first_s']:.2f} s; then {middle['warm_s']:.3f} s a photo"
    )
    print(f"of the first {middle['first_s']:.2f} s, the processors worked {middle['first_cpu_s']:.2f} s")
    if middle["first_s"] > 3 * middle["first_cpu_s"]:
        print(BUSY)
    musts = (
        Must(what="cold start", value=middle["first_s"], bound=MOST_S, unit="s", at_least=False),
        Must(
            what="memory", value=max(run["peak_mb"] for run in runs), bound=MOST_MB, unit="MB", at_least=False
        ),
    )
    for must in musts:
        print(f"{must.what}: {must.value:.2f} {must.unit}, must be under {must.bound}: {must.met}")
    return 0 if all(must.met for must in musts) else 1


if __name__ == "__main__":
    sys.exit(main())
