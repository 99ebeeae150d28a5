"""What the numbers were measured on: kinds and versions, no names."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("cutline", "numpy", "onnxruntime", "pillow", "tokenizers", "torch", "transformers")

# A library whose threads wait for each other loses far more on a busy machine than one whose threads do not:
# even ratios say little there.
BUSY_LOAD = 0.5


def facts() -> dict[str, object]:
    """Cores, processor, memory, system, versions, and whether something else was running."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return {
        "cores": cores,
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "load_before": round(load, 2),
        "busy": load > BUSY_LOAD * cores,
    }


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
