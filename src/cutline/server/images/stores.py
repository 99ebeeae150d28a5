"""Where files lie: in a folder, or in an S3 bucket."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from django.core.files.storage import FileSystemStorage

from cutline.errors import ConfigError
from cutline.server.config import settings
from cutline.server.images.file_links import signature

if TYPE_CHECKING:
    from cutline.server.images.bucket import Bucket


class Folder(FileSystemStorage):
    """Files in a folder, readable by the service alone."""

    def is_empty(self) -> bool:
        """Whether there is no file at all."""
        return not any(path.is_file() for path in Path(self.location).rglob("*"))

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete files, those that are gone already too, and the folders that they leave empty."""
        for key in keys:
            self.delete(key)
        for parent in {Path(self.path(key)).parent for key in keys}:
            if parent != Path(self.location):
                with suppress(OSError):  # not empty, or gone already
                    parent.rmdir()

    def link(self, key: str, *, began: int, lasts_s: int, download_name: str) -> str:
        """A link to /files that works from `began` (epoch) on, for so long."""
        expires = began + lasts_s
        query = {"e": str(expires), "s": signature(key, expires, download_name)}
        if download_name:
            query["n"] = download_name
        return f"/files/{quote(key)}?{urlencode(query)}"


def store() -> Folder | Bucket:
    """The configured storage: a folder or a bucket."""
    return _store(settings().storage_url, settings().data_dir)


def in_folder() -> bool:
    """Whether files lie in a folder, and this service itself serves them."""
    return isinstance(store(), Folder)


_MAKING = threading.Lock()  # threads that come at once shall not make one client each


def _store(url: str, data_dir: Path) -> Folder | Bucket:
    with _MAKING:
        return _made_store(url, data_dir)


@lru_cache(maxsize=4)
def _made_store(url: str, data_dir: Path) -> Folder | Bucket:
    if url.startswith("s3://"):
        from cutline.server.images.bucket import bucket_at

        bucket = bucket_at(url)
        _ = bucket.client
        return bucket
    if "://" in url and not url.startswith("file://"):
        raise ConfigError(f"CUTLINE_STORAGE_URL is {url!r}.", hint="Use s3://BUCKET or a folder.")
    folder = Path(url.removeprefix("file://")) if url else data_dir.resolve() / "files"
    return Folder(location=folder, file_permissions_mode=0o600, directory_permissions_mode=0o700)
