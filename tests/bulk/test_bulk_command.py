"""The command with its processes: killed, poisoned, and as people call it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import make_bundle

from cutline.bulk import Settings
from cutline.bulk.on_ray import OnRay, ShardCaptioner
from cutline.bulk.rows import Fetched, Row
from cutline.bulk.sources import rows_of
from cutline.bulk.worker import Isolated
from cutline.errors import BundleError, MissingExtra
from tests.bulk.test_bulk_sources import photo
from tests.server.services.process import ANSWERS_S, wait_until

pytestmark = pytest.mark.slow

# Every process of a test imports this by itself: a photo of this name crashes whoever opens it.
POISON = """
import os
import cutline.images.files as files
from cutline.images import opening

read = files.read_file

def read_file(path, limits):
    if "-poison" in os.path.basename(path):
        os.abort()
    return read(path, limits)

files.read_file = opening.read_file = read_file
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cutline.cli.main", "bulk", *map(str, arguments)]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=ANSWERS_S, **options)


def files_in(sink: Path) -> Counter[str]:
    parts = sorted(sink.glob("part-*.jsonl"))
    return Counter(
        Path(json.loads(line)["file"]).name for part in parts for line in part.read_text().splitlines()
    )


def test_a_poison_photo_is_found_and_reported_and_a_kill_loses_nothing(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(POISON)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)]),
    }
    for number in range(40):
        photo(tmp_path / "in" / f"{number:02}{'-poison' if number == 25 else ''}.jpg")
    sink = tmp_path / "out"
    arguments = (tmp_path / "in", sink, "--model", tiny, "--shard-size", 5)
    first = subprocess.Popen(command(*arguments), env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(list(sink.glob("part-*"))) >= 2 or first.poll() is not None, what="two shards")
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = run(*arguments, env=environment)
    assert done.returncode == 1, done.stderr
    assert "39 of 40 photos have captions" in done.stderr
    assert "failed: image_crashed 1" in done.stderr
    expected = {path.name: 1 for path in (tmp_path / "in").iterdir()}
    assert files_in(sink) == expected
    rows = [json.loads(line) for line in (sink / "part-00005.jsonl").read_text().splitlines()]
    [crashed] = [row["error"] for row in rows if "error" in row]
    assert "SIGABRT" in crashed["message"]


def test_a_photo_that_never_ends_is_a_row_with_an_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_FETCH_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("CUTLINE_FETCH_TIMEOUT_S", "3600")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/photo.jpg"
        with Isolated(Settings(model=str(tiny), threads=1, photo_timeout_s=0.2)) as captions:
            [(row, done)] = captions.over([Row(file=url, place=Fetched(url=url))])
    assert row.file == url
    assert done.line.failure is not None
    assert done.line.failure.code == "image_timed_out"


def test_an_actor_answers_whole_shards_and_goes_on_when_its_process_is_killed(
    tiny: Path, tmp_path: Path
) -> None:
    rows = list(rows_of(str(photo(tmp_path / "a.jpg").parent)))
    actor = ShardCaptioner(Settings(model=str(tiny), threads=1))
    for number in range(2):
        answer = actor({"shard": [number], "rows": [pickle.dumps(rows)]})
        [(row, done)] = pickle.loads(answer["done"][0])
        assert answer["shard"] == [number]
        assert row == rows[0]
        assert done.line.captions
        actor._captions._child._process.kill()  # type: ignore[union-attr]
    actor._captions._end()


def test_a_model_that_cannot_be_loaded_ends_a_run_on_actors_with_its_error(tmp_path: Path) -> None:
    answer = ShardCaptioner(Settings(model=str(tmp_path)))({"shard": [0], "rows": [pickle.dumps([])]})
    assert isinstance(pickle.loads(answer["done"][0]), BundleError)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_ray_is_asked_for_where_it_is_missing(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingExtra) as caught, OnRay(Settings(model=str(tiny))):
        pass
    assert "cutline[ray]" in caught.value.hint


def test_a_dry_run_says_how_many_how_long_and_how_large_and_writes_nothing(
    tiny: Path, tmp_path: Path
) -> None:
    for number in range(3):
        photo(tmp_path / "in" / f"{number}.jpg")
    (tmp_path / "in" / "page.svg").touch()
    done = run(tmp_path / "in", tmp_path / "out", "--model", tiny, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "not captioned: 1 SVG drawing" in done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(told) == {"photos", "done", "shards", "model", "time", "output"}
    assert told["photos"].startswith("3 (")
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_said_before_anything_is_written(tmp_path: Path) -> None:
    done = run(tmp_path, tmp_path / "out", "--overwrite")
    assert done.returncode == 2
    assert "--overwrite needs --sidecar" in done.stderr
    assert not (tmp_path / "out").exists()
