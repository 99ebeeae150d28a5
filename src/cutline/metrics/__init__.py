"""Metrics of captions: BLEU, ROUGE-L, CIDEr-D and others. They need neither torch nor Java.

Captions are scored as lists of tokens; ``tokenize`` makes them from text. ``cutline.metrics.java`` runs the
Java programs that papers use, where they are installed.
"""

from cutline.metrics.bleu import SentenceBleu, bleu, sentence_bleu
from cutline.metrics.bootstrap import Comparison, paired_bootstrap
from cutline.metrics.cider import CiderD, DocumentFrequency, cider_d
from cutline.metrics.diversity import (
    distinct_between,
    distinct_n,
    mean_length,
    repetition,
    unique_captions,
    vocabulary_used,
    words_not_shared,
)
from cutline.metrics.meteor import METEOR_APPROXIMATION, meteor
from cutline.metrics.rouge import rouge_l
from cutline.metrics.tokens import TOKENIZER, tokenize

__all__ = [
    "METEOR_APPROXIMATION",
    "TOKENIZER",
    "CiderD",
    "Comparison",
    "DocumentFrequency",
    "SentenceBleu",
    "bleu",
    "cider_d",
    "distinct_between",
    "distinct_n",
    "mean_length",
    "meteor",
    "paired_bootstrap",
    "repetition",
    "rouge_l",
    "sentence_bleu",
    "tokenize",
    "unique_captions",
    "vocabulary_used",
    "words_not_shared",
]
