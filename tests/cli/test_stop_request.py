"""A service process ends at SIGTERM, whichever of its threads the kernel gives the signal to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import pathlib, signal, threading
from cutline.stop_requests import stop_requested

stop = stop_requested()

def is_asleep() -> bool:
    status = pathlib.Path(f"/proc/self/task/{{threading.main_thread().native_id}}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "S"

def take_it() -> None:
    while not all(is_asleep() for _ in range(50)):  # it waits
        pass
    signal.pthread_kill(threading.get_ident(), signal.{name})

threading.Thread(target=take_it).start()
stop.wait()
print("stopped")
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are watched by /proc")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_that_another_thread_gets_stops_the_process(name: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(name=name)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=300, check=True)
    assert ended.stdout == "stopped\n"
