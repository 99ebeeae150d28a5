"""python -m benchmarks.learning EXPORT [--sets 100] [--config learn.yaml] [--work FOLDER]

EXPORT is an export of good feedback (`cutline manage export_training_data`). Of it, sets of bad feedback
are made: shuffled captions, one spammer with 1,000 edits, insults slipped in, all captions the same,
ratings flipped, edits in capitals, another language, empty edits. Each goes through `cutline learn run`
with a registry of its own. Printed is how each ended, and it exits with 1 where a challenger came of one.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.learning import bad
from cutline.learning.config import LearningConfig, load_config
from cutline.learning.loop import Ending, run


def main() -> int:
    """Make the sets, run the learner on each, print; 1 where one got through."""
    asked = _arguments()
    config = load_config(asked.config)
    endings = Counter[tuple[str, str]]()
    for number in range(asked.sets):
        kind = list(bad.KINDS)[number % len(bad.KINDS)]
        ending = _tried(kind, number, asked.export, asked.work, config)
        endings[kind, ending] += 1
    print("\n| feedback | ended | sets |\n|---|---|---:|")
    for (kind, ending), count in sorted(endings.items()):
        print(f"| {kind} | {ending} | {count} |")
    through = sum(count for (_, ending), count in endings.items() if ending == Ending.CHALLENGER.value)
    print(f"\n{through} of {asked.sets} got through.")
    return int(through > 0)


def _tried(kind: str, number: int, export: Path, work: Path, config: LearningConfig) -> str:
    """How the learner ended with one set: by data alone, or after a training."""
    folder = work / f"set-{number:03}"
    shutil.rmtree(folder, ignore_errors=True)
    made = bad.read(export)
    bad.KINDS[kind](made, random.Random(number))
    feedback = bad.write(made, folder / "export")
    start = time.monotonic()
    settings = replace(config, feedback=feedback, work=folder / "work", registry=str(folder / "models"))
    outcome = run(settings)
    is_trained = any((folder / "work").rglob("trained.json"))
    ending = f"{outcome.ending.value} after a training" if is_trained else outcome.ending.value
    if outcome.ending is Ending.CHALLENGER:
        ending = outcome.ending.value
    print(f"{number:3} {kind}: {ending} in {time.monotonic() - start:.0f} s: {outcome.reason}", flush=True)
    shutil.rmtree(folder)
    return ending


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("export", type=Path, help="an export of good feedback")
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--config", type=Path, help="a learner's YAML; its work and registry are not used")
    parser.add_argument("--work", type=Path, default=Path("learning-benchmark"), help="a folder to work in")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
