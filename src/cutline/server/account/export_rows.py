"""What an export says of each row of an owner; account/export.py writes it into a zip file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db.models import Model, QuerySet

from cutline.server.bulk.models import Bulk
from cutline.server.captions.models import Caption, Version
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image, RenditionKind, Report
from cutline.server.jobs.models import Job
from cutline.server.likeness.models import Embedding
from cutline.server.people.models import ApiKey, Owner
from cutline.server.voices.models import LastVoice, SavedVoice
from cutline.server.webhooks.models import Delivery, Webhook


def file_name(image: Image, rendition: Any) -> str:
    """The name of an image's file in the export."""
    return f"images/{image.pk}/{rendition.kind}.{rendition.format}"


def _fields(row: Model, *names: str) -> dict[str, Any]:
    return {name.removesuffix("_id"): getattr(row, name) for name in names}


def account_fields(owner: Owner) -> dict[str, Any]:
    """What account.json contains."""
    user = owner.user
    account: dict[str, Any] = {
        "owner": owner.pk,
        "created_at": owner.created_at,
        "may_train": owner.may_train,
        "may_train_changed_at": owner.may_train_changed_at,
    }
    if user is None:
        return account | {"account": None}
    return account | {
        "account": {
            **_fields(user, "id", "email", "name", "role", "created_at", "last_login"),
            "email_addresses": _values(
                EmailAddress.objects.filter(user=user), "email", "verified", "primary"
            ),
            "signs_in_with": _values(
                SocialAccount.objects.filter(user=user), "provider", "uid", "date_joined", "extra_data"
            ),
            "second_factors": _values(
                Authenticator.objects.filter(user=user), "type", "created_at", "last_used_at"
            ),
            "sessions": _values(
                UserSession.objects.filter(user=user), "ip", "user_agent", "created_at", "last_seen_at"
            ),
        }
    }


def _values(rows: Any, *names: str) -> list[dict[str, Any]]:
    return list(rows.values(*names))


def _images(owner: Owner) -> QuerySet[Image]:
    return Image.objects.filter(owner=owner, deleted_at=None).prefetch_related(
        "tags", "captions", "versions", "decisions", "renditions"
    )


def _image(image: Image) -> dict[str, Any]:
    kept = (RenditionKind.ORIGINAL, RenditionKind.MASTER)
    return {
        **_fields(
            image,
            *("id", "file_name", "source_url", "width_px", "height_px", "caption", "caption_by"),
            *(
                "caption_model",
                "description",
                "visibility",
                "moderation",
                "nsfw_score",
                "created_at",
                "changed_at",
            ),
            *("published_at", "expires_at"),
        ),
        "files": [file_name(image, each) for each in image.renditions.all() if each.kind in kept],
        "tags": sorted(tag.name for tag in image.tags.all()),
        "captions": [_caption(each) for each in image.captions.all()],
        "versions": [_version(each) for each in sorted(image.versions.all(), key=lambda one: one.number)],
        "decisions": [
            _fields(each, "moderation", "reason", "nsfw_score", "created_at")
            for each in image.decisions.all()
        ],
    }


def _caption(caption: Caption) -> dict[str, Any]:
    return _fields(
        caption,
        *(
            "id",
            "job_id",
            "rank",
            "text",
            "log_prob",
            "confidence",
            "model",
            "model_hash",
            "options",
            "style",
            "created_at",
        ),
    )


def _version(version: Version) -> dict[str, Any]:
    return _fields(
        version,
        *("number", "text", "by", "action", "styled", "model", "caption_id", "restored_from", "created_at"),
    )


def _maker(*names: str) -> Callable[[Model], dict[str, Any]]:
    return lambda row: _fields(row, *names)


def _likeness(embedding: Embedding) -> dict[str, Any]:
    vector = base64.b64encode(bytes(embedding.vector)).decode("ascii")
    return {**_fields(embedding, "image_id", "model", "space", "created_at"), "vector": vector}


def _bulk(bulk: Bulk) -> dict[str, Any]:
    items: Iterable[Any] = bulk.items.order_by("number").values(
        "number", "name", "state", "image", "error_code", "error_message"
    )
    return {
        **_fields(bulk, "id", "name", "options", "state", "error_code", "created_at", "ended_at"),
        "items": list(items),
    }


# name -> the rows of an owner, what is told of each. No secret stands here: keys' digests, webhooks' secrets.
TABLES: tuple[tuple[str, Callable[[Owner], QuerySet[Any]], Callable[[Any], Any]], ...] = (
    ("images", _images, _image),
    (
        "likeness",
        lambda owner: Embedding.objects.filter(owner=owner, image__deleted_at=None),
        _likeness,
    ),
    (
        "feedback",
        lambda owner: Feedback.objects.filter(viewer=owner),
        _maker(
            *(
                "kind",
                "image_id",
                "caption_id",
                "before",
                "after",
                "model",
                "styled",
                "hashtags",
                "created_at",
            ),
        ),
    ),
    (
        "ratings",
        lambda owner: Rating.objects.filter(viewer=owner),
        _maker("caption_id", "value", "created_at", "changed_at"),
    ),
    (
        "reports",
        lambda owner: Report.objects.filter(reporter=owner),
        _maker("image_id", "reason", "text", "created_at", "resolved_at"),
    ),
    (
        "voices",
        lambda owner: SavedVoice.objects.filter(owner=owner),
        _maker("name", "voice", "created_at", "changed_at"),
    ),
    (
        "last_voice",
        lambda owner: LastVoice.objects.filter(owner=owner),
        _maker("voice", "used_at"),
    ),
    (
        "keys",
        lambda owner: ApiKey.objects.filter(owner=owner),
        _maker("id", "name", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at"),
    ),
    (
        "jobs",
        lambda owner: Job.objects.filter(owner=owner),
        _maker(
            *("id", "kind", "image_id", "bulk_id", "options", "state", "stage", "attempts", "error_code"),
            *("error_message", "model_hash", "created_at", "started_at", "ended_at"),
        ),
    ),
    ("bulks", lambda owner: Bulk.objects.filter(owner=owner), _bulk),
    (
        "webhooks",
        lambda owner: Webhook.objects.filter(owner=owner),
        _maker("id", "url", "events", "is_active", "created_at"),
    ),
    (
        "deliveries",
        lambda owner: Delivery.objects.filter(webhook__owner=owner),
        _maker(
            *("id", "webhook_id", "type", "body", "state", "attempts", "status_code", "error"),
            *("created_at", "ended_at"),
        ),
    ),
)
