"""Whatever lies in a data folder, it is read or gives one line of a PalateError."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import palate

ROOT = Path(__file__).resolve().parents[2]
GIGABYTE = 1 << 30


def outcomes(first: int, count: int) -> tuple[dict[int, dict[str, Any]], int]:
    """What came of each seed, and the peak of memory in bytes; a process that dies is a fault, and another goes on."""
    paths = os.pathsep.join([str(Path(palate.__file__).parents[1]), str(ROOT)])
    # one thread: on a busy machine the tables here are done sooner than a second thread wakes up
    environment = os.environ | {"PYTHONPATH": paths, "POLARS_MAX_THREADS": "1"}
    found: dict[int, dict[str, Any]] = {}
    peak, seed = 0, first
    while seed < first + count:
        command = [sys.executable, "-m", "tests.faults.mutated", str(seed), str(first + count - seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as worker:
            assert worker.stdout is not None
            for line in worker.stdout:
                said = json.loads(line)
                if isinstance(said, int):
                    seed = said
                    found[seed] = {"fault": "the process died"}
                elif "peak" in said:
                    peak = max(peak, said["peak"])
                else:
                    found[seed] = said
        seed += 1
    return found, peak


def check(first: int, count: int) -> None:
    found, peak = outcomes(first, count)
    assert {seed: said["fault"] for seed, said in found.items() if "fault" in said} == {}
    refused = sum("refused" in said for said in found.values())
    assert len(found) == count
    assert 0.2 < refused / count < 0.8, "most are refused, or none: the folders say nothing"
    assert peak < 2 * GIGABYTE


def test_IN_04_two_hundred_spoilt_folders() -> None:
    check(0, 200)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 21_000, 2_000))
def test_IN_04_twenty_thousand_spoilt_folders(first: int) -> None:
    check(first, 2_000)
