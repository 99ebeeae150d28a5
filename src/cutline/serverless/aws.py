"""On AWS Lambda: events of S3, and batches of them from SQS."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from cutline.serverless.events import objects_of, parsed
from cutline.serverless.function import Function, the_function

HANDLER = "cutline.serverless.aws.handler"
_LEAST_MS = 5000  # with less time left, nothing more is begun

logger = logging.getLogger(__name__)


class Invocation(Protocol):
    """What Lambda says of a call."""

    def get_remaining_time_in_millis(self) -> int:
        """How long this call may still take."""
        ...


def handler(event: Mapping[str, Any], context: Invocation) -> dict[str, object]:
    """Caption the photos that an event names; what names none, as a schedule, only keeps the function warm.

    Of a batch from SQS, those messages come again whose photos could not be done (the event source needs
    ReportBatchItemFailures). Of any other event, the first failure is raised, and Lambda sends it again.
    """
    function = the_function()
    records = event.get("Records")
    if isinstance(records, list) and records and records[0].get("eventSource") == "aws:sqs":
        failed = [record["messageId"] for record in records if not _is_done(function, record, context)]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
    _caption_all(function, event)
    return {}


def _is_done(function: Function, message: Mapping[str, Any], context: Invocation) -> bool:
    """Do what a message asks for, and say whether it need not come again."""
    if context.get_remaining_time_in_millis() < _LEAST_MS:
        return False
    try:
        _caption_all(function, parsed(message.get("body")))
    except Exception:  # whatever it is: the other messages are to be done, and this one comes again
        logger.exception("A message could not be done: %s", message.get("messageId"))
        return False
    return True


def _caption_all(function: Function, event: object) -> None:
    for found in objects_of(event):
        function.caption(found)
