"""A bundle's graphs cut in two: eyes, which stay as they are, and a captioner, which can be trained further.

The eyes are all that stands before the regions: pixels [B, H, W, 3] -> regions [B, R, F]. What follows, in
both graphs, are the weights of a `TransformerCaptioner`. Eight-bit graphs hold them rounded. They are read
back in float32, and written into copies of the same graphs again: torch exports nothing, so a challenger's
graphs have the champion's operators, and its eyes the champion's bits.

Legend of shapes: B photos, R regions, F feature width, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from onnx import helper, numpy_helper

from cutline.captioning.bundle import DECODER, ENCODER, Bundle
from cutline.errors import TrainingError
from cutline.training.exact import with_nodes
from cutline.training.export import BONUS
from cutline.training.quantise import decoder_feeds, dequantised, quantise_graph
from cutline.training.transformer import TransformerCaptioner, TransformerConfig

_HEAD = "head"
_PREFIX = re.compile(r"^(?:system\.)?captioner\.")
_QUANTISED = re.compile(r"_DequantizeLinear_Output.*$")
_BIAS = "bias"
_WORDS = "words.weight"  # the embedding again, transposed, where words are scored

Array = npt.NDArray[np.float32]


def eyes_of(bundle: Bundle) -> onnx.ModelProto:
    """The encoder up to the regions: pixels [B, H, W, 3] -> regions [B, R, F]. Raises TrainingError."""
    encoder = onnx.load_from_string(bundle.files[ENCODER])
    return _upto(encoder, _regions_of(dequantised(encoder)).name)


def bonus_of(bundle: Bundle) -> onnx.ModelProto | None:
    """From regions [B, R, F] to what concepts add to words [B, V]; None where an encoder adds nothing.

    It is part of the encoder, as the bundle has it: concepts are not trained further.
    """
    encoder = onnx.load_from_string(bundle.files[ENCODER])
    outputs = [each for each in encoder.graph.output if each.name == BONUS]
    if not outputs:
        return None
    return _after(encoder, _regions_of(dequantised(encoder)), outputs)


def captioner_of(bundle: Bundle) -> TransformerCaptioner:
    """The captioner that a bundle's graphs stand for, in float32. Raises TrainingError for other decoders."""
    graphs = [dequantised(onnx.load_from_string(bundle.files[name])) for name in (ENCODER, DECODER)]
    if bundle.manifest.architecture.kind != "transformer":
        raise TrainingError(
            f"{bundle.manifest.name} has the decoder {bundle.manifest.architecture.kind}.",
            hint="Learning from feedback goes on from transformers alone.",
        )
    weights = {name: value for graph in graphs for name, (_, value) in _weights(graph).items()}
    captioner = TransformerCaptioner(_config_of(bundle, graphs, weights)).eval()
    own = captioner.state_dict()
    missing = sorted(own.keys() - weights.keys() - _unused(captioner.config))
    if missing:
        raise TrainingError(
            f"The graphs of {bundle.manifest.name} do not name all weights ({', '.join(missing[:3])}).",
            hint="Only bundles that `cutline train` wrote can be trained further.",
        )
    captioner.load_state_dict({name: torch.tensor(value) for name, value in weights.items()}, strict=False)
    return captioner


