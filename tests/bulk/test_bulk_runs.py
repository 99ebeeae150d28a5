"""Shards and manifests: what a run writes, and how it goes on. The captioner is in this process."""

from __future__ import annotations

import csv
import gzip
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pyarrow import parquet

from cutline.bulk import BatchCaptioner, Settings
from cutline.bulk.batch import Done
from cutline.bulk.besides import Besides
from cutline.bulk.listing import Listing
from cutline.bulk.progress import Progress
from cutline.bulk.rows import Cell, Fetched, File, Member, Part, Place, Row, Stored, Unusable
from cutline.bulk.run import Shards, plan_of, run
from cutline.bulk.sink import Sink
from cutline.bulk.sources import rows_of
from cutline.captioning.protocol import ModelInfo
from cutline.errors import ImageMissing, OptionError, OutputError
from tests.bulk.test_bulk_sources import jpeg, photo, write_tar
from tests.cli.fixed import FixedCaptioner

COLOURS = ("red", "green", "blue")


class Killed(BaseException):
    """What a test ends a run with: nothing catches it, as nothing catches a kill."""


class Here:
    """An engine in this process. after: how many photos it captions before it is killed."""

    def __init__(
        self, settings: Settings, after: int | None = None, sure: Mapping[str, float] | None = None
    ) -> None:
        self._captions = BatchCaptioner(settings, load_captioner=lambda uri: FixedCaptioner(sure=sure))
        self.about: ModelInfo = self._captions.about
        self._after = after

    def _answers(self, rows: Iterator[Row]) -> Iterator[tuple[Row, Done]]:
        for count, row in enumerate(rows):
            if count == self._after:
                raise Killed
            yield row, next(iter(self._captions.over([row])))

    def shards(self, listing: Listing, numbers: list[int]) -> Shards:
        answers = self._answers(row for number in numbers for row in listing.shard(number))
        for number in numbers:
            yield number, islice(answers, listing.size_of(number))


def bulk(
    source: object,
    sink: object,
    *,
    settings: Settings | None = None,
    format_: str = "jsonl",
    shard_size: int = 2,
    after: int | None = None,
    retry_failed: bool = False,
    sure: Mapping[str, float] | None = None,
    **besides: bool,
) -> dict[int, Any]:
    settings = settings or Settings()
    record = settings.record() | {"confident": sure is not None}
    beside = Besides(**{"sidecar": False, "tag": False, "overwrite": False, **besides})
    with (
        Listing(rows_of(str(source), sink=str(sink)), shard_size) as found,
        Sink(str(sink), format_=format_, record=record, besides=beside) as target,
    ):
        engine = Here(settings, after, sure)
        plan = plan_of(str(source), found, settings, engine.about, format_=format_)
        with target.begin(plan, found) as listing:
            progress = Progress(listing.photos, 0, quiet=True, say=print)
            run(engine, listing, target, progress, retry_failed=retry_failed)
        return dict(target.done)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(7):
        photo(tmp_path / "in" / f"{number}.jpg", COLOURS[number % 3])
    (tmp_path / "in" / "3.jpg").write_bytes(b"no photo")
    return tmp_path / "in"


def lines(sink: Path) -> list[dict[str, Any]]:
    parts = sorted(sink.glob("part-*"))
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


def test_each_photo_is_a_row_and_the_manifest_counts_them(photos: Path, tmp_path: Path) -> None:
    bulk(photos, tmp_path / "out", settings=Settings(prefix="Photo: ", max_chars=40))
    found = lines(tmp_path / "out")
    assert [line["file"] for line in found] == [str(photos / f"{n}.jpg") for n in range(7)]
    assert found[0]["captions"][0]["text"] == "Photo: A red photo on the wall."
    assert found[3]["error"]["code"] == "image_unreadable"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [shard["photos"] for shard in manifest["shards"]] == [2, 2, 2, 1]
    assert manifest["shards"][1]["failed"] == {"image_unreadable": 1}
    assert manifest["photos"] == 7
    assert manifest["options"] == {"prefix": "Photo: ", "max_chars": 40}


