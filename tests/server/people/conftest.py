"""The tests of people use the fixtures of those of accounts."""

from tests.server.account.conftest import _no_limits_from_before, _real_outbox, other, person

__all__ = ["_no_limits_from_before", "_real_outbox", "other", "person"]
