"""`cutline data build`: people's own posts and data sets become shards that training reads."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cutline.cli import data as data_command
from cutline.cli.main import main
from cutline.errors import DataError, OptionError, OutputError
from cutline.posts.building import build
from cutline.posts.candidates import Cleaning
from cutline.posts.cleaning import clean, is_file_name, shortened, words_in
from cutline.posts.dag_cbor import Malformed, records_in
from cutline.posts.kinds import POST_KINDS
from cutline.posts.meta import repaired
from cutline.posts.plan import BuildSettings, Built
from cutline.training.datasets import DataConfig, load_examples
from tests.posts import exports
from tests.server.bulk import zips

CONSENT = "Ann Lee, 28 November 2026: for our captioner"


def built(out: Path, *sources: Path, **settings: Any) -> Built:
    return build([str(source) for source in sources], out, BuildSettings(consent=(CONSENT,), **settings))


def samples(out: Path) -> list[dict[str, Any]]:
    """What the shards say of each photo, and its bytes."""
    found: list[dict[str, Any]] = []
    for shard in sorted((out / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        for name, content in files.items():
            if name.endswith(".json"):
                stem = name.removesuffix(".json")
                photo = next(
                    data for key, data in files.items() if key.startswith(stem) and key[-3:] in ("jpg", "png")
                )
                texts = files[f"{stem}.txt"].decode().splitlines()
                assert json.loads(content)["captions"] == texts
                found.append({**json.loads(content), "photo": photo})
    return found


def captions(out: Path) -> set[str]:
    return {caption for sample in samples(out) for caption in sample["captions"]}


EXPECTED = {
    "instagram": {"Café au lait with Zoë's crème brûlée ☕", "Two days on the coast"},
    "facebook": {
        "Übermütige Ziegen auf dem Dach",
        "Roses climb over the old wall",
        "A bicycle leans on a tree",
    },
    "mastodon": {
        "A heron stands in the shallow water of a pond.",
        "The tram depot at night. Cold & quiet",
    },
    "bluesky": {"A cat sleeps on a warm car", "Grüße 🌊 from the ferry to Ærø, says"},
    "flickr": {"Boats in the harbour", "Seen from the old pier at noon", "A lighthouse on a cliff"},
    "wordpress": {"An owl looks out of a barn", "A goat on a steep roof"},
    "takeout": {
        "The first of two",
        "The second of two",
        "The first of four",
        "The second of four",
        "A name that was cut",
        "An addition that was cut",
    },
}


@pytest.mark.parametrize("kind", POST_KINDS)
def test_an_export_of_each_network_becomes_captions_from_folder_and_zip(kind: str, tmp_path: Path) -> None:
    files: exports.Files = getattr(exports, kind)()
    folder = exports.write(tmp_path / "export", files)
    archive = tmp_path / "export.zip"
    archive.write_bytes(zips.packed(files.items(), compression=zipfile.ZIP_DEFLATED))
    for source in (folder, archive):
        out = tmp_path / f"out-{source.suffix}"
        made = built(out, source)
        assert made.sources[0].kinds == (kind,)
        assert captions(out) == EXPECTED[kind]
        assert {sample["source"] for sample in samples(out)} == {kind}
    assert (tmp_path / "out-" / "shards" / "train-00000.tar").read_bytes() == (
        tmp_path / "out-.zip" / "shards" / "train-00000.tar"
    ).read_bytes()


def test_dates_hashtags_and_the_right_photo_come_with_a_caption(tmp_path: Path) -> None:
    built(tmp_path / "out", exports.write(tmp_path / "in", exports.instagram() | exports.takeout()))
    by_caption = {sample["captions"][0]: sample for sample in samples(tmp_path / "out")}
    coffee = by_caption["Café au lait with Zoë's crème brûlée ☕"]
    assert coffee["hashtags"] == ["coffee", "yum"]
    assert coffee["date"] == "2021-07-01T00:00:00+00:00"
    second = by_caption["The second of two"]["photo"]
    shown = Image.open(io.BytesIO(second)).convert("RGB").resize((6, 6))
    for seed, is_same in ((42, True), (40, False), (41, False)):
        other = Image.open(io.BytesIO(exports.photo(seed))).convert("RGB").resize((6, 6))
        apart = max(abs(a - b) for a, b in zip(shown.tobytes(), other.tobytes(), strict=True))
        assert (apart < 12) == is_same


def test_photos_of_posts_say_no_more_than_they_show(tmp_path: Path) -> None:
    big = exports.photo(9, size=(2000, 1500), exif=True)
    files = exports.instagram() | {"media/posts/202107/a.jpg": big}
    assert b"SecretCam" in big
    built(tmp_path / "out", exports.write(tmp_path / "in", files))
    photos = [sample["photo"] for sample in samples(tmp_path / "out")]
    assert not any(b"SecretCam" in photo or b"Exif" in photo for photo in photos)
    assert max(max(Image.open(io.BytesIO(photo)).size) for photo in photos) == 1024


def test_what_is_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    folder = exports.write(tmp_path / "in", exports.mastodon() | exports.instagram())
    made = built(tmp_path / "out", folder)
    assert made.left_out == {
        "the photo is not in the export": 2,
        "a further photo of a post with one text": 1,
        "not public": 1,
        "marked as sensitive": 1,
        "somebody else's": 1,
    }
    listed = json.loads((tmp_path / "out" / "left_out.json").read_text())
    assert "media/posts/202107/gone.jpg" in listed["the photo is not in the export"]


def test_archives_are_parts_of_one_export(tmp_path: Path) -> None:
    files = exports.flickr()
    for number, ending in enumerate((".json", ".jpg")):
        part = zips.packed((name, data) for name, data in files.items() if name.endswith(ending))
        (tmp_path / f"data-download-{number}.zip").write_bytes(part)
    made = build([str(tmp_path / "data-*.zip")], tmp_path / "out", BuildSettings(consent=(CONSENT,)))
    assert captions(tmp_path / "out") == EXPECTED["flickr"]
    assert made.left_out["not public"] == 1


def test_archives_of_two_people_are_two_exports_with_a_consent_each(tmp_path: Path) -> None:
    consents = ("Ann Lee: for our captioner", "Bob Roy: until he objects")
    (tmp_path / "ann.zip").write_bytes(zips.packed(exports.facebook().items()))
    (tmp_path / "bob.zip").write_bytes(zips.packed(exports.mastodon().items()))
    sources = [str(tmp_path / "ann.zip"), str(tmp_path / "bob.zip")]
    build(sources, tmp_path / "out", BuildSettings(consent=consents))
    noted = json.loads((tmp_path / "out" / "dataset.json").read_text())["sources"]
    assert [(each["path"], each["kinds"], each["photos"], each["consent"]) for each in noted] == [
        ("ann.zip", ["facebook"], 3, consents[0]),
        ("bob.zip", ["mastodon"], 2, consents[1]),
    ]
    for number, given in enumerate((consents[:1], (*consents, "Cy Moe"))):
        told = rf"2 exports, and {len(given)} consents: \(1\) .*ann\.zip; \(2\)"
        with pytest.raises(OptionError, match=told):
            build(sources, tmp_path / str(number), BuildSettings(consent=given))


@pytest.mark.parametrize(
    ("names", "exports_of"),
    [
        ("takeout-20260101T120000Z-001 takeout-20260101T120000Z-002", 1),
        ("takeout-20260101T120000Z-1-001 takeout-20260101T120000Z-2-001", 1),
        ("takeout-20260101T120000Z-001 takeout-20260102T120000Z-001", 2),
        ("data-download-1 other data-download-12", 2),
        ("7215_abc_part1 7215_abc_part2", 1),
        ("ann1 ann2", 2),
        ("ann-2026-05-01 ann-2026-05-02", 2),
        ("ann-2025 ann-2026", 2),
        ("export export-(1)", 2),
    ],
)
def test_archives_that_an_export_has_numbered_are_one(names: str, exports_of: int, tmp_path: Path) -> None:
    sources = [tmp_path / f"{name}.zip" for name in names.split()]
    for number, source in enumerate(sources):
        files = exports.flickr() if number == 0 else exports.mastodon()
        source.write_bytes(zips.packed(files.items()))
    settings = BuildSettings(consent=(CONSENT,) * exports_of)
    made = build([str(source) for source in sources], tmp_path / "out", settings)
    assert len(made.sources) == exports_of
    if exports_of == 1:
        noted = json.loads((tmp_path / "out" / "dataset.json").read_text())["sources"][0]["path"]
        assert noted == ", ".join(source.name for source in sources)
        assert noted in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("kind", "texts", "photos"),
    [("wordpress", "blog.WordPress.2020.xml", "wp-content/uploads"), ("bluesky", "repo.car", "blobs")],
)
def test_a_single_file_of_texts_is_an_export_with_the_photos_after_it(
    kind: str, texts: str, photos: str, tmp_path: Path
) -> None:
    folder = exports.write(tmp_path / "in", getattr(exports, kind)())
    with pytest.raises(DataError, match="no photo with a caption") as caught:
        built(tmp_path / "alone", folder / texts)
    assert "the photo is not in the export" in caught.value.hint
    made = built(tmp_path / "out", folder / texts, folder / photos)
    assert captions(tmp_path / "out") == EXPECTED[kind]
    assert [note.name for note in made.sources] == [f"{texts}, {Path(photos).name}"]
    archive = tmp_path / "photos.zip"
    archive.write_bytes(
        zips.packed((name, data) for name, data in getattr(exports, kind)().items() if name != texts)
    )
    built(tmp_path / "zipped", folder / texts, archive)
    assert captions(tmp_path / "zipped") == EXPECTED[kind]
    instagram = exports.write(tmp_path / "instagram", exports.instagram())
    sources = [str(folder / texts), str(folder / photos), str(instagram)]
    made = build(sources, tmp_path / "both", BuildSettings(consent=(CONSENT, CONSENT)))
    assert [note.kinds for note in made.sources] == [(kind,), ("instagram",)]


def test_a_single_file_that_is_not_there_or_no_export_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing at"):
        built(tmp_path / "out", tmp_path / "lost.xml")
    (tmp_path / "feed.xml").write_text("<feed/>")
    with pytest.raises(DataError, match="not a data set"):
        built(tmp_path / "out", tmp_path / "feed.xml")


def test_copies_of_a_photo_become_one_with_all_captions(tmp_path: Path) -> None:
    small = Image.open(io.BytesIO(exports.photo(2))).resize((64, 53))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    facebook = exports.facebook() | {
        "your_facebook_activity/posts/media/d.jpg": exports.photo(1, exif=True),  # to the byte
        "your_facebook_activity/posts/media/f.jpg": buffer.getvalue(),  # to the eye
    }
    instagram = exports.write(tmp_path / "instagram", exports.instagram())
    sources = [str(instagram), str(exports.write(tmp_path / "facebook", facebook))]
    made = build(sources, tmp_path / "out", BuildSettings(consent=(CONSENT, CONSENT)))
    together = {frozenset(sample["captions"]) for sample in samples(tmp_path / "out")}
    assert made.copies == 2
    assert (
        frozenset({"Café au lait with Zoë's crème brûlée ☕", "Übermütige Ziegen auf dem Dach"}) in together
    )
    assert frozenset({"Two days on the coast", "A bicycle leans on a tree"}) in together


def test_training_reads_the_shards_with_their_splits(tmp_path: Path) -> None:
    files = exports.takeout() | exports.flickr() | exports.facebook()
    built(tmp_path / "out", exports.write(tmp_path / "in", files), data=DataConfig(path="", dev_share=0.3))
    examples = load_examples(DataConfig(path=str(tmp_path / "out"), kind="webdataset"))
    assert {caption for example in examples for caption in example.captions} == captions(tmp_path / "out")
    assert {"train", "dev"} <= {example.split for example in examples}


def test_data_sets_keep_their_splits_and_their_files(tmp_path: Path) -> None:
    for split, seed in (("train2017", 1), ("val2017", 2)):
        exports.write(tmp_path / "coco" / split, {"1.jpg": exports.photo(seed)})
        content = {
            "images": [{"id": 1, "file_name": "1.jpg"}],
            "annotations": [{"id": 1, "image_id": 1, "caption": f"A dog in {split}."}],
        }
        exports.write(tmp_path / "coco", {f"annotations/captions_{split}.json": exports.as_json(content)})
    made = build(
        [str(tmp_path / "coco")], tmp_path / "out", BuildSettings()
    )  # no consent: these are no posts
    assert made.sources[0].kinds == ("coco",)
    assert {sample["split"]: sample["photo"] for sample in samples(tmp_path / "out")} == {
        "train": exports.photo(1),
        "dev": exports.photo(2),
    }
    with pytest.raises(OptionError, match="0 exports, and 1 consents"):
        built(tmp_path / "again", tmp_path / "coco")


def test_posts_need_a_consent_which_stands_beside_the_shards(tmp_path: Path) -> None:
    folder = exports.write(tmp_path / "in", exports.instagram())
    with pytest.raises(OptionError, match="may they be learned from"):
        build([str(folder)], tmp_path / "out", BuildSettings())
    built(tmp_path / "out", folder)
    assert CONSENT in (tmp_path / "out" / "README.md").read_text()
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["sources"][0]["consent"] == CONSENT
    with pytest.raises(OutputError, match="has a data set already"):
        built(tmp_path / "out", folder)


def test_a_killed_build_is_begun_again_and_files_of_others_stay(tmp_path: Path) -> None:
    folder = exports.write(tmp_path / "in", exports.instagram())
    built(tmp_path / "out", folder)
    (tmp_path / "out" / "dataset.json").unlink()
    left = [tmp_path / "out" / name for name in ("shards/test-00007.tar", ".cutline-tmp-x1.json")]
    for path in left:
        path.write_bytes(b"half")
    built(tmp_path / "out", folder)
    assert not any(path.exists() for path in left)
    for number, name in enumerate(("shards/mine.tar", "README.md", "code.py")):
        other = exports.write(tmp_path / f"other{number}", {name: b"precious", "code.py": b"mine"})
        with pytest.raises(OutputError, match=r"mine\.tar|code\.py"):
            built(other, folder)
        assert (other / name).read_bytes() in (b"precious", b"mine")


def test_dvcs_stage_runs_from_beside_the_folder(tmp_path: Path) -> None:
    folder = exports.write(tmp_path / "in", exports.instagram())
    built(tmp_path / "out", folder, shard_size=7, cleaning=Cleaning(albums="all"))
    stage = json.loads((tmp_path / "out" / "dvc.yaml").read_text())["stages"]["shards"]
    assert stage["wdir"] == ".."
    assert stage["deps"] == ["in"]
    assert stage["outs"] == ["out/shards", {"out/dataset.json": {"cache": False}}]
    words = f"cutline data build in out --albums all --shard-size 7 --consent '{CONSENT}'"
    assert stage["cmd"] == words


def test_hostile_archives_are_refused_without_harm(tmp_path: Path) -> None:
    sound = exports.instagram()
    hostile = [
        *sound.items(),
        ("../../outside.jpg", b"x"),
        ("/etc/outside.jpg", b"x"),
        ("nested.zip", zips.packed([("media.json", b"{}")])),
    ]
    (tmp_path / "in.zip").write_bytes(zips.packed(hostile))
    made = built(tmp_path / "out", tmp_path / "in.zip")
    assert captions(tmp_path / "out") == EXPECTED["instagram"]
    assert made.left_out["refused in an archive"] == 2
    assert not list(tmp_path.rglob("outside.jpg"))
    for name, content in (("bomb", zips.overlapping(b"\0" * 100_000, 20)), ("none", b"PK not a zip")):
        (tmp_path / f"{name}.zip").write_bytes(content)
        with pytest.raises(DataError):
            built(tmp_path / name, tmp_path / f"{name}.zip")


def test_links_in_an_unpacked_export_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(exports.photo(99))
    files = exports.instagram()
    del files["media/posts/202107/a.jpg"]
    folder = exports.write(tmp_path / "in", files)
    (folder / "media/posts/202107/a.jpg").symlink_to(tmp_path / "secret.jpg")
    built(tmp_path / "out", folder)
    assert captions(tmp_path / "out") == {"Two days on the coast"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("your_instagram_activity/media/posts_1.json", b'[{"media": 7, "title": {"a": []}}, 3, null]'),
        ("your_instagram_activity/media/posts_1.json", b"[" * 100_000),
        ("outbox.json", b'{"orderedItems": [{"type": "Create", "object": {"attachment": 3}}]}'),
        ("repo.car", b"\x80" * 40),
        ("repo.car", exports.car([b"\x9f\x9f\x9f"])),
        ("photo_1.json", b'{"privacy": [], "name": 4}'),
        (
            "blog.xml",
            b'<!DOCTYPE rss [<!ENTITY a "ha">]><rss xmlns:wp="http://wordpress.org/export/1.2/">&a;</rss>',
        ),
        ("blog.xml", b'<rss xmlns:wp="http://wordpress.org/export/1.2/"><item>'),
        ("Takeout/a.jpg.json", b'{"photoTakenTime": {"timestamp": "x"}, "description": "A text of it"}'),
    ],
)
def test_damaged_exports_end_with_one_clear_error(name: str, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo with a caption"):
        built(tmp_path / "out", exports.write(tmp_path / "in", {name: content}))


def test_values_of_other_kinds_and_halves_of_characters_do_no_harm(tmp_path: Path) -> None:
    """What a program that changed each value at random has found."""
    facets = [{"index": {"byteStart": 0, "byteEnd": 2}, "features": [{"$type": {"a": 1}}, {"$type": []}]}]
    record = {
        "$type": "app.bsky.feed.post",
        "text": "A goat \ud800 on the hill",
        "facets": facets,
        "labels": 3,
    }
    data = exports.photo(60)
    image = {"alt": 7, "image": {"ref": {"$link": exports.blob_name(data)}}}
    embed = {"$type": "app.bsky.embed.images", "images": [image, None]}
    written = json.dumps({**record, "embed": embed, "createdAt": ["x"], "tags": {"a": 1}}).encode()
    files = {"did/app.bsky.feed.post/1.json": written, f"blobs/{exports.blob_name(data)}": data}
    built(tmp_path / "out", exports.write(tmp_path / "in", files))
    assert captions(tmp_path / "out") == {"A goat on the hill"}


def test_an_export_as_a_web_page_says_which_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        built(tmp_path / "out", exports.write(tmp_path / "in", {"media/posts_1.html": b"<html>"}))
    assert "JSON" in raised.value.hint


def test_older_layouts_are_read(tmp_path: Path) -> None:
    built(tmp_path / "out", exports.write(tmp_path / "in", exports.instagram_of_2019()))
    [kite] = samples(tmp_path / "out")
    assert (kite["captions"], kite["date"]) == (["A kite above the dunes"], "2019-05-01T08:00:00+00:00")
    records = dict(records_in(exports.bluesky()["repo.car"]))
    posts = {
        f"did_plc_x/app.bsky.feed.post/{number}.json": exports.as_json(record)
        for number, record in enumerate(records.values())
    }
    blobs = {f"{name}.jpg": data for name, data in exports.bluesky().items() if name.startswith("blobs/")}
    built(tmp_path / "out2", exports.write(tmp_path / "in2", posts | blobs))
    assert captions(tmp_path / "out2") == EXPECTED["bluesky"]


def test_texts_and_albums_are_chosen(tmp_path: Path) -> None:
    folder = exports.write(tmp_path / "in", exports.mastodon() | exports.instagram())
    built(tmp_path / "out", folder, cleaning=Cleaning(texts="both", albums="all", min_words=2))
    assert "Good morning" in captions(tmp_path / "out")
    coast = [sample for sample in samples(tmp_path / "out") if "Two days on the coast" in sample["captions"]]
    assert len(coast) == 2
    assert len({sample["split"] for sample in coast}) == 1  # a post is never torn apart


def test_an_album_that_was_posted_twice_is_never_torn(tmp_path: Path) -> None:
    """Of some photos the copy in the other network is the larger file."""
    facebook, sources = "your_facebook_activity/posts", []
    for album in range(12):
        seeds = [100 + 10 * album + place for place in range(4)]
        small, large = ([exports.photo(seed, size=size) for seed in seeds] for size in ((96, 80), (192, 160)))
        photos = {"a": [large[0], small[1], large[2]], "b": [small[0], large[1], large[3]]}
        for who, own in photos.items():
            names = [f"{facebook}/media/{who}{place}.jpg" for place in range(3)]
            media = [{"data": [{"media": {"uri": name}} for name in names]}]
            post = {"timestamp": 1, "data": [{"post": f"Album {album} by the sea"}], "attachments": media}
            export = {f"{facebook}/your_posts_1.json": exports.as_meta_writes([post])}
            folder = exports.write(tmp_path / f"{who}{album}", export | dict(zip(names, own, strict=True)))
            sources.append(str(folder))
    settings = BuildSettings(
        consent=(CONSENT,) * len(sources),
        cleaning=Cleaning(albums="all"),
        data=DataConfig(path="", dev_share=0.3, test_share=0.3),
    )
    build(sources, tmp_path / "out", settings)
    splits: dict[str, set[str]] = {}
    for sample in samples(tmp_path / "out"):
        for caption in sample["captions"]:
            splits.setdefault(caption, set()).add(sample["split"])
    assert len(splits) == 12
    assert all(len(each) == 1 for each in splits.values())
    assert len(set.union(*splits.values())) == 3


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        (
            "Sunset at the pier with @ann and @bob.smith! #sunset #goldenHour\n.\n#nofilter",
            "Sunset at the pier!",
        ),
        ("my #LittleDog runs on the #beach 🐶 #dogs https://x.com/a", "my Little Dog runs on the beach"),
        ("hello, @jane@social.example, how are you?", "hello, how are you?"),
        ("A goat&#39;s horns &amp; beard #Tiere\nIn the fog", "A goat's horns & beard. In the fog"),
        ("write to ann@example.org about it", "write to about it"),
        ("Number #1 in town, see www.example.org/a?b=c", "Number #1 in town, see"),
        ("दिल्ली की सुबह #दिल्ली", "दिल्ली की सुबह"),
        ("#only #tags", ""),
    ],
)
def test_mentions_links_and_hashtags_are_taken_out(text: str, caption: str) -> None:
    assert clean(text).caption == caption


def test_what_was_taken_out_is_told() -> None:
    found = clean("With @ann at #noon, see https://x.org/a?b=1 #sun")
    assert found.mentions == ("ann",)
    assert found.hashtags == ("noon", "sun")
    assert found.links == ("https://x.org/a?b=1",)


def test_texts_that_are_no_captions_are_known() -> None:
    assert all(map(is_file_name, ("IMG_1234", "DSC01234.JPG", "Untitled", "20200101_101010", "P1010101")))
    assert not any(map(is_file_name, ("A dog", "Photo of a dog", "Paris")))
    assert words_in("猫が寝る") == 4
    assert shortened("One two. Three four five. Six.", 5) == "One two. Three four five."
    assert shortened("One two three", 2) == ""


def test_text_that_was_never_broken_stays() -> None:
    assert repaired("Gr\u00c3\u00bc\u00c3\u009fe \u00f0\u009f\u008c\u008a") == "Grüße 🌊"
    assert repaired("Grüße 🌊") == "Grüße 🌊"
    assert repaired("Café") == "Café"


def test_a_repository_that_is_cut_short_is_known() -> None:
    car = exports.bluesky()["repo.car"]
    assert len(list(records_in(car))) == 4
    for length in (0, 10, len(car) // 2, len(car) - 1):
        with pytest.raises(Malformed):
            list(records_in(car[:length]))


def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = exports.write(tmp_path / "in", exports.wordpress())
    assert main(["data", "build", str(folder), str(tmp_path / "out"), "--consent", CONSENT]) == 0
    shown = capsys.readouterr().out
    assert f"{folder} (wordpress): 2 photos with text" in shown
    assert "left out: not public: 1" in shown
    assert data_command.POST_KINDS == POST_KINDS
