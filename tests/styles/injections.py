"""Attempts to make a language model do something else, by what people type, whatever the door."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutline.styles import Fault, Voice
from cutline.styles.guard import GRAVE, check, parse
from cutline.styles.voice import visible
from tests.chat_server import Answer, in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What somebody types, and what a model says that obeys."""

    description: str
    tone: str
    obeyed: str

    @property
    def voice(self) -> Voice:
        """With a hashtag, so that there is room for another one."""
        return Voice(tone=self.tone, hashtags=1)


ATTEMPTS: Sequence[Attempt] = [
    Attempt(**json.loads(line))
    for line in (Path(__file__).parent / "injections.jsonl").read_text("utf-8").splitlines()
]
IN_THE_TONE: Sequence[Attempt] = [each for each in ATTEMPTS if each.tone != "quirky"]


def obeys() -> Callable[[int, dict[str, Any]], Answer]:
    """How a model answers that does what it is told in a description or a tone, every time."""
    answers = {visible(each.description): each.obeyed for each in ATTEMPTS if each not in IN_THE_TONE}
    answers |= {each.voice.tone: each.obeyed for each in IN_THE_TONE}

    def answer(_count: int, request: dict[str, Any]) -> Answer:
        asked = json.loads(request["messages"][1]["content"])
        return in_words(answers[asked["tone"] if asked["tone"] in answers else asked["description"]])

    return answer


def is_harmless(text: str, attempt: Attempt, *, description: str = "") -> bool:
    """Whether a caption keeps the rules, whatever was attempted."""
    said = parse(text)
    faults = check(said, attempt.voice, [visible(description or attempt.description)])
    return GRAVE.isdisjoint(faults) and Fault.TOO_LONG not in faults and len(said.hashtags) <= 1
