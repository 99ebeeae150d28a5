"""How a sentence is chosen from a model's probabilities."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Annotated

from cutline.errors import OptionError
from cutline.strict import Between, out_of_range


class Strategy(StrEnum):
    """Greedy takes the likeliest token, beam keeps several sentences alive, sample draws."""

    GREEDY = "greedy"
    BEAM = "beam"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """What is asked of the decoder; None leaves the choice to the captioner.

    A bundle carries its own in bundle.json, so ``DecodingOptions(beam_size=5)`` changes the beam and
    nothing else.
    """

    strategy: Strategy | None = None
    beam_size: Annotated[int, Between(1, 64)] | None = None
    """Sentences kept alive at once; raised to n where more captions are wanted."""
    length_penalty: Annotated[float, Between(-10, 10)] | None = None
    """A finished sentence of T tokens, its end included, ranks by log_prob / T ** length_penalty."""
    min_length: Annotated[int, Between(0)] | None = None
    """Fewest tokens before the end token."""
    max_length: Annotated[int, Between(1)] | None = None
    """Most tokens before the end token; a sentence that gets there, or where the model must, is ended."""
    no_repeat_ngram: Annotated[int, Between(0, 16)] | None = None
    """No run of this many tokens occurs twice in a sentence; 0 allows all."""
    no_repeat_words: bool | None = None
    """No word occurs twice but for the bundle's function words ("a", "of"); where tokens are words."""
    temperature: Annotated[float, Between(0.01, 100)] | None = None
    """Sampling: below 1 sharpens, above 1 flattens."""
    top_k: Annotated[int, Between(0)] | None = None
    """Sampling: draw from the k likeliest tokens only; 0 is all."""
    top_p: Annotated[float, Between(0.001, 1)] | None = None
    """Sampling: draw from the likeliest tokens that together reach this probability."""
    seed: Annotated[int, Between(0)] | None = None
    """Sampling: the same photo with the same seed gives the same captions, alone or among others."""
    prefix: str | None = None
    """The caption starts with exactly this text."""

    def __post_init__(self) -> None:
        """Refuse values out of range, or not of their type (OptionError); take strategies by their names."""
        if self.strategy is not None:
            object.__setattr__(self, "strategy", _strategy(self.strategy))
        if complaint := out_of_range(self):
            raise OptionError(f"{complaint}.")

        if not isinstance(self.prefix, str | None):
            raise OptionError(f"prefix is {self.prefix!r:.60}, but must be a text.")
        if not isinstance(self.no_repeat_words, bool | None):
            raise OptionError(f"no_repeat_words is {self.no_repeat_words!r:.60}, but must be true or false.")

    def over(self, defaults: DecodingOptions) -> DecodingOptions:
        """Give these options, with what is None taken from ``defaults``.

        A default length that contradicts one asked for gives way: nobody asked for it.
        """
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        merged = replace(defaults, **chosen)
        if merged.max_length is not None and (merged.min_length or 0) > merged.max_length:
            if self.min_length is None:
                return replace(merged, min_length=merged.max_length)
            if self.max_length is None:
                return replace(merged, max_length=None)
        return merged


def _strategy(name: str) -> Strategy:
    try:
        return Strategy(name)
    except ValueError as error:
        raise OptionError(f"strategy is {name!r:.60}, but must be one of {', '.join(Strategy)}.") from error


PLAIN = DecodingOptions(
    strategy=Strategy.BEAM,
    beam_size=3,
    length_penalty=0.7,
    min_length=0,
    no_repeat_ngram=0,
    no_repeat_words=False,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
)
"""The choice where neither the caller nor the bundle made one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """Options with every choice made; what decoders are given.

    ``seed`` None draws anew each time. ``prefix`` are token ids; ``repeatable`` those that may occur twice,
    None for all.
    """

    strategy: Strategy
    n: int
    beam_size: int
    length_penalty: float
    min_length: int
    max_length: int
    no_repeat_ngram: int
    temperature: float
    top_k: int
    top_p: float
    seed: int | None = None
    prefix: tuple[int, ...] = ()
    repeatable: tuple[int, ...] | None = None


def settle(
    options: DecodingOptions,
    *,
    n: int,
    longest: int,
    prefix: tuple[int, ...] = (),
    repeatable: tuple[int, ...] | None = None,
) -> Decoding:
    """Make every choice. ``longest`` is the most tokens, before the end token, that the model can write.

    ``prefix`` and ``repeatable`` are those of Decoding.
    Raises OptionError for choices that contradict each other.
    """
    chosen = options.over(PLAIN)
    if n < 1:
        raise OptionError(f"{n} captions were asked for; ask for 1 or more.")
    strategy = chosen.strategy or Strategy.BEAM
    beam_size = max(n, chosen.beam_size or 1)
    if strategy is Strategy.BEAM and beam_size == 1:
        strategy = Strategy.GREEDY  # what everybody expects of a beam of one
    if strategy is Strategy.GREEDY and n > 1:
        raise OptionError(
            "Greedy decoding gives one caption.", hint=f"For {n}, choose the strategy beam or sample."
        )
    max_length = min(chosen.max_length or longest, longest)
    min_length = chosen.min_length or 0
    if min_length > longest:
        raise OptionError(f"min_length is {min_length}, but this model writes at most {longest} tokens.")
    if min_length > max_length:
        raise OptionError(f"min_length {min_length} is more than max_length {max_length}.")
    if len(prefix) > max_length:
        raise OptionError(f"The prefix has {len(prefix)} tokens, more than max_length {max_length}.")
    return Decoding(
        strategy=strategy,
        n=n,
        beam_size=beam_size,
        length_penalty=chosen.length_penalty or 0.0,
        min_length=min_length,
        max_length=max_length,
        no_repeat_ngram=chosen.no_repeat_ngram or 0,
        temperature=chosen.temperature or 1.0,
        top_k=chosen.top_k or 0,
        top_p=chosen.top_p or 1.0,
        seed=chosen.seed,
        prefix=prefix,
        repeatable=repeatable,
    )
