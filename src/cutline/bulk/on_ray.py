"""The shards of a run on Ray: Ray Data streams them through actors, scales their number and restarts them."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import cutline
from cutline.bulk.batch import Settings
from cutline.bulk.listing import Shards as Rows
from cutline.bulk.run import Shards
from cutline.bulk.worker import Isolated
from cutline.captioning.protocol import ModelInfo
from cutline.errors import CaptionerUnavailable, CutlineError, MissingExtra

LOCAL = "ray"


class OnRay:
    """An Engine on a cluster: the one that RAY_ADDRESS or ``address`` names, or one of this machine's cores.

    An actor has one core, one model and one thread. Use it in a ``with``.
    """

    def __init__(self, settings: Settings, address: str = LOCAL) -> None:
        self._settings = replace(settings, threads=1)
        self._address = None if address == LOCAL else address
        self.about: ModelInfo = cutline.load(settings.model).about()

    def __enter__(self) -> OnRay:
        """Connect, or start. Raises MissingExtra and CaptionerUnavailable."""
        try:
            import ray
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "Ray is not installed.", hint="Install it with: pip install 'cutline[ray]'"
            ) from error
        try:
            ray.init(
                address=self._address, log_to_driver=False, logging_level="WARNING", include_dashboard=False
            )
        except Exception as error:  # it raises plain ones
            raise CaptionerUnavailable(f"Ray cannot be used ({error}).") from error
        return self

    def __exit__(self, *raised: object) -> None:
        """Disconnect, and end what was started here."""
        import ray

        ray.shutdown()

    def shards(self, listing: Rows, numbers: list[int]) -> Shards:
        """As Engine."""
        if not numbers:
            return
        import ray

        ray.data.DataContext.get_current().enable_progress_bars = False  # the progress is our own
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        asked = ray.data.from_items(
            [{"shard": number, "rows": pickle.dumps(list(listing.shard(number)))} for number in numbers],
            override_num_blocks=len(numbers),  # a shard is what an actor is given
        )
        answered = asked.map_batches(
            ShardCaptioner,
            fn_constructor_args=(self._settings,),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cores),
        )
        try:
            for row in answered.iter_rows():
                done = pickle.loads(row["done"])
                if isinstance(done, CutlineError):
                    raise done
                yield int(row["shard"]), iter(done)
        except ray.exceptions.RayError as error:
            raise CaptionerUnavailable(f"Ray has failed ({error}).") from error


class ShardCaptioner:
    """What an actor does: columns of shards in, columns of captions out; or the error that ends the run."""

    def __init__(self, settings: Settings) -> None:
        self._captions = Isolated(settings)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """batch["rows"]: pickled rows of each shard; "done": pairs of rows and answers, pickled."""
        answers = np.array([self._answer(pickle.loads(rows)) for rows in batch["rows"]], object)
        return {"shard": batch["shard"], "done": answers}

    def _answer(self, rows: Any) -> bytes:
        try:
            return pickle.dumps(list(self._captions.over(rows)))
        except CutlineError as error:
            return pickle.dumps(error)
