"""Examine images that were built, and say how large they are: examine.py TAG NAME...

Exits with 1 for a bad one. The sizes are what the engine says: all layers, not compressed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

MOST_MB = {"web": 350, "worker": 450, "tools": 450}
CHECKED = ("web", "worker")  # their health is
LABELS = ("title", "description", "licenses", "version", "revision", "created")
UNWANTED = ("cc", "gcc", "g++", "ld", "pip", "apt-get", "sh")  # programs
LOOK = f"""
import importlib.util, shutil, sys
print(*(name for name in {UNWANTED} if shutil.which(name)))
print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name)))
"""


def inspected(image: str) -> dict[str, Any]:
    """What the engine knows of an image."""
    told = subprocess.run(["docker", "image", "inspect", image], stdout=subprocess.PIPE, check=True).stdout
    found: dict[str, Any] = json.loads(told)[0]
    return found


def faults(name: str, image: str) -> Iterator[str]:
    """What is wrong with an image."""
    found = inspected(image)
    settings = found["Config"]
    if name in MOST_MB and found["Size"] > MOST_MB[name] * 1e6:
        yield f"larger than {MOST_MB[name]} MB"
    if settings.get("User") != "10001:10001":
        yield f"runs as {settings.get('User') or 'root'}"
    # Podman answers without the check; the image's history has it.
    history = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image]
    steps = subprocess.run(history, stdout=subprocess.PIPE, text=True, check=True).stdout
    if name in CHECKED and "HEALTHCHECK" not in steps:
        yield "has no health check"
    labels = settings.get("Labels") or {}
    if missing := [label for label in LABELS if not labels.get(f"org.opencontainers.image.{label}")]:
        yield f"has no labels {missing}"
    look = [
        "docker",
        "run",
        "--rm",
        "--read-only",
        "--network",
        "none",
        "--entrypoint",
        "python",
        image,
        "-c",
        LOOK,
        "pip",
        *(() if name == "learn" else ("torch",)),
    ]
    if there := subprocess.run(look, stdout=subprocess.PIPE, text=True, check=True).stdout.split():
        yield f"has {', '.join(there)}"


def main(tag: str, *names: str) -> int:
    """Examine the images with these names."""
    good = True
    for name in names:
        image = f"cutline-{name}:{tag}"
        wrong = list(faults(name, image))
        good = good and not wrong
        print(f"{image}: {inspected(image)['Size'] / 1e6:.0f} MB; {'; '.join(wrong) or 'good'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
