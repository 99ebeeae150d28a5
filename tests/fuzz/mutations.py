"""Inputs that begin as something valid and are then damaged: what reaches further than noise."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

_NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
_PACKED = [
    struct.pack(form, number & mask)
    for number in _NUMBERS
    for form, mask in (("<I", 2**32 - 1), (">I", 2**32 - 1), ("<H", 2**16 - 1), (">H", 2**16 - 1), ("B", 255))
]


def damaged(seeds: Sequence[bytes], *, most_bytes: int = 400_000) -> st.SearchStrategy[bytes]:
    """One of the seeds, with up to eight places changed; now and then noise alone."""
    assert seeds
    places = st.one_of(st.integers(0, 64), st.integers(0, max(map(len, seeds))), st.integers(-64, -1))
    contents = st.one_of(st.sampled_from(_PACKED), st.binary(min_size=1, max_size=8), st.binary(max_size=64))
    change = st.tuples(st.sampled_from(sorted(_CHANGES)), places, contents)
    changed = st.builds(
        lambda seed, other, changes: _changed(seed, other, changes)[:most_bytes],
        st.sampled_from(list(seeds)),
        st.sampled_from(list(seeds)),
        st.lists(change, max_size=8),
    )
    return st.one_of(changed, changed, changed, changed, changed, changed, changed, st.binary(max_size=300))


def _changed(seed: bytes, other: bytes, changes: Sequence[tuple[str, int, bytes]]) -> bytes:
    data = seed
    for name, place, content in changes:
        at = place % (len(data) + 1)
        data = _CHANGES[name](data, at, content, other)
    return data


_CHANGES = {
    "delete": lambda data, at, content, other: data[:at] + data[at + max(1, len(content)) :],
    "flip": lambda data, at, content, other: (
        data[:at]
        + bytes(one ^ two for one, two in zip(data[at : at + len(content)], content, strict=False))
        + data[at + len(content) :]
    ),
    "insert": lambda data, at, content, other: data[:at] + content + data[at:],
    "overwrite": lambda data, at, content, other: data[:at] + content + data[at + len(content) :],
    "repeat": lambda data, at, content, other: (
        data[:at] + data[at : at + 256] * (1 + len(content)) + data[at:]
    ),
    "splice": lambda data, at, content, other: data[:at] + other[at:],
    "truncate": lambda data, at, content, other: data[:at],
}
