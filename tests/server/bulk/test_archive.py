"""What is read of archives that strangers send."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from cutline import archives
from cutline.errors import ArchiveInvalid, ArchiveTooLarge, MemberDamaged, MemberRefused
from tests.server.bulk import zips

PLENTY = 10**9


def _members(data: bytes, *, max_bytes: int = PLENTY, max_total_bytes: int = PLENTY) -> dict[str, str]:
    """Names, and the codes of what is refused."""
    with archives.open_archive(io.BytesIO(data), max_members=1000) as opened:
        return {
            member.name: member.refusal.code if member.refusal else ""
            for member in archives.members(opened, max_bytes=max_bytes, max_total_bytes=max_total_bytes)
        }


def _read(data: bytes, number: int = 0, *, max_bytes: int = PLENTY) -> bytes:
    with archives.open_archive(io.BytesIO(data), max_members=1000) as opened:
        return archives.read_member(opened, number, max_bytes=max_bytes)


def test_members_come_in_order_with_folders_and_hidden_files_left_out() -> None:
    data = zips.packed(
        [
            ("trip/", b""),
            ("trip/b.jpg", b"1"),
            ("a.jpg", b"2"),
            ("__MACOSX/trip/._b.jpg", b"3"),
            ("trip/._b.jpg", b"3"),
            (".DS_Store", b"4"),
            ("trip/Thumbs.db", b"5"),
            ("trip/@eaDir/b.jpg/SYNOFILE_THUMB_M.jpg", b"6"),
            ("trip\\.thumbnails\\b.jpg", b"6"),
            ("Photos.lrdata/p.jpg", b"6"),
            ("./@anna/c.jpg", b"7"),
        ]
    )
    assert list(_members(data)) == ["trip/b.jpg", "a.jpg", "./@anna/c.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "\0a.jpg",
        "../a.jpg",
        "x/../../a.jpg",
        "/etc/passwd",
        "C:/a.jpg",
        "..\\a.jpg",
        "\\\\server\\a.jpg",
        "a\nb.jpg",
        "a\x1b[31m.jpg",
        "\u202egpj.a",
        "x" * 2000 + ".jpg",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    assert list(_members(zips.packed([(name, b"1"), ("ok.jpg", b"2")])).values()) == [
        "member_name_unsafe",
        "",
    ]


def test_a_name_in_any_script_is_kept() -> None:
    name = "ferien/größe 日本 🐕 👩\u200d👧 می\u200cرسد.jpg"
    assert _members(zips.packed([(name, b"1")])) == {name: ""}


def test_the_second_of_two_members_of_one_name_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("a.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("a.jpg", b"2")
    with archives.open_archive(io.BytesIO(data.getvalue()), max_members=10) as opened:
        found = list(archives.members(opened, max_bytes=10, max_total_bytes=100))
    assert [member.refusal and member.refusal.code for member in found] == [None, "member_duplicate"]


def test_encrypted_members_links_and_odd_compressions_are_refused() -> None:
    assert _members(zips.marked_encrypted(zips.packed([("a.jpg", b"1")]))) == {"a.jpg": "member_encrypted"}
    assert _members(zips.with_symlink("a.jpg", "/etc/passwd")) == {"a.jpg": "member_not_a_file"}
    odd = zips.packed([("a.jpg", b"1" * 100)], compression=zipfile.ZIP_LZMA)
    assert _members(odd) == {"a.jpg": "member_compression_unsupported"}


def test_members_that_share_their_bytes_are_refused() -> None:
    data = zips.overlapping(b"\0" * 1_000_000, copies=500)
    assert len(data) < 60_000
    assert set(_members(data).values()) == {"member_damaged"}


def test_what_is_too_large_alone_or_with_the_others_is_refused() -> None:
    data = zips.packed(
        [("a.jpg", b"1" * 50), ("b.jpg", b"1" * 500), ("c.jpg", b"1" * 60), ("d.jpg", b"1" * 9)]
    )
    assert _members(data, max_bytes=100, max_total_bytes=70) == {
        "a.jpg": "",
        "b.jpg": "member_too_large",
        "c.jpg": "member_too_large",
        "d.jpg": "member_too_large",
    }


def test_a_bomb_that_lies_about_its_size_is_not_unpacked() -> None:
    data = zips.packed([("a.bmp", b"\0" * 50_000_000)], compression=zipfile.ZIP_DEFLATED)
    lying = data.replace((50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(MemberDamaged):
        _read(lying, max_bytes=10_000)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [zips.packed([("a.jpg", b"1")]), b"\x1f\x8b\x08rest", b"Rar!\x1a\x07\x01", b"7z\xbc\xaf\x27\x1c"],
)
def test_an_archive_inside_is_not_opened(content: bytes) -> None:
    with pytest.raises(MemberRefused) as refused:
        _read(zips.packed([("a.jpg", content)]))
    assert refused.value.code == "member_is_archive"


def test_damage_to_a_member_costs_that_member() -> None:
    data = bytearray(zips.packed([("a.jpg", b"1" * 100), ("b.jpg", b"2" * 100)]))
    data[50] ^= 0xFF
    with pytest.raises(MemberDamaged):
        _read(bytes(data), 0)
    assert _read(bytes(data), 1) == b"2" * 100


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 60, 130, 200])
def test_what_is_cut_short_or_no_zip_is_refused(cut: int) -> None:
    data = zips.packed([("a.jpg", b"1" * 100)])
    with pytest.raises(ArchiveInvalid):
        archives.open_archive(io.BytesIO(data[:cut]), max_members=10)


def test_every_changed_byte_of_a_directory_ends_in_an_error_of_ours_or_in_members() -> None:
    data = zips.packed([("a.jpg", b"1" * 10), ("b.jpg", b"2" * 10)])
    for place in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[place] ^= flip
            try:
                for number in range(len(_members(bytes(changed)))):
                    _read(bytes(changed), number)
            except (ArchiveInvalid, ArchiveTooLarge, MemberRefused):
                continue


def test_a_directory_with_too_many_entries_is_counted_not_read() -> None:
    data = zips.overlapping(b"1", copies=200_000)
    tracemalloc.start()
    with pytest.raises(ArchiveTooLarge):
        archives.open_archive(io.BytesIO(data), max_members=1000)
    assert tracemalloc.get_traced_memory()[1] < 40_000_000  # the directory itself has 11 MB
    tracemalloc.stop()
