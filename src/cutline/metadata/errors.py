"""Why a description cannot be read or written."""

from __future__ import annotations


class MetadataError(ValueError):
    """Metadata that is damaged, or a file that cannot take any. The message is a reason, not a sentence."""
