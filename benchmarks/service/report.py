"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report import BUSY, rows

AIM_LATENCY, AIM_THROUGHPUT = 1.20, 0.90


def table(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    machine = results["machine"]
    return "\n".join(
        [
            "<!-- Written by `python -m benchmarks.service`. -->",
            f"{results['model']} on {machine['cores']} cores ({machine['processor']}, "
            f"{machine['memory_gb']} GB), {machine['system']}, Python {machine['python']}; "
            f"load average before: {machine['load_before']}." + (f" {BUSY}" if machine["busy"] else ""),
            "Client, servers and workers share these cores.",
            "",
            *rows(("one photo at a time", *results["one"]), _one(results["one"])),
            "",
            *rows(("many photos at once", "images/s", "of bare bulk captioning", "aim"), _many(results)),
            "",
            *rows(("list, median (p99) in ms", *_columns(results)), _lists(results)),
            "",
        ]
    )


def _ms(spread: Mapping[str, float]) -> str:
    return f"{1000 * spread['median']:.1f} ({1000 * spread['p99']:.1f})"


def _one(modes: Mapping[str, Any]) -> list[tuple[str, ...]]:
    names = {
        "enqueue_to_event_s": "job's row, through queue and worker, to its event, median (p99) in ms",
        "bare_s": "the captioner alone, bytes to captions, median (p99) in ms",
        "upload_to_caption_s": "upload to caption over the websocket, median (p99) in ms",
        "upload_to_answer_s": "upload to the answer of the upload, median (p99) in ms",
    }
    table = [(name, *(_ms(mode[key]) for mode in modes.values())) for key, name in names.items()]
    ratios = (f"{mode['upload_over_bare']:.2f}" for mode in modes.values())
    return [*table, (f"upload to caption over the captioner alone (aim: {AIM_LATENCY:.2f})", *ratios)]


def _many(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    many = results["many"]
    name = f"{many['clients']} clients, {many['workers']} workers, {many['photos']} photos"
    return [
        ("the captioner alone", f"{many['bare_per_s']:.1f}", "100 %", ""),
        (
            name,
            f"{many['service_per_s']:.1f}",
            f"{100 * many['service_per_s'] / many['bare_per_s']:.0f} %",
            f"{100 * AIM_THROUGHPUT:.0f} %",
        ),
    ]


def _columns(results: Mapping[str, Any]) -> list[str]:
    return [f"{mode}, {int(count):,}" for mode, sizes in results["lists"].items() for count in sizes]


def _lists(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    columns = [found for sizes in results["lists"].values() for found in sizes.values()]
    return [(name, *(_ms(found[name]) for found in columns)) for name in columns[0]]
