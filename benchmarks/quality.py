"""python -m benchmarks.quality RECIPE [KEY=VALUE]... [--model BUNDLE] [--decoding greedy beam default]

How good a bundle's captions are on the dev photos of a recipe, source by source: greedy, by beam search, and
as it decodes by default; how many different words they have, and how often the commonest caption is written.
With a text tower, also how many photos are found by a caption (text), and captions by their photo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

import cutline
from benchmarks.dev_captions import captions_of, parser_of
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.protocol import embedder
from cutline.metrics import bleu, cider_d, tokenize, vocabulary_used
from cutline.metrics.retrieval import recalls
from cutline.training.calibration import dev_photos

DECODINGS: Mapping[str, DecodingOptions] = {
    "greedy": DecodingOptions(strategy=Strategy.GREEDY),
    "beam": DecodingOptions(rerank=False),
    "default": DecodingOptions(),
}
HEAD = ("dev photos of", "photos", "decoding", "CIDEr-D", "BLEU-4", "different words", "most repeated")
RECALL_HEAD = ("dev photos of", "text R@1", "text R@10", "photo R@1", "photo R@10")


def row(cells: Sequence[object]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print the tables."""
    parser = parser_of(__doc__)
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
            captions = captions_of(photos, captioner, DECODINGS[name])
            words = [tokenize(each.text) for each in captions]
            cider, four = 100 * cider_d(references, words)[0], 100 * bleu(references, words)[0][3]
            [(_, repeated)] = Counter(each.text for each in captions).most_common(1)
            figures = (f"{cider:.2f}", f"{four:.2f}", vocabulary_used(words), repeated)
            print(row((source, len(photos), name, *figures)), flush=True)
        if has_tower:
            places = np.stack([np.asarray(each.embedding) for each in captions])  # however they were decoded
            of = np.repeat(np.arange(len(photos)), [len(each.captions) for each in photos])
            read = embedder(captioner).embed_text([text for each in photos for text in each.captions])
            found.append((source, *(f"{each:.1f}" for each in recalls(places, read, of).values())))
    if found:
        print(f"\n{row(RECALL_HEAD)}\n|{'---|' * len(RECALL_HEAD)}")
        for cells in found:
            print(row(cells))


if __name__ == "__main__":
    main()
