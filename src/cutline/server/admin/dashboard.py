"""The first page of the admin: numbers and charts, of the statistics that the API gives, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import NoReverseMatch, reverse

from cutline.server.statistics import Day, Statistics


def dashboard(found: Statistics) -> dict[str, Any]:
    """What the first page shows of the statistics."""
    return {
        "cards": _cards(found),
        "model_table": {
            "headers": ["Model", "Captions", "Rated up", "Rated down"],
            "rows": [[use.model, use.captions, use.ratings_up, use.ratings_down] for use in found.models],
        },
        "charts": [
            _chart("Uploads", found.days, "bar", {"photos": [day.uploads for day in found.days]}),
            _chart(
                "Seconds from upload to caption",
                found.days,
                "line",
                {
                    "median": [day.latency.median_s for day in found.days],
                    "95th percentile": [day.latency.p95_s for day in found.days],
                },
            ),
            _chart(
                "Ratings",
                found.days,
                "bar",
                {
                    "up": [day.ratings_up for day in found.days],
                    "down": [-day.ratings_down for day in found.days],
                },
            ),
            _chart(
                "What people did with captions",
                found.days,
                "line",
                {
                    "edited": [day.edits for day in found.days],
                    "picked another": [day.picks for day in found.days],
                    "copied": [day.copies for day in found.days],
                },
            ),
        ],
    }


def _list(name: str, query: str = "") -> str:
    try:
        return reverse(f"admin:{name}_changelist") + query
    except NoReverseMatch:  # a page that is not there
        return ""


def _cards(found: Statistics) -> list[dict[str, Any]]:
    today, queue = found.days[-1], found.queue
    waits = (
        f"the first has been waiting for {queue.oldest_s:.0f} s" if queue.oldest_s else "nobody is waiting"
    )
    median_s = today.latency.median_s
    return [
        {
            "title": "Photos",
            "value": f"{found.images:,}",
            "note": f"{today.uploads:,} today, {found.public_images:,} in the gallery",
            "href": _list("images_image"),
        },
        {
            "title": "To review",
            "value": f"{found.held_images:,}",
            "note": f"{found.open_reports:,} open reports",
            "href": _list("images_image", "?queue=look"),
        },
        {
            "title": "Queue",
            "value": f"{queue.interactive:,}",
            "note": f"{waits}; {queue.bulk:,} in bulk jobs, {queue.running:,} running",
            "href": _list("jobs_job", "?state__exact=queued"),
        },
        {
            "title": "Upload to caption",
            "value": "-" if median_s is None else f"{median_s:.2f} s",
            "note": f"median today; {today.failed_jobs:,} failed",
            "href": _list("jobs_job", "?state__exact=failed"),
        },
        {
            "title": "Accounts",
            "value": f"{found.accounts:,}",
            "note": f"{today.accounts:,} new today, {found.anonymous:,} visitors without one",
            "href": _list("people_user"),
        },
        {
            "title": "Delivery problems",
            "value": f"{found.failing_webhooks + found.failed_mails:,}",
            "note": f"{found.failing_webhooks:,} failing webhooks, {found.failed_mails:,} failed mails",
            "href": _list("webhooks_webhook"),
        },
    ]


# As .cutline-series-1 and so on, in admin.css
_COLOURS = ("var(--color-primary-500)", "var(--color-base-400)", "var(--color-primary-300)")


def _chart(
    title: str, days: Sequence[Day], kind: str, lines: Mapping[str, Sequence[float | None]]
) -> dict[str, Any]:
    datasets = [
        {
            "label": label,
            "data": list(values),
            "borderColor": colour,
            "backgroundColor": colour,
            "displayYAxis": True,
            "maxTicksXLimit": 6,
            "spanGaps": True,
        }
        for (label, values), colour in zip(lines.items(), _COLOURS, strict=False)
    ]
    data = {"labels": [day.date.strftime("%d %b") for day in days], "datasets": datasets}
    return {
        "title": title,
        "kind": kind,
        "data": json.dumps(data),
        "legend": [*lines] if len(lines) > 1 else [],
        "is_empty": not any(value for values in lines.values() for value in values),
    }
