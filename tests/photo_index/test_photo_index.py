"""The index of a folder, while another run changes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cutline.photo_index.index import Entry, PhotoIndex, Stamp
from cutline.photo_index.searching import Query, duplicates, search
from cutline.vectors import unit

SPACE = "space"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PhotoIndex]:
    """Three photos that look the same, and two others that do."""
    with PhotoIndex(str(tmp_path / "index")) as index:
        index.write(_entry(name, look) for name, look in zip("abcde", (0, 0, 0, 1, 1), strict=True))
        yield index


def _entry(name: str, look: int) -> Entry:
    return Entry(
        path=f"{name}.jpg",
        stamp=Stamp(bytes=1, changed_ns=1, space=SPACE),
        model="m@1",
        caption=f"A {name}.",
        vector=unit(np.eye(2, 8, dtype=np.float32)[look]),
        thumbnail=np.full((8, 8, 3), 200 * look, np.uint8),
    )


class Busy(PhotoIndex):
    """Another run removes photos once the vectors are read."""

    def __init__(self, path: str, gone: str) -> None:
        super().__init__(path)
        self._gone = gone

    def vectors(self, space: str) -> tuple[list[int], np.ndarray]:
        found = super().vectors(space)
        with PhotoIndex(self.path) as other:
            other.forget(f"{name}.jpg" for name in self._gone)
        return found


def test_photos_that_another_run_removes_meanwhile_are_left_out(index: PhotoIndex) -> None:
    with Busy(index.path, "b") as busy:
        query = Query(vectors=[unit(np.eye(2, 8, dtype=np.float32)[0])], space=SPACE)
        assert [hit.path for hit in search(busy, query, count=2)] == ["a.jpg", "c.jpg"]


def test_copies_that_another_run_removes_meanwhile_are_left_out(index: PhotoIndex) -> None:
    with Busy(index.path, "ae") as busy:
        found = duplicates(busy, SPACE, count=5)
    assert [[hit.path for hit in group] for group in found] == [["b.jpg", "c.jpg"]]


def test_as_many_groups_of_copies_as_asked_for_are_looked_up(
    index: PhotoIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[int] = []
    hits = PhotoIndex.hits

    def counted(self: PhotoIndex, numbers: list[int], likeness: dict[int, float]) -> object:
        looked_up.append(len(numbers))
        return hits(self, numbers, likeness)

    monkeypatch.setattr(PhotoIndex, "hits", counted)
    assert len(duplicates(index, SPACE, count=1)) == 1
    assert looked_up == [3]
