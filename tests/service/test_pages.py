"""What the page of the service shows is run, against a service in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import ENVIRONMENT, Process, copied

ROOT = Path(__file__).resolve().parents[2]
SHELL = re.compile(r"<!-- newcomer -->\s*```bash\n(.*?)```\s*<!-- /newcomer -->", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Process(copied(tmp_path_factory.mktemp("pages") / "model")) as process:
        yield process


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_newcomers_way_asks_answers_and_sees_the_list_change(running: Process) -> None:
    [shown] = SHELL.findall((ROOT / "docs" / "service.md").read_text(encoding="utf-8"))
    script = shown.replace("http://127.0.0.1:8000", running.url).replace("palate-demo/model", str(running.folder))
    done = subprocess.run(["bash", "-e", "-c", script], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    decoder, documents, rest = json.JSONDecoder(), list[dict[str, list[dict[str, object]]]](), done.stdout.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].lstrip()
    before, question, kept, after = documents
    assert kept["labels"] == [{"key": "first", "seq": 1, "repeated": False}]
    assert len(question["questions"]) == 1 and before["items"] != after["items"] and len(after["items"]) == 3


def test_the_page_on_wiring_does_what_it_shows(running: Process) -> None:
    text = (ROOT / "docs/service.md").read_text(encoding="utf-8")
    namespace: dict[str, object] = {}
    blocks = PYTHON.findall(text)
    assert len(blocks) >= 3
    for code, printed in blocks:
        code = code.replace("http://127.0.0.1:8000", running.url).replace("my-model", str(running.folder))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, "docs/service.md", "exec"), namespace)
        assert out.getvalue() == printed
    namespace["palate"].close()  # type: ignore[attr-defined]
