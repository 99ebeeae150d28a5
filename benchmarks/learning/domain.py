"""python -m benchmarks.learning.domain PHOTOS --about train --base data/flickr8k

PHOTOS has images/ and captions.json ({name: [captions]}), as the data set `caption-map`. Photos most of whose
captions name the thing are the domain. They are split before anything else: all captions of the first so many
are given, the other photos are for the evaluation alone.

A real service is started. Over its API, accounts consent, upload photos, and write the people's captions in
place of the model's; each caption of a photo is by another account, which has uploaded the photo, too. Then
`cutline learn run` runs beside it. Printed is CIDEr-D of the champion and the challenger on the other photos
of the domain, and on the base's dev photos, and its change with an interval by the paired bootstrap; it
exits with 1 where the domain gained less than 15%, or the base lost more than 1%.

Killed, it goes on when it is called again: with the export of what was fed, and where the learner was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from benchmarks import machine
from benchmarks.abuse.people import account_keys
from cutline.captioning.bundle import Bundle, read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.sources import default_bundle
from cutline.captioning.streaming import Outcome
from cutline.metrics import cider_d, tokenize
from cutline.metrics.bootstrap import Comparison, relative_change
from cutline.metrics.ngrams import Floats
from cutline.training.datasets import load_examples
from cutline.training.examples import DataConfig
from tests.server.services.service import CUTLINE, Mode, Service

GAIN, LOSS = 0.15, 0.01
_AT_ONCE = 4  # accounts that are busy at the same time
_PLENTY = {"max_images": 100_000, "log_level": "WARNING"}

Photos = Sequence[tuple[Path, tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Photos of one thing: those whose captions are given as edits, and the others."""

    given: Photos
    others: Photos


