"""What the model that ships writes when it always takes the likeliest token, and whether it still would.

    python tests/styles/golden.py      # after a new model: writes golden.jsonl anew

Another processor adds numbers in another order, and gives odds that differ in the last digits. So texts are
not compared: each token of a golden text must still be the likeliest one, or all but as likely.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cutline.styles import Voice
from cutline.styles.built_in import folder, prompt
from cutline.styles.causal import CausalModel
from cutline.styles.voice import voice_from

GOLDEN = Path(__file__).with_name("golden.jsonl")
ASKED: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("A dog runs along the beach.", {"tone": "quirky"}),
    ("Two children are playing in a fountain.", {"tone": "like a haiku"}),
    ("A man in a red jacket is climbing a rock.", {"tone": "dry", "length": "short"}),
    ("A plate of food with broccoli.", {"tone": "persuasive", "audience": "promotional", "hashtags": 2}),
    ("A cat sits on a window sill.", {"tone": "formal", "audience": "academic", "length": "long"}),
)
MOST_TOKENS = 80


def greedy(model: CausalModel, description: str, voice: Voice) -> list[int]:
    """The likeliest tokens, one after the other."""
    context = model.read(model.encode(prompt(description, voice)))
    tokens: list[int] = []
    while len(tokens) < MOST_TOKENS and (token := int(context.log_probs.argmax())) != model.end_id:
        tokens.append(token)
        context = model.read([token], context)
    return tokens


def largest_gap(model: CausalModel, description: str, voice: Voice, tokens: Sequence[int]) -> float:
    """By how many nats at most one of the tokens is less likely than the likeliest one."""
    context = model.read(model.encode(prompt(description, voice)))
    gap = 0.0
    for token in tokens:
        gap = max(gap, float(context.log_probs.max() - context.log_probs[token]))
        context = model.read([token], context)
    return gap


if __name__ == "__main__":
    shipped = CausalModel(folder())
    lines = []
    for description, voice in ASKED:
        tokens = greedy(shipped, description, voice_from(voice))
        written = {
            "description": description,
            "voice": voice,
            "text": shipped.decode(tokens),
            "tokens": tokens,
        }
        lines.append(json.dumps(written, ensure_ascii=False) + "\n")
    GOLDEN.write_text("".join(lines), encoding="utf-8")
