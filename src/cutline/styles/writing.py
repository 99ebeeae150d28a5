"""Who writes: the protocol of language models, what they are given, and what becomes of their texts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cutline.styles.guard import Fault
from cutline.styles.voice import Voice

DEFAULT_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a writer is given. context: further sentences about the photo that support what is said.

    rejected and faults: the writer's last answer, and what was wrong with it; empty at the first try.
    """

    description: str
    voice: Voice
    context: tuple[str, ...] = ()
    rejected: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All that supports what is said."""
        return (self.description, *self.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A piece of a text as it is written. log_prob: the natural logarithm of its probability, where known."""

    text: str
    log_prob: float | None = None


@runtime_checkable
class Writer(Protocol):
    """A language model that writes captions in a voice. Safe to use from several threads."""

    name: str
    version: str
    prompt_version: str

    def write(self, task: Task, *, seed: int) -> Generator[Written, None, None]:
        """Write one caption, piece by piece. The same seed gives the same text, where the model can do that.

        It may be closed before its end. Raises CaptionerUnavailable where the model does not answer, and
        OptionError for a voice that it cannot speak in.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Styled:
    """A caption in a voice.

    text: all of it, with the voice's prefix and suffix and the hashtags. Where the guard refused everything
    that was written it is the description, ``refused`` has the reasons, and there are no hashtags.
    model: name@version. prompt: the version of the prompt. log_prob: of what the model wrote, None where it
    does not say. unsupported: things, numbers and names that neither description nor context supports; empty
    where the language is English, for the guard lets none through. removed: what the guard took away.
    """

    text: str
    body: str
    hashtags: tuple[str, ...] = ()
    model: str
    prompt: str
    log_prob: float | None = None
    unsupported: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Words of a caption as it is written.

    attempt: from 1; a higher one begins the caption anew. Its first piece has no text: faults are those of
    the attempt before, whose words do not count.
    """

    text: str
    attempt: int = 1
    faults: tuple[Fault, ...] = ()


@runtime_checkable
class Restyler(Protocol):
    """Turns descriptions into captions in a voice."""

    name: str
    version: str

    def restyle(
        self,
        description: str,
        voice: Voice,
        *,
        n: int = 1,
        seed: int = DEFAULT_SEED,
        context: Sequence[str] = (),
    ) -> list[Styled]:
        """Write n captions that differ. Raises OptionError, CaptionerUnavailable."""
        ...

    def stream(
        self,
        description: str,
        voice: Voice,
        *,
        n: int = 1,
        seed: int = DEFAULT_SEED,
        context: Sequence[str] = (),
        others: Sequence[str] = (),
    ) -> Generator[Piece | Styled, None, None]:
        """Write n captions, one after the other: the words of each as they come, then itself, which counts.

        others: captions that are not to be written again. It may be closed before its end. Raises
        OptionError, CaptionerUnavailable.
        """
        ...
