"""Cutline's service itself, as people run it: one process on a laptop, or many on real servers."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from tests.server.services.client import Visitor
from tests.server.services.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.server.services.postgresql import PostgreSQL
from tests.server.services.process import ANSWERS_S, Process, answers, free_ports
from tests.server.services.redis import Redis

MIGRATED = "migrated"  # a database that services of the same PostgreSQL are copied from
_migrated_sqlite = sqlite3.connect(":memory:", check_same_thread=False)  # the same for laptops
CUTLINE = Path(sys.executable).with_name("cutline")


def _is_sqlite_migrated() -> bool:
    return _migrated_sqlite.execute("SELECT 1 FROM sqlite_master").fetchone() is not None


class Mode(StrEnum):
    """How the service is run."""

    LAPTOP = "laptop"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What the production mode stands on."""

    postgresql: PostgreSQL
    redis: Redis
    store: ObjectStore

    @classmethod
    def below(cls, folder: Path) -> Servers:
        """Servers that keep what they have below a folder. None of them runs yet."""
        return cls(postgresql=PostgreSQL(folder), redis=Redis(folder), store=ObjectStore(folder))

    def start(self) -> None:
        """Start those that do not run. Raises ServerFailed."""
        for server in (self.postgresql, self.redis, self.store):
            if not server.process.alive:
                server.start()

    def stop(self) -> None:
        """End them all."""
        for server in (self.store, self.redis, self.postgresql):
            server.stop()


