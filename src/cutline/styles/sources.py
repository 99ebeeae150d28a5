"""Which restyler a URI means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cutline.errors import BundleMissing, CaptionerUnavailable
from cutline.styles.restyling import GuardedRestyler
from cutline.styles.writing import Restyler, Writer

_EXAMPLES = "gguf:FILE, or openai:BASE_URL#MODEL, such as openai:http://localhost:11434/v1#llama3.2"


def load(uri: str | None = None) -> Restyler:
    """A restyler by its URI: ``gguf:FILE``, or ``openai:BASE_URL#MODEL`` for any OpenAI-compatible endpoint.

    Without one, the model that ships.

    The key of an endpoint comes from CUTLINE_OPENAI_API_KEY, OPENAI_API_KEY, or the file that
    CUTLINE_OPENAI_API_KEY_FILE names. Raises BundleMissing, CaptionerUnavailable,
    ConfigError, MissingExtra.
    """
    if not uri:
        return GuardedRestyler(_built_in())
    scheme, _, place = uri.partition(":")
    if scheme not in SCHEMES:
        raise CaptionerUnavailable(f"{uri!r} names no language model.", hint=f"Name one: {_EXAMPLES}.")
    return GuardedRestyler(SCHEMES[scheme](place))


def _built_in() -> Writer:
    from cutline.styles.built_in import built_in_writer

    try:
        return built_in_writer()
    except BundleMissing as error:
        error.hint = f"Name one: {_EXAMPLES}."
        raise


def _endpoint(place: str) -> Writer:
    from cutline.styles.chat_writer import endpoint_writer

    return endpoint_writer(place)


def _gguf(place: str) -> Writer:
    from cutline.styles.gguf import gguf_writer

    return gguf_writer(place)


SCHEMES: Mapping[str, Callable[[str], Writer]] = {"gguf": _gguf, "openai": _endpoint}
