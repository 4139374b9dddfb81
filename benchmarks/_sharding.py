"""What it takes to write shards: seconds, processor seconds and peak memory of ``palate shard`` on generated ratings.

python -m benchmarks._sharding FOLDER --users 100000 --items 20000 --ratings 10000000
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks._generated_events import Generated, write_ratings

COMMAND = "from palate.cli import main; main()"


def sharded(generated: Generated, out: Path, *options: str) -> dict[str, float]:
    """Run ``palate shard`` in a process of its own; ``out`` must not be there yet.

    Returns:
        Seconds, processor seconds, and the most megabytes that it and the process that decodes for it held together.
    """
    arguments = ["shard", *map(str, generated.ratings), "--items", str(generated.items), "--out", str(out), "--json"]
    started, before = time.perf_counter(), os.times()
    with subprocess.Popen([sys.executable, "-c", COMMAND, *arguments, *options], stdout=subprocess.PIPE) as process:
        peak = _Peak(process.pid)
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"palate shard ended with exit code {process.returncode}")
    after, done = os.times(), json.loads(said)
    return {
        "answers": done["answers"],
        "shards": done["shards"],
        "bytes": done["bytes"],
        "seconds": time.perf_counter() - started,
        "processor_seconds": after.children_user
        + after.children_system
        - before.children_user
        - before.children_system,
        "peak_megabytes": peak.megabytes(),
    }


class _Peak:
    """Resident memory of a process and its children, looked at ten times a second until it ends."""

    def __init__(self, pid: int) -> None:
        self._pid, self._most = pid, 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while held := sum(map(_resident, [self._pid, *_children(self._pid)])):
            self._most = max(self._most, held)
            time.sleep(0.1)

    def megabytes(self) -> float:
        self._thread.join()
        return self._most / 1e6


def _children(pid: int) -> list[int]:
    try:
        return [
            int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for option in ("users", "items", "ratings"):
        parser.add_argument(f"--{option}", type=int, required=True)
    given = vars(parser.parse_args())
    folder = given.pop("folder")
    made = write_ratings(folder / "data", **given)
    print(json.dumps(sharded(made, folder / "shards"), indent=2))
    shutil.rmtree(folder)
