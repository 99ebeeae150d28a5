"""What is fuzzed: each target makes inputs and tries one. A CutlineError is an answer, all else a failure."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.mutations import damaged

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Inputs, and what is done with each. try_out may raise CutlineError; anything else is a failure."""

    inputs: st.SearchStrategy[Any]
    try_out: Callable[[Any], object]


def images(folder: Path) -> Target:
    """Photos, as the library and the service open them."""
    from cutline.images import Limits, open_image
    from tests.server.uploads import hostile

    limits = Limits(max_file_bytes=2**22, max_pixels=4_000_000, max_total_pixels=40_000_000)
    seeds = [data for _, data in hostile._seeds()]
    seeds += [each.read_bytes() for each in sorted((ROOT / "examples").glob("*.jpg"))[:2]]
    seeds += _raw_photos()

    def try_out(data: bytes) -> None:
        photo = open_image(data, limits=limits, enough_px=224)
        assert photo.mode == "RGB"
        assert photo.width * photo.height <= limits.max_pixels

    return Target(inputs=damaged(seeds), try_out=try_out)


def _raw_photos() -> list[bytes]:
    from tests import raw_photos as raw

    preview = raw.jpeg()
    makers = (
        raw.dng,
        raw.cr2,
        raw.nef,
        raw.arw,
        raw.pef,
        raw.srw,
        raw.rw2,
        raw.orf,
        raw.raf,
        raw.cr3,
        raw.mrw,
    )
    return [maker(preview) for maker in makers]


def archives(folder: Path) -> Target:
    """Zip archives of photos, as the service and `cutline data build` read them."""
    from cutline.archives import members, open_archive, read_member
    from tests.server.bulk import zips

    photo = b"\xff\xd8 a photo" * 20
    stored = zips.packed([("a.jpg", photo), ("b/c.jpg", photo)])
    seeds = [
        stored,
        zips.packed([("a.jpg", photo * 50), ("b.jpg", b"x" * 10_000)], compression=zipfile.ZIP_DEFLATED),
        zips.packed([("../a.jpg", photo), ("K\u00e4se.jpg", photo), ("a.jpg", stored)]),
        zips.with_symlink("a.jpg", "/etc/passwd"),
        zips.marked_encrypted(stored),
        zips.overlapping(b"\0" * 100_000, 20),
        zips.packed([]),
    ]

    def try_out(data: bytes) -> None:
        with open_archive(io.BytesIO(data), max_members=1000) as archive:
            for member in members(archive, max_bytes=2**20, max_total_bytes=2**22):
                assert member.name.encode() or member.refusal
                if member.refusal is None:
                    assert len(read_member(archive, member.number, max_bytes=2**20)) <= 2**20

    return Target(inputs=damaged(seeds), try_out=try_out)


def bundles(folder: Path) -> Target:
    """Bundles as zips: damaged anywhere, or whole with another manifest or other files."""
    from cutline.captioning.bundle import DECODER, ENCODER, MANIFEST, TOKENIZER, read_bundle, sealed
    from cutline.captioning.onnx_files import names_other_files
    from cutline.captioning.tokenizer import Tokenizer

    sys.path.insert(0, str(ROOT / "tests" / "captioning"))
    from tiny_bundle import make_bundle

    made = read_bundle(make_bundle(folder / "bundle"))
    place = folder / "bundle.zip"
    manifest = (folder / "bundle" / MANIFEST).read_bytes()
    whole = _zipped({MANIFEST: manifest, **made.files})
    everything = list(made.files.values())

    def try_out(found: tuple[str, bytes]) -> None:
        kind, data = found
        if kind == "zip":
            place.write_bytes(data)
            read_bundle(place)
        elif kind == "manifest":
            place.write_bytes(_zipped({MANIFEST: data, **made.files}))
            read_bundle(place)
        elif kind == "graph":
            try:
                names_other_files(data)
            except ValueError:
                return  # as it says
        else:
            tokenizer = Tokenizer(sealed(made.manifest, {**made.files, TOKENIZER: data}))
            words = tokenizer.words(range(4, made.manifest.architecture.vocabulary))
            assert tokenizer.sentence(words.words).encode()
            tokenizer.prefix_ids("a dog runs")

    choices = {
        "zip": damaged([whole]),
        "manifest": st.one_of(damaged([manifest]), _changed_json(json.loads(manifest))),
        "graph": damaged([made.files[ENCODER], made.files[DECODER]]),
        "tokenizer": damaged([made.files[TOKENIZER], *everything]),
    }
    inputs = st.one_of(*(st.tuples(st.just(kind), data) for kind, data in choices.items()))
    return Target(inputs=inputs, try_out=try_out)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def _changed_json(whole: Any) -> st.SearchStrategy[bytes]:
    """The same JSON with a few of its values, anywhere in it, replaced or taken out."""
    places = list(_places(whole, ()))
    changes = st.lists(st.tuples(st.sampled_from(places), _json(), st.booleans()), min_size=1, max_size=4)
    return changes.map(lambda found: json.dumps(_with(whole, found)).encode())


