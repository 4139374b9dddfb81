"""Running peers in an environment of their own, which ``make bench`` makes; ``--peers PYTHON`` names another."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import main

SCRIPT = Path(__file__).with_name("_peers.py")
PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
Peers = Callable[[str, dict[str, np.ndarray]], dict[str, Any]]  # job, arrays -> what they say


def main_with_peers(name: str, run: Callable[[int, Peers], dict[str, Any]], seeds: int) -> None:
    """As :func:`benchmarks._data.main`, for a benchmark that also asks the peers."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--peers", default=str(PEERS), metavar="PYTHON", help="of the environment that holds the peers")
    options, sys.argv[1:] = parser.parse_known_args()
    if not Path(options.peers).exists():
        sys.exit(f"{options.peers} is missing. Make the environment of the peers: make {PEERS.parents[1].name}/.made")
    main(name, lambda n: run(n, lambda job, arrays: ask(options.peers, job, arrays)), seeds)


def ask(python: str, job: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the peers make of these arrays, on one thread, as ours do."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input.npz", Path(folder) / "output.json"
        np.savez(source, **arrays)
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
        subprocess.run([python, SCRIPT, job, source, target], check=True, env={**os.environ, **one_thread})
        return dict(json.loads(target.read_text(encoding="utf-8")))
