"""python -m benchmarks.quality RECIPE [KEY=VALUE]... [--model BUNDLE] [--decoding greedy beam default]

How good a bundle's captions are on the dev photos of a recipe, source by source: greedy, by beam search, and
as it decodes by default; how many different words they have, and how often the commonest caption is written.
With a text tower, also how many photos are found by a caption (text), and captions by their photo.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import cutline
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.protocol import embedder
from cutline.captioning.streaming import caption_each
from cutline.metrics import bleu, cider_d, tokenize, vocabulary_used
from cutline.training.calibration import dev_photos
from cutline.training.datasets import read_source
from cutline.training.examples import Example

DECODINGS: Mapping[str, DecodingOptions] = {
    "greedy": DecodingOptions(strategy=Strategy.GREEDY),
    "beam": DecodingOptions(rerank=False),
    "default": DecodingOptions(),
}
HEAD = ("dev photos of", "photos", "decoding", "CIDEr-D", "BLEU-4", "different words", "most repeated")
RECALL_HEAD = ("dev photos of", "text R@1", "text R@10", "photo R@1", "photo R@10")


def captioned(
    photos: Sequence[Example], captioner: cutline.Captioner, asked: DecodingOptions
) -> tuple[list[str], list[npt.NDArray[np.float32]]]:
    """The first caption of each photo, and where the photos lie: N texts, N vectors [E]."""
    texts, places = [], []
    images = (read_source(each.image) for each in photos if each.image is not None)
    for outcome in caption_each(captioner, images, options=asked):
        if not isinstance(outcome, list):
            raise outcome
        texts.append(outcome[0].text)
        places.append(np.asarray(outcome[0].embedding))
    return texts, places


def recalls(
    places: npt.NDArray[np.float32], texts: npt.NDArray[np.float32], of: npt.NDArray[np.int64]
) -> list[float]:
    """Text to photo, and photo to text, at 1 and at 10, in percent. [N, E], [T, E], each text's photo [T]."""
    likeness = texts @ places.T
    own = likeness[np.arange(len(of)), of]
    text_ranks = (likeness > own[:, None]).sum(1)
    best = np.full(len(places), -np.inf)
    np.maximum.at(best, of, own)
    photo_ranks = (likeness > best[None]).sum(0)
    return [100 * float((ranks < first).mean()) for ranks in (text_ranks, photo_ranks) for first in (1, 10)]


def row(cells: Sequence[object]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--model", help="a bundle; by default the one that ships")
    parser.add_argument("--decoding", nargs="+", choices=DECODINGS, default=list(DECODINGS))
    arguments = parser.parse_args()
    examples = dev_photos(arguments.recipe, arguments.overrides)
    captioner = cutline.load(arguments.model)
    has_tower = not embedder(captioner).no_text_reason
    found = []
    print(f"{captioner.name}\n\n{row(HEAD)}\n|{'---|' * len(HEAD)}")
    for source in dict.fromkeys(each.source for each in examples):
        photos = [each for each in examples if each.source == source and each.image is not None]
        references = [[tokenize(text) for text in each.captions] for each in photos]
        for name in arguments.decoding:
            texts, places = captioned(photos, captioner, DECODINGS[name])
            words = [tokenize(each) for each in texts]
            cider, four = 100 * cider_d(references, words)[0], 100 * bleu(references, words)[0][3]
            [(_, repeated)] = Counter(texts).most_common(1)
            figures = (f"{cider:.2f}", f"{four:.2f}", vocabulary_used(words), repeated)
            print(row((source, len(photos), name, *figures)), flush=True)
        if has_tower:
            of = np.repeat(np.arange(len(photos)), [len(each.captions) for each in photos])
            read = embedder(captioner).embed_text([text for each in photos for text in each.captions])
            found.append((source, *(f"{each:.1f}" for each in recalls(np.stack(places), read, of))))
    if found:
        print(f"\n{row(RECALL_HEAD)}\n|{'---|' * len(RECALL_HEAD)}")
        for cells in found:
            print(row(cells))


if __name__ == "__main__":
    main()
