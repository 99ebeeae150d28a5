"""Lists of photos, however they were made."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from cutline.photo_search import read_list


@pytest.mark.parametrize(
    ("raw", "null"),
    [
        (b'"a.jpg"\r\n"b c.jpg"\r\n', False),  # Windows' "Copy as path"
        (b"'a.jpg'\n'b c.jpg'\n", False),
        (b"  a.jpg \n   \n\tb c.jpg\n", False),
        (b"a.jpg\0b c.jpg\0", False),  # find -print0, without --null
        (b"a.jpg\0b c.jpg\0", True),
        (codecs.BOM_UTF8 + b"a.jpg\0b c.jpg\0", True),
        ("a.jpg\0b c.jpg".encode("utf-16"), True),
    ],
)
def test_lists_name_the_same_photos_however_they_are_written(tmp_path: Path, raw: bytes, null: bool) -> None:
    (tmp_path / "list").write_bytes(raw)
    assert list(read_list(str(tmp_path / "list"), null=null)) == ["a.jpg", "b c.jpg"]


def test_quotes_and_spaces_in_a_files_own_name_stay(tmp_path: Path) -> None:
    names = [str(tmp_path / "a.jpg "), str(tmp_path / '"b".jpg"')]
    for name in names:
        Path(name).touch()
    (tmp_path / "list").write_text("\n".join(names))
    assert list(read_list(str(tmp_path / "list"), null=False)) == names
    (tmp_path / "list").write_bytes(b"\xff.jpg\0")
    assert list(read_list(str(tmp_path / "list"), null=True)) == ["\udcff.jpg"]
