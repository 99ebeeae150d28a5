"""A registry in a folder: versions, aliases, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import cutline
from cutline.errors import (
    AliasMoved,
    BundleDamaged,
    ConfigError,
    GatesNotPassed,
    OptionError,
    RegistryUnavailable,
    VersionMissing,
    VersionRefused,
)
from cutline.registry import (
    DataRecord,
    Draft,
    GateReport,
    Registry,
    Version,
    ancestors,
    compare,
    contents,
    parse_reference,
    prune,
    verify,
)
from cutline.registry.contents import check_weights

BY = {"by": "a test", "why": "it is a test"}
OpenHere = Callable[..., Registry]
MakeDraft = Callable[..., Draft]


def safetensors(values: bytes = b"\0" * 8) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, len(values)]}}).encode()
    return len(header).to_bytes(8, "little") + header + values


def stored(registry: Registry, key: str) -> Path:
    return Path(registry.where) / key


def test_a_registry_begins_with_the_bundle_that_ships(registry: Registry, ships: Path) -> None:
    [only] = registry.versions()
    assert (
        registry.find()
        == registry.find("0")
        == registry.find("champion")
        == registry.find(only.short)
        == only
    )
    assert only.is_built_in
    assert registry.local_bundle(only) == ships
    assert verify(registry).problems == []
    assert not Path(registry.where).exists()


def test_a_version_has_all_that_it_was_made_of(registry: Registry, draft: MakeDraft, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(safetensors())
    made = registry.push(
        draft(
            1,
            weights=weights,
            recipe="model: {}\n",
            data=DataRecord(hash="ab" * 32, description="300 corrections"),
            parents=(registry.find("0").id,),
            metrics={"cider": 62.5},
            gates=GateReport(passed=True, summary="Good.", report={"bleu": 1}, page=b"<!doctype html>"),
            files={"data.json": b"{}"},
        )
    )
    found = registry.find(made.id[:8])
    assert found == made
    assert found.manifest.parents == (registry.find("0").id,)
    assert found.manifest.data.description == "300 corrections"
    assert found.manifest.metrics == {"cider": 62.5}
    assert found.manifest.licence == registry.bundle(found).manifest.licence
    assert found.manifest.bundle_hash == registry.bundle(found).manifest.content_hash()
    assert registry.file(found, "recipe.yaml") == b"model: {}\n"
    assert json.loads(registry.file(found, "gates.json")) == {"bleu": 1}
    assert registry.file(found, "gates.html") == b"<!doctype html>"
    assert registry.file(found, "files/data.json") == b"{}"
    kept = registry.weights(found)
    assert kept is not None
    assert kept.read_bytes() == safetensors()
    assert [each.id for each in ancestors(registry, found)] == list(found.manifest.parents)


def test_what_ships_has_its_weights_beside_it_where_they_are_installed(
    open_here: OpenHere, ships: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A learner that has them and a server that has not share one registry: both mean the same version 0."""
    without = open_here().find("0")
    assert open_here().weights(without) is None
    elsewhere = shutil.copytree(ships, tmp_path / "with" / "cutline-base")
    weights = tmp_path / "with" / "cutline-base-training" / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(safetensors())
    for module in ("contents", "registry"):
        monkeypatch.setattr(f"cutline.registry.{module}.default_bundle", lambda: elsewhere)
    contents.shipped.cache_clear()
    registry = open_here()
    assert registry.find("0") == without
    assert registry.weights(without) == weights


def test_the_same_content_is_the_same_version(registry: Registry, draft: MakeDraft) -> None:
    one, again = registry.push(draft(1)), registry.push(draft(1))
    assert one == again
    assert registry.push(draft(1, metrics={"cider": 1.0})).id != one.id
    assert len(registry.versions()) == 3


def test_a_version_travels_without_those_that_it_descends_from(
    registry: Registry, draft: MakeDraft, open_here: OpenHere
) -> None:
    parent = registry.push(draft(1))
    child = registry.push(draft(2, parents=(parent.id,)))
    there = open_here("elsewhere")
    assert there.receive(registry.contents(child)) == child
    assert list(ancestors(there, child)) == []
    assert verify(there).problems == []


