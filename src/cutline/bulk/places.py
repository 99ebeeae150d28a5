"""Files here and in object stores by one kind of name: a path, or s3://, gs:// and az:// URLs (fsspec)."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cutline.errors import CutlineError, DataError, ImageMissing, MissingExtra, OutputError
from cutline.images import Limits
from cutline.images.files import read_file
from cutline.images.limits import check_limit

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PLAN = "_bulk/plan.json"
"""What a run leaves in its sink, and by which it is known."""
_PART = re.compile(r"part-\d{5,}\.(?:parquet|tar)")
_SKIMMED_BYTES = 2**20
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "memory": "bulk",
}


def scheme_of(name: str) -> str:
    """The scheme of a URL in small letters; "" for a path."""
    match = _SCHEME.match(name)
    return match[1].lower() if match else ""


def is_remote(name: str) -> bool:
    """Whether a name lies in an object store."""
    return scheme_of(name) in _EXTRAS


@functools.cache
def file_system(scheme: str, options: str = "") -> AbstractFileSystem:
    """The object store of a scheme. options: the query of the URL. Raises MissingExtra."""
    try:
        import fsspec

        return fsspec.filesystem(scheme, **_keywords(scheme, options))
    except ImportError as error:
        raise MissingExtra(
            f"{scheme}:// needs a library that is not installed ({error.name or error}).",
            hint=f"Install it with: pip install 'cutline[{_EXTRAS[scheme]}]'",
        ) from error


def _keywords(scheme: str, options: str) -> dict[str, Any]:
    """What a URL's query says of the store: endpoint and region of S3, as in a registry's URL."""
    from urllib.parse import parse_qs

    given = {name: values[0] for name, values in parse_qs(options).items()}
    if not given:
        return {}
    if scheme not in ("s3", "s3a") or given.keys() - {"endpoint", "region"}:
        raise DataError(
            f"Unknown options in {scheme}://...?{options}.", hint="s3:// knows endpoint and region."
        )
    client = {"region_name": given["region"]} if "region" in given else {}
    return {"endpoint_url": given.get("endpoint"), "client_kwargs": client}


def split_options(name: str) -> tuple[str, str]:
    """The URL, and the options of its store, "" where it has none."""
    mark = min((at for at in (name.find("?endpoint="), name.find("?region=")) if at > 0), default=len(name))
    return name[:mark], name[mark:]


def located(name: str) -> tuple[AbstractFileSystem, str]:
    """The store of a URL, and the name in it. Raises MissingExtra."""
    address, options = split_options(name)
    return file_system(scheme_of(name), options.removeprefix("?")), address.partition("://")[2]


def part_name(number: int, suffix: str) -> str:
    """The name of a shard that a run writes."""
    return f"part-{number:05}{suffix}"


def is_part(name: str) -> bool:
    """Whether it is that of one which could be taken for a source."""
    return bool(_PART.fullmatch(name))


def absolute(name: str) -> str:
    """The same name from wherever it is read."""
    return name.rstrip("/") if is_remote(name) else os.path.abspath(name)


def joined(folder: str, name: str) -> str:
    """The name of something in a folder; a URL's options stay at the end."""
    address, options = split_options(folder) if is_remote(folder) else (folder, "")
    return f"{address.rstrip('/')}/{name}{options}"


def opened(name: str) -> BinaryIO:
    """A file to read. Raises OSError, or MissingExtra."""
    if not is_remote(name):
        return open(name, "rb")
    store, path = located(name)
    return cast(BinaryIO, store.open(path, "rb"))


def opened_to_skim(name: str) -> BinaryIO:
    """A file of which little is read, from its start to its end. As opened.

    Small pieces come ahead, for stores' own are of up to 50 MB: large photos between headers are skipped.
    """
    if not is_remote(name):
        return open(name, "rb")
    store, path = located(name)
    return cast(BinaryIO, store.open(path, "rb", block_size=_SKIMMED_BYTES, cache_type="readahead"))


def read_photo(name: str, limits: Limits) -> bytes:
    """The bytes of a photo. Raises ImageMissing and ImageTooLarge."""
    if not is_remote(name):
        return read_file(name, limits)
    try:
        with opened(name) as file:
            data = file.read(limits.max_file_bytes + 1)
    except CutlineError:
        raise
    except Exception as error:  # each store's library has errors of its own, many of them no OSError
        raise ImageMissing(f"{name} cannot be read ({_reason(error)}).") from error
    check_limit(name, "bytes", len(data), "max_file_bytes", limits.max_file_bytes)
    return data


def read_range(name: str, offset: int, size: int) -> bytes:
    """Some bytes of a file. Raises ImageMissing where there are none, or fewer."""
    if not size:
        return b""  # nobody can ask a store for that
    try:
        if is_remote(name):
            store, path = located(name)
            data = bytes(store.cat_file(path, start=offset, end=offset + size))
        else:
            with opened(name) as file:
                file.seek(offset)
                data = file.read(size)
    except CutlineError:
        raise
    except Exception as error:  # as above
        raise ImageMissing(f"{name} cannot be read ({_reason(error)}).") from error
    if len(data) < size:
        raise ImageMissing(f"{name} ends within a photo.")
    return data


@contextlib.contextmanager
def writing_to(url: str) -> Iterator[None]:
    """Turn whatever a store's library raises into an OutputError that names the URL."""
    try:
        yield
    except CutlineError:
        raise
    except Exception as error:  # as above
        raise OutputError(f"{url} cannot be used ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
