"""Eight-bit convolutions that give the same numbers on every CPU, bit for bit.

Each layer of a quantised network rounds what the one before it gave. Where two machines differ in the last
bit of a sum, a few activations fall on the other side of a rounding; layer by layer there are more of them,
and dozens of layers later a fifth of all captions reads differently. So no sum is rounded here:

- Weights have seven bits. A product of an eight-bit activation with a weight in [-64, 64] fits 15 bits, so
  that the sum of two fits the 16 bits in which AVX2 adds them: nothing saturates.
- An activation's scale is a power of two, and a weight's a small integer times one. A sum of products is
  then a whole number of units that 24 bits hold: exact in float32, in any order, as it is in integers.
- The tensors that additions join share one scale, so that adding rounds nothing either.
- The first convolution, which reads pixels, stays in float, with weights on a grid for which the same holds.

A power of two need not cost precision: a channel may be kept in another unit, when the convolution that
makes it multiplies by that, and those that read it divide (cross-layer equalisation; Nagel et al., 2019).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Feeds = Mapping[str, Array]

MAX_WEIGHT = 64
"""Two products of an activation (at most 255) and a weight can then be added in 16 bits: 32,640 < 32,768."""

_LEVELS = 255
_EXACT = 2.0**24  # a float32 holds every whole number up to here
_SCALE_STEPS = 16  # a weight's scale is a power of two times 16/16, 17/16, ... or 31/16
_BIAS_BITS, _RATIO_BITS = 17, 15  # what the scale of a channel that is almost always zero leaves room for
_MOST_EQUALISED = 1.0
_PIXEL_GRID = 2.0**-7  # (pixel - 127) / 128 lies on it; what is normalised otherwise is rounded to it
_FINE_LEVELS = 2.0**11  # of the grid of a tensor that stays in float
_PLACES = 512  # of two photos, whose channels tell what they have in common
_AT_ONCE = 2  # photos whose tensors are in memory together while they are observed


@dataclass(slots=True, kw_only=True)
class _Point:
    """A tensor [B, C, H, W] that is rounded to a grid, after its activation.

    raw, activation: what makes it; without an activation raw is the point itself.
    is_fine: it stays in float; else it is kept in eight bits, which replace the activation.
    low, high, mean: what its channels were on the calibration photos; gram: the mean products of two [C, C].
    unit, scale, zero: value * unit = (eight bits - zero) * scale.
    """

    name: str
    raw: str
    activation: onnx.NodeProto | None = None
    is_fine: bool = False
    low: Floats = field(default_factory=lambda: np.full(1, np.inf))
    high: Floats = field(default_factory=lambda: np.full(1, -np.inf))
    mean: Floats = field(default_factory=lambda: np.zeros(1))
    gram: Floats = field(default_factory=lambda: np.zeros((1, 1)))
    unit: Floats = field(default_factory=lambda: np.ones(1))
    scale: float = 1.0
    zero: int = 0

    @property
    def written(self) -> str:
        """The tensor in its own units, as other convolutions read it."""
        return f"{self.name}_exact"


def with_nodes(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], constants: Iterable[onnx.TensorProto]
) -> onnx.ModelProto:
    """The model with these nodes in place of its own, and those of the constants that they read."""
    used = {name for node in nodes for name in node.input}
    kept = [each for each in constants if each.name in used]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(kept)
    return made


class _Graph:
    """An ONNX graph: its constants, and who makes and reads what."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.constants: dict[str, Array] = {
            each.name: numpy_helper.to_array(each) for each in model.graph.initializer
        }
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.readers[name].append(node)

    def point(self, node: onnx.NodeProto) -> _Point:
        """What is kept of a node: its output, or that of the Relu or Clip which alone reads it."""
        raw = node.output[0]
        readers = self.readers[raw]
        if len(readers) == 1 and self.is_activation(readers[0]):
            return _Point(name=readers[0].output[0], raw=raw, activation=readers[0])
        return _Point(name=raw, raw=raw)

    def is_activation(self, node: onnx.NodeProto) -> bool:
        """Whether a node only cuts off what is negative, or too large."""
        if node.op_type == "Clip":
            return len(node.input) > 1 and float(self.constants.get(node.input[1], np.float32(-1))) == 0
        return node.op_type == "Relu"