def split(folder: Path, about: str, *, photos: int, each: int) -> Domain:
    """The photos most of whose captions name the thing, in an order by their names' hashes.

    photos, each: of so many photos, so many captions are given. Photos with one caption are not evaluated on.
    """
    captions: dict[str, list[str]] = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    names = re.compile(rf"\b(?:{about})s?\b", re.IGNORECASE)
    found = [
        name
        for name, texts in captions.items()
        if len(texts) > 1 and sum(bool(names.search(text)) for text in texts) > len(texts) / 2
    ]
    found.sort(key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    every = [(folder / "images" / name, tuple(captions[name])) for name in found]
    return Domain(given=[(path, texts[:each]) for path, texts in every[:photos]], others=every[photos:])


# Over the API


def feed(service: Service, given: Photos, accounts: int) -> int:
    """Let accounts upload photos and write their captions; how many. No account has a photo twice."""
    said = [(path, text) for path, texts in given for text in texts]
    keys = account_keys(service, [f"person-{number}@example.org" for number in range(accounts)])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shares = [list(islice(said, number, None, accounts)) for number in range(accounts)]
        list(pool.map(lambda pair: _act(service, *pair), zip(keys, shares, strict=True)))
    return len(said)


def _act(service: Service, key: str, share: Sequence[tuple[Path, str]]) -> None:
    """One account: consent, upload, read the model's caption, write another."""
    with service.visitor(key=key) as person:
        person.patch("/me", json={"may_train": True}).raise_for_status()
        for path, text in share:
            answer = person.post(
                "/images", files={"files": (path.name, path.read_bytes())}, headers={"Prefer": "wait=60"}
            )
            [item] = answer.raise_for_status().json()["items"]
            person.put(f"/images/{item['id']}/caption", json={"text": text}).raise_for_status()


# The learner


def learn(env: Mapping[str, str], config: Path) -> dict[str, Any]:
    """Run `cutline learn run` with a service's settings; how it ended."""
    done = subprocess.run(
        [CUTLINE, "learn", "run", "--json", "--config", config],
        env=dict(env),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


@dataclass(slots=True)
class _Clock:
    """The seconds that something took, of the wall's clock and of the processors', over all calls."""

    path: Path

    def read(self) -> dict[str, float]:
        """How many so far."""
        found: dict[str, float] = (
            json.loads(self.path.read_text("utf-8")) if self.path.exists() else {"wall_s": 0.0, "cpu_s": 0.0}
        )
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what a child process takes, whether it ends well or not."""
        began, used = time.monotonic(), _children_cpu_s()
        try:
            yield
        finally:
            so_far = self.read()
            so_far["wall_s"] += time.monotonic() - began
            so_far["cpu_s"] += _children_cpu_s() - used
            self.path.write_text(json.dumps(so_far), "utf-8")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_config(folder: Path, base: Path | None, more: Path | None, *, feedback: Path | None) -> Path:
    """The learner's YAML: what --config names, with folders of its own, and the base where it is there."""
    values: dict[str, Any] = (yaml.safe_load(more.read_text(encoding="utf-8")) if more else None) or {}
    values |= {"work": str(folder / "learning"), "registry": str(folder / "models")}
    if feedback is not None:
        values["feedback"] = str(feedback)
    if base is not None:
        data = {"kind": "flickr8k", "path": str(base)}
        values["training"] = {"rehearsal": data} | values.get("training", {})
        values["gates"] = {"base": data} | values.get("gates", {})
    path = folder / "learn.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


# The evaluation


def scored(bundle: Bundle, photos: Photos) -> Floats:
    """CIDEr-D, times 100, of a bundle's caption of each photo."""
    captioner = BundleCaptioner(bundle)
    written = [_text(outcome) for outcome in captioner.caption_each([path for path, _ in photos])]
    references = [[tokenize(text) for text in texts] for _, texts in photos]
    return 100 * cider_d(references, [tokenize(text) for text in written])[1]


def _text(outcome: Outcome) -> str:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome[0].text


def _dev(base: Path) -> Photos:
    examples = load_examples(DataConfig(kind="flickr8k", path=str(base)))
    return [
        (each.image, each.captions)
        for each in examples
        if each.split == "dev" and isinstance(each.image, Path)
    ]


def _fed_and_learned(chosen: argparse.Namespace, given: Photos) -> dict[str, Any]:
    """Feed a service and run the learner beside it; or only go on with what a killed call left."""
    folder: Path = chosen.work.resolve()  # the service works elsewhere
    export, clock = folder / "export", _Clock(folder / "seconds.json")
    if export.exists():
        _say("it goes on with what was fed before")
        config = _write_config(folder, chosen.base, chosen.config, feedback=export)
        with clock.running():
            return learn(os.environ, config)
    shutil.rmtree(folder / "service", ignore_errors=True)  # of a call that was killed
    service = Service(Mode.LAPTOP, folder / "service", settings=_PLENTY)
    try:
        service.start()
        began = time.monotonic()
        captions = feed(service, given, chosen.accounts)
        _say(f"{captions} captions by {chosen.accounts} accounts in {time.monotonic() - began:.0f} s")
        service.manage("export_training_data", str(export))
        config = _write_config(folder, chosen.base, chosen.config, feedback=None)
        with clock.running():
            return learn(service.env, config)
    finally:
        service.stop()


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Feed, learn, evaluate."""
    domain = split(chosen.photos_folder, chosen.about, photos=chosen.photos, each=chosen.each)
    folder: Path = chosen.work.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _say(f"{len(domain.given)} photos are given, {len(domain.others)} are for the evaluation")
    outcome = _fed_and_learned(chosen, domain.given)
    took = _Clock(folder / "seconds.json").read()
    _say(f"{outcome['ending']} after {took['wall_s']:.0f} s: {outcome['reason']}")
    found = sorted(folder.glob("learning/runs/*/bundle"))
    figures: dict[str, dict[str, float]] = {}
    changes: dict[str, Comparison] = {}
    if found:
        champion, challenger = read_bundle(default_bundle()), read_bundle(found[-1])
        evaluated = {"domain": domain.others} | ({"base": _dev(chosen.base)} if chosen.base else {})
        for name, photos in evaluated.items():
            before, after = scored(champion, photos), scored(challenger, photos)
            figures[name] = {"champion": float(before.mean()), "challenger": float(after.mean())}
            changes[name] = relative_change(after, before)
    return {
        "machine": machine.facts(),
        "about": chosen.about,
        "given": {
            "photos": len(domain.given),
            "captions": sum(len(texts) for _, texts in domain.given),
            "accounts": chosen.accounts,
        },
        "evaluated": len(domain.others),
        "ending": outcome["ending"],
        "reason": outcome["reason"],
        "learned_s": round(took["wall_s"]),
        "learned_cpu_s": round(took["cpu_s"]),
        "cider_d": figures,
        "change": {name: each.difference for name, each in changes.items()},
        "change_interval": {name: [each.low, each.high] for name, each in changes.items()},
    }


def is_met(results: Mapping[str, Any]) -> bool:
    """Whether it became a challenger, and gained and kept as much as it must."""
    change = results["change"]
    return bool(
        results["ending"] == "challenger" and change["domain"] >= GAIN and change.get("base", 0.0) >= -LOSS
    )


def main() -> int:
    """Measure, print, write; 1 where it is not as it must be."""
    chosen = _arguments()
    results = measure(chosen)
    print("\n| photos of | champion | challenger | change | 95% interval |\n|---|---:|---:|---:|---:|")
    for name, each in results["cider_d"].items():
        label = chosen.about if name == "domain" else "the base, dev"
        scores = f"{each['champion']:.1f} | {each['challenger']:.1f}"
        low, high = results["change_interval"][name]
        print(f"| {label} | {scores} | {results['change'][name]:+.1%} | {low:+.1%} to {high:+.1%} |")
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if is_met(results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.domain", description=__doc__)
    parser.add_argument("photos_folder", type=Path, metavar="PHOTOS", help="a folder of captioned photos")
    parser.add_argument(
        "--about", required=True, help="what the domain's captions name: train, or bath|toilet"
    )
    parser.add_argument("--photos", type=int, default=60, help="photos whose captions are given")
    parser.add_argument("--each", type=int, default=5, help="captions of each that are given, at most")
    parser.add_argument("--accounts", type=int, default=40)
    parser.add_argument("--base", type=Path, help="Flickr8k: to rehearse, for the gates, and to evaluate")
    parser.add_argument("--config", type=Path, help="a learner's YAML; its work and registry are not used")
    parser.add_argument("--work", type=Path, default=Path("learning-domain"), help="a folder to work in")
    parser.add_argument("--output", type=Path, help="a file for the results, as JSON")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
