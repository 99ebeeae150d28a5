"""Eight-bit bundles: calibrated, static, so that a result never depends on what else is in the batch.

Convolutions and matrix products get eight-bit weights (a scale for each output channel) and activations
(one scale for each tensor, from calibration photos), as QuantizeLinear / DequantizeLinear pairs (Jacob et
al., 2018). Tables that rows are looked up in, such as words', get eight bits too, a scale for each row.
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
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

from cutline.training.exact import Feeds, exact_convolutions, with_nodes

_PRODUCTS = ("Gemm", "MatMul")
# What the parts of a table in eight bits, and of what is looked up in it, are called after.
_SMALL, _SCALES, _WHOLE = "_small", "_scales", "_whole"


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
    model = _with_small_tables(onnx.load(target))
    if any(node.op_type == "Conv" for node in model.graph.node):
        model = exact_convolutions(model, feeds, keep=keep)
    onnx.save(model, target)


def _with_small_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the tables of its Gather nodes in eight bits; a row's scale is looked up beside it."""
    graph = model.graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    parts: dict[str, onnx.TensorProto] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        table = constants.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.dtype != np.float32 or table.ndim != 2:
            nodes.append(node)
            continue
        scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-9) / 127
        name, place, [found] = node.input[0], node.input[1], node.output
        for part, value in ((_SMALL, np.round(table / scales).astype(np.int8)), (_SCALES, scales)):
            parts[name + part] = numpy_helper.from_array(value, name + part)
            nodes.append(helper.make_node("Gather", [name + part, place], [found + part]))
        nodes.append(helper.make_node("Cast", [found + _SMALL], [found + _WHOLE], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [found + _WHOLE, found + _SCALES], [found]))
    return with_nodes(model, nodes, (*graph.initializer, *parts.values()))


def dequantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in float32 that a quantised one stands for, without the rounding of activations.

    A range that begins at 0 stands for the Relu or Clip that was left out because of it: there it is again.
    """
    nodes, floats = _Dequantising(model).nodes()
    return with_nodes(model, nodes, (*model.graph.initializer, *floats.values()))


class _Dequantising:
    """A quantised graph, node by node, without what rounds."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._small_tables = {
            name
            for name in self._constants
            if name.endswith(_SMALL) and name.removesuffix(_SMALL) + _SCALES in self._constants
        }
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._floats: dict[str, onnx.TensorProto] = {}
        self._renamed: dict[str, str] = {}
        self._of_tables: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []

    def nodes(self) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
        """The nodes of the float graph, and the constants that it has beside those of the quantised one."""
        for node in self._graph.node:
            maker = self._makers.get(node.input[0]) if node.input else None
            if node.op_type == "QuantizeLinear":
                self._renamed[node.output[0]] = self._cut(node)
            elif node.op_type == "DequantizeLinear":
                if node.input[0] in self._constants:
                    self._add_constant(node.output[0], _constant_of(node, self._constants))
                else:
                    self._renamed[node.output[0]] = self._renamed[node.input[0]]
            elif node.op_type == "Cast" and maker is not None and maker.op_type == "QuantizeLinear":
                self._write_whole(node, maker)
            elif node.op_type == "Gather" and node.input[0] in self._small_tables:
                self._look_up(node)
            elif node.output[0] in self._of_tables:
                continue
            elif self._is_rounding(node):
                self._renamed[node.output[0]] = self._now(self._makers[node.input[0]].input[0])
            else:
                kept = onnx.NodeProto()
                kept.CopyFrom(node)
                kept.input[:] = [self._now(name) for name in node.input]
                self._nodes.append(kept)
        return self._nodes, self._floats

    def _now(self, name: str) -> str:
        return self._renamed.get(name, name)

    def _add_constant(self, name: str, value: npt.ArrayLike) -> str:
        self._floats[name] = numpy_helper.from_array(np.asarray(value, np.float32), name)
        return name

    def _cut(self, node: onnx.NodeProto) -> str:
        """Write the Clip that a QuantizeLinear stands for, if any; give the name of what it reads."""
        source = node.input[0]
        scale, zero = (self._constants[name] for name in node.input[1:3])
        maker = self._makers.get(source)
        if int(zero) != 0 or maker is None or maker.op_type != "Conv":
            return self._now(source)
        cut = f"{source}_cut"
        bounds = [
            self._add_constant(f"{source}_least", 0),
            self._add_constant(f"{source}_most", 255 * scale),
        ]
        self._nodes.append(helper.make_node("Clip", [source, *bounds], [cut], name=cut))
        return cut

    def _write_whole(self, node: onnx.NodeProto, maker: onnx.NodeProto) -> None:
        """Write what a Cast reads, whole numbers, as the floats that they were before they were rounded."""
        name = node.output[0]
        scale, zero = (self._constants[each] for each in maker.input[1:3])
        divisor, summand = (
            self._add_constant(f"{name}_{part}", value) for part, value in (("scale", scale), ("zero", zero))
        )
        steps = f"{name}_steps"
        self._nodes += [
            helper.make_node("Div", [self._now(node.input[0]), divisor], [steps], name=steps),
            helper.make_node("Add", [steps, summand], [name], name=name),
        ]

    def _look_up(self, node: onnx.NodeProto) -> None:
        """Write what looks up a row of a table in eight bits as one that looks it up in floats."""
        table = node.input[0].removesuffix(_SMALL)
        found = node.output[0].removesuffix(_SMALL)
        self._add_constant(table, self._constants[table + _SMALL] * self._constants[table + _SCALES])
        self._nodes.append(helper.make_node("Gather", [table, self._now(node.input[1])], [found], name=found))
        self._of_tables |= {found, found + _SCALES, found + _WHOLE}

    def _is_rounding(self, node: onnx.NodeProto) -> bool:
        """Whether a node takes off again what the one before it added, as exact.py rounds to a grid."""
        maker = self._makers.get(node.input[0]) if node.op_type == "Sub" else None
        return (
            maker is not None
            and maker.op_type == "Add"
            and maker.input[1] == node.input[1]
            and node.input[1] in self._constants
        )


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
