"""python -m benchmarks.styles [--model FOLDER] [--captions 40] [--output benchmarks]

How fast the model that ships writes captions in a voice, and how much memory that takes, alone and beside a
captioner that captions photos all the time in the same process. Descriptions and voices are held-out rows of
recipes/styles/corpus. Prints, writes styles.json and styles.md; the exit code is 1 where a must is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.report import BUSY, Must

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "recipes" / "styles" / "corpus"
FIRST_PIECE_S, WHOLE_S, MEMORY_MB = 0.4, 1.5, 450


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Medians over captions, and the most memory of the process. photos: captioned meanwhile."""

    captions: int
    first_piece_s: float
    whole_s: float
    whole_p95_s: float
    peak_mb: float
    photos: int


def measure(model: str, captions: int, *, beside: bool) -> Measured:
    """Write captions in this process, which should do nothing else; beside a captioner if that is wanted."""
    from cutline import styles
    from cutline.styles.built_in import BuiltInWriter
    from cutline.styles.causal import CausalModel
    from cutline.styles.restyling import GuardedRestyler

    restyler = GuardedRestyler(BuiltInWriter(CausalModel(Path(model)))) if model else styles.load()
    ended, photos = threading.Event(), [0]
    captioning = threading.Thread(target=_caption, args=(ended, photos))
    if beside:
        captioning.start()
        while not photos[0]:
            time.sleep(0.01)
    first, whole = [], []
    try:
        for row in [*_rows(captions)[:2], *_rows(captions)]:  # two to warm up
            voice = styles.Voice(
                tone=row["tone"],
                audience=styles.Audience(row["audience"]),
                length=styles.Length(row["length"]),
                hashtags=row["hashtags"],
                emoji=row["emoji"],
            )
            started = time.perf_counter()
            events = restyler.stream(row["description"], voice)
            next(events)
            first.append(time.perf_counter() - started)
            list(events)
            whole.append(time.perf_counter() - started)
    finally:
        ended.set()
        if beside:
            captioning.join()
    return Measured(
        captions=captions,
        first_piece_s=statistics.median(first[2:]),
        whole_s=statistics.median(whole[2:]),
        whole_p95_s=sorted(whole[2:])[int(0.95 * captions)],
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        photos=photos[0],
    )


def _caption(ended: threading.Event, photos: list[int]) -> None:
    """Caption the examples, one at a time, to the end."""
    import cutline

    captioner = cutline.load()
    paths = sorted((HERE.parent / "examples").glob("*.jpg"))
    while not ended.is_set():
        captioner.caption([paths[photos[0] % len(paths)]])
        photos[0] += 1


def _rows(count: int) -> list[dict[str, Any]]:
    rows = [
        json.loads(line)
        for file in sorted(CORPUS.glob("*.jsonl"))
        for line in file.read_text("utf-8").splitlines()
    ]
    return random.Random(0).sample([row for row in rows if row["split"] == "held-out"], count)


def musts(found: Mapping[str, Any]) -> list[Must]:
    """What we hold ourselves to, beside a running captioner."""
    beside = found["beside"]
    return [
        Must(
            what="first piece, median",
            value=1000 * beside["first_piece_s"],
            bound=1000 * FIRST_PIECE_S,
            unit="ms",
            at_least=False,
        ),
        Must(
            what="whole caption, median",
            value=1000 * beside["whole_s"],
            bound=1000 * WHOLE_S,
            unit="ms",
            at_least=False,
        ),
        Must(what="peak memory", value=beside["peak_mb"], bound=MEMORY_MB, unit="MB", at_least=False),
    ]


def table(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    facts = found["machine"]
    lines = [
        "<!-- Written by `python -m benchmarks.styles`. -->",
        *([BUSY, ""] if facts["busy"] else []),
        f"{found['model']} on {facts['cores']} cores ({facts['processor']}, {facts['memory_gb']} GB),"
        f" {facts['system']}, Python {facts['python']}; load average before: {facts['load_before']};"
        f" {found['alone']['captions']} captions.",
        "",
        "| | alone | beside a captioner at work | must |",
        "| --- | ---: | ---: | ---: |",
    ]
    told = {
        "first piece, median, in ms": ("first_piece_s", 1000, f"{1000 * FIRST_PIECE_S:.0f}"),
        "whole caption, median, in ms": ("whole_s", 1000, f"{1000 * WHOLE_S:.0f}"),
        "whole caption, 95th percentile, in ms": ("whole_p95_s", 1000, ""),
        "peak memory of the process, in MB": ("peak_mb", 1, f"{MEMORY_MB}"),
    }
    for what, (name, factor, bound) in told.items():
        cells = [f"{factor * found[kind][name]:,.0f}" for kind in ("alone", "beside")]
        lines.append(f"| {what} | {' | '.join(cells)} | {bound} |")
    return "\n".join(lines) + "\n"


def _in_a_process_of_its_own(model: str, captions: int, kind: str) -> dict[str, Any]:
    arguments = ["--model", model, "--captions", str(captions), "--only", kind]
    command = [sys.executable, "-m", "benchmarks.styles", *arguments]
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.styles", description="Measure captions in a voice."
    )
    parser.add_argument("--model", default="", help="the folder of a writer; the one that ships unless given")
    parser.add_argument("--captions", type=int, default=40)
    parser.add_argument("--output", type=Path, default=HERE, help="a folder for the results")
    parser.add_argument("--only", choices=("alone", "beside"), help="measure in this process, and print JSON")
    chosen = parser.parse_args(arguments)
    if chosen.only:
        print(json.dumps(asdict(measure(chosen.model, chosen.captions, beside=chosen.only == "beside"))))
        return 0

    from cutline.styles.built_in import folder
    from cutline.styles.causal import CausalModel

    model = CausalModel(Path(chosen.model) if chosen.model else folder())
    found: dict[str, Any] = {"machine": machine.facts(), "model": f"{model.name}@{model.version}"}
    for kind in ("alone", "beside"):
        found[kind] = _in_a_process_of_its_own(chosen.model, chosen.captions, kind)
    claims = musts(found)
    found["musts"] = [asdict(must) | {"met": must.met} for must in claims]
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "styles.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (chosen.output / "styles.md").write_text(table(found), encoding="utf-8")
    print(table(found))
    return 0 if all(must.met for must in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
