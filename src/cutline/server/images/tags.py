"""The words that owners put on their images."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from django.utils import timezone

from cutline.server.errors import Invalid
from cutline.server.images import search, words
from cutline.server.images.changes import emit_changed, locked
from cutline.server.images.models import Image, Tag
from cutline.server.transactions import retried
from cutline.texts import is_readable

MOST_TAGS = 50
LONGEST_TAG = 40


@retried
def set_tags(image: Image, names: Sequence[str]) -> list[str]:
    """Replace an image's tags; gives them as they are kept: trimmed, once each, in order.

    Raises NotFound; Invalid for too many, or one that is empty, too long or cannot be shown.
    """
    wanted = list(dict.fromkeys(clean_tag(name) for name in names))
    if len(wanted) > MOST_TAGS:
        raise Invalid(f"An image has at most {MOST_TAGS} tags.")
    image = locked(image)
    had = set(image.tags.values_list("name", flat=True))
    if had == set(wanted):
        return wanted
    before = words.words_of(image)
    image.tags.exclude(name__in=wanted).delete()
    Tag.objects.bulk_create(
        (Tag(image=image, name=name) for name in wanted if name not in had), ignore_conflicts=True
    )
    if not had.issuperset(wanted):
        words.queue_for_review(image, before)
    image.search_text = search.text_of(image.caption, wanted, description=image.description)
    image.changed_at = timezone.now()
    image.save(update_fields=["search_text", *words.FIELDS, "changed_at"])
    emit_changed(image)
    return wanted


def clean_tag(name: str) -> str:
    """A tag as it is kept: white space is one blank, no # in front, lower case. Raises Invalid."""
    tag = unicodedata.normalize("NFC", " ".join(name.split()).lstrip("#").strip().lower())
    if not tag or len(tag) > LONGEST_TAG or not is_readable(tag):
        raise Invalid(f"A tag has 1 to {LONGEST_TAG} characters, none of them a control character.")
    return tag
