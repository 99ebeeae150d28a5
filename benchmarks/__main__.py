"""python -m benchmarks [--model BUNDLE] [--rounds 5] [--output benchmarks]

Measures, prints, and writes results.json and results.md. The exit code is 1 where a must is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine, report, starts

HERE = Path(__file__).resolve().parent


def measure(model: Path, *, shipped: bool, rounds: int) -> dict[str, Any]:
    """Measure everything."""
    photos = sorted((HERE.parent / "examples").glob("*.jpg"))
    _say("cold starts")
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "start": {
            "interpreter": asdict(starts.interpreter()),
            "cutline_caption": asdict(starts.caption_command(None if shipped else str(model), photos[0])),
            "transformers_blip_base": asdict(starts.hugging_face()),
            "import_cutline_s": starts.import_s(),
        },
    }

    import torch
    from transformers.utils import logging

    from benchmarks import giants, speed
    from cutline.captioning.bundle_captioner import BundleCaptioner
    from cutline.captioning.runtime import default_threads

    logging.set_verbosity_error()
    torch.set_num_threads(default_threads())
    captioner = BundleCaptioner(model)
    written = [caption for [caption] in captioner.caption(photos)]
    results["bundle"] = {
        "name": f"{captioner.name}@{captioner.version}",
        "decoding": asdict(captioner.defaults),
        "candidates": captioner.candidates,
        "mean_tokens": sum(len(caption.token_log_probs) for caption in written) / len(written),
        "threads": default_threads(),
    }
    results["giants"] = {"tokens": giants.TOKENS, "decoding": "greedy", "precision": "fp32"}
    _say("throughput")
    results["images_per_s"] = speed.throughput(captioner, model, photos, rounds=rounds)
    _say("latency, the giants' too")
    results["latency_s"] = speed.latency(captioner, photos, rounds=rounds)
    return results


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what we claim.")
    parser.add_argument("--model", type=Path, help="a bundle; the one that ships unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE, help="a folder for the results")
    chosen = parser.parse_args()

    from cutline.captioning.sources import default_bundle

    model = chosen.model or default_bundle()
    results = measure(model, shipped=chosen.model is None, rounds=chosen.rounds)
    results["ratios"] = report.ratios(results)
    musts = report.musts(results)
    results["musts"] = [asdict(must) | {"met": must.met} for must in musts]
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (chosen.output / "results.md").write_text(report.table(results), encoding="utf-8")
    print(report.table(results))
    return 0 if all(must.met for must in musts) else 1


if __name__ == "__main__":
    sys.exit(main())
