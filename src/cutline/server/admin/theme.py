"""How the admin looks: read by Django's settings, so it imports nothing of Django."""

from __future__ import annotations

from typing import Any

_PAGES = {
    "Photos": (
        ("photo_library", "Images", "images_image"),
        ("flag", "Reports", "images_report"),
        ("gavel", "Decisions", "images_decision"),
        ("notes", "Captions", "captions_caption"),
        ("history", "Caption history", "captions_version"),
    ),
    "Work": (
        ("pending_actions", "Jobs", "jobs_job"),
        ("folder_zip", "Bulks", "bulk_bulk"),
        ("webhook", "Webhooks", "webhooks_webhook"),
        ("outgoing_mail", "Deliveries", "webhooks_delivery"),
        ("mail", "Mails", "mail_mail"),
        ("bolt", "Events", "events_event"),
    ),
    "Learning": (
        ("thumbs_up_down", "Ratings", "feedback_rating"),
        ("feedback", "Feedback", "feedback_feedback"),
    ),
    "People": (
        ("person", "Accounts", "people_user"),
        ("badge", "Owners", "people_owner"),
        ("key", "API keys", "people_apikey"),
        ("policy", "Staff actions", "admin_logentry"),
    ),
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Cutline",
    "SITE_HEADER": "Cutline",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "photo_camera",
    "SHOW_VIEW_ON_SITE": True,
    "STYLES": ["/static/cutline/admin.css"],
    "SCRIPTS": ["/static/cutline/admin.js"],
    "LOGIN": {"form": "cutline.server.admin.login.StaffLoginForm"},
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "cutline.server.admin.site.navigation",
    },
}


def pages() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """The menu: by group, the icon, title and address name of each page."""
    return _PAGES