class Service:
    """A running Cutline, with its own database and its own place for files."""

    def __init__(
        self,
        mode: Mode,
        folder: Path,
        *,
        servers: Servers | None = None,
        workers: int = 2,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.mode, self.folder = mode, folder
        self.data = folder / "data"
        self.port = free_ports(1)[0]
        self._servers = servers
        self.name = self.database = ""
        self.begins_with_nothing = False  # or, on a laptop, with a migrated database
        self._is_migrated = False
        self.bucket = ""
        values: dict[str, object] = {
            "data_dir": self.data,
            "public_url": self.url,
            "log_level": "INFO",
            "rate_anonymous": "1000000/minute",
            "rate_user": "1000000/minute",
            "rate_caption": "1000000/minute",
            "rate_visitors": "1000000/minute",
            "rate_accounts": "1000000/minute",
            "rate_websockets": "1000000/minute",
            "max_images_network": 100_000,
            "max_bytes_network": 2**40,
            "max_bulks_network": 10_000,
            "staff_second_factor": "false",  # tests/server/people/test_staff.py has it on
            "fetch_allow": "127.0.0.1/32",  # the tests' own receiver; no other private address
        }
        if mode is Mode.PRODUCTION:
            values |= self._production()
        values |= settings or {}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CUTLINE_")}
        inherited.pop("DJANGO_SETTINGS_MODULE", None)
        self.env = inherited | {f"CUTLINE_{name.upper()}": str(value) for name, value in values.items()}
        self.env["PYTHONUNBUFFERED"] = "1"
        self.web = self._process("web", "serve", "--port", str(self.port), "--data-dir", str(self.data))
        self.workers: list[Process] = []
        self.beat: Process | None = None
        if mode is Mode.PRODUCTION:
            self.workers = [self._process(f"worker-{number}", "worker") for number in range(1, workers + 1)]
            self.beat = self._process("beat", "beat")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sqlite(self) -> Path:
        """Its database, on a laptop."""
        return self.data / "cutline.sqlite3"

    @property
    def processes(self) -> Sequence[Process]:
        """All of its own."""
        return [*self.workers, *([self.beat] if self.beat else []), self.web]

    def start(self) -> None:
        """Migrate and start everything; it is ready then. Raises ServerFailed."""
        if self._servers:
            self._migrate(self._servers.postgresql)
        is_new = self.mode is Mode.LAPTOP and not self.sqlite.exists()
        if is_new and not self.begins_with_nothing:
            self.take_migrated()
        for process in self.processes:
            if process is not self.web and not process.alive:
                process.start()
        if not self.web.alive:
            self.start_web()
        if is_new and not _is_sqlite_migrated():
            with contextlib.closing(sqlite3.connect(self.sqlite, timeout=ANSWERS_S)) as lite:
                lite.backup(_migrated_sqlite)

    def take_migrated(self) -> bool:
        """Begin with a migrated database, on a laptop, if a service of this process has made one."""
        if not _is_sqlite_migrated():
            return False
        self.data.mkdir(mode=0o700, parents=True)
        with contextlib.closing(sqlite3.connect(self.sqlite)) as lite:
            _migrated_sqlite.backup(lite)
        return True

    def _migrate(self, postgresql: PostgreSQL) -> None:
        """Migrate, as whoever installs the service does; the next service begins with a copy of that."""
        if not self._is_migrated:
            self.manage("migrate", "--verbosity", "0")
            postgresql.create(MIGRATED, template=self.name)
            self._is_migrated = True

    def start_web(self) -> None:
        """Start the web process, and wait until it says that it is ready. Raises ServerFailed."""
        self.web.start(self.is_ready)

    def stop(self) -> None:
        """End everything, kindly and at once."""
        for process in self.processes:
            process.signal(signal.SIGTERM)
        for process in reversed(self.processes):
            process.stop()

    def kill(self) -> None:
        """End everything at once."""
        for process in self.processes:
            process.kill()

    def manage(self, *words: str) -> str:
        """Run a command of the administration; its output. Raises AssertionError with what it said."""
        done = subprocess.run(
            [CUTLINE, "manage", *words], env=self.env, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def visitor(self, *, key: str = "") -> Visitor:
        """Somebody new."""
        return Visitor(self.url, key=key)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the service's database directly; parameters stand as %s."""
        if self.mode is Mode.PRODUCTION:
            with psycopg.connect(
                self.database, autocommit=True, connect_timeout=int(ANSWERS_S)
            ) as connection:
                return connection.execute(query, parameters).fetchall()
        file = f"file:{self.sqlite}?mode=ro"
        with sqlite3.connect(file, uri=True, timeout=ANSWERS_S) as lite:
            return lite.execute(query.replace("%s", "?"), parameters).fetchall()

    def stored_keys(self) -> set[str]:
        """The names of all files that are really there."""
        if self._servers:
            return self._servers.store.keys(self.bucket)
        files = self.data / "files"
        return {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}

    def output(self) -> str:
        """What all processes have written."""
        return "\n".join(f"== {process.name}\n{process.output()}" for process in self.processes)

    def _production(self) -> dict[str, object]:
        assert self._servers is not None, "production needs servers"
        self.name = f"cutline_{self.port}"
        self.bucket = self.name.replace("_", "-")
        broker, channels, cache = self._servers.redis.take(3)
        self._is_migrated = self._servers.postgresql.has(MIGRATED)
        template = MIGRATED if self._is_migrated else "template1"
        self.database = self._servers.postgresql.create(self.name, template)
        return {
            "mode": "production",
            "secret_key": "q7Zk1vXn3bTf8Jw2Lr9cHs5Gd6Yp4Mx0aRt-Ue_WiOvBzKj3DqPyNgFhLsC",
            "database_url": self.database,
            "broker_url": broker,
            "channel_layer_url": channels,
            "cache_url": cache,
            "storage_url": self._servers.store.create(self.bucket),
            "storage_access_key": ACCESS_KEY,
            "storage_secret_key": SECRET_KEY,
            "metrics_token": "Vd83kq0Zt1xWn7Lb2Ry9",
            "mail_url": "smtp://127.0.0.1:9",  # nobody: tests that read mail name a mailbox
            "log_format": "json",
        }

    def _process(self, name: str, *words: str) -> Process:
        folder = self.folder / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return Process(name, [CUTLINE, *words], folder=folder, env=self.env)

    def is_ready(self) -> bool:
        """Whether the web process says that it is."""
        return answers(f"{self.url}/readyz")


@contextlib.contextmanager
def running_alone(mode: Mode, folder: Path, settings: Mapping[str, object]) -> Iterator[Service]:
    """The service, running in a mode; in production on servers that end with it."""
    servers = Servers.below(folder) if mode is Mode.PRODUCTION else None
    if servers:
        servers.start()
    service = Service(mode, folder / mode, servers=servers, settings=settings)
    try:
        service.start()
        yield service
    finally:
        service.stop()
        if servers:
            servers.stop()
