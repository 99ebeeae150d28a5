"""How long and how big: `cutline caption PHOTO` from a cold start, and `import cutline`."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import Run, command, median_run

_IMPORT_TIME = "import time; start = time.perf_counter(); import cutline; print(time.perf_counter() - start)"
_HUGGING_FACE = """
from transformers import BlipConfig, BlipForConditionalGeneration
BlipForConditionalGeneration(BlipConfig()).eval()
"""


def caption_command(model: str | None, photo: Path, *, runs: int = 5) -> Run:
    """`cutline caption PHOTO`, as a user types it: interpreter, imports, model, photo, caption."""
    arguments = [str(Path(sys.executable).with_name("cutline")), "caption", str(photo)]
    if model:
        arguments += ["--model", model]
    return median_run([command(arguments) for _ in range(runs)])


def hugging_face() -> Run:
    """Import transformers and build BLIP-base with random weights; not yet a photo, nor a caption."""
    return command([sys.executable, "-c", _HUGGING_FACE])


def interpreter(*, runs: int = 5) -> Run:
    """Python alone: what no command can go below."""
    return median_run([command([sys.executable, "-c", "pass"]) for _ in range(runs)])


def import_s(*, runs: int = 5) -> float:
    """`import cutline` in a fresh interpreter, median seconds."""

    def once() -> float:
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT_TIME], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    return statistics.median(once() for _ in range(runs))
