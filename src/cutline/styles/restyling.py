"""A writer behind the guard: asked again where a text breaks the rules, then cut, then refused."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from cutline.errors import OptionError
from cutline.model_answers import may_lead_in
from cutline.styles.guard import GRAVE, Fault, Text, check, mend, parse, rejects
from cutline.styles.support import opening, unsupported_in
from cutline.styles.voice import Voice, visible
from cutline.styles.writing import DEFAULT_SEED, Piece, Styled, Task, Writer

MAX_STYLED = 10
MAX_DESCRIPTION_CHARS = 1_000
MAX_ANSWER_CHARS = 4_000
TRIES = 3
_SEEDS_APART = 1_000  # between captions, so that their further tries share no seed


class GuardedRestyler:
    """A Restyler of any Writer. tries: how often a writer is asked for one caption."""

    def __init__(self, writer: Writer, *, tries: int = TRIES) -> None:
        self._writer = writer
        self._tries = tries
        self.name = writer.name
        self.version = writer.version

    def restyle(
        self,
        description: str,
        voice: Voice,
        *,
        n: int = 1,
        seed: int = DEFAULT_SEED,
        context: Sequence[str] = (),
    ) -> list[Styled]:
        """As Restyler."""
        events = self.stream(description, voice, n=n, seed=seed, context=context)
        return [each for each in events if isinstance(each, Styled)]

    def stream(
        self,
        description: str,
        voice: Voice,
        *,
        n: int = 1,
        seed: int = DEFAULT_SEED,
        context: Sequence[str] = (),
        others: Sequence[str] = (),
    ) -> Generator[Piece | Styled, None, None]:
        """As Restyler. A word is given out only where nothing up to it breaks a rule that rejects a text."""
        if not 1 <= n <= MAX_STYLED:
            raise OptionError(f"1 to {MAX_STYLED} captions can be written at once, not {n}.")
        return self._captions(_task(description, voice, context), n, seed, others)

    def _captions(
        self, task: Task, n: int, seed: int, others: Sequence[str]
    ) -> Generator[Piece | Styled, None, None]:
        known = list(others)
        for number in range(n):
            styled = yield from self._caption(task, seed + number * _SEEDS_APART, known)
            known.append(styled.body)

    def _caption(
        self, task: Task, seed: int, others: Sequence[str]
    ) -> Generator[Piece | Styled, None, Styled]:
        drafts: list[_Draft] = []
        for attempt in range(1, self._tries + 1):
            if drafts:
                yield Piece(text="", attempt=attempt, faults=task.faults)
            draft = yield from self._draft(task, seed + attempt - 1, attempt)
            if not draft.faults and draft.text.body in others:
                draft = replace(draft, faults=(Fault.SAME,))
            drafts.append(draft)
            if not draft.faults and not _begins_as_one_of(others, draft):
                break
            faults = draft.faults or (Fault.SAME,)  # it only begins as another one does
            task = replace(task, rejected=draft.answer.strip() or "...", faults=faults)
        best = self._best(drafts, task)
        yield best
        return best

    def _draft(self, task: Task, seed: int, attempt: int) -> Generator[Piece, None, _Draft]:
        """Give out the words of one try, and return it. A fault that rejects it ends the try at once."""
        answer = shown = ""
        log_prob: float | None = 0.0
        with closing(self._writer.write(task, seed=seed)) as pieces:
            for written in pieces:
                answer = (answer + written.text)[:MAX_ANSWER_CHARS]
                log_prob = _sum(log_prob, written.log_prob)
                words = _whole_words(answer)
                if len(answer) == MAX_ANSWER_CHARS or rejects(parse(words), task.voice, task.sources):
                    answer = words
                    break
                said = str(parse(words))
                if said.startswith(shown) and len(said) > len(shown):
                    yield Piece(text=said[len(shown) :], attempt=attempt)
                    shown = said
        text = parse(answer)
        return _Draft(
            answer=answer, text=text, faults=check(text, task.voice, task.sources), log_prob=log_prob
        )

    def _best(self, drafts: Sequence[_Draft], task: Task) -> Styled:
        """The last draft if it is good, else the one that needs the least mending, else the description."""
        if not drafts[-1].faults:
            return self._styled(drafts[-1], task)
        mended = [_mended(draft, task) for draft in drafts if Fault.SAME not in draft.faults]
        if usable := [draft for draft in mended if draft is not None]:
            best = min(usable, key=lambda draft: (len(draft.faults), len("".join(draft.text.removed))))
            return self._styled(best, task)
        plain = Text(body=task.description)
        refused = _Draft(answer="", text=plain, faults=drafts[-1].faults, log_prob=None)
        return replace(self._styled(refused, task), refused=drafts[-1].faults)

    def _styled(self, draft: _Draft, task: Task) -> Styled:
        parts = (task.voice.prefix, draft.text.body, task.voice.suffix, *draft.text.hashtags)
        return Styled(
            text=" ".join(part for part in parts if part),
            body=draft.text.body,
            hashtags=draft.text.hashtags,
            model=f"{self.name}@{self.version}",
            prompt=self._writer.prompt_version,
            log_prob=draft.log_prob,
            unsupported=unsupported_in(str(draft.text), task.voice.language, task.sources),
            removed=draft.text.removed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """One try: what the model said, and what it is worth."""

    answer: str
    text: Text
    faults: tuple[Fault, ...]
    log_prob: float | None


def _begins_as_one_of(others: Sequence[str], draft: _Draft) -> bool:
    """Whether a caption has the first words of another one: a further try may begin in another way."""
    return opening(draft.text.body) in map(opening, others)


def _sum(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right


def _mended(draft: _Draft, task: Task) -> _Draft | None:
    """The draft without what breaks the rules; None where what is left is no caption."""
    text = mend(draft.text, task.voice, task.sources)
    faults = check(text, task.voice, task.sources)
    is_scrap = Fault.TOO_SHORT in faults and text.body != draft.text.body
    if is_scrap or not GRAVE.isdisjoint(faults):
        return None
    return replace(draft, text=text, faults=faults)


def _task(description: str, voice: Voice, context: Sequence[str]) -> Task:
    described = visible(description)
    if not described:
        raise OptionError("There is no description to write a caption from.")
    if len(described) > MAX_DESCRIPTION_CHARS:
        raise OptionError(
            f"The description has {len(described):,} characters;"
            f" at most {MAX_DESCRIPTION_CHARS:,} are allowed."
        )
    further = (visible(each)[:MAX_DESCRIPTION_CHARS] for each in context)
    return Task(description=described, voice=voice, context=tuple(each for each in further if each))


def _whole_words(answer: str) -> str:
    """What may be shown of an unfinished answer: without its last word, nothing of what may be a lead-in."""
    whole = answer[: len(answer) - len(answer.split(" ")[-1])] if answer.split() else ""
    return "" if may_lead_in(whole) else whole
