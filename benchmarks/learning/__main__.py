"""python -m benchmarks.learning EXPORT [--sets 100] [--trained 12] [--config learn.yaml] [--work FOLDER]

EXPORT is an export of good feedback (`cutline manage export_training_data`). Of it, sets of bad feedback
are made: shuffled captions, one spammer with 1,000 edits, insults slipped in, all captions the same,
ratings flipped, edits in capitals, another language, empty edits. Each goes through `cutline learn run`
with a registry of its own. From the first so many (--trained), a challenger is trained whatever the gates
before a training say, and asked all other gates, too. Printed is how each ended, and it exits with 1 where
a challenger came of one.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.learning import bad
from cutline.captioning.bundle import read_bundle
from cutline.captioning.sources import default_bundle
from cutline.learning.challenger import read_challenger, train_challenger
from cutline.learning.champion import load_champion
from cutline.learning.config import LearningConfig, load_config
from cutline.learning.dataset import build
from cutline.learning.feedback import read_export
from cutline.learning.gates import Contest, judge, judge_data
from cutline.learning.loop import Ending, run
from cutline.learning.vocabulary import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How one set ended. before, after: the gates before a training, and after one, that refused it."""

    number: int
    kind: str
    ending: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] | None = None  # None: nothing was trained
    seconds: float = 0.0


def main() -> int:
    """Make the sets, run the learner on each, print; 1 where one got through."""
    asked = _arguments()
    config = load_config(asked.config)
    tried: list[Tried] = []
    for number in range(asked.sets):
        tried.append(_tried(number, asked.export, asked.work, config, trained=number < asked.trained))
        _print(tried[-1])
        if asked.output is not None:
            asked.output.write_text(json.dumps([asdict(each) for each in tried], indent=1) + "\n", "utf-8")
    return _summed_up(tried)


def _tried(number: int, export: Path, work: Path, config: LearningConfig, *, trained: bool) -> Tried:
    folder = work / f"set-{number:03}"
    shutil.rmtree(folder, ignore_errors=True)
    kind = list(bad.KINDS)[number % len(bad.KINDS)]
    made = bad.read(export)
    bad.KINDS[kind](made, random.Random(number))
    feedback = bad.write(made, folder / "export")
    settings = replace(config, feedback=feedback, work=folder / "work", registry=str(folder / "models"))
    began = time.monotonic()
    outcome = run(settings)
    found = Tried(number=number, kind=kind, ending=outcome.ending.value, before=_refusals(folder))
    if trained and outcome.ending is not Ending.CHALLENGER:
        found = replace(found, after=_after_training(settings, folder))
    shutil.rmtree(folder)
    return replace(found, seconds=round(time.monotonic() - began, 1))


def _refusals(folder: Path) -> tuple[str, ...]:
    reports = [json.loads(path.read_text("utf-8")) for path in folder.glob("work/runs/*/gates.json")]
    return tuple(gate["name"] for report in reports for gate in report["gates"] if not gate["passed"])


def _after_training(settings: LearningConfig, folder: Path) -> tuple[str, ...]:
    """Train on the data, whatever is wrong with it; the gates that refuse what comes of it."""
    bundle = read_bundle(default_bundle())
    champion = load_champion(bundle)
    assert settings.feedback is not None
    data = build(read_export(settings.feedback), settings.work, settings.data, known=Known(bundle))
    place = folder / "trained"
    place.mkdir()
    earlier = judge_data(champion, data, settings.gates, place)
    train_challenger(champion, data, settings.training, place)
    challenger, weights = read_challenger(place)
    report = judge(
        Contest(
            champion=champion,
            bundle=read_bundle(challenger.bundle),
            weights=weights,
            data=data,
            settings=settings.gates,
            scratch=place,
        ),
        earlier,
    )
    return tuple(gate.name for gate in report.gates[len(earlier.gates) :] if not gate.passed)


def _print(each: Tried) -> None:
    after = (
        "" if each.after is None else f"; trained, and refused by {', '.join(each.after) or 'nothing else'}"
    )
    before = ", ".join(each.before) or "nothing"
    print(f"{each.number:3} {each.kind}: {each.ending} by {before}{after} ({each.seconds:.0f} s)", flush=True)


def _summed_up(tried: Iterable[Tried]) -> int:
    """Print a table; 1 where a challenger came of a set."""
    sets = list(tried)
    rows = Counter((each.kind, each.ending, ", ".join(each.before)) for each in sets)
    print("\n| feedback | ended | refused by | sets |\n|---|---|---|---:|")
    for (kind, ending, by), count in sorted(rows.items()):
        print(f"| {kind} | {ending} | {by} | {count} |")
    trained = [each for each in sets if each.after is not None or each.ending == Ending.CHALLENGER.value]
    refused = sum(bool(each.after) for each in trained)
    print(f"\n{len(trained)} were trained; the gates after a training alone would have refused {refused}.")
    through = sum(each.ending == Ending.CHALLENGER.value for each in sets)
    print(f"{through} of {len(sets)} got through.")
    return int(through > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("export", type=Path, help="an export of good feedback")
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument(
        "--trained", type=int, default=12, help="sets from which a challenger is trained anyway"
    )
    parser.add_argument("--config", type=Path, help="a learner's YAML; its work and registry are not used")
    parser.add_argument("--work", type=Path, default=Path("learning-benchmark"), help="a folder to work in")
    parser.add_argument("--output", type=Path, help="a file for the results, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
