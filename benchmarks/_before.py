"""What a part of a benchmark gives with the code of an earlier commit, in the same run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

COMMIT = "53717a0"  # the last one whose likes weigh one each, and whose users all have one noise
_ROOT = Path(__file__).resolve().parents[1]
_RUN = "import json, sys; from benchmarks.{} import {} as f; print(json.dumps(f(*json.loads(sys.argv[1]))))"


def before(benchmark: str, function: str, *arguments: Any) -> Any:
    """The function's result; its arguments and itself are what JSON holds."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "-C", _ROOT, "archive", COMMIT, "src"], check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        done = subprocess.run(
            [sys.executable, "-c", _RUN.format(benchmark, function), json.dumps(arguments)],
            env={**os.environ, "PYTHONPATH": f"{folder}/src{os.pathsep}{_ROOT}"},
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)