def test_what_is_too_large_to_be_read_back_is_not_written(registry: Registry, draft: MakeDraft) -> None:
    version = registry.push(draft(1))
    with pytest.raises(OptionError, match="more than 262144"):
        registry.annotate(version.id, **BY, facts={"withdrawn": ["x" * 64] * 4100})
    assert registry.notes(version.id) == []


def test_a_parent_must_be_there(registry: Registry, draft: MakeDraft) -> None:
    with pytest.raises(VersionMissing, match="no version"):
        registry.push(draft(1, parents=("a" * 64,)))
    assert len(registry.versions()) == 1


def test_a_captioner_is_loaded_from_a_registry(registry: Registry, draft: MakeDraft) -> None:
    version = registry.push(draft(1))
    registry.promote(version.id, **BY)
    for uri in (f"registry:{registry.where}", f"registry:{registry.where}#champion"):
        assert cutline.load(uri).about().bundle_hash == version.manifest.bundle_hash
    shipped = cutline.load(f"registry:{registry.where}#0").about()
    assert shipped.bundle_hash == registry.find("0").manifest.bundle_hash
    with pytest.raises(VersionMissing):
        cutline.load(f"registry:{registry.where}#challenger")


def test_a_damaged_cache_is_fetched_again(registry: Registry, draft: MakeDraft, tmp_path: Path) -> None:
    version = registry.push(draft(1))
    place = registry.local_bundle(version)
    (place / "decoder.onnx").write_bytes(b"damaged")
    (place / "more.txt").write_text("more", encoding="utf-8")
    assert cutline.load(f"registry:{registry.where}#{version.id}").about().bundle_hash
    assert {each.name for each in place.iterdir()} == set(registry.bundle(version).files) | {"bundle.json"}


# Aliases


def test_an_alias_moves_and_goes_back(registry: Registry, draft: MakeDraft) -> None:
    zero = registry.find("0").id
    one, two = (registry.push(draft(number)).id for number in (1, 2))
    assert registry.promote(one, **BY).previous == zero
    registry.promote(two, **BY)
    registry.promote(two, **BY)
    assert registry.rollback(**BY).version == one
    assert registry.rollback(**BY).version == zero
    with pytest.raises(VersionMissing, match="before"):
        registry.rollback(**BY)
    registry.promote(two, **BY)
    registry.promote(one, **BY)
    assert registry.rollback(**BY).version == two
    assert registry.promote(one, **BY).previous == two
    assert registry.rollback(to="0", **BY).version == zero
    history = registry.history()
    assert [move.number for move in history] == list(range(1, 11))
    assert {(move.by, move.why) for move in history} == {("a test", "it is a test")}
    assert [move.action for move in history].count("rollback") == 4
    assert registry.moves_after("champion", 9) == history[9:]
    assert verify(registry).problems == []


