"""What writes and rewrites graphs, cheaper for tests: uncounted by coverage, and nothing done twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry
from torch.utils._pytree import tree_map_only

from cutline.training import quantise
from cutline.training.encoders import fingerprint

P = ParamSpec("P")
T = TypeVar("T")

_PLAIN = (bool, int, float, str, tuple, list, type(None))
_OF_EVERY_MODULE = set(vars(nn.Module())) - {"training"}


@contextmanager
def quick_exporters() -> Iterator[None]:
    """Count no lines of the exporters, none of which is ours, and keep what they would compute again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", uncounted(remembered(torch.onnx.export)))
        for name in ("quant_pre_process", "quantize_static"):
            patch.setattr(quantise, name, uncounted(getattr(quantise, name)))
        # The exporter reads the source of 500 operators for each graph; it changes none of them.
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


def uncounted(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, without the tracer that counts lines for coverage."""

    def call(*arguments: P.args, **words: P.kwargs) -> T:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*arguments, **words)
        finally:
            sys.settrace(tracer)

    return call


def remembered(export: Callable[..., object]) -> Callable[..., None]:
    """The same exporter, which writes the file of an equal module again: many trainings see alike."""
    files: dict[object, bytes] = {}

    def call(module: nn.Module, arguments: tuple[Any, ...], path: Path, **words: Any) -> None:
        shapes = tree_map_only(Tensor, lambda each: (each.shape, each.dtype), arguments)
        key = (identity(module), repr(shapes), repr(sorted(words.items())))
        if key not in files:
            export(module, arguments, path, **words)
            files[key] = path.read_bytes()
        else:
            path.write_bytes(files[key])

    return call


def identity(module: nn.Module) -> object:
    """Equal for modules that compute the same: of the same classes, plain attributes and weights.

    A module that has other attributes, such as functions, equals itself alone.
    """
    parts: list[object] = []
    for name, part in module.named_modules():
        own = {key: value for key, value in vars(part).items() if key not in _OF_EVERY_MODULE}
        if not all(isinstance(value, _PLAIN) or is_dataclass(value) for value in own.values()):
            return module
        parts.append((name, type(part), repr(sorted(own.items()))))
    return (*parts, fingerprint(module))
