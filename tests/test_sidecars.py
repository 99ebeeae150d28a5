"""Whose the texts beside photos are."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutline.sidecars import Sidecars


@pytest.mark.parametrize("blank", [b"", b" \r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xef\xbb\xbf\r\n", b"\0\0"])
def test_a_text_without_words_is_nobodys(tmp_path: Path, blank: bytes) -> None:
    """Notepad saves an empty text as a byte order mark."""
    (tmp_path / "a.txt").write_bytes(blank)
    assert Sidecars(overwrite=False).write(str(tmp_path / "a.jpg"), ["A dog"]) == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "A dog\n"


@pytest.mark.parametrize("written", [b"\xef\xbb\xbfMy aunt", "Tante".encode("utf-16"), b"\xe9"])
def test_a_persons_text_stays_in_any_encoding(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(written)
    assert Sidecars(overwrite=False).write(str(tmp_path / "a.jpg"), ["A dog"]) is None
    assert (tmp_path / "a.txt").read_bytes() == written
