"""Eight-bit bundles: calibrated, static, so that a result never depends on what else is in the batch.

Convolutions and matrix products get eight-bit weights (a scale for each output channel) and activations
(one scale for each tensor, from calibration photos), as QuantizeLinear / DequantizeLinear pairs (Jacob et
al., 2018).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

Feeds = Mapping[str, npt.NDArray[Any]]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feeds]) -> None:
        self._feeds: Iterator[Feeds] = iter(feeds)

    def get_next(self) -> Feeds | None:
        """As onnxruntime asks for it."""
        return next(self._feeds, None)


def quantise_graph(
    source: Path,
    target: Path,
    feeds: Iterable[Feeds],
    *,
    # Clip and Relu too: else what they cut off would widen the scale of the convolution before them.
    operators: tuple[str, ...] = ("Conv", "Gemm", "MatMul", "Clip", "Relu"),
    keep_convolutions: int = 0,
) -> None:
    """Quantise one graph, calibrated on ``feeds``. Products of two activations (attention) stay in float.

    keep_convolutions: the first so many convolutions stay in float: they lose most and cost little.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(operators),
            nodes_to_exclude=_products_of_activations(prepared) + _convolutions(prepared)[:keep_convolutions],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )


def _convolutions(path: Path) -> list[str]:
    return [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]


def _products_of_activations(path: Path) -> list[str]:
    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and not any(name in constants for name in node.input)
    ]


def decoder_feeds(
    encoder: Path, decoder: Path, pixels: Iterable[npt.NDArray[np.uint8]], captions: npt.NDArray[np.int64]
) -> Iterator[Feeds]:
    """What the decoder is fed when it writes given captions: one feed a step.

    pixels: batches [B, H, W, 3]; captions [N, L] are drawn from in turn, starting with <sos>.
    """
    providers = ["CPUExecutionProvider"]
    see = onnxruntime.InferenceSession(str(encoder), providers=providers)
    write = onnxruntime.InferenceSession(str(decoder), providers=providers)
    see_names = [output.name for output in see.get_outputs()]
    write_names = [output.name for output in write.get_outputs()]
    states = {i.name: i.shape for i in write.get_inputs() if i.name.startswith("state.")}
    place = 0
    for batch in pixels:
        seen = dict(zip(see_names, see.run(None, {"pixels": batch}), strict=True))
        memory = {name: value for name, value in seen.items() if name.startswith("memory.")}
        size = len(batch)
        words = captions[np.arange(place, place + size) % len(captions)]
        place += size
        state = {name: _first_state(name, shape, seen, size) for name, shape in states.items()}
        for step in range(int((words != 0).sum(1).max()) - 1):
            feeds = {"tokens": words[:, step : step + 1], **memory, **state}
            yield feeds
            written = dict(zip(write_names, write.run(None, feeds), strict=True))
            state = {name: written["next." + name.removeprefix("state.")] for name in states}


def _first_state(name: str, shape: list[Any], seen: Feeds, size: int) -> npt.NDArray[np.float32]:
    given = seen.get("initial." + name.removeprefix("state."))
    if given is not None:
        return given[:, None]
    sizes = [side if isinstance(side, int) else 0 for side in shape[2:]]
    return np.zeros((size, 1, *sizes), dtype=np.float32)
