"""The messages that ask a chat model for a caption, from data/prompts/restyle.toml, and their version."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from cutline.styles.guard import Fault
from cutline.styles.voice import Voice
from cutline.styles.writing import Task

Message = Mapping[str, str]
Example = tuple[Task, str]
"""What was asked for, and the caption that was right."""
MAX_SOURCES = 8


def prompt_version() -> str:
    """What is stored with a caption to say which words asked for it."""
    return f"restyle/{_prompt()['version']}"


def messages(task: Task, examples: Sequence[Example] = ()) -> list[Message]:
    """The rules, the request as JSON, and, where an answer was rejected before, that answer and why.

    Examples stand between the rules and the request, as requests that were answered.
    """
    asked: list[Message] = [{"role": "system", "content": rules(task.voice)}]
    for example, answer in examples:
        asked += [{"role": "user", "content": _request(example)}, {"role": "assistant", "content": answer}]
    asked.append({"role": "user", "content": _request(task)})
    if not task.rejected:
        return asked
    return [
        *asked,
        {"role": "assistant", "content": task.rejected},
        {"role": "user", "content": _again(task.faults)},
    ]


def _request(task: Task) -> str:
    request: dict[str, str | list[str]] = {
        "description": task.description,
        "also": list(task.context[:MAX_SOURCES]),
        "tone": task.voice.tone,
        "audience": str(task.voice.audience),
    }
    if task.voice.avoid:
        request["avoid"] = list(task.voice.avoid)
    return json.dumps(request, ensure_ascii=False)


def rules(voice: Voice) -> str:
    """The system prompt for a voice. What a person typed freely is not in it."""
    prompt = _prompt()
    fewest, most = voice.length.chars
    hashtags = prompt["hashtags_some"] if voice.hashtags else prompt["hashtags_none"]
    text = prompt["system"].format(
        fewest=fewest,
        most=most,
        language=voice.language,
        hashtags=hashtags.format(count=voice.hashtags),
        emoji=prompt["emoji_some"] if voice.emoji else prompt["emoji_none"],
    )
    if voice.avoid:
        text += f"- {prompt['avoid']}"
    return text.strip()


def max_tokens(voice: Voice) -> int:
    """The budget of one answer, in tokens: generous for the length that is asked for, and no more."""
    return voice.length.chars[1] + 12 * voice.hashtags + 64


def _again(faults: Sequence[Fault]) -> str:
    return _prompt()["again"].format(faults=", ".join(faults)).strip()


@cache
def _prompt() -> Mapping[str, str]:
    text = (resources.files("cutline.styles") / "data" / "prompts" / "restyle.toml").read_text("utf-8")
    return tomllib.loads(text)
