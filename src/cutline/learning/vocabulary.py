"""Which words a bundle can write."""

from __future__ import annotations

from tokenizers import Tokenizer

from cutline.captioning.bundle import TOKENIZER, Bundle


def tokenizer_of(bundle: Bundle) -> Tokenizer:
    """A bundle's tokenizer, which reads text in angle brackets as text."""
    tokenizer = Tokenizer.from_str(bundle.files[TOKENIZER].decode("utf-8"))
    tokenizer.encode_special_tokens = True
    return tokenizer


class Known:
    """Whether a bundle's vocabulary has a word."""

    def __init__(self, bundle: Bundle) -> None:
        self._tokenizer = tokenizer_of(bundle)
        self._unknown = bundle.manifest.architecture.unknown_id

    def __call__(self, word: str) -> bool:
        """Whether the word can be written without <unk>."""
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        return bool(ids) and self._unknown not in ids