@pytest.mark.parametrize("after", range(8))
def test_a_run_that_is_killed_at_any_photo_is_completed_by_the_same_run(
    photos: Path, tmp_path: Path, after: int
) -> None:
    with suppress(Killed):
        bulk(photos, tmp_path / "out", after=after)
    assert len(lines(tmp_path / "out")) == (after - after % 2 if after < 7 else 7)
    bulk(photos, tmp_path / "out")
    assert Counter(line["file"] for line in lines(tmp_path / "out")) == {
        str(photos / f"{n}.jpg"): 1 for n in range(7)
    }
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_shard_that_is_in_no_manifest_or_has_gone_is_written_again(photos: Path, tmp_path: Path) -> None:
    bulk(photos, tmp_path / "out")
    whole = lines(tmp_path / "out")
    (tmp_path / "out" / "_bulk" / "done" / "00001.json").unlink()  # killed between the two
    (tmp_path / "out" / "part-00002.jsonl").unlink()
    (tmp_path / "out" / "part-00003.jsonl").write_text("")
    bulk(photos, tmp_path / "out", after=5)
    assert lines(tmp_path / "out") == whole


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet", "webdataset"])
def test_what_failed_is_captioned_again_and_all_else_is_kept(format_: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for colour in (*COLOURS, "yellow", "white"):
        photo(folder / f"{colour}.jpg", colour)
    whole = (folder / "red.jpg").read_bytes()
    settings = Settings(keep_bytes=format_ == "webdataset")
    options: dict[str, Any] = {"settings": settings, "format_": format_, "shard_size": 3}
    bulk(folder, tmp_path / "expected", **options)
    (folder / "red.jpg").write_bytes(b"no photo")
    done = bulk(folder, tmp_path / "out", **options)
    [broken] = [number for number, shard in done.items() if shard.failed]
    assert len(done[broken].again) == 1
    (folder / "red.jpg").write_bytes(whole)
    untouched = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    done = bulk(folder, tmp_path / "out", retry_failed=True, **options)
    assert not any(shard.failed or shard.again for shard in done.values())
    for path in sorted((tmp_path / "expected").glob("part-*")):
        mended = tmp_path / "out" / path.name
        assert mended.read_bytes() == path.read_bytes()
        assert (mended.stat().st_mtime_ns == untouched[path.name]) == (f"{broken:05}" not in path.name)
    again = bulk(folder, tmp_path / "out", retry_failed=True, **options)
    assert again == done


def test_a_changed_source_or_option_is_refused_and_said(photos: Path, tmp_path: Path) -> None:
    bulk(photos, tmp_path / "out", after=None)
    with pytest.raises(OutputError, match=r"options was \{\}, is \{\"n\": 2\}"):
        bulk(photos, tmp_path / "out", settings=Settings(n=2))
    with pytest.raises(OutputError, match="shard_size was 2, is 3"):
        bulk(photos, tmp_path / "out", shard_size=3)
    photo(tmp_path / "other" / "8.jpg")
    with pytest.raises(OutputError, match=r"source was .*in.*, is .*other"):
        bulk(tmp_path / "other", tmp_path / "out")
    assert len(lines(tmp_path / "out")) == 7


def test_a_run_goes_on_with_the_photos_that_it_began_with(photos: Path, tmp_path: Path) -> None:
    with suppress(Killed):
        bulk(photos, tmp_path / "out", after=3)
    gone = (photos / "5.jpg").read_bytes()
    (photos / "5.jpg").unlink()
    photo(photos / "1-new.jpg")
    (photos / "6.jpg").write_bytes(jpeg("blue") + b"touched up")
    bulk(photos, tmp_path / "out")
    found = lines(tmp_path / "out")
    assert [Path(line["file"]).name for line in found] == [f"{n}.jpg" for n in range(7)]
    assert found[5]["error"]["code"] == "image_missing"
    assert found[6]["captions"][0]["text"] == "A blue photo on the wall."
    (photos / "5.jpg").write_bytes(gone)
    (photos / "3.jpg").write_bytes(jpeg("white"))
    done = bulk(photos, tmp_path / "out", retry_failed=True)
    assert not any(shard.failed for shard in done.values())
    assert len(lines(tmp_path / "out")) == 7
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["photos"] == 7


@pytest.mark.parametrize("content", [None, b"", b"no list", gzip.compress(b'["a.jpg", 3]\n', mtime=0)])
def test_a_run_whose_list_of_photos_is_lost_is_refused_only_if_the_source_has_changed(
    photos: Path, tmp_path: Path, content: bytes | None
) -> None:
    with suppress(Killed):
        bulk(photos, tmp_path / "out", after=3)
    kept = tmp_path / "out" / "_bulk" / "rows.jsonl.gz"
    if content is None:
        kept.unlink()
    else:
        kept.write_bytes(content)
    new = photo(photos / "new.jpg")
    with pytest.raises(OutputError, match="The source has changed"):
        bulk(photos, tmp_path / "out")
    new.unlink()
    bulk(photos, tmp_path / "out")
    assert len(lines(tmp_path / "out")) == 7


def test_rows_of_every_kind_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    part = Part(name="a.jpg", offset=512, size=7)
    kept: list[Place] = [
        File(path="/a/caf\udce9.jpg"),
        Stored(url="s3://bucket/a.jpg"),
        Fetched(url="https://example.org/a.jpg"),
        Member(archive="t.tar", photo=part, others=(part, part)),
        Cell(table="t.parquet", group=1, row=2, column="image"),
        Unusable(reason="There is nothing."),
    ]
    rows = [Row(file=f"{n}\udce9", place=place, size=n) for n, place in enumerate(kept)]
    with Listing(rows, 4) as listing:
        listing.save(str(tmp_path / "rows"))
    with Listing.load(str(tmp_path / "rows"), 4) as again:
        assert [row for shard in range(again.shards) for row in again.shard(shard)] == rows
        assert (again.sha256, again.known_bytes) == (listing.sha256, listing.known_bytes)


def test_a_full_folder_for_temporary_files_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "w+b")  # noqa: SIM115 - the listing closes it
    monkeypatch.setattr("tempfile.TemporaryFile", lambda prefix: full)
    with pytest.raises(OutputError, match="No space left") as caught:
        Listing([Row(file="a.jpg", place=File(path="/a.jpg"))], 10)
    assert "TMPDIR" in caught.value.hint
    assert full.closed


