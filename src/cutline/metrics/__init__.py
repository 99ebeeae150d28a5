"""How good captions are: BLEU, ROUGE-L, CIDEr-D and friends. No torch, no Java needed.

Captions are scored as lists of tokens; ``tokenize`` makes them from text.
"""

from cutline.metrics.bleu import SentenceBleu, bleu, sentence_bleu
from cutline.metrics.cider import CiderD, DocumentFrequency, cider_d
from cutline.metrics.rouge import rouge_l
from cutline.metrics.tokens import TOKENIZER, tokenize

__all__ = [
    "TOKENIZER",
    "CiderD",
    "DocumentFrequency",
    "SentenceBleu",
    "bleu",
    "cider_d",
    "rouge_l",
    "sentence_bleu",
    "tokenize",
]