def write_graphs(
    bundle: Bundle,
    captioner: TransformerCaptioner,
    folder: Path,
    *,
    pixels: Sequence[npt.NDArray[np.uint8]],
    captions: npt.NDArray[np.int64],
) -> None:
    """Write encoder.onnx and decoder.onnx of a bundle with this captioner's weights into ``folder``.

    Eight-bit graphs are quantised anew behind the eyes, calibrated on batches of pixels [B, H, W, 3] and
    captions [N, L] (see `decoder_feeds`).
    """
    encoder, decoder = (onnx.load_from_string(bundle.files[name]) for name in (ENCODER, DECODER))
    state = {name: value.numpy() for name, value in captioner.state_dict().items()}
    floats = dequantised(encoder)
    regions = _regions_of(floats)
    eyes = _upto(encoder, regions.name)
    head = _after(_with_weights(floats, state), regions, encoder.graph.output)
    words = _with_weights(dequantised(decoder), state)
    quantised = any(node.op_type == "QuantizeLinear" for node in decoder.graph.node)
    if not quantised:
        onnx.save(_joined(eyes, head, encoder), folder / ENCODER)
        onnx.save(words, folder / DECODER)
        return
    scratch = folder / "float"
    scratch.mkdir()
    onnx.save(head, scratch / "head.onnx")
    onnx.save(_joined(eyes, head, encoder), scratch / ENCODER)
    onnx.save(words, scratch / DECODER)
    see = session(eyes)
    seen = [{regions.name: see.run(None, {"pixels": batch})[0]} for batch in pixels]
    quantise_graph(scratch / "head.onnx", scratch / "small.onnx", seen)
    onnx.save(_joined(eyes, onnx.load(scratch / "small.onnx"), encoder), folder / ENCODER)
    steps = list(decoder_feeds(scratch / ENCODER, scratch / DECODER, pixels, captions))
    quantise_graph(scratch / DECODER, folder / DECODER, steps)
    for path in scratch.iterdir():
        path.unlink()
    scratch.rmdir()


def session(model: onnx.ModelProto, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """A model to run here. threads: 0 takes as many as there are cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _regions_of(encoder: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The tensor that the captioner's projection reads, in a graph in float32: [B, R, F]."""
    weights = _weights(encoder)
    if not {"project.weight", "places"} <= weights.keys():
        raise TrainingError("The encoder's graph has no projection of regions.")
    (node, matrix), (_, places) = weights["project.weight"], weights["places"]
    shape = ["batch", places.shape[0], matrix.shape[1]]
    return helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, shape)


