"""Who runs what where several processes share the suite: `pytest -n 2`.

What stands on the same servers goes to one process, which starts them once; all else goes file by file.
Long shares come first, so that the processes end together.
"""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

SERVERS, LAPTOP, JOURNEYS = "servers", "laptop", "journeys"
LONGEST = (
    SERVERS,
    JOURNEYS,
    LAPTOP,
    "tests/server/test_privacy_matrix.py",
    "tests/server/api/test_schemathesis.py",
    "tests/training/test_train_command.py",
    "tests/server/uploads/test_hostile_uploads.py",
    "tests/server/cli/test_service_commands.py",
    "tests/training/test_huggingface_export.py",
    "tests/training/test_export.py",
    "tests/learning/test_run.py",
    "tests/training/test_requantise.py",
    "tests/training/test_diagnostics.py",
    "tests/test_house.py",
    "tests/test_telemetry.py",
    "tests/server/jobs/test_kills.py",
    "tests/server/test_models_in_service.py",
    "tests/training/test_writer.py",
    "tests/training/test_loop.py",
    "tests/training/test_encoders.py",
    "tests/training/test_distil.py",
    "tests/training/test_distributed.py",
    "tests/cli/test_caption_command.py",
    "tests/metrics/test_java.py",
    "tests/server/canary/test_operations.py",
    "tests/styles/test_golden_texts.py",
    "tests/captioning/test_decoding.py",
    "tests/cli/test_caption_end_to_end.py",
    "tests/registry/test_killed_pushes.py",
)
# Files that ask for PostgreSQL, Redis or the S3 store in all that they do.
ON_SERVERS = (
    "tests/server/test_faults.py",
    "tests/server/test_bench.py",
    "tests/server/jobs/test_handover.py",
)


# Ends what runs for the share that is being tested.
SERVING = ExitStack()


def share_of(nodeid: str) -> str:
    """The share that a test belongs to."""
    path, _, name = nodeid.partition("::")
    parameters = set(re.split(r"[\[\]-]", name.partition("[")[2]))
    if path.startswith("tests/e2e/"):
        return JOURNEYS
    if path in ON_SERVERS or parameters & {"production", "postgresql", "bucket"}:
        return SERVERS
    return LAPTOP if "laptop" in parameters else path


def place_of(nodeid: str) -> int:
    """How early a test comes: those of long shares first."""
    share = share_of(nodeid)
    return LONGEST.index(share) if share in LONGEST else len(LONGEST)


class ShareScheduling(LoadScopeScheduling):
    """Gives each process whole shares, in the order in which the tests were collected."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)  # type: ignore[arg-type]
        config.option.loadscopereorder = (
            False  # it would put shares of many tests first, however short these are
        )

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        # By place, not by name as the base class does: tests that schemathesis makes have all one name.
        share, tests = self.workqueue.popitem(last=False)
        self.assigned_work[node][share] = tests
        collected = enumerate(self.registered_collections[node])
        node.send_runtest_some([place for place, nodeid in collected if tests.get(nodeid) is False])