def exact_convolutions(model: onnx.ModelProto, feeds: Iterable[Feeds], *, keep: int = 1) -> onnx.ModelProto:
    """Give the graph with its convolutions in eight bits, calibrated on ``feeds``.

    The model is in float32 where convolutions are. What other operators read keeps its name and its units.
    keep: the first so many convolutions are computed in float, exactly: they lose most and cost little.
    """
    graph = _Graph(model)
    points = {point.name: point for point in _points(graph)}
    convolutions = [node for node in graph.nodes if node.op_type == "Conv"]
    kept = [*convolutions[:keep], *(node for node in convolutions if node.input[0] not in points)]
    entries = [node.input[0] for node in kept if node.input[0] not in points]
    pixels = _observe(model, points, entries, feeds)
    in_float = {node.name for node in kept}
    for group in _groups(graph, points):
        readers = [reader for point in group for reader in graph.readers[point.name]]
        if readers and all(reader.name in in_float for reader in readers):
            _choose_grid(group)
        else:
            _choose_scale(group)
    return _Rewriting(graph, points, pixels, in_float).into(model)


def _points(graph: _Graph) -> Iterator[_Point]:
    """Every convolution's result, and what additions and pooling make of such results."""
    known: set[str] = set()
    for node in graph.nodes:
        if node.op_type == "Conv" or (node.op_type in ("Add", "MaxPool") and known.issuperset(node.input)):
            point = graph.point(node)
            known.add(point.name)
            yield point


def _groups(graph: _Graph, points: Mapping[str, _Point]) -> list[list[_Point]]:
    """The points that must share units and scale: those which an addition or a pooling joins."""
    group_of = {name: {name} for name in points}
    by_raw = {point.raw: point for point in points.values()}
    for node in graph.nodes:
        made = by_raw.get(node.output[0])
        if made is None or node.op_type == "Conv":
            continue
        joined = set().union(group_of[made.name], *(group_of[name] for name in node.input))
        for name in joined:
            group_of[name] = joined
    unique = {id(group): group for group in group_of.values()}
    return [[points[name] for name in sorted(group)] for group in unique.values()]


@dataclass(slots=True, kw_only=True)
class _Pixels:
    """What a first convolution reads: its largest value, and whether all lie on the grid as they are."""

    top: float = 0.0
    is_on_grid: bool = True


