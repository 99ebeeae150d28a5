"""Make the bucket where it is missing: bucket.py ENDPOINT BUCKET. The keys are where the service has them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE_S = 120


def secret(name: str) -> str:
    """A secret of the service."""
    return Path(os.environ[f"CUTLINE_{name}_FILE"]).read_text(encoding="utf-8").strip()


def main(endpoint: str, bucket: str) -> int:
    """Wait for the store, and make the bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=secret("STORAGE_ACCESS_KEY"),
        aws_secret_access_key=secret("STORAGE_SECRET_KEY"),
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=5),
    )
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=bucket)
            return 0
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > end:
                print(f"The store does not answer: {error}", file=sys.stderr)
                return 1
            time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