def test_one_can_go_back_to_what_an_older_cutline_shipped(
    registry: Registry, draft: MakeDraft, bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cutline.registry import contents

    old = registry.find("0").id
    registry.promote(registry.push(draft(1)).id, **BY)
    for module in ("contents", "registry"):
        monkeypatch.setattr(f"cutline.registry.{module}.default_bundle", lambda: bundles[4])
    contents.shipped.cache_clear()
    assert registry.rollback(**BY).version == old != registry.find("0").id
    assert registry.bundle(registry.find()).manifest.content_hash() == registry.find(old).manifest.bundle_hash


def test_of_two_who_move_an_alias_one_alone_succeeds(registry: Registry, draft: MakeDraft) -> None:
    ids = [registry.push(draft(number)).id for number in (1, 2, 3, 4)]
    start, outcomes = threading.Barrier(4), []

    def move(id_: str) -> None:
        start.wait()
        try:
            outcomes.append(registry.promote(id_, expected=registry.find("0").id, **BY).version)
        except AliasMoved:
            outcomes.append("")

    threads = [threading.Thread(target=move, args=(id_,)) for id_ in ids]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    [winner] = filter(None, outcomes)
    assert registry.find().id == winner
    assert [move.version for move in registry.history()] == [winner]


def test_an_alias_moves_only_from_where_it_was_expected(registry: Registry, draft: MakeDraft) -> None:
    one, two = (registry.push(draft(number)).id for number in (1, 2))
    registry.promote(one, to="challenger", expected="", **BY)
    with pytest.raises(AliasMoved, match="by now"):
        registry.promote(two, to="challenger", expected="", **BY)
    registry.clear("challenger", expected=one, **BY)
    assert registry.alias("challenger").version == ""
    assert registry.aliases()["champion"].number == 0
    with pytest.raises(VersionMissing):
        registry.find("challenger")


def test_what_has_not_passed_its_gates_reaches_nobody(registry: Registry, draft: MakeDraft) -> None:
    for gates in (None, GateReport(passed=False, summary="Worse.")):
        version = registry.push(draft(1, gates=gates))
        for alias in ("champion", "challenger"):
            with pytest.raises(GatesNotPassed):
                registry.promote(version.id, to=alias, **BY)
        registry.promote(version.id, to="rejected", **BY)
    assert registry.history() == []
    assert registry.promote("rejected", override_gates=True, **BY).overrides_gates


@pytest.mark.parametrize("name", ["", "A", "../x", "deadbeef", "a/b", "0", "a" * 64, "champion\n"])
def test_some_names_cannot_be_aliases(registry: Registry, name: str) -> None:
    with pytest.raises(OptionError):
        registry.promote("0", to=name, **BY)
    assert not Path(registry.where).exists()


@pytest.mark.parametrize(
    "said", [{"by": "", "why": "x"}, {"by": "me", "why": ""}, {"by": "a\nb", "why": "x"}]
)
def test_who_and_why_must_be_said(registry: Registry, said: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="who and why"):
        registry.promote("0", to="mine", **said)
    assert registry.history("mine") == []


def test_notes_are_added_to_a_version_that_never_changes(registry: Registry, draft: MakeDraft) -> None:
    version = registry.push(draft(1))
    registry.annotate(version.id, facts={"withdrawn": [1]}, **BY)
    registry.annotate(version.id, **BY)
    assert [(note.number, note.facts) for note in registry.notes(version.id)] == [
        (1, {"withdrawn": [1]}),
        (2, {}),
    ]
    assert registry.find(version.id) == version


# What is refused


def test_a_damaged_file_is_refused(registry: Registry, draft: MakeDraft) -> None:
    version = registry.push(draft(1))
    record = version.manifest.files["bundle/decoder.onnx"]
    path = stored(registry, f"objects/{record.sha256[:2]}/{record.sha256}")
    data = path.read_bytes()
    for damage in (data[:-1] + b"!", data + b"!", data[:-1], b""):
        path.write_bytes(damage)
        with pytest.raises(VersionRefused):
            registry.bundle(version)
    [problem] = verify(registry).problems
    assert "decoder.onnx" in problem
    path.unlink()
    with pytest.raises(VersionRefused, match="missing"):
        registry.bundle(version)
    registry.push(draft(1))
    assert verify(registry).problems == []


def hostile(registry: Registry, version: Version, **changes: object) -> str:
    """Store a manifest that bears its right hash, and is changed otherwise."""
    from cutline.registry.manifest import hash_of

    content = json.loads(version.manifest.to_bytes()) | changes
    data = json.dumps(content).encode()
    stored(registry, f"versions/{hash_of(data)}.json").write_bytes(data)
    return hash_of(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"../../evil": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {"bundle/x.pkl": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {"bundle/bundle.json": {"sha256": "0" * 64, "bytes": 2**62}}},
        {"files": {"bundle/bundle.json": {"sha256": "../../x", "bytes": 1}}},
        {"files": {"bundle/bundle.json": {"sha256": "0" * 64, "bytes": -1}}},
        {"files": {}},
        {"parents": ["../x"]},
        {"name": "../../name"},
        {"licence": 7},
        {"more": 1},
        {"format_version": 2},
    ],
)
def test_a_hostile_manifest_is_refused(
    registry: Registry, draft: MakeDraft, changes: dict[str, object]
) -> None:
    id_ = hostile(registry, registry.push(draft(1)), **changes)
    with pytest.raises(VersionRefused):
        registry.find(id_)
    with pytest.raises(VersionRefused):
        registry.promote(id_, override_gates=True, **BY)
    assert list(registry.listing().refused) == [id_]
    assert len(verify(registry).problems) == 1


