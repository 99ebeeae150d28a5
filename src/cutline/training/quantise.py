"""Eight-bit bundles: calibrated, static, so that a result never depends on what else is in the batch.

Convolutions and matrix products get eight-bit weights (a scale for each output channel) and activations
(one scale for each tensor, from calibration photos), as QuantizeLinear / DequantizeLinear pairs (Jacob et
al., 2018).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]
from onnx import helper, numpy_helper
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

from cutline.training.exact import Feeds, exact_convolutions

_PRODUCTS = ("Gemm", "MatMul")


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feeds]) -> None:
        self._feeds: Iterator[Feeds] = iter(feeds)

    def get_next(self) -> Feeds | None:
        """As onnxruntime asks for it."""
        return next(self._feeds, None)


def quantise_graph(source: Path, target: Path, feeds: Sequence[Feeds], *, keep: int = 3) -> None:
    """Quantise one graph, calibrated on ``feeds``. Products of two activations (attention) stay in float.

    What a product of matrices gives is not rounded to eight bits again: only what the next one reads is.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_PRODUCTS),
            nodes_to_exclude=_products_of_activations(prepared),
            per_channel=True,
            reduce_range=True,  # seven bits: see exact.py
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
                "OpTypesToExcludeOutputQuantization": list(_PRODUCTS),
            },
        )
    model = onnx.load(target)
    if any(node.op_type == "Conv" for node in model.graph.node):
        onnx.save(exact_convolutions(model, feeds, keep=keep), target)


def dequantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in float32 that a quantised one stands for, without the rounding of activations.

    A range that begins at 0 stands for the Relu or Clip that was left out because of it: there it is again.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    floats: dict[str, onnx.TensorProto] = {}
    renamed: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            continue
        if node.op_type != "DequantizeLinear":
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            kept.input[:] = [renamed.get(name, name) for name in node.input]
            nodes.append(kept)
        elif node.input[0] in constants:
            floats[node.output[0]] = numpy_helper.from_array(_constant_of(node, constants), node.output[0])
        else:
            source = makers[node.input[0]].input[0]
            scale, zero = (constants[name] for name in node.input[1:3])
            renamed[node.output[0]] = renamed.get(source, source)
            if int(zero) == 0 and makers[source].op_type == "Conv":
                bounds = {f"{source}_least": np.float32(0), f"{source}_most": np.float32(255 * scale)}
                floats |= {
                    name: numpy_helper.from_array(np.asarray(value), name) for name, value in bounds.items()
                }
                nodes.append(
                    helper.make_node("Clip", [source, *bounds], [f"{source}_cut"], name=f"{source}_cut")
                )
                renamed[node.output[0]] = f"{source}_cut"
    used = {name for node in nodes for name in node.input}
    kept_constants = [each for each in (*model.graph.initializer, *floats.values()) if each.name in used]
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(kept_constants)
    return made


def _constant_of(node: onnx.NodeProto, constants: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    whole, scale = (constants[name].astype(np.float64) for name in node.input[:2])
    if scale.ndim and whole.ndim:
        axis = next((each.i for each in node.attribute if each.name == "axis"), 0) % whole.ndim
        scale = scale.reshape([-1 if place == axis else 1 for place in range(whole.ndim)])
    return (whole * scale).astype(np.float32)


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