def _observe(
    model: onnx.ModelProto, points: Mapping[str, _Point], entries: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, _Pixels]:
    """Measure the points' channels; and what the first convolutions read."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = list(dict.fromkeys([*points, *entries]))
    given = {each.name for each in model.graph.output}
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name not in given
    )
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = {name: _Pixels() for name in entries}
    count = 0
    for feed in _in_parts(feeds):
        seen: dict[str, Array] = dict(zip(names, session.run(names, feed), strict=True))
        size = len(next(iter(feed.values())))
        count += size
        for name, point in points.items():
            _take(point, seen[name], size / count)
        for name, found in pixels.items():
            found.top = max(found.top, float(np.abs(seen[name]).max()))
            units = seen[name] / np.float32(_PIXEL_GRID)
            found.is_on_grid = found.is_on_grid and bool((units == np.round(units)).all())
    return pixels


def _in_parts(feeds: Iterable[Feeds]) -> Iterator[Feeds]:
    """The same photos in smaller parts: all their tensors must fit into memory."""
    for feed in feeds:
        size = len(next(iter(feed.values())))
        for start in range(0, size, _AT_ONCE):
            yield {name: values[start : start + _AT_ONCE] for name, values in feed.items()}


def _take(point: _Point, values: Array, share: float) -> None:
    """Add photos' values [B, C, H, W] to what is known of a point; share: theirs of all seen so far."""
    axes = (0, 2, 3)
    point.low = np.minimum(point.low, values.min(axes))
    point.high = np.maximum(point.high, values.max(axes))
    point.mean = point.mean * (1 - share) + values.mean(axes, dtype=np.float64) * share
    places = values.transpose(0, 2, 3, 1).reshape(-1, values.shape[1])
    some = places[:: max(1, len(places) // _PLACES)].astype(np.float64)
    point.gram = point.gram * (1 - share) + some.T @ some / len(some) * share


def _choose_grid(group: Sequence[_Point]) -> None:
    """Round what stays in float to a grid that is fine, yet leaves bits for sums of products."""
    top = max(float(np.maximum(np.abs(point.low), np.abs(point.high)).max()) for point in group)
    for point in group:
        point.is_fine = True
        point.unit = np.ones(len(point.low))
        point.scale = 2.0 ** float(np.ceil(np.log2(max(top, 1e-6) / _FINE_LEVELS)))


def _choose_scale(group: Sequence[_Point]) -> None:
    """Let each channel fill the eight bits, with a scale for all that is a power of two."""
    reach = np.max([np.maximum(np.abs(point.low), np.abs(point.high)) for point in group], axis=0)
    top = max(float(reach.max()), 1e-6)
    unit = top / np.maximum(reach, top / _MOST_EQUALISED)
    ranges = [_range(point, unit) for point in group]
    scale = max(high - low for low, high in ranges) / _LEVELS
    power = 2.0 ** round(float(np.log2(scale)))
    for point, (low, high) in zip(group, ranges, strict=True):
        point.unit = unit * power / scale
        point.scale = power
        if point.activation is None:
            spare = _LEVELS - (high - low) / scale
            point.zero = int(np.clip(round(spare / 2 - low / scale), 0, _LEVELS))


def _range(point: _Point, unit: Floats) -> tuple[float, float]:
    """From which to which value a point reaches; 0 is always within, for convolutions pad with it."""
    return min(0.0, float((point.low * unit).min())), max(1e-6, float((point.high * unit).max()))


class _Rewriting:
    """Writes the graph again, with its convolutions in eight bits."""

    def __init__(
        self,
        graph: _Graph,
        points: Mapping[str, _Point],
        pixels: Mapping[str, _Pixels],
        in_float: Collection[str],
    ) -> None:
        self._graph = graph
        self._points = points
        self._by_raw = {point.raw: point for point in points.values()}
        self._pixels = pixels
        self._in_float = in_float
        self._constants = dict(graph.constants)
        self._nodes: list[onnx.NodeProto] = []

    def into(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Give the model with this graph."""
        activations = {point.name for point in self._points.values() if point.activation is not None}
        outputs = {each.name for each in model.graph.output}
        for node in self._graph.nodes:
            if node.output[0] in activations:
                continue  # written with what it is applied to
            point = self._by_raw.get(node.output[0])
            if point is None:
                self._nodes.append(node)
                continue
            self._write(node, point)
            if point.name in outputs or self._strangers(point):
                units = self._constant(f"{point.name}_units", (1 / point.unit)[:, None, None], np.float32)
                self._add("Mul", [point.written, units], point.name)
        made_here = {name for node in self._nodes for name in node.output}
        constants = (
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in self._constants.items()
            if name not in made_here
        )
        made = with_nodes(model, self._nodes, constants)
        onnx.checker.check_model(made)
        return made

    def _strangers(self, point: _Point) -> bool:
        """Whether something reads a point that is no convolution, addition or pooling of ours."""
        return any(self._by_raw.get(node.output[0]) is None for node in self._graph.readers[point.name])

    def _write(self, node: onnx.NodeProto, point: _Point) -> None:
        """Write a node, and the rounding of its result to the point's grid."""
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.output[0] = raw = f"{point.name}_raw"
        if node.op_type != "Conv":
            new.input[:] = [self._points[name].written for name in node.input]
        elif node.name in self._in_float:
            new.input[:] = self._on_grid(node, point)
        else:
            new.input[:] = [self._points[node.input[0]].written, *self._eight_bit(node, point)]
        self._nodes.append(new)
        if not point.is_fine:
            scale = self._constant(f"{point.name}_scale", point.scale, np.float32)
            zero = self._constant(f"{point.name}_zero_point", point.zero, np.uint8)
            eight = self._add("QuantizeLinear", [raw, scale, zero], f"{point.name}_eight_bit")
            self._add("DequantizeLinear", [eight, scale, zero], point.written)
            return
        if point.activation is not None:
            raw = self._add(
                point.activation.op_type, [raw, *point.activation.input[1:]], f"{point.name}_free"
            )
        # What is added leaves no bits below the grid, so that adding it rounds; then it is taken off again.
        large = self._constant(f"{point.name}_rounding", 1.5 * 2**23 * point.scale, np.float32)
        self._add("Sub", [self._add("Add", [raw, large], f"{point.name}_large"), large], point.written)

    def _add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, value: npt.ArrayLike, kind: npt.DTypeLike) -> str:
        self._constants[name] = np.asarray(value, kind)
        return name

    def _eight_bit(self, node: onnx.NodeProto, point: _Point) -> list[str]:
        """The names of a convolution's seven-bit weights and its bias, in the units of both its ends."""
        source = self._points[node.input[0]]
        weights, bias = self._float_weights(node)
        reads = _channels_read(weights, len(source.unit))  # [O, I]
        inner = (slice(None), slice(None), None, None)
        weights = weights * point.unit[:, None, None, None] / source.unit[reads][inner]
        bias = bias * point.unit
        least = np.maximum(point.scale * 2.0**-_RATIO_BITS, np.abs(bias) * 2.0**-_BIAS_BITS) / source.scale
        gram = source.gram * np.outer(source.unit, source.unit)
        if weights.shape[1:] == (len(gram), 1, 1):
            whole, scale = seven_bit(
                weights, np.broadcast_to(np.diag(gram)[:, None, None], weights.shape), least
            )
            whole = compensated(weights[:, :, 0, 0], scale, gram)[inner]
        else:
            matters = np.diag(gram)[reads][inner]
            whole, scale = seven_bit(weights, np.broadcast_to(matters, weights.shape), least)
        # What rounding the weights adds to the result on average is taken off again.
        lost = weights - whole * scale[:, None, None, None]
        bias = bias + (lost * (source.mean * source.unit)[reads][inner]).sum((1, 2, 3))
        sums = scale * source.scale
        return [
            self._dequantised(f"{node.name}_weight", whole.astype(np.int8), scale),
            self._dequantised(f"{node.name}_bias", np.round(bias / sums).astype(np.int32), sums),
        ]

    def _dequantised(self, name: str, whole: Array, scale: Floats) -> str:
        """Write a constant as whole numbers with a scale for each first index; give its name."""
        quantised = self._constant(f"{name}_quantised", whole, whole.dtype)
        scales = self._constant(f"{name}_scale", scale, np.float32)
        zeros = self._constant(f"{name}_zero_point", np.zeros(len(scale)), whole.dtype)
        return self._add("DequantizeLinear", [quantised, scales, zeros], name, axis=0)

    def _float_weights(self, node: onnx.NodeProto) -> tuple[Floats, Floats]:
        weights = self._graph.constants[node.input[1]].astype(np.float64)
        if len(node.input) < 3:
            return weights, np.zeros(len(weights))
        return weights, self._graph.constants[node.input[2]].astype(np.float64)

    def _on_grid(self, node: onnx.NodeProto, point: _Point) -> list[str]:
        """The names of what a convolution in float reads, so coarse that float32 adds it exactly."""
        weights, bias = self._float_weights(node)
        weights, bias = weights * point.unit[:, None, None, None], bias * point.unit
        source = self._points.get(node.input[0])
        if source is None:
            pixels = self._pixels[node.input[0]]
            top, step = pixels.top, _PIXEL_GRID
            read = node.input[0] if pixels.is_on_grid else self._rounded(node.input[0])
        elif source.is_fine:
            # Values beyond those of the calibration photos are to be expected where nothing cuts them off.
            top, step, read = 2 * _FINE_LEVELS * source.scale, source.scale, source.written
        else:
            reads = _channels_read(weights, len(source.unit))
            weights = weights / source.unit[reads][:, :, None, None] * source.scale
            top, step, read = float(_LEVELS), 1.0, self._whole(source)
        largest = np.abs(weights).sum((1, 2, 3)) * top + np.abs(bias)
        # Nothing is gained by a grid far finer than that on which the result is written.
        finest = np.maximum(1.05 * largest / _EXACT, point.scale * 2.0**-_RATIO_BITS) / step
        grid = 2.0 ** np.ceil(np.log2(finest))
        shaped = grid[:, None, None, None]
        sums = grid * step
        return [
            read,
            self._constant(f"{node.name}_weight", np.round(weights / shaped) * shaped, np.float32),
            self._constant(f"{node.name}_bias", np.round(bias / sums) * sums, np.float32),
        ]

    def _whole(self, source: _Point) -> str:
        """Write a point's whole numbers as floats; give their name.

        A cast, for between DequantizeLinear and QuantizeLinear ONNX Runtime rounds a convolution's float
        weights to eight bits.
        """
        whole = f"{source.name}_whole"
        if not self._is_written(whole):
            zero = self._constant(f"{source.name}_zero", source.zero, np.float32)
            cast = self._add(
                "Cast", [f"{source.name}_eight_bit"], f"{source.name}_cast", to=onnx.TensorProto.FLOAT
            )
            self._add("Sub", [cast, zero], whole)
        return whole

    def _rounded(self, name: str) -> str:
        """Write nodes that round a tensor to the pixels' grid; give the name of what they make."""
        made = f"{name}_on_grid"
        if not self._is_written(made):
            units = self._constant(f"{name}_grid", 1 / _PIXEL_GRID, np.float32)
            whole = self._add("Round", [self._add("Mul", [name, units], f"{name}_units")], f"{name}_whole")
            self._add("Div", [whole, units], made)
        return made

    def _is_written(self, name: str) -> bool:
        return any(name in node.output for node in self._nodes)


def _channels_read(weights: Floats, channels: int) -> npt.NDArray[np.int64]:
    """Which channels of its input the weights [O, I, ...] of a convolution are for: [O, I]."""
    made, read = weights.shape[:2]
    groups = channels // read
    firsts = np.arange(made) // (made // groups) * read
    return np.asarray(firsts[:, None] + np.arange(read), np.int64)


def seven_bit(weights: Floats, matters: Floats, least: Floats) -> tuple[Floats, Floats]:
    """Round weights [O, ...] to whole numbers of at most 64 times a scale for each first index.

    Of the scales, those with the least error are taken, as much as each weight ``matters``; none much
    smaller than ``least``, so that the bias of a channel that is almost always zero can be written in it.
    """
    flat, importance = weights.reshape(len(weights), -1), matters.reshape(len(weights), -1)
    reach = np.maximum(np.abs(flat).max(1), least * MAX_WEIGHT) + 1e-30
    power = 2.0 ** np.floor(np.log2(reach / MAX_WEIGHT))
    best, scale = np.full(len(flat), np.inf), power
    for step in range(-_SCALE_STEPS, 2 * _SCALE_STEPS):
        octave, part = divmod(step, _SCALE_STEPS)
        tried = power * 2.0**octave * (1 + part / _SCALE_STEPS)
        whole = np.clip(np.round(flat / tried[:, None]), -MAX_WEIGHT, MAX_WEIGHT)
        error = (importance * (flat - whole * tried[:, None]) ** 2).sum(1)
        scale = np.where(error < best, tried, scale)
        best = np.minimum(best, error)
    whole = np.clip(np.round(flat / scale[:, None]), -MAX_WEIGHT, MAX_WEIGHT)
    return whole.reshape(weights.shape), scale


def compensated(weights: Floats, scale: Floats, gram: Floats) -> Floats:
    """Round weights [O, I] to whole numbers times ``scale``, each making up for the errors before it.

    gram [I, I]: mean products of the inputs. What rounding one weight adds to the output is taken off by the
    weights of inputs that go along with it (GPTQ; Frantar et al., 2023).
    """
    damped = gram + np.eye(len(gram)) * (0.01 * float(np.trace(gram)) / len(gram) + 1e-12)
    order = np.argsort(-np.diag(damped), kind="stable")
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    factor = np.linalg.cholesky((inverse + inverse.T) / 2)
    left = np.ascontiguousarray(weights.T[order])  # [I, O]: what is worked on at once lies together
    whole, change = np.zeros_like(left), np.empty_like(left)
    for place, row in enumerate(left):
        whole[place] = np.clip(np.round(row / scale), -MAX_WEIGHT, MAX_WEIGHT)
        error = (row - whole[place] * scale) / factor[place, place]
        left[place + 1 :] -= np.multiply(factor[place + 1 :, place, None], error, out=change[place + 1 :])
    given = np.empty_like(whole)
    given[order] = whole
    return given.T