def _weights(model: onnx.ModelProto) -> dict[str, tuple[onnx.NodeProto, Array]]:
    """The captioner's weights in a graph in float32, by their names in torch: who reads each, and it.

    A product's matrix has lost its name. It is called after the bias that is added to the product.
    """
    constants = {each.name: each for each in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    found: dict[str, tuple[onnx.NodeProto, Array]] = {}
    for node in model.graph.node:
        for name in node.input:
            if name not in constants or not _PREFIX.match(name):
                continue
            plain = _QUANTISED.sub("", _PREFIX.sub("", name))
            found[plain] = node, numpy_helper.to_array(constants[name])
            product = _product_before(node, makers, constants) if _is_bias(node, plain) else None
            if product is not None:
                matrix = numpy_helper.to_array(constants[product.input[1]])
                found[_matrix_of(plain)] = product, np.ascontiguousarray(matrix.T)
    return found


def _is_bias(node: onnx.NodeProto, plain: str) -> bool:
    return node.op_type == "Add" and plain.rpartition(".")[2] == _BIAS


def _matrix_of(bias: str) -> str:
    return _WORDS if bias == _BIAS else bias.removesuffix(_BIAS) + "weight"


def _product_before(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> onnx.NodeProto | None:
    """The product with a constant matrix to which a node adds a bias, if it does."""
    for name in node.input:
        maker = makers.get(name)
        if maker is not None and maker.op_type == "MatMul" and maker.input[1] in constants:
            return maker
    return None


def _with_weights(model: onnx.ModelProto, state: Mapping[str, Array]) -> onnx.ModelProto:
    """The graph in float32 with a captioner's weights.

    Words are scored by the shared embedding, transposed.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    replaced: dict[str, Array] = {}
    for plain, (node, value) in _weights(model).items():
        new = state.get(plain, value) if plain != _WORDS else state["embedding.weight"]
        for place, name in enumerate(node.input):
            if _QUANTISED.sub("", _PREFIX.sub("", name)) == plain:
                replaced[name] = new
            elif node.op_type == "MatMul" and place == 1:
                replaced[name] = new.T
    for each in made.graph.initializer:
        if each.name in replaced:
            value = np.ascontiguousarray(replaced[each.name], np.float32)
            each.CopyFrom(numpy_helper.from_array(value, each.name))
    return made


def _needed(model: onnx.ModelProto, outputs: Sequence[str], *, given: str = "") -> list[onnx.NodeProto]:
    """The nodes that make some tensors, in the graph's order; a tensor that is given is not made."""
    makers = {name: node for node in model.graph.node for name in node.output if name != given}
    wanted, needed = list(outputs), set()
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None and node.output[0] not in needed:
            needed.add(node.output[0])
            wanted += node.input
    return [node for node in model.graph.node if node.output[0] in needed]


def _upto(model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """The part of a graph that makes one tensor, which is then its only output."""
    kept = _needed(model, [output])
    value = helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    return _part(model, kept, list(model.graph.input), [value])


def _after(
    model: onnx.ModelProto, given: onnx.ValueInfoProto, outputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """The part of a graph that one tensor is enough for: from it to some of the graph's outputs."""
    kept = _needed(model, [each.name for each in outputs], given=given.name)
    return _part(model, kept, [given], outputs)


def _part(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    made = with_nodes(model, nodes, model.graph.initializer)
    del made.graph.input[:], made.graph.output[:]
    made.graph.input.extend(inputs)
    made.graph.output.extend(outputs)
    return made


def _joined(eyes: onnx.ModelProto, head: onnx.ModelProto, like: onnx.ModelProto) -> onnx.ModelProto:
    """Eyes and head as one graph again, with the inputs and outputs of ``like``.

    What quantising named in the head like something in the eyes is renamed.
    """
    taken = {name for node in eyes.graph.node for name in node.output}
    taken |= {each.name for each in eyes.graph.initializer}
    shared = {each.name for each in head.graph.input}
    outputs = {each.name for each in like.graph.output}
    renamed: dict[str, str] = {}

    def now(name: str) -> str:
        if not name or name in shared or name in outputs or name not in taken:
            return name
        return renamed.setdefault(name, f"{name}_{_HEAD}")

    made = _part(eyes, list(eyes.graph.node), list(like.graph.input), list(like.graph.output))
    for node in head.graph.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.input[:] = [now(name) for name in node.input]
        copied.output[:] = [now(name) for name in node.output]
        made.graph.node.append(copied)
    for each in head.graph.initializer:
        constant = onnx.TensorProto()
        constant.CopyFrom(each)
        constant.name = now(each.name)
        made.graph.initializer.append(constant)
    known = {each.domain for each in made.opset_import}
    made.opset_import.extend(each for each in head.opset_import if each.domain not in known)
    onnx.checker.check_model(made)
    return made


def _config_of(
    bundle: Bundle, graphs: Sequence[onnx.ModelProto], weights: Mapping[str, Array]
) -> TransformerConfig:
    """The captioner's sizes, read off its weights."""
    try:
        vocabulary, width = weights["embedding.weight"].shape
        regions, feature_width = weights["places"].shape[0], weights["project.weight"].shape[1]
        concepts = len(weights["concepts.mean.weight"]) if "concepts.mean.weight" in weights else 0
        first = weights["decoder.0.feed_forward.0.weight"]
    except (KeyError, ValueError) as error:
        raise TrainingError(
            f"The graphs of {bundle.manifest.name} do not name their weights ({error}).",
            hint="Only bundles that `cutline train` wrote can be trained further.",
        ) from error
    state = bundle.manifest.architecture.state["self_key_0"]
    memory = next(each for each in graphs[1].graph.input if each.name == "memory.key_0")
    entries = memory.type.tensor_type.shape.dim[2].dim_value
    rows, columns = bundle.manifest.architecture.grid
    return TransformerConfig(
        vocabulary=vocabulary,
        concepts=concepts,
        feature_width=feature_width,
        rows=rows,
        columns=columns,
        width=width,
        heads=state.shape[0],
        encoder_layers=_layers(weights, "encoder"),
        decoder_layers=_layers(weights, "decoder"),
        hidden=len(first),
        concept_tokens=max(1, entries - regions),
        max_tokens=bundle.manifest.architecture.max_tokens,
    )


def _layers(weights: Iterable[str], part: str) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith(f"{part}.")})


def _unused(config: TransformerConfig) -> frozenset[str]:
    """Weights that no graph has, for nothing is computed with them."""
    if config.concepts:
        return frozenset()
    return frozenset(("concept_embedding.weight", "concept_score.weight", "concept_score.bias"))