def _places(value: Any, path: tuple[Any, ...]) -> Any:
    if path:
        yield path
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _places(below, (*path, name))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _places(below, (*path, number))


def _with(whole: Any, changes: Sequence[tuple[tuple[Any, ...], Any, bool]]) -> Any:
    made = json.loads(json.dumps(whole))
    for path, value, is_gone in changes:
        at = made
        try:
            for part in path[:-1]:
                at = at[part]
            if is_gone:
                del at[path[-1]]
            else:
                at[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return made


_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "\0", "\ud800", "../../x", "9" * 400, "1e999", "null", "a" * 5000, "%s%n", "\u202e"]
    ),
)


def _json() -> st.SearchStrategy[Any]:
    numbers = st.sampled_from(
        [0, -1, 1, 2**31, 2**63, 2**64, 10**400, 1e308, -0.0, float("nan"), float("inf")]
    )
    leaves = st.one_of(st.none(), st.booleans(), st.integers(-3, 300), numbers, _TEXTS)
    return st.recursive(
        leaves,
        lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(_TEXTS, below, max_size=4)),
        max_leaves=8,
    )


def cursors(folder: Path) -> Target:
    """Cursors of lists, as clients send them back."""
    _set_up_django(folder)
    from uuid import UUID

    from django.core import signing

    from cutline.server.api import paging

    order = ("-created_at", "-id")
    value = ["2026-01-01T00:00:00+00:00", UUID(int=7).hex]
    sign = signing.Signer(salt=paging._SALT).sign_object
    seeds = [
        sign([list(order), [{"at": value[0]}, {"id": value[1]}]]),
        sign([list(order), [1, "x"]]),
        sign([["-number"], [1]], compress=True),
        sign({}),
        signing.Signer(salt="other").sign_object([list(order), []]),
    ]
    forged = _json().map(lambda found: sign([list(order), found]))
    damaged_text = damaged([seed.encode() for seed in seeds]).map(lambda data: data.decode("latin-1"))

    def try_out(cursor: str) -> None:
        found = paging._read(cursor, order)
        assert isinstance(found, list)

    return Target(inputs=st.one_of(damaged_text, damaged_text, forged, _TEXTS), try_out=try_out)


def api(folder: Path) -> Target:
    """Every operation of the API with every kind of body, through the whole ASGI application."""
    _set_up_django(folder)
    from django.core.management import call_command

    from tests.fuzz.requests import inputs_of, sender

    call_command("migrate", verbosity=0, interactive=False)
    asyncio.set_event_loop(asyncio.new_event_loop())
    contract = json.loads((ROOT / "contracts" / "openapi.json").read_text("utf-8"))
    photo = (ROOT / "examples" / "cat.jpg").read_bytes()
    return Target(inputs=inputs_of(contract, photo, _json(), _TEXTS), try_out=sender(photo))


def _set_up_django(folder: Path) -> None:
    """The service on a laptop, in a folder of its own, where nothing leads out."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="cutline.server.django_settings",
        CUTLINE_DATA_DIR=str(folder / "data"),
        CUTLINE_FETCH_TIMEOUT_S="1",
        CUTLINE_RATE_ANONYMOUS="100000000/minute",
        CUTLINE_RATE_USER="100000000/minute",
        CUTLINE_RATE_CAPTION="100000000/minute",
        CUTLINE_RATE_ACCOUNTS="100000000/minute",
        CUTLINE_LOG_LEVEL="ERROR",
        CUTLINE_SECURITY_LOG=os.devnull,
        CUTLINE_WEB_APP="false",
    )
    socket.getaddrinfo = _no_names  # type: ignore[assignment]  # and no wait for a name server
    import django

    django.setup()


def _no_names(*words: object, **named: object) -> list[object]:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


TARGETS: Mapping[str, Callable[[Path], Target]] = {
    "images": images,
    "archives": archives,
    "bundles": bundles,
    "cursors": cursors,
    "api": api,
}
