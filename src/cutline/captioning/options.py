"""How a sentence is chosen from a model's probabilities: the options, and what makes a choice of them all.

``DecodingOptions`` is the one definition of every option: its name, type, range, default and help. The
command, the API, bundle.json's schema, the export section of recipes, the refusals and
docs/reference/decoding.md follow from it, most of them through ``OPTIONS``.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

from cutline.errors import OptionError
from cutline.strict import Between, out_of_range

if TYPE_CHECKING:
    from cutline.captioning.wording import Wording


class Strategy(StrEnum):
    """Greedy takes the likeliest token, beam keeps several sentences alive, sample draws."""

    GREEDY = "greedy"
    BEAM = "beam"
    SAMPLE = "sample"


MAX_CAPTIONS = 64
"""Most captions of one photo that are asked for at once: as many as the widest beam has."""

MAX_PREFIX_CHARS = 1000

SEX_CONFIDENCE = 0.7
_BIG = 2**31 - 1
BeamSize: TypeAlias = Annotated[int, Between(1, MAX_CAPTIONS)]
Diversity: TypeAlias = Annotated[float, Between(0, 100)]
LengthPenalty: TypeAlias = Annotated[float, Between(-10, 10)]
MinLength: TypeAlias = Annotated[int, Between(0, _BIG)]
MaxLength: TypeAlias = Annotated[int, Between(1, _BIG)]
NoRepeatNgram: TypeAlias = Annotated[int, Between(0, 16)]
Temperature: TypeAlias = Annotated[float, Between(0.01, 100)]
TopK: TypeAlias = Annotated[int, Between(0, _BIG)]
TopP: TypeAlias = Annotated[float, Between(0.001, 1)]
SexConfidence: TypeAlias = Annotated[float, Between(0.5, 1)]
Seed: TypeAlias = Annotated[int, Between(0, 2**53 - 1)]  # what every JSON parser reads exactly


def _spec(default: object, help: str, *, only: Strategy | None = None) -> Mapping[str, object]:
    """What OPTIONS says of a field beside its type: see ``Option``."""
    return {"default": default, "help": help, "only": only}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """What is asked of the decoder; None leaves the choice to the captioner.

    A bundle carries its own in bundle.json, so ``DecodingOptions(beam_size=5)`` changes the beam and
    nothing else. Raises OptionError for a value out of range, or of the wrong type.
    """

    strategy: Strategy | None = field(
        default=None,
        metadata=_spec(
            Strategy.BEAM,
            "How words are chosen: beam keeps several sentences alive, greedy takes the likeliest word, "
            "sample draws.",
        ),
    )
    beam_size: BeamSize | None = field(
        default=None,
        metadata=_spec(
            3,
            "Sentences kept alive at once; without diversity, never fewer than n.",
            only=Strategy.BEAM,
        ),
    )
    diversity: Diversity | None = field(
        default=None,
        metadata=_spec(
            0.75,
            "Of several captions, what a word loses in log-probability for each earlier caption that has it, "
            "a function word only at the same place (diverse beam search, Vijayakumar et al., 2018); the "
            "first caption is the one that n = 1 gives. 0 gives the likeliest captions, however alike.",
            only=Strategy.BEAM,
        ),
    )
    length_penalty: LengthPenalty | None = field(
        default=None,
        metadata=_spec(
            0.7,
            "A sentence of T tokens, its end included, ranks by log_prob / T ** length_penalty.",
            only=Strategy.BEAM,
        ),
    )
    min_length: MinLength | None = field(
        default=None, metadata=_spec(0, "Fewest tokens before the end token.")
    )
    max_length: MaxLength | None = field(
        default=None, metadata=_spec(None, "Most tokens before the end token; by default the model's limit.")
    )
    no_repeat_ngram: NoRepeatNgram | None = field(
        default=None,
        metadata=_spec(0, "No run of this many tokens occurs twice in a sentence; 0 allows all."),
    )
    no_repeat_words: bool | None = field(
        default=None,
        metadata=_spec(False, 'No word occurs twice, except function words such as "a" and "of".'),
    )
    temperature: Temperature | None = field(
        default=None, metadata=_spec(1.0, "Below 1 is safer, above 1 bolder.", only=Strategy.SAMPLE)
    )
    top_k: TopK | None = field(
        default=None,
        metadata=_spec(0, "Draw from the k likeliest tokens only; 0 is all.", only=Strategy.SAMPLE),
    )
    top_p: TopP | None = field(
        default=None,
        metadata=_spec(
            1.0, "Draw from the likeliest tokens that together reach this probability.", only=Strategy.SAMPLE
        ),
    )
    seed: Seed | None = field(
        default=None,
        metadata=_spec(None, "The same photo and seed give the same captions.", only=Strategy.SAMPLE),
    )
    rerank: bool | None = field(
        default=None,
        metadata=_spec(
            True,
            "Where the model has a re-ranker, it finishes many sentences and chooses by their likeness to the"
            " photo, too; the first caption then comes of as many beams, whatever beam_size says.",
            only=Strategy.BEAM,
        ),
    )
    safe: bool | None = field(
        default=None,
        metadata=_spec(
            True,
            "No guess of race, religion or illness, and of sex only where the model is sure: else a person, "
            "a child, people.",
        ),
    )
    sex_confidence: SexConfidence | None = field(
        default=None,
        metadata=_spec(
            SEX_CONFIDENCE,
            "With safe: the share that one sex must have of the probability of words for both to be named; "
            "1 names none.",
        ),
    )
    prefix: str | None = field(
        default=None, metadata=_spec(None, "The caption starts with exactly this text.")
    )

    def __post_init__(self) -> None:
        """Refuse values out of range, or not of their type (OptionError); take strategies by their names."""
        if self.strategy is not None:
            object.__setattr__(self, "strategy", _strategy(self.strategy))
        if complaint := out_of_range(self):
            raise OptionError(f"{complaint}.")

        if not isinstance(self.prefix, str | None):
            raise OptionError(f"prefix is {self.prefix!r:.60}, but must be a text.")
        if len(self.prefix or "") > MAX_PREFIX_CHARS:
            raise OptionError(f"prefix has more than {MAX_PREFIX_CHARS:,} characters.")
        for name in ("no_repeat_words", "rerank", "safe"):
            if not isinstance(value := getattr(self, name), bool | None):
                raise OptionError(f"{name} is {value!r:.60}, but must be true or false.")

    def over(self, defaults: DecodingOptions) -> DecodingOptions:
        """Return these options, with what is None taken from ``defaults``.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The definition of one option, which ``DecodingOptions`` holds.

    ``default`` holds where neither the caller nor the model chooses; None then means what ``help`` says.
    ``only`` is the one strategy that heeds the option; None: all do.
    """

    name: str
    kind: type
    bounds: Between | None
    default: Any
    only: Strategy | None
    help: str


_HEEDED_BY = {Strategy.GREEDY: "Greedy", Strategy.BEAM: "Beam", Strategy.SAMPLE: "Sampling"}


def _defined() -> Iterator[Option]:
    hints = typing.get_type_hints(DecodingOptions, include_extras=True)
    for each in fields(DecodingOptions):
        hint = get_args(hints[each.name])[0]  # of "hint | None"
        kind, *limits = get_args(hint) or (hint,)
        default, only, text = (each.metadata[key] for key in ("default", "only", "help"))
        yield Option(
            name=each.name,
            kind=kind,
            bounds=limits[0] if limits else None,
            default=default,
            only=only,
            help=f"{_HEEDED_BY[only]}: {text[0].lower()}{text[1:]}" if only else text,
        )


OPTIONS: Mapping[str, Option] = {option.name: option for option in _defined()}
"""Every option by its name, in order."""

_DEFAULTS = DecodingOptions(**{option.name: option.default for option in OPTIONS.values()})


def check_choices(options: DecodingOptions, *, n: int) -> None:
    """Refuse (OptionError) what no model can do: greedy captions in the plural, contradicting lengths."""
    if n < 1:
        raise OptionError(f"{n} captions were requested.", hint="Request at least 1.")
    if options.strategy is Strategy.GREEDY and n > 1:
        raise OptionError(
            "Greedy decoding gives one caption.", hint=f"For {n}, choose the strategy beam or sample."
        )
    if options.max_length is not None and (options.min_length or 0) > options.max_length:
        raise OptionError(f"min_length {options.min_length} is more than max_length {options.max_length}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """Options with every choice made; what decoders are given.

    ``seed`` None draws differently each time. ``prefix`` are token ids; ``repeatable`` those that may
    occur twice, None for all; ``function_words`` those that carry the grammar, None where nobody knows.
    ``wording`` says what may not be written of people, None for nothing.
    """

    strategy: Strategy
    n: int
    beam_size: int
    diversity: float
    length_penalty: float
    min_length: int
    max_length: int
    no_repeat_ngram: int
    temperature: float
    top_k: int
    top_p: float
    rerank: bool = False
    safe: bool = False
    sex_confidence: float = SEX_CONFIDENCE
    seed: int | None = None
    prefix: tuple[int, ...] = ()
    repeatable: tuple[int, ...] | None = None
    function_words: tuple[int, ...] | None = None
    wording: Wording | None = None


def resolve(
    options: DecodingOptions,
    *,
    n: int,
    longest: int,
    prefix: tuple[int, ...] = (),
    repeatable: tuple[int, ...] | None = None,
    function_words: tuple[int, ...] | None = None,
    wording: Wording | None = None,
) -> Decoding:
    """Make every choice. ``longest`` is the most tokens, before the end token, that the model can write.

    ``prefix``, ``repeatable``, ``function_words`` and ``wording`` are those of Decoding.
    Raises OptionError for choices that contradict each other.
    """
    chosen = options.over(_DEFAULTS)
    check_choices(chosen, n=n)
    made = {name: getattr(chosen, name) for name in OPTIONS if name != "no_repeat_words"}
    if n == 1 or not made["diversity"]:
        made["beam_size"] = max(n, made["beam_size"])
        if made["strategy"] is Strategy.BEAM and made["beam_size"] == 1:
            made["strategy"] = Strategy.GREEDY  # what everybody expects of a beam of one
    made["max_length"] = min(made["max_length"] or longest, longest)
    if made["min_length"] > longest:
        raise OptionError(
            f"min_length is {made['min_length']}, but this model writes at most {longest} tokens."
        )
    if len(prefix) > made["max_length"]:
        raise OptionError(f"The prefix has {len(prefix)} tokens, more than max_length {made['max_length']}.")
    return Decoding(
        **{**made, "prefix": prefix},
        n=n,
        repeatable=repeatable,
        function_words=function_words,
        wording=wording,
    )
