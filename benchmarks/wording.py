"""python -m benchmarks.wording RECIPE [KEY=VALUE]... [--model BUNDLE] [--sex-confidence 0.6 0.7 0.8]

What `safe` changes on the dev photos of a recipe: how many captions, how much CIDEr-D, and how many name a
sex that nobody saw who described the photo. wrong: people name the other one alone; unfounded: none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cutline
from benchmarks.dev_captions import captions_of, parser_of
from cutline.captioning.options import OPTIONS, DecodingOptions
from cutline.captioning.wording import words_for_sexes
from cutline.metrics import cider_d, tokenize
from cutline.training.calibration import dev_photos
from cutline.training.examples import Example

FAMILY: Sequence[frozenset[str]] = (
    frozenset(
        ("boyfriend", "brother", "brothers", "dad", "father", "grandfather", "groom", "husband", "son")
    ),
    frozenset(
        ("bride", "daughter", "girlfriend", "grandmother", "mom", "mother", "sister", "sisters", "wife")
    ),
)
HEAD = ("dev photos of", "safe", "captions changed", "CIDEr-D", "change", "sex right", "wrong", "unfounded")


def sexes_of(texts: Iterable[Sequence[str]]) -> tuple[bool, bool]:
    """Whether texts name males, and females."""
    words = {word for text in texts for word in text}
    male, female = (own | family for own, family in zip(words_for_sexes(), FAMILY, strict=True))
    return bool(words & male), bool(words & female)


def counts(captions: Sequence[str], photos: Sequence[Example]) -> Mapping[str, int]:
    """How many captions name a sex as people do, the other one, and one where people name none."""
    found = dict.fromkeys(("right", "wrong", "unfounded"), 0)
    for caption, photo in zip(captions, photos, strict=True):
        said = sexes_of([tokenize(caption)])
        seen = sexes_of(map(tokenize, photo.captions))
        if not any(said):
            continue
        if all(is_seen or not is_said for is_said, is_seen in zip(said, seen, strict=True)):
            found["right"] += 1
        else:
            found["wrong" if any(seen) else "unfounded"] += 1
    return found


def main() -> None:
    """Print a table."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--sex-confidence", type=float, nargs="+", default=[OPTIONS["sex_confidence"].default]
    )
    arguments = parser.parse_args()
    examples = dev_photos(arguments.recipe, arguments.overrides)
    captioner = cutline.load(arguments.model)
    ways = {"no": DecodingOptions(safe=False)} | {
        f"{least:g}": DecodingOptions(safe=True, sex_confidence=least) for least in arguments.sex_confidence
    }
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for source in dict.fromkeys(each.source for each in examples):
        photos = [each for each in examples if each.source == source]
        references = [[tokenize(text) for text in each.captions] for each in photos]
        plain: list[str] = []
        base = 0.0
        for name, asked in ways.items():
            captions = [each.text for each in captions_of(photos, captioner, asked)]
            score = 100 * cider_d(references, [tokenize(each) for each in captions])[0]
            plain, base = plain or captions, base or score
            changed = sum(one != other for one, other in zip(plain, captions, strict=True))
            cells = [source, name, changed, f"{score:.2f}", f"{100 * (score / base - 1):+.2f} %"]
            print(f"| {' | '.join(map(str, [*cells, *counts(captions, photos).values()]))} |", flush=True)


if __name__ == "__main__":
    main()
