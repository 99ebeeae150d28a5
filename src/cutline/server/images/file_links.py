"""Links to files: their signature, and how a browser should take what they lead to."""

from __future__ import annotations

import mimetypes
import time
from urllib.parse import quote

from django.utils.crypto import constant_time_compare, salted_hmac

_SALT = "cutline.files"
_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "zip": "application/zip",
}


def content_type_of(key: str) -> str:
    """What a file is, by its key's ending; keys are ours, so that their endings can be believed."""
    ending = key.rpartition(".")[2].lower()
    return _TYPES.get(ending) or mimetypes.guess_type(key)[0] or "application/octet-stream"


def signature(key: str, expires: int, download_name: str) -> str:
    """What makes a link to a file in a folder believable."""
    return salted_hmac(_SALT, f"{expires}\n{download_name}\n{key}", algorithm="sha256").hexdigest()[:40]


def is_signed(key: str, expires: str, given: str, download_name: str) -> bool:
    """Whether a link was made by `url` and still works."""
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12 and int(expires) > time.time()):
        return False
    return constant_time_compare(given, signature(key, int(expires), download_name))


def content_disposition(key: str, download_name: str) -> str:
    """inline for renditions, which we made; attachment where a name is asked for or others made the file."""
    if download_name:
        plain = "".join(
            c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in download_name
        )
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(download_name, safe='')}"
    return "attachment" if "-original." in key or not content_type_of(key).startswith("image/") else "inline"
