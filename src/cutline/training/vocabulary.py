"""From captions to a Hugging Face tokenizer: the vocabulary, and the file that goes into the bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)

from cutline.errors import DataError
from cutline.training.text import TextConfig, character_normaliser, normalise_caption

PAD, START, END, UNKNOWN = "<pad>", "<sos>", "<end>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)
PAD_ID, START_ID, END_ID, UNKNOWN_ID = range(4)

# "man's" is two words, as in the Penn Treebank; 'll and 'd stay, for no decoder would join them again.
_CLITICS = r"(?<=\w)(?:n't|'(?:s|re|ve|m))(?!\w)"
_PUNCTUATION = r"[.,!?](?!\w)"


def build_tokenizer(captions: Iterable[str], config: TextConfig) -> Tokenizer:
    """A tokenizer whose vocabulary is learnt from these captions: give it the training split's alone.

    Encoding puts <sos> before and <end> after (`add_special_tokens=False` leaves them out); decoding skips
    them. Text in angle brackets is never read as a special token while `encode_special_tokens` is on, which
    must be set again on a tokenizer that is read from a file.

    Raises DataError when no caption has a word in it.
    """
    texts = [text for text in (normalise_caption(caption, config) for caption in captions) if text]
    if not texts:
        raise DataError(
            "There are no captions to build a vocabulary from.",
            hint="Check the data with `cutline data check`.",
        )
    tokenizer = (
        _word_tokenizer(texts, config) if config.tokenizer == "word" else _bpe_tokenizer(texts, config)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, START_ID), (END, END_ID)]
    )
    tokenizer.encode_special_tokens = True
    return tokenizer


def _word_tokenizer(texts: list[str], config: TextConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = character_normaliser(config)
    tokenizer.pre_tokenizer = _word_splitter()
    # Its clean-up joins commas, full stops and clitics to the word before; no word has its prefix.
    tokenizer.decoder = decoders.WordPiece(prefix="\u0000", cleanup=True)
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(**_how_to_learn(config)))
    return tokenizer


def _word_splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(_CLITICS), "isolated"),
            pre_tokenizers.Split(Regex(_PUNCTUATION), "isolated"),
        ]
    )


def _bpe_tokenizer(texts: list[str], config: TextConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = character_normaliser(config)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(Regex(_PUNCTUATION), "isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(**_how_to_learn(config)))
    return tokenizer


def _how_to_learn(config: TextConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocabulary_size,
        "min_frequency": config.minimum_count,
        "special_tokens": list(SPECIAL_TOKENS),
        "show_progress": False,
    }


def count_words(captions: Iterable[str], config: TextConfig) -> Counter[str]:
    """How often each word of a word tokenizer occurs: what a minimum count is chosen by."""
    splitter = _word_splitter()
    return Counter(
        word
        for caption in captions
        for word, _ in splitter.pre_tokenize_str(normalise_caption(caption, config))
    )


def unknown_rate(tokenizer: Tokenizer, captions: Iterable[str], config: TextConfig) -> float:
    """The share of tokens that the vocabulary does not know, in 0..1; 0 for no captions."""
    texts = [normalise_caption(caption, config) for caption in captions]
    ids = [
        id_ for encoding in tokenizer.encode_batch(texts, add_special_tokens=False) for id_ in encoding.ids
    ]
    return ids.count(UNKNOWN_ID) / len(ids) if ids else 0.0
