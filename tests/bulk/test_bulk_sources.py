"""What a source consists of: each kind, by the rows that it gives."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from cutline.bulk.rows import File, Row, _web_rules
from cutline.bulk.sources import rows_of
from cutline.errors import AddressForbidden, CutlineError, DataError, FetchFailed, OptionError
from cutline.images import DEFAULT_LIMITS, Limits, open_image
from cutline.photo_search import PhotoSearch, describe_left_out
from tests.server.services.receiver import Receiver


def jpeg(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def photo(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(colour))
    return path


def opens(row: Row) -> bool:
    try:
        return open_image(row.place.source(DEFAULT_LIMITS)).size == (32, 24)
    except CutlineError:
        return False


def names(rows: Iterator[Row]) -> list[tuple[str, bool]]:
    return [(row.file, opens(row)) for row in rows]


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()


def test_a_folder_and_a_glob_give_their_photos_by_absolute_paths(tmp_path: Path) -> None:
    first, second = photo(tmp_path / "a.jpg"), photo(tmp_path / "below" / "b.jpg")
    (tmp_path / "notes.md").write_text("no photo")
    rows = list(rows_of(str(tmp_path)))
    assert names(iter(rows)) == [(str(first), True), (str(second), True)]
    assert [row.size for row in rows] == [first.stat().st_size, second.stat().st_size]
    assert names(rows_of(str(tmp_path / "**" / "b*.jpg"))) == [(str(second), True)]
    assert names(rows_of(str(tmp_path), search=PhotoSearch(["below"]))) == [(str(first), True)]


def test_what_is_left_out_is_counted_here_and_in_a_store(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    left = ["a.jpg", "below/b.jpg"]
    junk = ["@eaDir/a.jpg/c.jpg", ".hidden/d.jpg", "thumbs/e.jpg", "below/thumbs/f.jpg"]
    for name in (*left, *junk, "page.svg", "v.mp4", "notes.md"):
        photo(tmp_path / "in" / name) if name.endswith(".jpg") else (tmp_path / "in" / name).touch()
        memory.pipe(f"/in/{name}", b"")
    (tmp_path / "list.txt").write_text("".join(f"in/{name}\n" for name in (*left, *junk) if name[0] != "."))
    for top in (str(tmp_path / "in"), "memory://in"):
        for source in (top, f"{top}/**/*.jpg"):
            search = PhotoSearch(["thumbs/"])
            assert [row.file for row in rows_of(source, search=search)] == [f"{top}/{each}" for each in left]
            told = describe_left_out(search.left_out)
            assert "excluded files" in told
            assert ("1 video" in told and "1 SVG drawing" in told) == (source == top)
    rows = rows_of(str(tmp_path / "list.txt"), search=PhotoSearch(["thumbs"]))
    assert [row.file for row in rows] == [f"in/{each}" for each in left]


def test_a_list_gives_its_lines_from_here_or_from_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "lists" / "beside.jpg")
    photo(tmp_path / "here.jpg")
    (tmp_path / "lists" / "photos.txt").write_text("beside.jpg\n\nhere.jpg\nlost.jpg\nhere.jpg\n")
    monkeypatch.chdir(tmp_path)
    assert names(rows_of("lists/photos.txt")) == [
        ("beside.jpg", True),
        ("here.jpg", True),
        ("lost.jpg", False),
        ("here.jpg", True),
    ]


def test_a_photo_that_has_gone_is_no_other_of_its_name(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "2019").mkdir()
    gone = str(tmp_path / "2019" / "a.jpg")
    (tmp_path / "list.txt").write_text(f"{gone}\n/elsewhere/photos/a.jpg\n")
    assert names(rows_of(str(tmp_path / "list.txt"))) == [(gone, False), ("/elsewhere/photos/a.jpg", True)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,Image_URL\n1,a.jpg\n2,\n"),
        ("t.csv", "id;image_url\n1;a.jpg\n2;\n"),
        ("t.tsv", "image_url\tid\na.jpg\t1\n\t2\n"),
        ("t.jsonl", '{"image_url": "a.jpg"}\n{"image_url": null}\n'),
    ],
)
def test_a_table_gives_a_row_for_each_of_its_rows(tmp_path: Path, name: str, text: str) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / name).write_text(text)
    [(first, is_open), (second, is_second_open)] = names(rows_of(str(tmp_path / name)))
    assert (first, is_open) == ("a.jpg", True)
    assert second.startswith(f"{tmp_path / name}#")
    assert not is_second_open


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'image,caption\na.jpg,"A dog\nb.jpg,A cat\nc.jpg,Two men"\n'),
        ("t.csv", 'id,caption,url\n1,"A dog,a.jpg\n2,A cat,b.jpg\n3,Two men",c.jpg\n'),
        ("t.csv", '\ufeffimage,caption\na.jpg,"A dog,\nand more"\nb.jpg,"A ""cat"", x"\n\n,\nc.jpg,x\n'),
        ("t.tsv", 'image\tcaption\na.jpg\t"Stop" says a sign\nb.jpg\t"A cat\nc.jpg\tTwo men"\n'),
        ("t.csv", "sep=;\nimage;caption\na.jpg;A dog, a cat\nb.jpg;x\nc.jpg;x\n"),
        ("t.csv", "image_name| comment_number| comment\na.jpg| 0| A dog .\nb.jpg| 0| x\nc.jpg| 4   x\n"),
        ("t.csv", "a.jpg,A dog\nb.jpg,A cat\nc.jpg,Two men\n"),
        ("t.tsv", "A dog\ta.jpg\nA cat\tb.jpg\nTwo men\tc.jpg\n"),
        ("t.jsonl", '{"image": {"path": "a.jpg"}}\n{"images": ["b.jpg", "x.jpg"]}\n{"File_Name": "c.jpg"}\n'),
        ("l.txt", '"a.jpg"\n b.jpg \nc.jpg\0'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_table_or_list_is_read_as_programs_write_it(
    tmp_path: Path, name: str, text: str, encoding: str
) -> None:
    for each in "abc":
        photo(tmp_path / "images" / f"{each}.jpg")
    (tmp_path / name).write_bytes(text.encode(encoding))
    found = names(rows_of(str(tmp_path / name)))
    assert found == [("a.jpg", True), ("b.jpg", True), ("c.jpg", True)]


@pytest.mark.parametrize(
    "said",
    [
        "Zu\u0308rich/a.jpg",
        "zürich\\A.JPG",
        "C:\\set\\Zürich\\a.jpg",
        "/set/Zürich/a.jpg",
        "file:///C:/set/Z%C3%BCrich/a.jpg",
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "l.txt", "t.parquet"])
def test_names_of_another_machine_find_the_photo_beside_their_table(
    tmp_path: Path, said: str, name: str
) -> None:
    path = photo(tmp_path / "Zürich" / "a.jpg")
    table = tmp_path / name
    if name == "t.parquet":
        parquet.write_table(pa.table({"path": [said, "b.jpg"]}), table)
    else:
        rows = [f"image\n{said}\nb.jpg", *(json.dumps({"image": each}) for each in (said, "b.jpg"))]
        text = {"t.csv": rows[0], "t.jsonl": "\n".join(rows[1:]), "l.txt": f"{said}\nb.jpg"}[name]
        table.write_text(text, encoding="utf-8")
    first, second = rows_of(str(table))
    assert (first.file, first.place) == (said, File(path=str(path)))
    assert not opens(second)


def test_a_photo_that_is_not_here_is_not_another_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "val" / "a.jpg")
    (tmp_path / "l.txt").write_text("train/a.jpg\n/elsewhere/b.jpg\n")
    photo(tmp_path / "here" / "b.jpg")
    monkeypatch.chdir(tmp_path / "here")
    assert [opens(row) for row in rows_of(str(tmp_path / "l.txt"))] == [False, False]


def test_a_column_is_named_where_nobody_could_guess_it(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    table = tmp_path / "t.csv"
    table.write_text("one,two\nx,a.jpg\n")
    with pytest.raises(OptionError, match="Which column"):
        list(rows_of(str(table)))
    with pytest.raises(OptionError, match="no column 'three'"):
        list(rows_of(str(table), column="three"))
    assert names(rows_of(str(table), column="two")) == [("a.jpg", True)]


def test_parquet_gives_paths_and_images(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    parquet.write_table(pa.table({"path": ["a.jpg", None]}), tmp_path / "paths.parquet")
    assert [each for _, each in names(rows_of(str(tmp_path / "paths.parquet")))] == [True, False]
    images = [{"bytes": jpeg(), "path": f"{n}.jpg"} for n in range(5)] + [{"bytes": None, "path": None}]
    parquet.write_table(pa.table({"image": images}), tmp_path / "images.parquet", row_group_size=2)
    found = names(rows_of(str(tmp_path / "images.parquet")))
    assert [name for name, _ in found[:5]] == [f"{n}.jpg" for n in range(5)]
    assert [each for _, each in found] == [True] * 5 + [False]
    parquet.write_table(pa.table({"images": [[images[0], images[1]], []]}), tmp_path / "lists.parquet")
    assert [each for _, each in names(rows_of(str(tmp_path / "lists.parquet")))] == [True, False]


def test_folders_of_hugging_face_are_read_as_the_hub_and_as_save_to_disk_write_them(tmp_path: Path) -> None:
    images = [{"bytes": jpeg(), "path": None} for _ in range(3)]
    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    parquet.write_table(pa.table({"image": images, "text": ["x"] * 3}), hub / "train-00000-of-00001.parquet")
    saved = tmp_path / "saved" / "train"
    saved.mkdir(parents=True)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    table = pa.table({"image": images})
    with pa.ipc.new_stream(saved / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    for folder in (tmp_path / "hub", tmp_path / "saved"):
        assert [each for _, each in names(rows_of(str(folder)))] == [True, True, True], folder


def test_shards_give_their_samples_with_all_that_these_have(tmp_path: Path) -> None:
    write_tar(tmp_path / "t-0.tar", {"a/0.jpg": jpeg(), "a/0.json": b"{}", "a/1.txt": b"no photo"})
    write_tar(tmp_path / "t-1.tar", {"0.png.jpg": jpeg()})
    rows = list(rows_of(str(tmp_path / "t-{0..1}.tar")))
    assert names(iter(rows)) == [
        (f"{tmp_path}/t-0.tar!a/0.jpg", True),
        (f"{tmp_path}/t-1.tar!0.png.jpg", True),
    ]
    assert [part.name for part in rows[0].place.others] == ["a/0.json"]  # type: ignore[attr-defined]
    assert names(rows_of(str(tmp_path))) == names(iter(rows))


def test_photos_whose_names_have_dots_are_samples_of_their_own(tmp_path: Path) -> None:
    names_ = ("IMG0.jpg", "IMG0.txt", "IMG.4.jpg", "IMG.4.txt", "IMG.5.jpg", "IMG.6.jpg", "IMG.6.txt")
    masks = ("c.mask.png", "c.jpg", "c.txt", "d.1.jpg", "d.2.jpg", "e.2024.jpg", "e.2024.txt")
    write_tar(tmp_path / "t.tar", {name: jpeg() for name in (*names_, *masks)})
    rows = list(rows_of(str(tmp_path / "t.tar")))
    photos = ["IMG0", "IMG.4", "IMG.5", "IMG.6", "c", "d.1", "d.2", "e.2024"]
    assert [row.file.rpartition("!")[2] for row in rows] == [f"{each}.jpg" for each in photos]
    others = [[part.name for part in row.place.others] for row in rows]  # type: ignore[attr-defined]
    assert others[1:5] == [["IMG.4.txt"], [], ["IMG.6.txt"], ["c.txt", "c.mask.png"]]
    assert [row.place.dots for row in rows] == [0, 1, 1, 1, 0, 1, 1, 0]  # type: ignore[attr-defined]


def test_a_damaged_shard_gives_what_it_has_and_a_row_that_says_so(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t.tar", {"0.jpg": jpeg(), "1.jpg": os.urandom(40_000), "2.jpg": jpeg()})
    path.write_bytes(path.read_bytes()[:20_000])
    found = names(rows_of(str(path)))
    assert found[0] == (f"{path}!0.jpg", True)
    assert found[-1] == (str(path), False)


def test_object_stores_have_the_same_kinds(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe(
        {"/in/a.jpg": jpeg(), "/in/b/c.jpg": jpeg(), "/in/no.md": b"", "/in/l.txt": b"b/c.jpg\nx.jpg\n"}
    )
    both = [("memory://in/a.jpg", True), ("memory://in/b/c.jpg", True)]
    assert names(rows_of("memory://in")) == both
    assert names(rows_of("memory://in/*.jpg")) == both[:1]
    assert names(rows_of("memory://in/l.txt")) == [("b/c.jpg", True), ("x.jpg", False)]
    memory.pipe("/shards/t.tar", write_tar(tmp_path / "t.tar", {"0.jpg": jpeg()}).read_bytes())
    assert names(rows_of("memory://shards")) == [("memory://shards/t.tar!0.jpg", True)]
    listed = tmp_path / "l.txt"
    listed.write_text("memory://in/a.jpg\n")
    assert names(rows_of(str(listed))) == both[:1]


def test_a_source_without_a_photo_is_one_clear_error(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe("/in/notes.md", b"no photo")
    (tmp_path / "t.csv").write_text("image\n")
    names_ = ("memory://in", "memory://typo", "memory://in/*.jpg", "memory://in/{0..3}.tar")
    for source in (*names_, str(tmp_path / "t.csv")):
        with pytest.raises(DataError, match="no photos"):
            list(rows_of(source))


def test_braces_are_names_in_object_stores_as_they_are_here(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_tar(tmp_path / "t-08.tar", {"0.jpg": jpeg()}).read_bytes()
    write_tar(tmp_path / "t-10.tar", {"0.jpg": jpeg()})
    memory.pipe({"/in/t-08.tar": data, "/in/t-10.tar": data})
    found = {"t-08.tar!0.jpg": True, "t-09.tar": False, "t-10.tar!0.jpg": True}
    assert names(rows_of("memory://in/t-{08..10}.tar")) == [
        (f"memory://in/{name}", is_open) for name, is_open in found.items()
    ]
    assert names(rows_of("t-{08..10}.tar")) == [
        (str(tmp_path / name), is_open) for name, is_open in found.items()
    ]
    for folder in ("a", "b", "c"):
        photo(tmp_path / folder / "0.jpg")
        memory.pipe(f"/in/{folder}/0.jpg", jpeg())
    assert [name for name, _ in names(rows_of("memory://in/{a,c}/*.jpg"))] == [
        "memory://in/a/0.jpg",
        "memory://in/c/0.jpg",
    ]
    assert [Path(name).parent.name for name, _ in names(rows_of("{a,c}/*.jpg"))] == ["a", "c"]
    (tmp_path / "a.csv").write_text("image\na/0.jpg\n")
    (tmp_path / "b.csv").write_text("image\nb/0.jpg\n")
    assert names(rows_of("{b,a}.csv")) == [("b/0.jpg", True), ("a/0.jpg", True)]
    assert names(rows_of("*.csv")) == [("a/0.jpg", True), ("b/0.jpg", True)]
    with pytest.raises(DataError, match=r"c\.csv cannot be read"):
        list(rows_of("{a,c}.csv"))
    assert names(rows_of("memory://in/{a,lost}")) == [
        ("memory://in/a/0.jpg", True),
        ("memory://in/lost", False),
    ]


def test_photos_beside_shards_or_tables_are_refused_until_one_is_named(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    image = photo(tmp_path / "0.jpg")
    shard = write_tar(tmp_path / "below.tar", {"0.jpg": jpeg()})
    memory.pipe({"/in/0.jpg": jpeg(), "/in/below.tar": shard.read_bytes()})
    for source in (str(tmp_path), "memory://in"):
        with pytest.raises(DataError, match="more than one kind") as caught:
            list(rows_of(source))
        assert f"'{source}/*.jpg'" in caught.value.hint
        assert "--exclude '*.tar'" in caught.value.hint
        assert names(rows_of(f"{source}/*.jpg")) == [(f"{source}/0.jpg", True)]
        assert names(rows_of(source, search=PhotoSearch(["*.tar"]))) == [(f"{source}/0.jpg", True)]
        assert names(rows_of(source, search=PhotoSearch(["*.jpg"]))) == [(f"{source}/below.tar!0.jpg", True)]
    shard.unlink()
    parquet.write_table(pa.table({"image": [{"bytes": jpeg(), "path": "x.jpg"}]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="more than one kind"):
        list(rows_of(str(tmp_path)))
    assert names(rows_of(str(tmp_path / "*.parquet"))) == [("x.jpg", True)]
    image.unlink()
    assert names(rows_of(str(tmp_path))) == [("x.jpg", True)]


def test_what_runs_have_written_in_a_source_is_left_out_of_it(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    photo(tmp_path / "in" / "0.jpg")
    made = write_tar(tmp_path / "part-00000.tar", {"0.jpg": jpeg()}).read_bytes()
    for name, data in (("part-00000.tar", made), ("_bulk/plan.json", b"{}")):
        (tmp_path / "in" / "captions" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "captions" / name).write_bytes(data)
        memory.pipe(f"/in/captions/{name}", data)
    memory.pipe("/in/0.jpg", jpeg())
    for folder in (str(tmp_path / "in"), "memory://in"):
        assert names(rows_of(folder)) == [(f"{folder}/0.jpg", True)]
        captions = f"{folder}/captions"  # by itself it is a source
        assert names(rows_of(captions)) == [(f"{captions}/part-00000.tar!0.jpg", True)]


class CountingStore(type(fsspec.filesystem("memory"))):  # type: ignore[misc]
    """A store in memory that counts what is asked of it."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[dict[str, object]] = []
        self.ranges: list[tuple[int, int]] = []

    def open(self, path: str, mode: str = "rb", **options: object) -> io.BytesIO:
        self.opened.append(options)
        return super().open(path, mode, **options)  # type: ignore[no-any-return]

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        assert start is not None
        assert end is not None
        self.ranges.append((start, end))
        return self.store[f"/{path}"].getvalue()[start:end]  # type: ignore[no-any-return]


