from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tiny_bundle import Tiny, edit_manifest, make_bundle, manifest

from cutline.captioning.bundle import (
    FILE_NAME,
    REQUIRED,
    Limits,
    export_bundle,
    manifest_schema,
    manifest_text,
    parse_manifest,
    read_bundle,
    write_bundle,
)
from cutline.errors import BundleDamaged, BundleError, BundleMissing, BundleTooNew, OutputError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "contracts" / "bundle.schema.json"


def whole_manifest(**changes: Any) -> dict[str, Any]:
    files = {name: {"sha256": "0" * 64, "bytes": 1} for name in REQUIRED}
    return manifest(Tiny(), 9) | {"files": files} | changes


def zipped(folder: Path, target: Path, **extra: bytes) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
        for name, data in extra.items():
            archive.writestr(name, data)
    return target


def test_a_folder_and_its_zip_are_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    folder = read_bundle(bundle)
    archive = read_bundle(export_bundle(folder, tmp_path / "copy.zip"))
    again = read_bundle(export_bundle(archive, tmp_path / "again"))
    assert folder.manifest == archive.manifest == again.manifest
    assert folder.files == archive.files == again.files


def test_a_zip_of_the_same_bundle_is_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    one = export_bundle(read_bundle(bundle), tmp_path / "one.zip").read_bytes()
    two = export_bundle(read_bundle(bundle), tmp_path / "two.zip").read_bytes()
    assert one == two


def test_nothing_at_the_place_is_a_missing_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing, match="no bundle at"):
        read_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleMissing, match=r"has no bundle\.json"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("name", REQUIRED)
def test_one_changed_bit_is_refused(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleDamaged, match=rf"{name} .*SHA-256 differs"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleDamaged, match=f"lacks {name}"):
        read_bundle(bundle)


def test_a_file_cut_short_is_refused_with_both_sizes(bundle: Path) -> None:
    path = bundle / "MODEL_CARD.md"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleDamaged, match=rf"has {size - 1} bytes; bundle\.json says {size}"):
        read_bundle(bundle)


def test_a_file_that_is_not_listed_is_refused(bundle: Path) -> None:
    (bundle / "extra.json").write_text("{}")
    with pytest.raises(BundleDamaged, match=r"does not list: extra\.json"):
        read_bundle(bundle)


def test_a_newer_format_is_refused_before_its_unknown_fields_are(bundle: Path) -> None:
    edit_manifest(bundle, format_version=2, wings="two")
    with pytest.raises(BundleTooNew, match="has format 2; this Cutline reads format 1"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format_version": 0}, "format_version is 0"),
        ({"format_version": True}, "format_version is True"),
        ({"format_version": "1"}, "format_version is '1'"),
        ({"wings": 2}, "Unknown key wings"),
        ({"name": "../x"}, "name is '../x'"),
        ({"decoding": {"beam_size": 0}}, "beam_size is 0, but must be from 1 to 64"),
        ({"decoding": {"beam_size": 2.0}}, "must be a whole number"),
        ({"decoding": {"strategy": "guess"}}, "must be one of greedy, beam, sample"),
        ({"preprocessing": {"width_px": 10}}, "preprocessing.height_px is missing"),
        ({"preprocessing": {"width_px": 0, "height_px": 1}}, "cannot be 0 x 1 px"),
        ({"text": {"full_stop": 1}}, "must be true or false"),
        ({"training_data": []}, "must be an object"),
        ({"files": {}}, r"does not list encoder\.onnx"),
    ],
)
def test_a_manifest_that_is_not_as_described_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleDamaged, match=reason):
        parse_manifest(json.dumps(whole_manifest(**change)).encode(), "here")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start_id": 2}, "must differ"),
        ({"end_id": 9}, "below vocabulary"),
        ({"grid": [2]}, "must have 2"),
        ({"state": {"hidden": {"shape": [4], "grows_on": 1}}}, "grows on axis 1, but has 1 axes"),
    ],
)
def test_an_architecture_that_contradicts_itself_is_refused(change: dict[str, Any], reason: str) -> None:
    content = whole_manifest()
    content["architecture"] |= change
    with pytest.raises(BundleDamaged, match=reason):
        parse_manifest(json.dumps(content).encode(), "here")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"name": "a", "name": "b"}', "a key occurs twice"),
        (b"[]", "must be an object"),
        (b'{"format_version": NaN}', "NaN is not a JSON number"),
    ],
)
def test_a_bundle_json_that_is_not_one_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BundleDamaged, match=reason):
        parse_manifest(data, "here")