def test_a_shard_of_a_source_that_has_gone_is_rows_with_errors(tmp_path: Path) -> None:
    samples = {f"{n}.{end}": jpeg() if end == "jpg" else b"4" for n in range(4) for end in ("jpg", "cls")}
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b"):
        write_tar(source / f"{name}.tar", {f"{name}{each}": data for each, data in samples.items()})
    settings = Settings(keep_bytes=True)
    options: dict[str, Any] = {"settings": settings, "format_": "webdataset", "shard_size": 3}
    bulk(source, tmp_path / "expected", **options)
    with suppress(Killed):
        bulk(source, tmp_path / "out", after=3, **options)
    whole = (source / "b.tar").read_bytes()
    (source / "b.tar").unlink()
    done = bulk(source, tmp_path / "out", **options)
    assert [shard.failed for shard in done.values()] == [{}, {"image_missing": 2}, {"image_missing": 2}]
    (source / "b.tar").write_bytes(whole)
    done = bulk(source, tmp_path / "out", retry_failed=True, **options)
    for path in sorted((tmp_path / "expected").glob("part-*")):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_sample_whose_rest_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "in.tar", {"0.jpg": jpeg(), "0.cls": b"4", "1.jpg": jpeg()})
    read = Member.read

    def failing(place: Member, part: Part) -> bytes:
        if part.name == "0.cls":
            raise ImageMissing("in.tar has gone.")
        return read(place, part)

    monkeypatch.setattr(Member, "read", failing)
    done = bulk(
        tmp_path / "in.tar", tmp_path / "out", settings=Settings(keep_bytes=True), format_="webdataset"
    )
    assert done[0].failed == {"image_missing": 1}
    assert (done[0].captioned, done[0].again) == (1, [0])
    with tarfile.open(tmp_path / "out" / "part-00000.tar") as tar:
        assert "in.tar has gone." in json.load(tar.extractfile("0.json"))["error"]["message"]  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", ["parquet", "webdataset"])