def test_a_manifest_may_not_say_otherwise_than_its_bundle(registry: Registry, draft: MakeDraft) -> None:
    id_ = hostile(registry, registry.push(draft(1)), licence="another")
    with pytest.raises(VersionRefused, match="contradict"):
        registry.local_bundle(registry.find(id_))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[" * 100_000, b'{"a":1,"a":1}', b'{"a":NaN}', b"\xff", b"x" * 2**21]
)
def test_a_manifest_that_is_none_is_refused(registry: Registry, draft: MakeDraft, data: bytes) -> None:
    version = registry.push(draft(1))
    stored(registry, f"versions/{version.id}.json").write_bytes(data)
    with pytest.raises(VersionRefused):
        registry.find(version.id)


def test_links_and_pipes_in_the_folder_are_refused(
    registry: Registry, draft: MakeDraft, tmp_path: Path
) -> None:
    version = registry.push(draft(1))
    path = stored(registry, f"versions/{version.id}.json")
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(VersionRefused, match="link"):
        registry.find(version.id)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(VersionRefused, match="regular"):
        registry.find(version.id)


def test_a_changed_history_shows(registry: Registry, draft: MakeDraft) -> None:
    for number in (1, 2, 3):
        registry.promote(registry.push(draft(number)).id, **BY)
    second = stored(registry, "aliases/champion/0000000002.json")
    text = second.read_text(encoding="utf-8")
    second.write_text(text.replace("it is a test", "it was not me"), encoding="utf-8")
    assert "history was changed" in " ".join(verify(registry).problems)
    second.unlink()
    assert "move 2 is missing" in " ".join(verify(registry).problems)


def test_every_damaged_entry_is_found(registry: Registry, draft: MakeDraft) -> None:
    version = registry.push(draft(1))
    registry.promote(version.id, **BY)
    registry.annotate(version.id, **BY)
    registry.record_run(ending="rejected", **BY)
    for path in ("aliases/champion", f"notes/{version.id}", "runs"):
        entry = stored(registry, f"{path}/0000000001.json")
        entry.chmod(0o600)
        entry.write_bytes(entry.read_bytes()[:-9])
    problems = "\n".join(verify(registry).problems)
    assert all(where in problems for where in ("alias champion: ", f"{version.short}: ", "runs: "))


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04K\x01.", safetensors()[:-1], (2**40).to_bytes(8, "little") + b"{}"]
)
def test_weights_that_are_no_safetensors_are_refused(data: bytes) -> None:
    with pytest.raises(VersionRefused, match="safetensors"):
        check_weights(data)


def test_a_bundle_that_is_none_is_refused(registry: Registry, tmp_path: Path, ships: Path) -> None:
    from shutil import copytree

    broken = copytree(ships, tmp_path / "broken")
    (broken / "decoder.onnx").write_bytes(b"x")
    with pytest.raises(BundleDamaged):
        registry.push(Draft(bundle=broken))


@pytest.mark.parametrize("name", ["../x.json", "x.pkl", ".hidden.json", "a/b.json"])
def test_a_file_of_another_name_is_refused(registry: Registry, draft: MakeDraft, name: str) -> None:
    with pytest.raises(OptionError):
        registry.push(draft(1, files={name: b""}))


