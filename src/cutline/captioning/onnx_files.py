"""Whether an ONNX graph refers to other files.

An ONNX graph may keep weights in external files, which it names: any file of the machine, unless the library
that runs the graph prevents it, and libraries differ. A bundle's graphs must be self-contained, so a graph
that names another file is refused before a library loads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

# Of onnx.proto: for each message, the fields that may hold a tensor somewhere below, and what they are.
_BELOW: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # wire types of protobuf


def names_other_files(model: bytes) -> bool:
    """Whether any tensor of the model has external data. Raises ValueError if it is not an ONNX model."""
    waiting = [("model", memoryview(model))]
    while waiting:
        kind, data = waiting.pop()
        for number, value in _fields(data):
            if kind == "tensor" and number in (_EXTERNAL_DATA, _DATA_LOCATION) and value != 0:
                return True
            below = _BELOW[kind].get(number)
            if below is not None:
                if isinstance(value, int):
                    raise ValueError(f"field {number} of a {kind} is a number")
                waiting.append((below, value))
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Parse one protobuf message: the number and value of each field."""
    place = 0
    while place < len(data):
        tag, place = _minimal_varint(data, place)
        if tag >= 2**32:  # libraries keep 32 bits of it, and read another field
            raise ValueError("a field's number is too large")
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if wire_type == _LENGTH:
            size, place = _minimal_varint(data, place)
        elif wire_type in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire_type == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire_type} is unknown")
        if place + size > len(data):
            raise ValueError("a field is cut short")
        yield number, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """Read a varint (seven bits per byte); return it and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is cut short or too long")


def _minimal_varint(data: memoryview, place: int) -> tuple[int, int]:
    """As _varint, of a number that has no needless bytes: readers differ in what they make of those."""
    value, end = _varint(data, place)
    if end - place > 1 and data[end - 1] == 0:
        raise ValueError("a number has needless bytes")
    return value, end
