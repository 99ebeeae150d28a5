"""A process that is killed anywhere leaves the old state or the new one."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cutline.registry import Draft, Registry, verify
from cutline.registry.store import DRAFTS, FolderStore

pytestmark = [
    pytest.mark.slow,
    # From Python 3.12 on; the children end before they could wait for what another thread held.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

BY = {"by": "a test", "why": "it is a test"}
MakeDraft = Callable[..., Draft]
OpenHere = Callable[..., Registry]
CHANGES = ("open", "os.link", "os.mkdir", "os.remove", "os.rename")


def in_a_child(act: Callable[[], object], *, before: Callable[[], None]) -> int:
    """Run something in a fork of this process, and say how it ended: 0, or the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            before()
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killed_at(step: int) -> Callable[[], None]:
    """Kill this process before its so manieth change of the file system."""

    def arm() -> None:
        left = step

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            is_change = event in CHANGES and (event != "open" or int(arguments[2]) & os.O_CREAT)  # type: ignore[call-overload]
            if is_change:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return arm


def killed_at_byte(most: int) -> Callable[[], None]:
    """Kill this process when a file of it grows beyond so many bytes."""

    def arm() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    return arm


def states(registry: Registry) -> tuple[int, str]:
    assert verify(registry).problems == []
    return len(registry.versions()), registry.find().id


def test_a_push_and_a_promotion_that_are_killed_at_any_step(open_here: OpenHere, draft: MakeDraft) -> None:
    seen = set()
    for step in range(200):
        registry = open_here(f"models-{step}")

        def act(registry: Registry = registry) -> None:
            registry.promote(registry.push(draft(1)).id, **BY)

        ended = in_a_child(act, before=killed_at(step))
        seen.add(states(registry)[0])
        registry.promote(registry.push(draft(1)).id, **BY)  # whoever tries again succeeds
        assert states(registry) == (2, registry.push(draft(1)).id)
        if ended == 0:
            break
    else:
        pytest.fail("the push never ended")
    assert seen == {1, 2}
    assert step > 20


def test_a_push_that_is_killed_in_the_middle_of_a_file(
    open_here: OpenHere, draft: MakeDraft, bundles: list[Path]
) -> None:
    sizes = {path.stat().st_size for path in bundles[1].iterdir()}
    for most in sorted({0, 1, *(size - 1 for size in sizes)}):
        registry = open_here(f"models-{most}")
        ended = in_a_child(lambda registry=registry: registry.push(draft(1)), before=killed_at_byte(most))
        assert ended == signal.SIGXFSZ
        assert states(registry)[0] == 1
        assert list((Path(registry.where) / DRAFTS).iterdir())
        registry.push(draft(1))
        assert states(registry)[0] == 2
        assert FolderStore(Path(registry.where)).sweep_drafts(-1) == 1
