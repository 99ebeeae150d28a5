"""Eight-bit graphs whose results depend on no kernel: what quick sessions write is what exact ones write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from cutline.captioning.bundle import DECODER, ENCODER
from cutline.captioning.sources import default_bundle
from cutline.training.agreement import share_of_differing
from cutline.training.exact import MAX_WEIGHT, exact_convolutions, seven_bit
from cutline.training.quantise import dequantised

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def network(seed: int = 0) -> onnx.ModelProto:
    """Pixels, normalised as EfficientNet-Lite does, and four convolutions with an addition."""
    rng = np.random.default_rng(seed)
    constants = {
        "mean": np.float32(127),
        "size": np.float32(128),
        "least": np.float32(0),
        "most": np.float32(6),
        "w0": rng.normal(0, 0.5, (8, 3, 3, 3)),
        "b0": rng.normal(0, 0.1, 8),
        "w1": rng.normal(0, 0.5, (8, 1, 3, 3)),
        "b1": rng.normal(0, 0.1, 8),
        "w2": rng.normal(0, 0.5, (8, 8, 1, 1)),
        "b2": rng.normal(0, 0.1, 8),
        "w3": rng.normal(0, 0.5, (8, 8, 1, 1)),
        "b3": rng.normal(0, 0.1, 8),
    }
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["cast", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "size"], ["normal"]),
        helper.make_node("Conv", ["normal", "w0", "b0"], ["c0"], name="conv0", **pads),
        helper.make_node("Clip", ["c0", "least", "most"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], name="conv1", group=8, **pads),
        helper.make_node("Clip", ["c1", "least", "most"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2"),
        helper.make_node("Conv", ["c2", "w3", "b3"], ["c3"], name="conv3"),
        helper.make_node("Add", ["c2", "c3"], ["sum"]),
        helper.make_node("ReduceMean", ["sum"], ["seen"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["B", 3, 24, 24])],
        [
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["B", 8, 24, 24]),
            helper.make_tensor_value_info("seen", TensorProto.FLOAT, ["B", 8]),
        ],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, pixels: np.ndarray, *, exact: bool = False) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    if exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["sum"], {"pixels": pixels})[0])


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (8, 3, 24, 24), dtype=np.uint8)


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_quick_kernels_and_exact_arithmetic_agree_to_the_last_bit(keep: int, pixels: np.ndarray) -> None:
    model = exact_convolutions(network(), [{"pixels": pixels[:4]}], keep=keep)
    assert (run(model, pixels) == run(model, pixels, exact=True)).all()


def test_eight_bits_are_close_to_the_floats_that_they_stand_for(pixels: np.ndarray) -> None:
    wanted = run(network(), pixels)
    found = run(exact_convolutions(network(), [{"pixels": pixels}]), pixels)
    assert ((found - wanted) ** 2).mean() < 0.005 * (wanted**2).mean()


def test_weights_are_rounded_to_seven_bits_even_where_a_channel_is_all_but_dead() -> None:
    weights = (
        np.random.default_rng(0).normal(0, 1, (3, 8, 1, 1)) * np.array([1, 1e-12, 0])[:, None, None, None]
    )
    whole, scale = seven_bit(weights, np.ones_like(weights), np.full(3, 1e-4))
    assert np.abs(whole).max() <= MAX_WEIGHT
    assert (scale >= 0.25e-4).all()
    assert np.abs(whole * scale[:, None, None, None] - weights).max() < 0.05


def multiplied_weights(graph: onnx.GraphProto) -> list[np.ndarray]:
    """The eight-bit weights of a graph, but for tables: what is looked up in them is multiplied as floats."""
    looked_up = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    return [
        numpy_helper.to_array(each)
        for each in graph.initializer
        if each.data_type == TensorProto.INT8 and each.name not in looked_up
    ]


@pytest.mark.parametrize("name", [ENCODER, DECODER])
def test_no_weight_of_the_bundle_that_ships_can_saturate_a_cpu_without_vnni(name: str) -> None:
    weights = multiplied_weights(onnx.load(Path(default_bundle()) / name).graph)
    assert weights
    assert all(np.abs(each.astype(int)).max() <= MAX_WEIGHT for each in weights)


def test_the_bundle_that_ships_writes_what_exact_arithmetic_writes() -> None:
    photos = [Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.jpg"))]
    turned = [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for photo in photos]
    assert share_of_differing(Path(default_bundle()), [*photos, *turned]) <= 1 / 16


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_an_exact_network_gives_its_floats_back_and_can_be_made_exact_again(
    keep: int, pixels: np.ndarray
) -> None:
    feeds = [{"pixels": pixels}]
    floats = dequantised(exact_convolutions(network(), feeds, keep=keep))
    assert not {node.op_type for node in floats.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
    again = exact_convolutions(floats, feeds, keep=keep)
    assert (run(again, pixels) == run(again, pixels, exact=True)).all()
    wanted = run(network(), pixels)
    assert ((run(again, pixels) - wanted) ** 2).mean() < 0.01 * (wanted**2).mean()
