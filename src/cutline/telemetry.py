"""Keeps dependencies from reporting to their makers, unless somebody asked for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# What each reads once, when it is imported; child processes inherit it.
OFF: Mapping[str, str] = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: its own function comes too late for the first report
    "HF_HUB_DISABLE_TELEMETRY": "1",  # transformers and huggingface_hub
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_OPENVINO = "openvino_telemetry"


def turn_off() -> None:
    """Say so in the environment, wherever nothing is said yet. Who wants reports sets the variable."""
    for name, value in OFF.items():
        if not os.environ.get(name):  # empty, as of ${NAME:-}, says nothing either
            os.environ[name] = value


@contextmanager
def openvino_kept_quiet() -> Iterator[None]:
    """Import openvino within this. It reports each import, heeds no variable, and can do without the package
    that reports; somebody who ran `opt_in_out --opt_in` of that package keeps it.
    """
    if _OPENVINO in sys.modules or _is_opted_in_to_openvino():
        yield
        return
    sys.modules[_OPENVINO] = None  # type: ignore[assignment]  # Python's own way to say: not to be found
    try:
        yield
    finally:
        del sys.modules[_OPENVINO]


def _is_opted_in_to_openvino() -> bool:
    on_windows = os.environ.get("LOCALAPPDATA")
    folder = Path(on_windows, "Intel Corporation") if on_windows else Path.home() / "intel"
    try:
        return (folder / _OPENVINO).read_text(encoding="utf-8").strip() == "1"
    except (OSError, ValueError):
        return False
