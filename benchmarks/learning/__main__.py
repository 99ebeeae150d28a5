"""python -m benchmarks.learning EXPORT [--sets 100] [--trained 12] [--config learn.yaml] [--work FOLDER]

EXPORT is an export of good feedback (`cutline manage export_training_data`). Of it, sets of bad feedback
are made: shuffled captions, one spammer with 1,000 edits, insults slipped in, all captions the same,
ratings flipped, edits in capitals, another language, empty edits. Each goes through `cutline learn run`
with a registry of its own. Then, from the first so many (--trained), a challenger is trained whatever the
gates before a training say, and asked all other gates, too. Printed is how each ended, and it exits with 1
where a challenger came of one.

With --output, killed, it goes on when it is called again: what is in the file is not done twice.
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
from cutline.learning.champion import load_champion
from cutline.learning.config import LearningConfig, load_config
from cutline.learning.dataset import build
from cutline.learning.feedback import read_export
from cutline.learning.files import write_json
from cutline.learning.gates import judge_data
from cutline.learning.loop import Ending, run, train_and_judge
from cutline.learning.vocabulary import Known
from cutline.registry.contents import shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How one set ended. before, after: the gates before a training, and after one, that refused it."""

    number: int
    kind: str
    ending: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] | None = None  # None: nothing was trained
    seconds: float = 0.0

    @property
    def got_through(self) -> bool:
        """Whether a challenger came of it."""
        return self.ending == Ending.CHALLENGER.value


class Benchmark:
    """All sets, and how each ended."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._export: Path = asked.export
        self._work: Path = asked.work
        self._output: Path | None = asked.output
        self._config = load_config(asked.config)
        self.tried: dict[int, Tried] = {}
        if self._output is not None and self._output.exists():
            for row in json.loads(self._output.read_text("utf-8")):
                after = None if row["after"] is None else tuple(row["after"])
                self.tried[row["number"]] = Tried(**(row | {"before": tuple(row["before"]), "after": after}))

    def run(self, number: int) -> None:
        """Let the learner try a set, unless it did."""
        if number in self.tried:
            return
        began = time.monotonic()
        settings = self._made(number)
        outcome = run(settings)
        self._note(
            Tried(
                number=number,
                kind=_kind(number),
                ending=outcome.ending.value,
                before=_refusals(self._folder(number)),
                seconds=round(time.monotonic() - began, 1),
            )
        )
        shutil.rmtree(self._folder(number))

    def train(self, number: int) -> None:
        """Train on a set in spite of what was found wrong with it, unless that was done."""
        found = self.tried[number]
        if found.after is not None or found.got_through:
            return
        began = time.monotonic()
        after = _after_training(self._made(number), self._folder(number))
        seconds = round(found.seconds + time.monotonic() - began, 1)
        self._note(replace(found, after=after, seconds=seconds))
        shutil.rmtree(self._folder(number))

    def _folder(self, number: int) -> Path:
        return self._work / f"set-{number:03}"

    def _made(self, number: int) -> LearningConfig:
        """Write the export of a set, and settings for it; what a killed call learned there stays."""
        folder = self._folder(number)
        made = bad.read(self._export)
        bad.KINDS[_kind(number)](made, random.Random(number))
        feedback = bad.write(made, folder / "export")
        return replace(self._config, feedback=feedback, work=folder / "work", registry=str(folder / "models"))

    def _note(self, each: Tried) -> None:
        self.tried[each.number] = each
        _print(each)
        if self._output is not None:
            rows = [asdict(self.tried[number]) for number in sorted(self.tried)]
            write_json(self._output, rows)


def main() -> int:
    """Make the sets, run the learner on each, print; 1 where one got through."""
    asked = _arguments()
    benchmark = Benchmark(asked)
    for number in range(asked.sets):
        benchmark.run(number)
    for number in range(min(asked.trained, asked.sets)):
        benchmark.train(number)
    return _summed_up(benchmark.tried.values())


def _kind(number: int) -> str:
    return list(bad.KINDS)[number % len(bad.KINDS)]


def _refusals(folder: Path) -> tuple[str, ...]:
    reports = [json.loads(path.read_text("utf-8")) for path in folder.glob("work/runs/*/gates.json")]
    return tuple(gate["name"] for report in reports for gate in report["gates"] if not gate["passed"])


def _after_training(settings: LearningConfig, folder: Path) -> tuple[str, ...]:
    """Train on the data, whatever is wrong with it; the gates that refuse what comes of it."""
    bundle = read_bundle(default_bundle())
    champion = load_champion(bundle, shipped().weights)
    assert settings.feedback is not None
    data = build(read_export(settings.feedback), settings.work, settings.data, known=Known(bundle))
    place = folder / "trained"
    place.mkdir(exist_ok=True)
    earlier = judge_data(champion, data, settings.gates, place)
    report = train_and_judge(champion, data, settings, place, earlier=earlier)
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
    trained = [each for each in sets if each.after is not None or each.got_through]
    refused = sum(bool(each.after) for each in trained)
    print(f"\n{len(trained)} were trained; the gates after a training alone would have refused {refused}.")
    through = sum(each.got_through for each in sets)
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
    parser.add_argument("--output", type=Path, help="a file for the results, as JSON; goes on with it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
