"""Which restyler a URI means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cutline.chat import Patience
from cutline.errors import BundleMissing, CaptionerUnavailable
from cutline.styles.restyling import GuardedRestyler
from cutline.styles.writing import Restyler, Writer

_EXAMPLES = "gguf:FILE, or openai:BASE_URL#MODEL, such as openai:http://localhost:11434/v1#llama3.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a URI names. language: the one that it writes, as a BCP 47 tag; empty where it may write any."""

    name: str
    version: str
    prompt: str
    language: str = ""


def load(uri: str | None = None, *, patience: Patience | None = None) -> Restyler:
    """A restyler by its URI: ``gguf:FILE``, or ``openai:BASE_URL#MODEL`` for any OpenAI-compatible endpoint.

    Without one, the model that ships. patience: with an endpoint.

    The key of an endpoint comes from CUTLINE_OPENAI_API_KEY, OPENAI_API_KEY, or the file that
    CUTLINE_OPENAI_API_KEY_FILE names. Raises BundleMissing, CaptionerUnavailable,
    ConfigError, MissingExtra.
    """
    return GuardedRestyler(load_writer(uri, patience=patience))


def load_writer(uri: str | None = None, *, patience: Patience | None = None) -> Writer:
    """The language model of a URI, as `load`, without the guard over what it writes."""
    if not uri:
        return _built_in()
    scheme, place = _parts(uri)
    if scheme == "openai":
        return _endpoint(place, patience)
    return SCHEMES[scheme](place)


def about(uri: str | None = None) -> About:
    """What `load` would give, as far as that can be known without loading it, or asking an endpoint.

    Raises what `load` raises, as far as that goes.
    """
    if not uri:
        return _about_built_in()
    scheme, place = _parts(uri)
    if scheme == "gguf":
        from cutline.styles.gguf import check_installed, name_of

        check_installed()
        name, version = name_of(place)
    else:
        writer = _endpoint(place)
        name, version = writer.name, writer.version
    from cutline.styles.prompts import prompt_version

    return About(name=name, version=version, prompt=prompt_version())


def _parts(uri: str) -> tuple[str, str]:
    scheme, _, place = uri.partition(":")
    if scheme not in SCHEMES:
        raise CaptionerUnavailable(f"{uri!r} names no language model.", hint=f"Name one: {_EXAMPLES}.")
    return scheme, place


def _about_built_in() -> About:
    from cutline.styles.built_in import LANGUAGE, folder
    from cutline.styles.causal import manifest_of

    manifest = manifest_of(folder())
    return About(
        name=str(manifest["name"]),
        version=str(manifest["version"]),
        prompt=str(manifest["prompt_version"]),
        language=LANGUAGE,
    )


def _built_in() -> Writer:
    from cutline.styles.built_in import built_in_writer

    try:
        return built_in_writer()
    except BundleMissing as error:
        error.hint = f"Name one: {_EXAMPLES}."
        raise


def _endpoint(place: str, patience: Patience | None = None) -> Writer:
    from cutline.styles.chat_writer import endpoint_writer

    return endpoint_writer(place, patience)


def _gguf(place: str) -> Writer:
    from cutline.styles.gguf import gguf_writer

    return gguf_writer(place)


SCHEMES: Mapping[str, Callable[[str], Writer]] = {"gguf": _gguf, "openai": _endpoint}
