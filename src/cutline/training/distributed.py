"""Several processes that train as one (DDP under torchrun), and the same code alone.

A batch belongs to the whole world: rank r of w takes every w-th of its photos. So what is learnt hardly
depends on the number of processes, and a resumed training may have another number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cutline.errors import ConfigError

T = TypeVar("T")

# The others wait while the first computes features or evaluates, which may take days; torchrun ends them all
# when one has died.
_TIMEOUT = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that evaluates, logs and writes files."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sum numbers over all processes."""
        if self.size == 1:
            return list(values)
        totals = torch.tensor(values, dtype=torch.float64, device=_communication_device(self))
        dist.all_reduce(totals)
        return [float(each) for each in totals.cpu()]

    def from_first(self, value: T) -> T:
        """Broadcast the first process's value to all."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Gather the values of all processes, by rank."""
        if self.size == 1:
            return [value]
        boxes: list[T | None] = [None] * self.size
        dist.all_gather_object(boxes, value)
        return [box for box in boxes if box is not None]

    def share(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients are averaged over all processes."""
        if self.size == 1:
            return module
        # Some objectives leave parts of the model out (text alone has no regions).
        return DistributedDataParallel(module, find_unused_parameters=True)


ALONE = World()


def _communication_device(world: World) -> torch.device:
    return torch.device("cuda", world.local_rank) if dist.get_backend() == "nccl" else torch.device("cpu")


@contextmanager
def join_world(*, cuda: bool = False, environ: Mapping[str, str] | None = None) -> Iterator[World]:
    """Join the processes that torchrun started; without torchrun, train alone.

    Raises ConfigError when the environment is incomplete.
    """
    environ = os.environ if environ is None else environ
    if int(environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    try:
        rank, size = int(environ["RANK"]), int(environ["WORLD_SIZE"])
        local_rank = int(environ.get("LOCAL_RANK", "0"))
    except (KeyError, ValueError) as error:
        raise ConfigError(
            "WORLD_SIZE is set, but RANK is not a number.", hint="Start several processes with torchrun."
        ) from error
    if cuda:
        torch.cuda.set_device(local_rank)  # else NCCL gives all processes of a machine its first GPU
    dist.init_process_group("nccl" if cuda else "gloo", rank=rank, world_size=size, timeout=_TIMEOUT)
    try:
        yield World(rank=rank, size=size, local_rank=local_rank)
    finally:
        dist.destroy_process_group()