@pytest.mark.parametrize("below", ["", "captions"])
def test_a_sink_in_the_source_is_no_source(photos: Path, format_: str, below: str) -> None:
    settings = Settings(keep_bytes=format_ == "webdataset")
    sink = photos / below
    with suppress(Killed):
        bulk(photos, sink, settings=settings, format_=format_, after=3)
    done = bulk(photos, sink, settings=settings, format_=format_)
    assert sum(shard.photos for shard in done.values()) == 7
    assert sum(shard.failed.get("image_unreadable", 0) for shard in done.values()) == 1


def test_a_folder_that_has_other_parts_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000.jsonl").write_text("mine")
    with pytest.raises(OutputError, match="another program"):
        bulk(photos, tmp_path / "out")
    assert (tmp_path / "out" / "part-00000.jsonl").read_text() == "mine"


def test_only_one_run_at_a_time_writes_to_a_sink(photos: Path, tmp_path: Path) -> None:
    besides = Besides(sidecar=False, tag=False, overwrite=False)
    other = Sink(str(tmp_path / "out"), format_="jsonl", record={}, besides=besides)
    with other, pytest.raises(OutputError, match="Another run"):
        bulk(photos, tmp_path / "out")


def test_csv_and_parquet_have_a_row_for_each_photo(photos: Path, tmp_path: Path) -> None:
    bulk(photos, tmp_path / "csv", format_="csv", settings=Settings(n=2))
    rows = [
        row
        for part in sorted((tmp_path / "csv").glob("*.csv"))
        for row in csv.DictReader(part.read_text().splitlines())
    ]
    assert [row["caption"] for row in rows[:2]] == ["A red photo on the wall.", "A green photo on the wall."]
    assert rows[0]["caption_2"] == "Something red in a frame."
    assert rows[3]["error_code"] == "image_unreadable"
    bulk(photos, tmp_path / "parquet", format_="parquet", shard_size=7, settings=Settings(n=2))
    table = parquet.read_table(tmp_path / "parquet" / "part-00000.parquet").to_pylist()
    assert table[2]["captions"] == ["A blue photo on the wall.", "Something blue in a frame."]
    assert table[3]["caption"] is None
    assert table[3]["error_code"] == "image_unreadable"


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_photos_of_which_the_model_is_not_sure_are_skipped_and_are_no_failures(
    photos: Path, tmp_path: Path, format_: str
) -> None:
    sure = {"red": 0.9, "green": 0.5, "blue": 0.2}
    settings = Settings(min_confidence=0.5)
    for again in (False, True):
        done = bulk(
            photos, tmp_path / "out", settings=settings, sure=sure, format_=format_, retry_failed=again
        )
        counts = [
            (shard.captioned, shard.unsure, sum(shard.failed.values())) for _, shard in sorted(done.items())
        ]
        assert counts[:2] == [(2, 0, 0), (0, 1, 1)]  # the third photo is blue, the fourth broken
        assert done[1].again == [1]
    parts = sorted((tmp_path / "out").glob(f"*.{format_}"))
    if format_ == "csv":
        rows = [row for part in parts for row in csv.DictReader(part.read_text().splitlines())]
        assert [row["confidence"] for row in rows[:3]] == ["0.9", "0.5", ""]
    else:
        rows = [row for part in parts for row in parquet.read_table(part).to_pylist()]
        assert [row["confidence"] for row in rows[:3]] == [0.9, 0.5, None]
    assert [row["error_code"] for row in rows[2:4]] == ["caption_unsure", "image_unreadable"]
    with pytest.raises(OptionError, match=r"fixed@1\.0 does not say how sure it is"):
        bulk(photos, tmp_path / "other", settings=settings)