@pytest.mark.parametrize("place", ["http://models", "ftp://x#champion", "x" * 2000, "a\0b"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(ConfigError):
        parse_reference(f"registry:{place}")


def test_a_place_that_cannot_be_written_to_is_one_clear_error(
    open_here: OpenHere, draft: MakeDraft, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(RegistryUnavailable):
        open_here("file/models").push(draft(1))


# Comparing and pruning


def test_two_versions_are_compared(registry: Registry, draft: MakeDraft) -> None:
    old = registry.push(draft(1, recipe="a: 1\nb: 2\n", metrics={"dev": {"cider": 1.0, "bleu": 2.0}}))
    new = registry.push(
        draft(2, recipe="a: 1\nb: 3\n", metrics={"dev": {"cider": 3.0, "bleu": 2.0}}, parents=(old.id,))
    )
    found = compare(registry, old, new)
    assert found.relation == "descends from it"
    assert found.metrics == {"dev.cider": (1.0, 3.0)}
    assert "+b: 3" in found.recipe
    assert {"bundle/decoder.onnx", "recipe.yaml"} <= set(found.files)
    assert compare(registry, new, old).relation == "is an ancestor of it"


def test_a_prune_keeps_what_is_needed_and_the_lineage(registry: Registry, draft: MakeDraft) -> None:
    ids = [registry.push(draft(number)).id for number in (1, 2, 3, 4)]
    child = registry.push(draft(1, metrics={"a": 1}, parents=(ids[1],))).id
    registry.promote(ids[0], **BY)
    registry.promote(ids[2], **BY)
    assert prune(registry, keep=0, by="a test").versions == []  # too young
    later = 10**11
    going = prune(registry, keep=0, by="a test", now=later, is_dry_run=True)
    assert {each.id for each in going.versions} == {ids[1], ids[3], child}
    assert verify(registry).versions == 6
    assert prune(registry, keep=0, by="a test", now=later).bytes > 0
    assert prune(registry, keep=0, by="a test", now=later).versions == []
    gone = registry.find(child)
    assert gone.is_pruned
    assert [each.id for each in ancestors(registry, gone)] == [ids[1]]
    with pytest.raises(VersionMissing, match="prune"):
        registry.bundle(gone)
    with pytest.raises(VersionMissing, match="prune"):
        registry.promote(child, **BY)
    assert verify(registry).problems == []
    assert registry.rollback(**BY).version == ids[0]
    assert not registry.push(draft(4)).is_pruned
    assert verify(registry).problems == []


# Signatures


@pytest.fixture
def keys(tmp_path: Path) -> list[tuple[str, str]]:
    """Two pairs of keys: the files of the private and the public one."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = []
    for name in ("one", "two"):
        key = Ed25519PrivateKey.generate()
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub.pem"
        private.write_bytes(
            key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        )
        public.write_bytes(
            key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        )
        made.append((str(private), str(public)))
    return made


def test_unsigned_and_wrongly_signed_versions_are_refused(
    open_here: OpenHere, draft: MakeDraft, keys: list[tuple[str, str]]
) -> None:
    (private, public), (other, _) = keys
    strict = open_here(registry_public_keys=public)
    unsigned = open_here().push(draft(1)).id
    with pytest.raises(VersionRefused, match="not signed"):
        strict.find(unsigned)
    wrongly = open_here(registry_private_key=other).push(draft(2)).id
    with pytest.raises(VersionRefused, match="no key that is trusted"):
        strict.find(wrongly)
    for id_ in (unsigned, wrongly):
        with pytest.raises(VersionRefused):
            strict.promote(id_, **BY)
    signed = open_here(registry_private_key=private).push(draft(3))
    assert strict.find(signed.id) == signed
    assert strict.find("0").is_built_in
    signature = next(stored(strict, f"signatures/{signed.id}").iterdir())
    for damage in (signature.read_bytes()[:-1] + b"!", b"", b"x" * 65, b"x" * 64):
        signature.write_bytes(damage)
        with pytest.raises(VersionRefused):
            strict.find(signed.id)
    open_here(registry_private_key=private).sign(open_here().find(unsigned))
    assert strict.find(unsigned).id == unsigned


@pytest.mark.parametrize("text", ["/nowhere.pem", "abc", __file__])
def test_a_key_that_cannot_be_read_is_one_clear_error(open_here: OpenHere, text: str) -> None:
    for name in ("registry_public_keys", "registry_private_key"):
        with pytest.raises(ConfigError):
            open_here(**{name: text})


def test_what_runs_came_to_is_read_back_newest_first(registry: Registry, open_here: OpenHere) -> None:
    assert registry.runs() == []
    registry.record_run(by="learner", ending="not started", why="9 captions wait, fewer than 100")
    last = registry.record_run(by="learner", ending="rejected", why="base: worse", facts={"fewest_new": 50})
    told = open_here().runs()
    assert told[0] == last
    assert [(each.number, each.ending) for each in told] == [(2, "rejected"), (1, "not started")]
    assert [each.number for each in registry.runs(most=1)] == [2]
    with pytest.raises(OptionError):
        registry.record_run(by="learner", ending="lost", why="x")
