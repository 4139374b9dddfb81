"""The adapters and the page about them with the libraries, in their environment, which has what Palate needs too."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-peers-toolkits" / "bin" / "python"

pytestmark = pytest.mark.long


def run(arguments: list[str], folder: Path) -> str:
    if not PYTHON.exists():
        pytest.skip("the environment of LensKit and RecBole is missing: make .venv-peers-toolkits/.made")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(PYTHON), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_adapters_with_the_libraries() -> None:
    tests = [f"tests/integrations/test_{name}.py" for name in ("lenskit", "recbole")]
    said = run(["-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider", *tests], ROOT)
    assert " skipped" not in said.splitlines()[-1]


@pytest.mark.parametrize("section", ["LensKit", "RecBole"])
def test_what_the_page_shows_runs(section: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "toolkits.md").read_text(encoding="utf-8")
    shown = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```py\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert run(["-c", "\n".join(blocks)], tmp_path)
