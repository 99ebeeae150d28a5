"""The tests of uploads use the fixtures of those of images."""

from tests.server.images.conftest import moderator, other, owner, upload

__all__ = ["moderator", "other", "owner", "upload"]
