"""What was measured, as ratios, as claims kept or missed, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BUSY = "**The machine was busy: run this again on an idle one.**"


@dataclass(frozen=True, slots=True, kw_only=True)
class Must:
    """A claim that we hold ourselves to."""

    what: str
    value: float
    bound: float
    unit: str
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of its bound."""
        return self.value >= self.bound if self.at_least else self.value < self.bound


def ratios(results: Mapping[str, Any]) -> dict[str, float]:
    """What we claim, free of the machine's speed."""
    latency, images, start = results["latency_s"], results["images_per_s"], results["start"]
    return {
        "latency_blip_base_over_cutline": latency["blip_base"] / latency["cutline"],
        "latency_vit_gpt2_over_cutline": latency["vit_gpt2"] / latency["cutline"],
        "bulk_over_encoder": images["bulk"] / images["encoder"],
        "bulk_files_over_encoder": images["bulk_files"] / images["encoder"],
        "start_transformers_over_cutline": start["transformers_blip_base"]["wall_s"]
        / start["cutline_caption"]["wall_s"],
        "memory_transformers_over_cutline": start["transformers_blip_base"]["peak_mb"]
        / start["cutline_caption"]["peak_mb"],
    }


def musts(results: Mapping[str, Any]) -> list[Must]:
    """The claims, with what was measured."""
    found, start = results["ratios"], results["start"]
    return [
        Must(
            what="one photo, times faster than BLIP-base (generate, fp32, greedy)",
            value=found["latency_blip_base_over_cutline"],
            bound=15,
            unit="x",
            at_least=True,
        ),
        Must(
            what="many photos, as a part of the bare encoder's throughput",
            value=100 * found["bulk_over_encoder"],
            bound=50,
            unit="%",
            at_least=True,
        ),
        Must(
            what="`cutline caption PHOTO` from a cold start",
            value=start["cutline_caption"]["wall_s"],
            bound=2,
            unit="s",
            at_least=False,
        ),
        Must(
            what="its peak memory",
            value=start["cutline_caption"]["peak_mb"],
            bound=500,
            unit="MB",
            at_least=False,
        ),
        Must(what="`import cutline`", value=start["import_cutline_s"], bound=0.2, unit="s", at_least=False),
    ]


def table(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    claims = [
        (
            must.what,
            f"{must.value:.3g} {must.unit}",
            f"{'at least' if must.at_least else 'under'} {must.bound:g} {must.unit}",
            "yes" if must.met else "NO",
        )
        for must in musts(results)
    ]
    return "\n".join(
        [
            "<!-- Written by `make bench`. -->",
            _setting(results),
            "",
            *rows(("claim", "measured", "must be", "met"), claims),
            "",
            *rows(("one photo", "ms", "times ours"), _latency(results)),
            "",
            *rows(("many photos", "images/s", "of the encoder"), _throughput(results)),
            "",
            *rows(("cold start", "s", "peak MB"), _starts(results)),
            "",
        ]
    )


def _setting(results: Mapping[str, Any]) -> str:
    machine, bundle = results["machine"], results["bundle"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{bundle['name']} on {machine['cores']} cores ({machine['processor']}, {machine['memory_gb']} GB), "
        f"{bundle['threads']} threads, {machine['system']}, Python {machine['python']}, {versions}; "
        f"load average before: {machine['load_before']}." + (f" {BUSY}" if machine["busy"] else "")
    )


def _latency(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    seconds, bundle = results["latency_s"], results["bundle"]
    beams = bundle.get("candidates") or bundle["decoding"]["beam_size"]
    decoding = f"{bundle['decoding']['strategy']}, {beams} beams"
    random = f"random weights, greedy, {results['giants']['tokens']} tokens"
    names = {
        "cutline": f"Cutline ({decoding}; {bundle['mean_tokens']:.1f} tokens on average)",
        "vit_gpt2": f"ViT-GPT2, generate() ({random})",
        "blip_base": f"BLIP-base, generate() ({random})",
    }
    return [
        (name, f"{1000 * seconds[key]:.0f}", f"{seconds[key] / seconds['cutline']:.1f}")
        for key, name in names.items()
    ]


def _throughput(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    images = results["images_per_s"]
    names = {
        "encoder": "the encoder alone",
        "bulk": "captions, from decoded photos",
        "bulk_files": "captions, from JPEG files",
    }
    return [
        (name, f"{images[key]:.1f}", f"{100 * images[key] / images['encoder']:.0f} %")
        for key, name in names.items()
    ]


def _starts(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    names = {
        "interpreter": "Python alone",
        "cutline_caption": "`cutline caption PHOTO`, caption included",
        "transformers_blip_base": "import transformers and build BLIP-base",
    }
    runs = {name: results["start"][key] for key, name in names.items()}
    return [(name, f"{run['wall_s']:.2f}", f"{run['peak_mb']:.0f}") for name, run in runs.items()]


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *body)]