@pytest.mark.parametrize(
    "name", ["../up.json", "a/b.json", "/etc/x.json", "weights.pkl", ".hidden.json", "c:x.md"]
)
def test_names_that_lead_out_or_are_no_data_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    archive = zipped(bundle, tmp_path / "bad.zip", **{name: b"{}"})
    with pytest.raises(BundleDamaged, match="a name that is not allowed in a bundle"):
        read_bundle(archive)
    listed = whole_manifest()
    listed["files"][name] = {"sha256": "0" * 64, "bytes": 2}
    with pytest.raises(BundleDamaged, match="a name that is not allowed in a bundle"):
        parse_manifest(json.dumps(listed).encode(), "here")


def test_a_zip_with_a_name_twice_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = zipped(bundle, tmp_path / "twice.zip", **{"MODEL_CARD.md": b"another"})
    with pytest.raises(BundleDamaged, match="contains a name twice"):
        read_bundle(archive)


def test_a_zip_bomb_is_refused_for_its_size_and_not_unpacked(bundle: Path, tmp_path: Path) -> None:
    (bundle / "MODEL_CARD.md").write_bytes(bytes(50_000_000))
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for path in bundle.iterdir():
            made.write(path, path.name)
    with pytest.raises(BundleDamaged, match=r"MODEL_CARD\.md .* has 50,000,000 bytes"):
        read_bundle(archive)


def test_a_zip_that_lies_about_a_size_is_refused(bundle: Path, tmp_path: Path) -> None:
    archive = export_bundle(read_bundle(bundle), tmp_path / "lie.zip")
    data = bytearray(archive.read_bytes())
    central = data.rindex(b"PK\x01\x02")  # the last file's entry; its true size stands 24 bytes on
    data[central + 24 : central + 28] = (5).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(BundleDamaged):
        read_bundle(archive)


@pytest.mark.parametrize("keep", [0, 1, 30, 500, -30, -1])
def test_a_damaged_zip_is_refused(bundle: Path, tmp_path: Path, keep: int) -> None:
    archive = export_bundle(read_bundle(bundle), tmp_path / "cut.zip")
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(BundleDamaged, match="not a zip that can be read"):
        read_bundle(archive)


def test_limits_are_settings(bundle: Path) -> None:
    with pytest.raises(BundleDamaged, match="the limit is 2"):
        read_bundle(bundle, limits=Limits(max_files=2))
    with pytest.raises(BundleDamaged, match="the limit is 1,000"):
        read_bundle(bundle, limits=Limits(max_total_bytes=1000))
    with pytest.raises(BundleDamaged, match="the limit is 10"):
        read_bundle(bundle, limits=Limits(max_manifest_bytes=10))


def test_a_folder_in_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "encoder.onnx").unlink()
    (bundle / "encoder.onnx").mkdir()
    with pytest.raises(BundleDamaged, match="not a regular file"):
        read_bundle(bundle)


def test_writing_replaces_a_bundle_whole_and_leaves_nothing_beside_it(bundle: Path, tmp_path: Path) -> None:
    before = read_bundle(bundle)
    card = tmp_path / "card.md"
    card.write_text("another card")
    files = {name: bundle / name for name in REQUIRED} | {"MODEL_CARD.md": card}
    beside = set(tmp_path.iterdir())
    written = write_bundle(bundle, manifest(Tiny(), 9) | {"version": "0.2.0"}, files)
    after = read_bundle(bundle)
    assert after.manifest == written
    assert (before.manifest.version, after.manifest.version) == ("0.1.0", "0.2.0")
    assert after.files["MODEL_CARD.md"] == b"another card"
    assert set(tmp_path.iterdir()) == beside