def test_webdataset_has_the_photos_with_captions_added(tmp_path: Path) -> None:
    sample = {"k/7.jpg": jpeg("green"), "k/7.txt": b"mine", "k/7.cls": b"4"}
    write_tar(tmp_path / "in.tar", sample)
    bulk(tmp_path / "in.tar", tmp_path / "out", settings=Settings(keep_bytes=True), format_="webdataset")
    with tarfile.open(tmp_path / "out" / "part-00000.tar") as tar:
        found = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    assert {name: found[name] for name in sample} == sample
    assert found["k/7.cutline.txt"] == b"A green photo on the wall.\n"
    assert json.loads(found["k/7.json"])["captions"][0]["text"] == "A green photo on the wall."
    bulk(tmp_path / "out", tmp_path / "again")  # and it is a source
    assert lines(tmp_path / "again")[0]["captions"][0]["text"] == "A green photo on the wall."


def test_samples_whose_names_have_dots_stay_apart_in_webdataset(tmp_path: Path) -> None:
    sample = {
        "k/I.4.jpg": jpeg("green"),
        "k/I.4.txt": b"mine",
        "k/I.5.jpg": jpeg("red"),
        "k/I.6.jpg": b"no photo",
    }
    write_tar(tmp_path / "in.tar", {**sample, "k/I.7.x.jpg": jpeg("blue"), "k/I.7.x.json": b"{}"})
    options: dict[str, Any] = {
        "settings": Settings(keep_bytes=True),
        "format_": "webdataset",
        "shard_size": 4,
    }
    for retry in (False, True):
        bulk(tmp_path / "in.tar", tmp_path / "out", retry_failed=retry, **options)
        with tarfile.open(tmp_path / "out" / "part-00000.tar") as tar:
            found = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        keys = [f"00000-{number:06}" for number in range(4)]
        assert [found.get(f"{key}.jpg") for key in keys] == [
            jpeg("green"),
            jpeg("red"),
            b"no photo",
            jpeg("blue"),
        ]
        assert found[f"{keys[0]}.txt"] == b"mine"
        assert found[f"{keys[0]}.cutline.txt"] == b"A green photo on the wall.\n"
        assert json.loads(found[f"{keys[1]}.json"])["file"].endswith("!k/I.5.jpg")
        assert json.loads(found[f"{keys[2]}.json"])["error"]["code"]
        assert found[f"{keys[3]}.json"] == b"{}"
        assert len(found) == 13


def test_sidecars_stand_beside_photos_and_persons_keep_theirs(photos: Path, tmp_path: Path) -> None:
    (photos / "1.txt").write_text("My own words.\n")
    done = bulk(photos, tmp_path / "out", sidecar=True)
    assert (photos / "0.txt").read_text() == "A red photo on the wall.\n"
    assert (photos / "1.txt").read_text() == "My own words.\n"
    assert sum(shard.incomplete for shard in done.values()) == 0


class TaggingStore(type(fsspec.filesystem("memory"))):  # type: ignore[misc]
    """A store in memory that keeps tags, as S3's does."""

    tags: dict[str, dict[str, str]] = {}  # noqa: RUF012

    def put_tags(self, path: str, tags: dict[str, str], mode: str) -> None:
        self.tags[path] = tags


def test_object_stores_take_shards_sidecars_and_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TaggingStore()
    monkeypatch.setattr("cutline.bulk.places.file_system", lambda scheme, options="": store)
    store.pipe({f"/in/{n}.jpg": jpeg(COLOURS[n]) for n in range(3)})
    store.pipe("/in/1.txt", b"My own words.")
    with suppress(Killed):
        bulk("memory://in", "memory://out", sidecar=True, tag=True, after=2)
    assert not store.exists("/out/manifest.json")
    bulk("memory://in", "memory://out", sidecar=True, tag=True)
    text = b"".join(store.cat(sorted(store.glob("/out/part-*"))).values()).decode()
    assert [json.loads(line)["file"] for line in text.splitlines()] == [
        f"memory://in/{n}.jpg" for n in range(3)
    ]
    assert store.cat("/in/0.txt") == b"A red photo on the wall.\n"
    assert store.cat("/in/1.txt") == b"My own words."
    assert store.tags["in/2.jpg"] == {"caption": "A blue photo on the wall."}
    assert json.loads(store.cat("/out/manifest.json"))["photos"] == 3
    store.store.clear()


