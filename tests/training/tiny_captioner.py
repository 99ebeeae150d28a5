"""A real captioner that trains in a second: pictures of one coloured square, and what to say of them.

Also a program, for the tests that kill it or start it twice:
    python tiny_captioner.py FOLDER [--resume] [--dropout P] [--stop-at CALL] [--die-at CALL] [key=value ...]
Legend of shapes: B pictures, L tokens, V vocabulary, D width.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cutline.training.config import StageConfig, parse, parse_yaml
from cutline.training.distributed import join_world
from cutline.training.loop import FitResult, Loss, fit
from cutline.training.optim import ParameterGroup
from cutline.training.tracking import JsonLines

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
PLACES = ("left", "right")
WORDS = ("<pad>", "<sos>", "<end>", "<unk>", "a", "square", "on", "the", *COLOURS, *PLACES)
Pictures = tuple[Tensor, Tensor]  # [B, 3, 8, 8], [B, L]


def pictures(count: int, *, seed: int) -> Pictures:
    """Draw pictures and say what they show."""
    rng = np.random.default_rng(seed)
    images = 0.1 * rng.standard_normal((count, 3, 8, 8)).astype(np.float32)
    tokens = np.zeros((count, 9), dtype=np.int64)
    for index in range(count):
        colour, place = str(rng.choice(list(COLOURS))), str(rng.choice(PLACES))
        side = slice(0, 4) if place == "left" else slice(4, 8)
        images[index, :, 2:6, side] += np.array(COLOURS[colour], dtype=np.float32)[:, None, None]
        # Some captions are longer than others, so that a mean over tokens is no mean over pictures.
        words = ["a", colour, "square", *(["on", "the", place] if rng.random() < 0.5 else [place])]
        ids = [1, *(WORDS.index(word) for word in words), 2]
        tokens[index, : len(ids)] = ids
    return torch.from_numpy(images), torch.from_numpy(tokens)


class TinyCaptioner(nn.Module):
    """A convolution, a batch norm that is frozen, and a recurrent decoder."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 8, 4, stride=4)
        self.frozen = nn.BatchNorm2d(8)
        self.embedding = nn.Embedding(len(WORDS), 16)
        self.start = nn.Linear(32, 32)
        self.decoder = nn.GRU(16, 32, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(32, len(WORDS))

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """[B, 3, 8, 8], [B, L] -> [B, L, V]."""
        seen = torch.tanh(self.start(self.frozen(self.encoder(images)).flatten(1)))
        hidden, _ = self.decoder(self.embedding(tokens), seen.unsqueeze(0))
        return cast(Tensor, self.out(self.dropout(hidden)))


class TinyObjective:
    """Cross-entropy of the captions of generated pictures."""

    def __init__(self, stage: StageConfig, *, dropout: float = 0.0, count: int = 48) -> None:
        torch.manual_seed(7)
        self.module: nn.Module = TinyCaptioner(dropout)
        self.stage = stage
        self.train, self.dev = pictures(count, seed=1), pictures(32, seed=2)
        self.evaluations = self.calls = self.stop_at = self.die_at = 0

    def parameter_groups(self) -> list[ParameterGroup]:
        parameters = [
            value for name, value in self.module.named_parameters() if not name.startswith("frozen")
        ]
        stage = self.stage
        return [
            ParameterGroup(
                name="all",
                parameters=parameters,
                learning_rate=stage.learning_rate,
                weight_decay=stage.weight_decay,
            )
        ]

    def steps_per_epoch(self) -> int:
        return len(self.train[0]) // self.stage.batch_size

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Pictures]:
        order = np.random.default_rng([3, epoch]).permutation(len(self.train[0]))
        for step in range(start, self.steps_per_epoch()):
            size = self.stage.batch_size
            chosen = torch.from_numpy(order[step * size : (step + 1) * size][rank::world])
            yield self.train[0][chosen], self.train[1][chosen]

    def loss(self, batch: Pictures) -> Loss:
        self.calls += 1
        if self.calls == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.calls == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._loss(batch)

    def _loss(self, batch: Pictures) -> Loss:
        images, tokens = batch
        logits = self.module(images, tokens[:, :-1])
        targets = tokens[:, 1:]
        value = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=0)
        return Loss(value=value, weight=float((targets != 0).sum()), logs={"words": float(value.detach())})

    def evaluate(self) -> dict[str, float]:
        self.evaluations += 1
        right = self.module(self.dev[0], self.dev[1][:, :-1]).argmax(-1) == self.dev[1][:, 1:]
        wanted = self.dev[1][:, 1:] != 0
        return {"loss": float(self._loss(self.dev).value), "accuracy": float(right[wanted].float().mean())}


def tiny_stage(**changes: object) -> StageConfig:
    """A stage of twelve steps, unless told otherwise."""
    defaults = {"name": "tiny", "objective": "captions", "epochs": 3, "batch_size": 12, "learning_rate": 0.01}
    return parse(StageConfig, defaults | changes)


def train(
    folder: Path,
    stage: StageConfig,
    *,
    resume: bool = False,
    dropout: float = 0.0,
    stop_at: int = 0,
    die_at: int = 0,
) -> FitResult:
    """Train the tiny captioner, alone or under torchrun.

    stop_at: the first process gets a SIGTERM at that batch; die_at: a SIGKILL.
    """
    with join_world() as world:
        objective = TinyObjective(stage, dropout=dropout)
        if world.first:
            objective.stop_at, objective.die_at = stop_at, die_at
        tracker = JsonLines(folder / f"metrics-{world.rank}.jsonl", stage=stage.name)
        with closing(tracker):
            return fit(objective, stage, folder=folder, tracker=tracker, seed=5, world=world, resume=resume)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--stop-at", type=int, default=0)
    parser.add_argument("--die-at", type=int, default=0)
    parser.add_argument("changes", nargs="*")
    given = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    changes = {change.partition("=")[0]: parse_yaml(change.partition("=")[2], "") for change in given.changes}
    stage = tiny_stage(**changes)
    wishes = {"dropout": given.dropout, "stop_at": given.stop_at, "die_at": given.die_at}
    result = train(given.folder, stage, resume=given.resume, **wishes)
    (given.folder / "result.json").write_text(
        json.dumps({"stopped": result.stopped, "losses": result.losses})
    )


if __name__ == "__main__":
    main()
