"""A data set as other tools read it: Hugging Face's ``datasets``, and DVC."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

DVC, LATEST = "dvc.yaml", "latest.json"
_SPLITS = {"train": "train", "judged": "validation", "held": "test"}


class Row(Protocol):
    """A caption of a data set, as far as other tools need it."""

    @property
    def image(self) -> str:
        """The photo's name."""
        ...

    @property
    def text(self) -> str:
        """The caption."""
        ...

    @property
    def weight(self) -> float:
        """How much it counts."""
        ...

    @property
    def split(self) -> str:
        """train, judged or held."""
        ...


def write_hugging_face(folder: Path, images: Path, rows: Iterable[Row], counts: Mapping[str, int]) -> None:
    """Write an image folder.

    A metadata.jsonl in each split, one row a photo, and a card that says what it is.
    """
    by_split: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_split[_SPLITS[row.split]][Path(row.image).name].append(row)
    for split, photos in by_split.items():
        place = folder / split
        place.mkdir(parents=True)
        lines = []
        for name, own in sorted(photos.items()):
            _link(images / name, place / name)
            lines.append(
                json.dumps(
                    {
                        "file_name": name,
                        "captions": [row.text for row in own],
                        "weights": [row.weight for row in own],
                    },
                    ensure_ascii=False,
                )
            )
        (place / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if by_split:
        (folder / "README.md").write_text(_card(counts, sorted(by_split)), encoding="utf-8")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # the file system has no links
        shutil.copyfile(source, target)


def _card(counts: Mapping[str, int], splits: Iterable[str]) -> str:
    files = "".join(f"      - split: {split}\n        path: {split}/**\n" for split in splits)
    return (
        "---\ntask_categories:\n  - image-to-text\nlanguage:\n  - en\nconfigs:\n"
        f"  - config_name: default\n    data_files:\n{files}---\n\n"
        "# Captions by people, for their own photos\n\n"
        f"{counts['captions']} captions of {counts['photos']} photos, whose owners agreed that models learn"
        " from them. `weights` say how much each caption counts.\n\n"
        'Read it with `datasets.load_dataset("imagefolder", data_dir="huggingface")`.\n'
    )


def write_dvc(folder: Path, *, export: Path, config: Path | None, model: str | None = None) -> Path:
    """Write dvc.yaml beside the data sets: `dvc repro` makes the data set anew when the export has changed.

    model: the bundle whose words are known, or the URI of one. The stage's only output is what says which
    data set is the latest, so that older ones stay.
    """
    places = [os.path.relpath(path, folder) for path in (export, *([config] if config else []))]
    option = f" --config {shlex.quote(places[1])}" if config else ""
    if model:
        place = (
            os.path.relpath(model, folder) if Path(model).exists() else model
        )  # a bundle, or a registry's URI
        option += f" --model {shlex.quote(place)}"
    stage = {
        "cmd": f"cutline learn data {shlex.quote(places[0])} .{option}",
        "deps": places,
        "outs": [{LATEST: {"cache": False, "persist": True}}],
    }
    path = folder / DVC
    # JSON is YAML, and needs no library.
    path.write_text(json.dumps({"stages": {"data": stage}}, indent=2) + "\n", encoding="utf-8")
    return path
