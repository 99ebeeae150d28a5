"""Captions in a voice as files of captions have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cutline.caption_files import CaptionLine, ScoredCaption
from cutline.errors import CutlineError, OutputError
from cutline.styles.voice import Voice
from cutline.styles.writing import Restyler, Styled


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicing:
    """In which voice photos are captioned besides, by whom, and in how many variants."""

    restyler: Restyler
    voice: Voice
    n: int

    def styled(self, captions: Sequence[ScoredCaption]) -> list[Styled]:
        """Captions in the voice from the first caption; the others support what is said."""
        first, *others = (caption.text for caption in captions)
        return self.restyler.restyle(first, self.voice, n=self.n, context=others)


def in_voice(line: CaptionLine, voicing: Voicing) -> tuple[CaptionLine, list[CutlineError]]:
    """The line with captions in the voice, and what the guard refused."""
    styled = voicing.styled(line.captions)
    refused = dict.fromkeys(str(fault) for each in styled for fault in each.refused)
    records = tuple(styled_record(each) for each in styled)
    refusals: list[CutlineError] = (
        [OutputError(f"no caption in that voice: {', and '.join(refused)}.")] if refused else []
    )
    return replace(line, styled=records, voice=voice_record(voicing.voice)), refusals


def voice_record(voice: Voice) -> dict[str, Any]:
    """A voice as JSON has it: what differs from a plain one."""
    plain = asdict(Voice())
    return {name: value for name, value in asdict(voice).items() if value != plain[name] or name == "tone"}


def styled_record(styled: Styled) -> dict[str, Any]:
    """A styled caption as JSON has it."""
    record: dict[str, Any] = {
        "text": styled.text,
        "hashtags": list(styled.hashtags),
        "model": styled.model,
        "prompt": styled.prompt,
        "log_prob": styled.log_prob,
        "unsupported": list(styled.unsupported),
    }
    if styled.removed:
        record["removed"] = list(styled.removed)
    if styled.refused:
        record["refused"] = [str(fault) for fault in styled.refused]
    return record