def test_samples_of_shards_in_object_stores_are_asked_for_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe("/in/t.tar", write_tar(tmp_path / "t.tar", {"0.jpg": jpeg(), "1.jpg": jpeg()}).read_bytes())
    store = CountingStore()
    monkeypatch.setattr("cutline.bulk.places.file_system", lambda scheme, options="": store)
    rows = list(rows_of("memory://in/t.tar"))
    assert len(rows) == 2
    assert all(opens(row) for row in rows)
    [skimmed] = store.opened
    assert int(str(skimmed["block_size"])) <= 2**20
    size = len(jpeg())
    assert [end - start for start, end in store.ranges] == [size, size]


def test_urls_are_fetched_from_the_open_internet_and_from_what_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Receiver()
    server.start()
    try:
        url = server.offer("/a.jpg", jpeg())
        (tmp_path / "l.txt").write_text(f"{url}\n{url}x\n")
        _web_rules.cache_clear()
        assert names(rows_of(str(tmp_path / "l.txt"))) == [(url, False), (f"{url}x", False)]
        [first, _] = rows_of(str(tmp_path / "l.txt"))
        with pytest.raises(AddressForbidden):
            first.place.source(DEFAULT_LIMITS)
        _web_rules.cache_clear()
        monkeypatch.setenv("CUTLINE_FETCH_ALLOW", "127.0.0.1/32")
        assert names(rows_of(str(tmp_path / "l.txt"))) == [(url, True), (f"{url}x", False)]
        with pytest.raises(FetchFailed, match="larger"):
            first.place.source(Limits(max_file_bytes=100))
    finally:
        _web_rules.cache_clear()
        server.stop()


def test_what_is_no_source_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no source"):
        list(rows_of("ftp://example.org/photos"))
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        list(rows_of(str(tmp_path / "bad.parquet")))
    assert names(rows_of(str(tmp_path / "nothing"))) == [(str(tmp_path / "nothing"), False)]
