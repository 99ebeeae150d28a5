"""Graphs whose tags are written so that we would read another field than the libraries that run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from tiny_bundle import make_bundle

from cutline.captioning.bundle import Bundle, read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.onnx_files import names_other_files
from cutline.errors import BundleDamaged

GRAPH, INITIALIZER, EXTERNAL_DATA, DATA_LOCATION = 7, 5, 13, 14


def varint(value: int, *, padded_to: int = 0) -> bytes:
    """A number, seven bits a byte; with needless bytes behind it where it is padded."""
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    groups += [0] * (padded_to - len(groups))
    return bytes(each | 0x80 for each in groups[:-1]) + bytes([groups[-1]])


def parts(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message that has numbers and lengths alone, by number."""
    place = 0

    def read() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        tag = read()
        if tag & 7:
            size = read()
            yield tag >> 3, data[place : place + size]
            place += size
        else:
            yield tag >> 3, read()


def rewritten(data: bytes, path: tuple[int, ...], tag_of: Callable[[int], bytes]) -> bytes:
    """A model whose tensors' references to other files have another tag. path: the fields down to tensors."""
    result = b""
    for number, value in parts(data):
        is_below = bool(path) and number == path[0]
        if is_below and isinstance(value, bytes):
            value = rewritten(value, path[1:], tag_of)
        tag = number << 3 | (2 if isinstance(value, bytes) else 0)
        is_reference = not path and number in (EXTERNAL_DATA, DATA_LOCATION)
        result += tag_of(tag) if is_reference else varint(tag)
        result += varint(len(value)) + value if isinstance(value, bytes) else varint(value)
    return result


@pytest.mark.parametrize(
    "tag_of",
    [
        pytest.param(lambda tag: varint(tag | 1 << 32), id="a bit that 32 bits do not hold"),
        pytest.param(lambda tag: varint(tag | 1 << 60), id="a bit far above"),
        pytest.param(lambda tag: varint(tag, padded_to=5), id="needless bytes"),
        pytest.param(lambda tag: varint(tag, padded_to=10), id="as many needless bytes as there may be"),
    ],
)
def test_no_way_of_writing_a_tag_hides_another_file(tmp_path: Path, tag_of: Callable[[int], bytes]) -> None:
    whole = read_bundle(make_bundle(tmp_path / "bundle"))
    model = onnx.load_from_string(whole.files["encoder.onnx"])
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="secret.bin")
    plain = model.SerializeToString()
    assert rewritten(plain, (GRAPH, INITIALIZER), varint) == plain
    hidden = rewritten(plain, (GRAPH, INITIALIZER), tag_of)
    with pytest.raises(ValueError, match=r"too large|needless"):
        names_other_files(hidden)
    files = dict(whole.files) | {"encoder.onnx": hidden}
    with pytest.raises(BundleDamaged, match="cannot be loaded"):
        BundleCaptioner(Bundle(manifest=whole.manifest, files=files, where="here"))
