"""A training on a Ray cluster: Ray starts the processes, and Cutline trains in them as under torchrun.

    ray job submit --address http://HEAD:8265 --working-dir . -- \\
        python deploy/training/ray_train.py --workers 8 -- \\
        recipes/shards.yaml data.shards.path=/mnt/shards output=/mnt/runs/shards cache=/mnt/features

Everything behind ``--`` goes to `cutline train`, with --resume: a job that Ray starts again goes on from the
last checkpoint. Shards, output and cache lie on storage that all nodes see. Each node needs `cutline[train]`.
"""

from __future__ import annotations

import argparse
import os

from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchTrainer


def train(config: dict[str, object]) -> None:
    """Train in this worker. Ray has set MASTER_ADDR and MASTER_PORT; the rest is what torchrun would set."""
    import torch.distributed

    from cutline.cli.main import main

    context = get_context()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # Cutline joins the same processes by itself
    os.environ["RANK"] = str(context.get_world_rank())
    os.environ["WORLD_SIZE"] = str(context.get_world_size())
    os.environ["LOCAL_RANK"] = str(context.get_local_rank())
    code = main(["train", *map(str, config["arguments"]), "--resume"])  # type: ignore[call-overload]
    if code:
        raise RuntimeError(f"cutline train ended with exit code {code}; its message stands above.")


def command() -> None:
    """Read the options, and run the job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a GPU or some cores")
    parser.add_argument("--cpu", action="store_true", help="train on cores, without GPUs")
    parser.add_argument("--restarts", type=int, default=10, help="how often a node may fail")
    parser.add_argument("arguments", nargs="+", help="of cutline train")
    asked = parser.parse_args()
    device = ["--device", "cpu" if asked.cpu else "cuda"]
    trainer = TorchTrainer(
        train,
        train_loop_config={"arguments": [*asked.arguments, *device]},
        scaling_config=ScalingConfig(num_workers=asked.workers, use_gpu=not asked.cpu),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=asked.restarts)),
    )
    trainer.fit()


if __name__ == "__main__":
    command()
