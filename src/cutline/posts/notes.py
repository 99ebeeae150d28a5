"""What is written beside the shards: what they are of, who agreed, what was left out, and DVC's stage."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cutline.atomic_files import write_text
from cutline.posts.candidates import Cleaning
from cutline.posts.plan import BuildSettings, Built
from cutline.training.examples import DataConfig

SHARDS, DATA, README, LEFT_OUT, DVC = "shards", "dataset.json", "README.md", "left_out.json", "dvc.yaml"
FORMAT = 1


def write(
    built: Built, sources: Sequence[str], settings: BuildSettings, places: Mapping[str, Sequence[str]]
) -> None:
    """Write all of it, dataset.json last. Raises OutputError."""
    data = _data(built, settings)
    _write(built.folder / LEFT_OUT, _json(dict(places)))
    _write(built.folder / DVC, _json(_stage(built.folder, sources, settings)))  # JSON is YAML
    _write(built.folder / README, _readme(built))
    _write(built.folder / DATA, _json(data))


def _write(path: Path, text: str) -> None:
    write_text(str(path), text, errors="replace")  # names may be no text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _data(built: Built, settings: BuildSettings) -> dict[str, Any]:
    digests = "\n".join(str(shard["sha256"]) for shard in built.shards)
    return {
        "format": FORMAT,
        "hash": hashlib.sha256(digests.encode()).hexdigest(),
        "splits": built.splits,
        "copies_merged": built.copies,
        "left_out": built.left_out,
        "sources": [
            {
                "path": note.name,
                "kinds": note.kinds,
                "photos": note.photos,
                "consent": note.consent,
            }
            for note in built.sources
        ],
        "settings": _options(settings),
        "shards": built.shards,
    }


def _readme(built: Built) -> str:
    rows = "".join(
        f"| {split} | {counts['photos']:,} | {counts['captions']:,} |\n"
        for split, counts in built.splits.items()
    )
    told = "".join(
        f"- {note.name} ({', '.join(note.kinds)}): {note.photos:,} photos with text."
        f"{f' Consent: {note.consent}' if note.consent else ' No posts: see its own licence.'}\n"
        for note in built.sources
    )
    left = "".join(f"- {reason}: {count:,}\n" for reason, count in built.left_out.items()) or "- nothing\n"
    return (
        "# Captioned photos, as webdataset shards\n\nMade by `cutline data build`."
        " In a recipe: `data: [{path: THIS_FOLDER, kind: webdataset}]`.\n\n"
        f"| split | photos | captions |\n|---|---:|---:|\n{rows}\n"
        f"## Sources and consent\n\n{told}\n"
        "Whoever takes their consent back is taken out: remove the export, and build again under a new name."
        " Models that were trained meanwhile know nothing of it; train them again.\n\n"
        "Photos of posts carry no metadata (place, camera, people). Mentions and links were taken out of"
        " their texts. What was not public, marked as sensitive or somebody else's was left out.\n\n"
        f"## Left out\n\n{left}- copies of a photo, merged with it: {built.copies:,}\n"
    )


def _options(settings: BuildSettings) -> dict[str, Any]:
    """What differs from the defaults, by option."""
    plain = BuildSettings()
    cleaning, data = Cleaning(), DataConfig(path="")
    pairs = {
        "kind": (settings.kind, plain.kind),
        "texts": (settings.cleaning.texts, cleaning.texts),
        "albums": (settings.cleaning.albums, cleaning.albums),
        "min-words": (settings.cleaning.min_words, cleaning.min_words),
        "max-words": (settings.cleaning.max_words, cleaning.max_words),
        "images": (settings.data.images, data.images),
        "captions": (settings.data.captions, data.captions),
        "split": (settings.data.split, data.split),
        "dev-share": (settings.data.dev_share, data.dev_share),
        "test-share": (settings.data.test_share, data.test_share),
        "split-seed": (settings.data.split_seed, data.split_seed),
        "max-side": (settings.max_side_px, plain.max_side_px),
        "shard-size": (settings.shard_size, plain.shard_size),
    }
    return {name: value for name, (value, default) in pairs.items() if value != default}


def _stage(folder: Path, sources: Sequence[str], settings: BuildSettings) -> dict[str, Any]:
    """`dvc repro` makes the shards anew when a source has changed. DVC removes its outputs before."""
    parent, name = folder.resolve().parent, folder.resolve().name

    def near(path: str) -> str:
        return os.path.relpath(path, parent)

    options = [part for option, value in _options(settings).items() for part in (f"--{option}", str(value))]
    consent = [part for text in settings.consent for part in ("--consent", text)]
    words = ["cutline", "data", "build", *map(near, sources), name, *options, *consent]
    deps = [near(path) for source in sources for path in sorted(glob.glob(source)) or [source]]
    stage = {
        "wdir": "..",
        "cmd": shlex.join(words),
        "deps": deps,
        "outs": [f"{name}/{SHARDS}", {f"{name}/{DATA}": {"cache": False}}],
    }
    return {"stages": {"shards": stage}}
