"""A mutation run: of small changes to the loop, the posteriors and `select`, the share that a test notices.

    .venv/bin/python -m tests.mutation --sample 60 --seed 1

mutmut makes the changes, finds by function which tests reach each, and runs those; `[tool.mutmut]` in `pyproject.toml`
says where. This draws the sample and prints what nothing noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "pyproject.toml")
SURVIVED, UNREACHED = 0, 33  # codes of mutmut; what fails a test, hangs or crashes has another


def survivors(sample: int, seed: int, *, workers: int = 2, say: Callable[[str], None] = print) -> dict[str, str]:
    """Of a sample of mutants, those that no test noticed: name and difference.

    Raises:
        RuntimeError: If the tests fail without any change, or a mutant was not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, root / name)
        # with a name that fits none, mutmut makes all mutants, runs all tests for what they reach, and leaves
        said = _mutmut(root, "run", "none")
        everything = _codes(root)
        if not everything or not (root / "mutants" / "mutmut-stats.json").exists():
            raise RuntimeError(f"mutmut made no mutants or could not run the tests:\n{said[-4000:]}")
        chosen = random.Random(seed).sample(sorted(everything), min(sample, len(everything)))
        say(f"{len(chosen)} of {len(everything)} mutants, seed {seed}")
        said = _mutmut(root, "run", "--max-children", str(workers), *chosen)
        codes = _codes(root)
        if any(codes[name] is None for name in chosen):
            raise RuntimeError(f"not every mutant was run:\n{said[-4000:]}")
        left = sorted(name for name in chosen if codes[name] in (SURVIVED, UNREACHED))
        return {name: _mutmut(root, "show", name) for name in left}


def _codes(root: Path) -> dict[str, int | None]:
    """How each mutant ended, by name."""
    files = sorted((root / "mutants").rglob("*.py.meta"))
    return {
        name: code
        for file in files
        for name, code in json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"].items()
    }


def _mutmut(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # the workers share the cores
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return re.sub(r"[^\n]*\r", "", done.stdout)  # without what a terminal writes over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    left = survivors(options.sample, options.seed, workers=options.workers)
    print(*left.values(), sep="\n")
    print(f"noticed: {1 - len(left) / options.sample:.0%}")


if __name__ == "__main__":
    main()
