"""Which photos an event names, whichever cloud tells of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit


class NoEvent(ValueError):
    """This is no event of a kind that is known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that is new in a bucket (or container)."""

    bucket: str
    key: str


def objects_of(event: object) -> list[StoredObject]:
    """The new objects that an event names; none for what tells of something else, as a schedule does.

    Known are S3's notifications, also through SNS, EventBridge's of S3, what Google Cloud Storage and Azure
    put into a CloudEvent's data, and SeaweedFS's of its filer. Raises NoEvent.
    """
    told = _mapping(event)
    if told.get("Type") == "Notification":
        return objects_of(parsed(told.get("Message")))
    if "Records" in told:
        return [found for record in _list(told["Records"]) for found in _of_s3(_mapping(record))]
    if "detail" in told:
        return _of_event_bridge(_mapping(told["detail"]))
    if "bucket" in told and "name" in told:  # google.cloud.storage.object.v1.finalized
        return [_object(told["bucket"], told["name"])]
    if "event_type" in told:
        return _of_seaweedfs(told)
    if "url" in told:  # Microsoft.Storage.BlobCreated
        return _of_azure(told["url"])
    return []


def parsed(text: object) -> object:
    """What JSON says. Raises NoEvent."""
    try:
        found: object = json.loads(text)  # type: ignore[arg-type]  # TypeError says so
    except (TypeError, ValueError, RecursionError) as error:
        raise NoEvent("This is not JSON.") from error
    return found


def _of_s3(record: Mapping[str, Any]) -> list[StoredObject]:
    if not str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated:"):
        return []
    told = _mapping(record.get("s3"))
    bucket, key = _mapping(told.get("bucket")).get("name"), _mapping(told.get("object")).get("key")
    return [_object(bucket, unquote_plus(key) if isinstance(key, str) else key)]


def _of_event_bridge(detail: Mapping[str, Any]) -> list[StoredObject]:
    if "object" not in detail:
        return []
    return [_object(_mapping(detail.get("bucket")).get("name"), _mapping(detail["object"]).get("key"))]


def _of_seaweedfs(told: Mapping[str, Any]) -> list[StoredObject]:
    entry = _mapping(told.get("message", {})).get("new_entry") or {}
    start, _, path = str(told.get("key", "")).partition("/buckets/")
    if told["event_type"] != "create" or start or not path or _mapping(entry).get("is_directory"):
        return []
    bucket, _, key = path.partition("/")
    return [_object(bucket, key)] if key else []


def _of_azure(url: object) -> list[StoredObject]:
    if not isinstance(url, str):
        raise NoEvent("The event's url is no text.")
    container, _, key = unquote(urlsplit(url).path).lstrip("/").partition("/")
    return [_object(container, key)]


def _object(bucket: object, key: object) -> StoredObject:
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise NoEvent("The event names no object.")
    return StoredObject(bucket=bucket, key=key)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NoEvent("The event is no object with names.")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise NoEvent("The event's records are no list.")
    return value
