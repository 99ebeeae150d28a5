"""Password hashing."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id as OWASP asks at least.

    Django's own takes 100 MB and eight threads for each login: a few at once would starve the captioner.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1
