"""How mails leave: by SMTP, or as files in the data folder."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from cutline.server.config import mail_is_encrypted, settings

_TIMEOUT_S = 20


def transport() -> tuple[str, dict[str, Any]]:
    """Give the Django mail backend that CUTLINE_MAIL_URL names, and its options.

    smtp://[USER:PASSWORD@]HOST[:25] uses STARTTLS on port 587 or with ?starttls=1; smtps:// always uses TLS.
    """
    url = settings().mail_url
    if not url:
        return "django.core.mail.backends.filebased.EmailBackend", {
            "file_path": str(settings().data_dir / "mail")
        }
    parts = urlsplit(url)
    over_tls = parts.scheme == "smtps"
    port = parts.port or (465 if over_tls else 25)
    return "django.core.mail.backends.smtp.EmailBackend", {
        "host": parts.hostname,
        "port": port,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_ssl": over_tls,
        "use_tls": not over_tls and mail_is_encrypted(url),
        "timeout": _TIMEOUT_S,
    }
