"""Runs each target in a process of its own, so that a crash or a hang is one more thing that is found."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.targets import TARGETS

_LONGEST_LINE = 500  # of a report: inputs stand in it, too
_LATE_S = 60  # what starting, a last input and its report may take beyond the time that was given


def main() -> int:
    """Fuzz, and print what each target did; 1 where something failed."""
    asked = _arguments()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    names = asked.target or list(TARGETS)
    each_s = asked.seconds * asked.processes / len(names) if len(names) > asked.processes else asked.seconds
    _say(f"fuzzing {', '.join(names)} for {asked.seconds:g} s with the seed {seed}")
    with ThreadPoolExecutor(asked.processes) as pool:
        failed = [not done for done in pool.map(lambda name: _run(name, seed, each_s, asked), names)]
    return int(any(failed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, help="of the first round; each round has the next one")
    parser.add_argument(
        "--target", action="append", choices=list(TARGETS), help="only this one; again for more"
    )
    parser.add_argument("--processes", type=int, default=1, help="targets that run at once")
    parser.add_argument("--limit-s", type=float, default=20, help="how long an input may take")
    parser.add_argument("--limit-mb", type=int, default=700, help="how much memory an input may take")
    return parser.parse_args()


def _run(name: str, seed: int, seconds: float, asked: argparse.Namespace) -> bool:
    """Fuzz one target; whether all was well."""
    folder = Path(tempfile.mkdtemp(prefix=f"cutline-fuzz-{name}-"))
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(seed), str(seconds), str(folder)]
    command += [str(asked.limit_s), str(asked.limit_mb)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + asked.limit_s + _LATE_S,
        )
    except subprocess.TimeoutExpired as error:
        _say(f"{name}: the worker did not end\n{str(error.stderr)[-4000:]}\nthe input: {folder}/input.bin")
        return False
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        _say(f"{name}: {lines[-1]}")
        return True
    last = "\n".join(line[:_LONGEST_LINE] for line in (done.stdout + done.stderr).splitlines()[-60:])
    _say(
        f"{name}: FAILED (exit code {done.returncode})\n{last}\n"
        f"the input: {folder}/input.bin; again: python -m tests.fuzz --target {name} --seed SEED (as above)"
    )
    return False


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