def test_photos_of_one_name_in_an_object_store_have_a_text_each(monkeypatch: pytest.MonkeyPatch) -> None:
    store = TaggingStore()
    monkeypatch.setattr("cutline.bulk.places.file_system", lambda scheme, options="": store)
    store.pipe({"/in/a.jpg": jpeg("red"), "/in/a.png": jpeg("green"), "/in/a.b.jpg": jpeg("blue")})
    store.pipe("/in/b.jpg", jpeg("blue"))
    store.pipe("/in/b.txt", b"My own words.")
    for sink, overwrite in (("out", False), ("again", True)):
        bulk("memory://in", f"memory://{sink}", sidecar=True, overwrite=overwrite)
        assert store.cat("/in/a.txt") == b"A red photo on the wall.\n"
        assert store.cat("/in/a.png.txt") == b"A green photo on the wall.\n"
        assert store.cat("/in/a.b.txt") == b"A blue photo on the wall.\n"
        assert not store.exists("/in/b.jpg.txt")
        assert (store.cat("/in/b.txt") == b"My own words.") == (not overwrite)
    store.store.clear()


class AzureStore(type(fsspec.filesystem("memory"))):  # type: ignore[misc]
    """A store in memory whose metadata are replaced as a whole, as adlfs does."""

    protocol = ("abfs", "az", "abfss")
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.metadata: dict[str, dict[str, str]] = {}

    def info(self, path: str, refresh: bool = False, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().info(path, **options)
        return {**found, "metadata": self.metadata.get(path) if refresh else {"a": "listing's"}}

    def setxattrs(self, path: str, **metadata: str) -> None:
        self.metadata[path] = metadata


def test_tags_on_azure_leave_other_metadata_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    store = AzureStore()
    monkeypatch.setattr("cutline.bulk.places.file_system", lambda scheme, options="": store)
    store.pipe({"/in/0.jpg": jpeg("red"), "/in/1.jpg": jpeg("green")})
    store.metadata["in/0.jpg"] = {"owner": "ann", "caption": "An older one."}
    bulk("memory://in", "memory://out", tag=True)
    assert store.metadata == {
        "in/0.jpg": {"owner": "ann", "caption": "A red photo on the wall."},
        "in/1.jpg": {"caption": "A green photo on the wall."},
    }
    store.store.clear()


def test_a_full_disk_ends_the_run_with_what_was_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutline.bulk.formats.write_all", _full_after(5))
    with pytest.raises(OutputError, match="No space left") as caught:
        bulk(photos, tmp_path / "out")
    assert "1 of 4 shards are written" in caught.value.kept
    monkeypatch.undo()
    bulk(photos, tmp_path / "out")
    assert len(lines(tmp_path / "out")) == 7
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if "tmp" in path.name) == []


def _full_after(writes: int) -> Any:
    left = iter(range(writes))

    def write(file: Any, data: bytes) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        file.write(data)

    return write


def test_the_batch_function_takes_columns_and_gives_columns(photos: Path) -> None:
    captions = BatchCaptioner(Settings(n=2), load_captioner=lambda uri: FixedCaptioner())
    found = captions({"image": [str(photos / "0.jpg"), jpeg("blue"), {"bytes": jpeg("green")}, "lost.jpg"]})
    assert found["caption"][:3] == [f"A {each} photo on the wall." for each in ("red", "blue", "green")]
    assert found["captions"][3] == []
    assert found["error_code"] == [None, None, None, "image_missing"]


def test_progress_says_how_far_it_is_how_fast_and_what_failed() -> None:
    progress = Progress(200, 50, quiet=True, say=print)
    for failure in (None, "image_missing", "image_unreadable", "image_missing"):
        progress.add(failure)
    assert progress.line().startswith("54 of 200 (27 %), ")
    assert progress.line().endswith("; failed: image_missing 2, image_unreadable 1")
