"""python -m benchmarks.likeness [--photos 100000] [--databases sqlite postgresql] [--output benchmarks]

How long a search among one owner's photos takes where they are many: photos like one, a text by its words,
and by its words and its meaning, each as the API answers it; photos like one among the gallery, which has
half of them, as it is and just after one was taken back; and groups of copies, where the vectors are in
memory. Rows and vectors are made up; so is where a text lies, for that is a model's work, not the search's.
Prints, writes likeness.json and likeness.md; the exit code is 1 where a must is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.report import BUSY, Must
from benchmarks.service.fill import WORDS
from benchmarks.timing import in_turn

HERE = Path(__file__).resolve().parent
MOST_MS = 50
WIDTH, KINDS, ROUNDS, CHUNK = 256, 500, 15, 1000
SPACE = "a" * 64
DATABASES = {"sqlite": "SQLite, in memory", "postgresql": "PostgreSQL, pgvector"}


def measure(photos: int) -> dict[str, float]:
    """Fill the database that the environment names, and measure in this process, which does nothing else."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from cutline.server import captioner
    from cutline.server.images.models import Image
    from cutline.server.images.selectors import Filters
    from cutline.server.images.show import shown
    from cutline.server.likeness import search
    from cutline.server.people.models import Owner
    from cutline.server.people.viewers import Viewer

    owner = Owner.objects.create()
    _fill(owner.pk, photos)
    viewer, dice = Viewer(owner_id=owner.pk), np.random.default_rng(1)
    ids = list(Image.objects.order_by("pk").values_list("pk", flat=True)[:50])

    def embed_text(text: str) -> captioner.Seen:
        model = captioner.ModelInfo(name="m", version="1", bundle_hash=SPACE)
        return captioner.Seen(vector=_vectors(dice, 1)[0], model=model)

    captioner.embed_text = embed_text

    def similar(scope: search.Among = search.Among.LIBRARY) -> None:
        image = Image.objects.get(pk=random.choice(ids))
        answer = search.similar(viewer, image, scope=scope, count=12)
        assert len(shown(answer.images, viewer, "")) == 12

    def similar_after_a_change() -> None:
        public = Image.objects.exclude(published_at=None).order_by("pk").values_list("pk", flat=True)
        Image.objects.filter(pk=public[0]).update(published_at=None)
        similar(search.Among.GALLERY)

    def ranked(by: search.By) -> None:
        text = f"{random.choice(WORDS)} {random.choice(WORDS)}"
        shown(search.ranked(viewer, Filters(text=text), by=by, count=50).images, viewer, "")

    began = time.perf_counter()
    similar()
    first_s = time.perf_counter() - began
    began = time.perf_counter()
    similar(search.Among.GALLERY)
    first_of_gallery_s = time.perf_counter() - began
    seconds = in_turn(
        {
            "photos like one": similar,
            "photos like one, in the gallery": lambda: similar(search.Among.GALLERY),
            "the same, after a photo left it": similar_after_a_change,
            "a text, by words": lambda: ranked(search.By.WORDS),
            "a text, by words and meaning": lambda: ranked(search.By.HYBRID),
        },
        rounds=ROUNDS,
    )
    began = time.perf_counter()
    search.duplicates(viewer, count=50)
    return {
        **{name: 1000 * each for name, each in seconds.items()},
        "the first search of a process": 1000 * first_s,
        "the first search of the gallery": 1000 * first_of_gallery_s,
        "groups of copies, the first time": 1000 * (time.perf_counter() - began),
        "peak memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _vectors(dice: np.random.Generator, count: int) -> np.ndarray:
    """Vectors of photos of several hundred kinds of scenes."""
    from cutline.vectors import unit

    kinds = np.random.default_rng(0).standard_normal((KINDS, WIDTH))
    noise = dice.standard_normal((count, WIDTH))
    return unit((kinds[dice.integers(KINDS, size=count)] + noise).astype(np.float32))


def _fill(owner_id: Any, photos: int) -> None:
    from django.db import connection, transaction
    from django.utils import timezone

    from cutline.server.images.models import Image
    from cutline.server.images.search import text_of
    from cutline.server.likeness.keeping import Place, keep

    dice, now = np.random.default_rng(2), timezone.now()
    for start in range(0, photos, CHUNK):
        words = random.Random(start)
        images = []
        for number in range(start, min(start + CHUNK, photos)):
            caption = " ".join(words.choices(WORDS, k=10))
            images.append(
                Image(
                    owner_id=owner_id,
                    content_hash=f"{number:064x}",
                    width_px=640,
                    height_px=480,
                    caption=caption,
                    caption_by="model",
                    search_text=text_of(caption, []),
                    created_at=now - timedelta(seconds=number),
                    published_at=now - timedelta(seconds=number) if number % 2 else None,
                )
            )
        with transaction.atomic():
            Image.objects.bulk_create(images)
            keep(
                [
                    Place(image_id=image.pk, owner_id=owner_id, space=SPACE, model="m@1", vector=vector)
                    for image, vector in zip(images, _vectors(dice, len(images)), strict=True)
                ]
            )
    with connection.cursor() as cursor:  # PostgreSQL's autovacuum does so by itself, some minutes later
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def musts(found: Mapping[str, Any]) -> list[Must]:
    """What we hold ourselves to, wherever vectors are compared."""
    searches = (
        "photos like one",
        "photos like one, in the gallery",
        "a text, by words",
        "a text, by words and meaning",
    )
    return [
        Must(what=f"{what}, {database}", value=times[what], bound=MOST_MS, unit="ms", at_least=False)
        for database, times in found["databases"].items()
        for what in searches
    ]


def table(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    facts, databases = found["machine"], found["databases"]
    lines = [
        "<!-- Written by `python -m benchmarks.likeness`. -->",
        *([BUSY, ""] if facts["busy"] else []),
        f"{found['photos']:,} photos of one owner, vectors of {WIDTH} numbers; {facts['cores']} cores"
        f" ({facts['processor']}, {facts['memory_gb']} GB), {facts['system']}, Python {facts['python']}; load"
        f" average before: {facts['load_before']}. Medians in ms; the must is {MOST_MS} for a search.",
        "",
        f"| | {' | '.join(DATABASES[each] for each in databases)} |",
        f"| --- |{' ---: |' * len(databases)}",
    ]
    for what in next(iter(databases.values())):
        name = f"{what}, in MB" if what == "peak memory" else what
        lines.append(f"| {name} | {' | '.join(f'{times[what]:,.0f}' for times in databases.values())} |")
    return "\n".join(lines) + "\n"


def _in_a_process_of_its_own(database: str, photos: int) -> dict[str, float]:
    """Measure with a new database; one of PostgreSQL is from the wheel, as in the tests."""
    from tests.server.services.postgresql import PostgreSQL

    with tempfile.TemporaryDirectory(prefix="cutline-likeness-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgreSQL(folder) if database == "postgresql" else None
        environment = {**os.environ, "CUTLINE_DATA_DIR": str(folder / "data")}
        try:
            if server is not None:
                server.start()
                environment["CUTLINE_DATABASE_URL"] = server.create("likeness")
            command = [sys.executable, "-m", "benchmarks.likeness", "--photos", str(photos), "--only"]
            done = subprocess.run(
                command, cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
        finally:
            if server is not None:
                server.stop()
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.likeness", description="Measure search.")
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--output", type=Path, default=HERE, help="a folder for the results")
    parser.add_argument("--only", action="store_true", help="measure in this process, and print JSON")
    chosen = parser.parse_args(arguments)
    if chosen.only:
        print(json.dumps(measure(chosen.photos)))
        return 0
    found: dict[str, Any] = {"machine": machine.facts(), "photos": chosen.photos}
    found["databases"] = {each: _in_a_process_of_its_own(each, chosen.photos) for each in chosen.databases}
    claims = musts(found)
    found["musts"] = [asdict(must) | {"met": must.met} for must in claims]
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "likeness.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (chosen.output / "likeness.md").write_text(table(found), encoding="utf-8")
    print(table(found))
    return 0 if all(must.met for must in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
