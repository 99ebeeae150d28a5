"""Sessions lie in the database, and their keys are signed: a made-up or changed cookie is no session."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from django.contrib.sessions.backends import db
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac

if TYPE_CHECKING:
    from django.contrib.sessions.base_session import AbstractBaseSession

_LETTERS = string.ascii_lowercase + string.digits
_RANDOM = 25  # letters: 129 random bits
_SIGNATURE = 15  # hexadecimal digits; 40 letters are all that the column takes


def _signature(text: str) -> str:
    return salted_hmac("cutline.session", text, algorithm="sha256").hexdigest()[:_SIGNATURE]


def is_signed(key: str) -> bool:
    """Whether this service made the session key."""
    return constant_time_compare(_signature(key[:_RANDOM]), key[_RANDOM:])


class SessionStore(db.SessionStore):
    """Django's sessions in the database; a key that was not made here is not even looked up."""

    @classmethod
    def get_model_class(cls) -> type[AbstractBaseSession]:
        """The table of sessions."""
        return super().get_model_class()

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key) and is_signed(str(key))

    def _get_new_session_key(self) -> str:
        text = get_random_string(_RANDOM, _LETTERS)
        return text + _signature(text)

    async def _aget_new_session_key(self) -> str:
        return self._get_new_session_key()