def test_writing_never_replaces_what_is_not_a_bundle(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="something other than a bundle"):
        export_bundle(read_bundle(bundle), home)
    assert (home / "letter.txt").read_text() == "dear"


def test_an_incomplete_bundle_is_not_written(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleDamaged, match=r"does not list tokenizer\.json"):
        write_bundle(
            tmp_path / "new",
            manifest(Tiny(), 9),
            {name: bundle / name for name in REQUIRED if name != "tokenizer.json"},
        )
    assert not (tmp_path / "new").exists()


def test_a_manifest_survives_writing_and_reading(bundle: Path) -> None:
    once = read_bundle(bundle).manifest
    assert parse_manifest(manifest_text(once).encode(), "here") == once


def test_the_committed_schema_is_the_codes_own() -> None:
    wanted = json.dumps(manifest_schema(), indent=2) + "\n"
    assert SCHEMA.read_text() == wanted, "write it with: cutline bundle schema > contracts/bundle.schema.json"


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def put(value: object, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


FIELDS = list(whole_manifest())


@pytest.mark.parametrize(
    "change",
    [
        *(drop(name) for name in FIELDS),
        *(put(None, name) for name in FIELDS),
        *(put("x", name) for name in FIELDS if name not in ("name", "version", "licence", "created")),
        put(1, "surprise"),
        put(1, "architecture", "surprise"),
        put("gru", "architecture", "kind"),
        put([2, 3, 4], "architecture", "grid"),
        put(-1, "architecture", "start_id"),
        put({"shape": [1.5]}, "architecture", "state", "hidden"),
        put(65, "decoding", "beam_size"),
        put("warm", "decoding", "temperature"),
        put(0, "decoding", "top_p"),
        put("stretch", "preprocessing", "mode"),
        put("x" * 64, "files", "encoder.onnx", "sha256"),
        put({"sha256": "0" * 64, "bytes": 1}, "files", "../x.json"),
        drop("files", "encoder.onnx"),
        drop("training_data", "hash"),
    ],
)
def test_schema_and_code_refuse_the_same(change: Callable[[dict[str, Any]], None]) -> None:
    content = whole_manifest()
    change(content)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, manifest_schema())
    with pytest.raises(BundleError):
        parse_manifest(json.dumps(content).encode(), "here")


@pytest.mark.parametrize(
    "change",
    [
        put({}, "decoding"),
        put({}, "text"),
        put({"bleu": {"4": 0.25}, "notes": [None]}, "metrics"),
        put({"sha256": "0" * 64, "bytes": 1}, "files", "training_log.jsonl"),
        put({"shape": [8], "grows_on": 0}, "architecture", "state", "more"),
        put(1, "decoding", "temperature"),
    ],
)
def test_schema_and_code_accept_the_same(change: Callable[[dict[str, Any]], None]) -> None:
    content = whole_manifest()
    change(content)
    jsonschema.validate(content, manifest_schema())
    parse_manifest(json.dumps(content).encode(), "here")


def test_both_kinds_of_bundle_can_be_made(tmp_path: Path) -> None:
    for kind in ("transformer", "lstm-attention"):
        made = read_bundle(make_bundle(tmp_path / kind, Tiny(kind=kind)))
        assert made.manifest.architecture.kind == kind
        assert set(made.files) == set(REQUIRED)
    assert "/" not in FILE_NAME


def test_a_zip_whose_second_name_is_no_utf8_is_damaged(tmp_path: Path) -> None:
    whole = export_bundle(read_bundle(make_bundle(tmp_path / "bundle")), tmp_path / "whole.zip").read_bytes()
    at = whole.index(b"bundle.json")  # of the file itself; the directory names it rightly
    place = tmp_path / "damaged.zip"
    place.write_bytes(whole[: at - 24] + b"\x00\x08" + whole[at - 22 : at] + b"\xd0" * 11 + whole[at + 11 :])
    with pytest.raises(BundleDamaged, match="not a zip"):
        read_bundle(place)
