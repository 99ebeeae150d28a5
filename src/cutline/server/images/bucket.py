"""Files in an S3 bucket. It takes a tenth of a second to import: only where a bucket is configured."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError
from django.core.files.base import ContentFile, File
from storages.backends.s3 import S3Storage

from cutline import object_store
from cutline.server.config import settings
from cutline.server.images.file_links import content_disposition, content_type_of
from cutline.server.images.presign import presigned

_ONE_REQUEST_BYTES = 64 * 2**20  # what is larger goes to a bucket in parts, and comes into a temporary file


class Bucket(S3Storage):  # type: ignore[misc]  # it has no types
    """Files in an S3 bucket.

    django-storages makes a connection for each thread, which takes a tenth of a second, and every request
    here is a thread of its own. boto3's client may be shared, so all use one; and a file is one request.
    """

    @cached_property
    def client(self) -> Any:
        """boto3's client, for all threads."""
        return self.connection.meta.client

    @cached_property
    def _credentials(self) -> Any:
        return self._create_session().get_credentials()

    def _save(self, name: str, content: File[bytes]) -> str:
        key = self._normalize_name(name)
        parameters = {"ContentType": getattr(content, "content_type", None) or content_type_of(name)}
        content.seek(0)
        if (content.size or 0) > _ONE_REQUEST_BYTES:
            self.client.upload_fileobj(content, self.bucket_name, key, ExtraArgs=parameters)
        else:
            self.client.put_object(Bucket=self.bucket_name, Key=key, Body=content.read(), **parameters)
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        key = self._normalize_name(name)
        try:
            answer = self.client.get_object(Bucket=self.bucket_name, Key=key)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                raise FileNotFoundError(name) from error
            raise
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] <= _ONE_REQUEST_BYTES:
                return ContentFile(body.read(), name)
            file = tempfile.TemporaryFile()  # noqa: SIM115 (whoever opened it closes it)
            shutil.copyfileobj(body, file, 2**20)
            file.seek(0)
            return File(file, name)

    def is_empty(self) -> bool:
        """Whether there is no file at all."""
        prefix = f"{self.location}/" if self.location else ""
        answer = self.client.list_objects_v2(Bucket=self.bucket_name, Prefix=prefix, MaxKeys=1)
        return not answer.get("KeyCount", len(answer.get("Contents", ())))

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete files, those that are gone already too: one request for at most 1,000."""
        objects = [{"Key": self._normalize_name(key)} for key in keys]
        answer = self.client.delete_objects(
            Bucket=self.bucket_name, Delete={"Objects": objects, "Quiet": True}
        )
        if answer.get("Errors"):
            raise OSError(f"{len(answer['Errors'])} files could not be deleted: {answer['Errors'][0]}")

    def link(self, key: str, *, began: int, lasts_s: int, download_name: str) -> str:
        """A presigned link that works from `began` (epoch) on, for so long."""
        return presigned(
            self._base_url,
            self._normalize_name(key),
            credentials=self._credentials,
            region=self.region_name,
            began=began,
            lasts_s=lasts_s,
            parameters={
                "response-content-type": content_type_of(key),
                "response-content-disposition": content_disposition(key, download_name),
                "response-cache-control": f"private, max-age={lasts_s // 2}",
            },
        )

    @cached_property
    def _base_url(self) -> str:
        if self.endpoint_url:
            return f"{self.endpoint_url.rstrip('/')}/{self.bucket_name}"
        return f"https://{self.bucket_name}.s3.{self.region_name}.amazonaws.com"


def bucket_at(url: str) -> Bucket:
    """The bucket that an s3:// URL names. Raises ConfigError."""
    place = object_store.Bucket.from_url(url)
    return Bucket(
        bucket_name=place.name,
        location=place.prefix,
        region_name=place.region,
        endpoint_url=place.endpoint or None,
        access_key=settings().storage_access_key.get_secret_value() or None,
        secret_key=settings().storage_secret_key.get_secret_value() or None,
        default_acl=None,
        file_overwrite=True,  # keys are random: no need to ask first whether one is free
        signature_version="s3v4",
        client_config=place.client_config(),
    )
