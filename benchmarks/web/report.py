"""What was measured, as claims kept or missed, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report import BUSY, Must, rows


def musts(results: Mapping[str, Any]) -> list[Must]:
    """The claims, with what was measured."""
    return list(_musts(results))


def _musts(results: Mapping[str, Any]) -> Iterator[Must]:
    for form, pages in results["lighthouse"].items():
        for page, run in pages.items():
            for category, value in run["scores"].items():
                what = f"Lighthouse, {category}: {page}, {form}"
                yield Must(what=what, value=value, bound=95, unit="", at_least=True)
    for form, pages in results["layout_shift"].items():
        for page, value in pages.items():
            what = f"layout shift: {page}, {form}"
            yield Must(what=what, value=value, bound=0.01, unit="", at_least=False)
    for page, grid in results["grid"].items():
        what = f"memory with {grid['photos']:,} photos: {page}"
        yield Must(what=what, value=grid["renderer_mb"], bound=300, unit="MB", at_least=False)
        what = f"99 of 100 frames while they scroll: {page}"
        yield Must(what=what, value=grid["frame_p99_ms"], bound=50, unit="ms", at_least=False)
    first = results["first_page_script_kb"]
    yield Must(what="script of the first page, gzipped", value=first, bound=200, unit="kB", at_least=False)


def table(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    machine = results["machine"]
    claims = [
        (
            must.what,
            f"{must.value:.4g} {must.unit}".strip(),
            f"{'at least' if must.at_least else 'under'} {must.bound:g} {must.unit}".strip(),
            "yes" if must.met else "NO",
        )
        for must in musts(results)
    ]
    return "\n".join(
        [
            "<!-- Written by `python -m benchmarks.web`. -->",
            f"{results['chromium']} on {machine['cores']} cores ({machine['processor']}, "
            f"{machine['memory_gb']} GB), {machine['system']}; load average before: {machine['load_before']}."
            + (f" {BUSY}" if machine["busy"] else ""),
            "Service, browser and Lighthouse share these cores.",
            "",
            *rows(("claim", "measured", "must be", "met"), claims),
            "",
            *rows(("Lighthouse", *_names(results)), _metrics(results)),
            "",
            *rows(("a long grid", *results["grid"]), _grid(results)),
            "",
        ]
    )


def _names(results: Mapping[str, Any]) -> list[str]:
    return [f"{page}, {form}" for form, pages in results["lighthouse"].items() for page in pages]


def _metrics(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    names = {
        "first_paint_ms": "first contentful paint, ms",
        "largest_paint_ms": "largest contentful paint, ms",
        "blocked_ms": "total blocking time, ms",
        "speed_index_ms": "speed index, ms",
    }
    runs = [run for pages in results["lighthouse"].values() for run in pages.values()]
    table = [(name, *(f"{run['metrics'][key]:.0f}" for run in runs)) for key, name in names.items()]
    of_all = (", ".join(map(str, run["performance_of_all"])) for run in runs)
    return [
        *table,
        ("performance of each run", *of_all),
        ("Lighthouse's own index of the machine's speed", *(f"{run['benchmark_index']:.0f}" for run in runs)),
    ]


def _grid(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    names = {
        "photos": "photos",
        "loaded_s": "to the end, s",
        "frame_median_ms": "frames while scrolling, median ms",
        "frame_p99_ms": "frames while scrolling, p99 ms",
        "elements": "elements in the document",
        "heap_mb": "script's heap, MB",
        "renderer_before_mb": "the page's process before, MB",
        "renderer_mb": "the page's process at the end, MB",
        "renderer_rss_mb": "the same, with all of what it shares, MB",
    }
    grids = results["grid"].values()
    return [(name, *(f"{grid[key]:,g}" for grid in grids)) for key, name in names.items()]
