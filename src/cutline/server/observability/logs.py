"""Logs: one line per event, for people or as JSON, each with the id of the request that caused it."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from cutline.server import security_log
from cutline.server.observability import request_id

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "request_id",
    "taskName",
    "color_message",
    # What the access line's message says already:
    "method",
    "route",
    "status",
}


class WithRequestId(logging.Filter):
    """Puts the current request id into each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it; let every record pass."""
        if not hasattr(record, "request_id"):
            record.request_id = request_id.current()
        return True


class TextFormatter(logging.Formatter):
    """12:30:05 INFO cutline.access GET / 200 (ms=3.1) [4f2a...]"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, with what was logged beside it."""
        extra = ", ".join(f"{name}={value}" for name, value in vars(record).items() if name not in _OWN)
        made_for = getattr(record, "request_id", "")
        return "".join(
            [
                super().formatMessage(record),
                f" ({extra})" if extra else "",
                f" [{made_for}]" if made_for else "",
            ]
        )


def configure(options: Mapping[str, Any]) -> None:
    """Set logging up: Django's LOGGING_CONFIG.

    options: {"level": "INFO", "format": "text" | "json", "security_log": a file, or "" for the same place}.
    """
    formatters: dict[str, dict[str, Any]] = {
        "text": {"()": TextFormatter},
        "json": {
            "()": JsonFormatter,
            "fmt": "{asctime}{levelname}{name}{message}{request_id}",
            "style": "{",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
        },
        "security": {
            "()": JsonFormatter,
            "fmt": "{asctime}{message}{request_id}",
            "style": "{",
            "rename_fields": {"asctime": "time", "message": "event"},
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
        },
    }
    security_place: dict[str, Any] = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    if options.get("security_log"):
        # Watched: it may be rotated.
        name = str(options["security_log"])
        security_place = {"class": "logging.handlers.WatchedFileHandler", "filename": name, "delay": True}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": WithRequestId}},
            "formatters": {"chosen": formatters[options["format"]], "security": formatters["security"]},
            "handlers": {
                "out": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "chosen",
                    "filters": ["request_id"],
                },
                "security": {**security_place, "formatter": "security", "filters": ["request_id"]},
            },
            "root": {"level": options["level"], "handlers": ["out"]},
            "loggers": {
                security_log.LOGGER: {"level": "INFO", "handlers": ["security"], "propagate": False},
                # Libraries that are chatty at INFO. Each request is our own access line.
                "uvicorn": {"level": "WARNING"},
                "celery": {"level": "WARNING"},
                "kombu": {"level": "WARNING"},
                "botocore": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                "asyncio": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "django.request": {"level": "ERROR"},  # 4xx are the access line's
                "django.security.DisallowedHost": {"level": "CRITICAL"},  # api/problems.py says it in a line
            },
        }
    )
