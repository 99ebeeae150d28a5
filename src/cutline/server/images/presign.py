"""Presigned S3 links (signature version 4) that stay the same for a while."""

from __future__ import annotations
