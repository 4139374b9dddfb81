from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import time
import urllib.request

import pytest

from palate import Learner
from tests.served import ENVIRONMENT


@pytest.mark.slow
@pytest.mark.long
def test_the_demo_ends_with_a_page_that_can_be_opened(tmp_path):
    command = [sys.executable, "-c", "from palate.cli import main; main()", "demo", "--sample", "--quick"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--serve", "--port", "0"], cwd=tmp_path, env=ENVIRONMENT, stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + 500.0
        while not (found := re.search(r"Open (http://127\.0\.0\.1:\d+) in a browser", log.read_text())):
            assert process.poll() is None and time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.2)
        said = log.read_text()
        assert "serve palate-demo/model --visitors, then open http://127.0.0.1:8000" in said
        assert (tmp_path / "palate-demo" / "report.html").exists()
        assert said.index("After five questions") < said.index("Open http")
        with urllib.request.urlopen(found[1], timeout=30) as page:
            assert page.status == 200 and b'<form id="enter"' in page.read()
    finally:
        process.terminate()
    assert process.wait(60) == 0


@pytest.mark.slow
def test_the_demo_on_the_generated_world(cli, tmp_path):
    out = tmp_path / "demo"
    result = cli("demo", "--sample", "--quick", "--out", out)
    assert result.code == 0, result.err
    headline = result.out.rstrip().splitlines()[-1]
    assert headline.startswith("After five questions, ")
    assert {"report.html", "simulate.json", "rmse.png", "model"} <= {path.name for path in out.iterdir()}
    page = (out / "report.html").read_text()
    assert html.escape(headline) in page
    assert Learner.load(out / "model").recommend("you", k=1)

    answers = cli("interview", out / "model", "--user", "you", stdin="4\nq\n")
    assert answers.code == 0

    again = cli("demo", "--sample", "--quick", "--out", out, "--json")  # safe to run again; the answer stays
    assert again.code == 0, again.err
    document = again.json
    assert set(document) == {"headline", "path", "model", "simulation"}
    assert document["headline"] == headline
    assert document["simulation"]["strategies"] == json.loads((out / "simulate.json").read_text())["strategies"]
    people = document["simulation"]["people"]["people"]
    assert [len(person["turns"]) for person in people] == [5, 5, 5]
    for turn in (turn for person in people for turn in person["turns"]):
        assert html.escape(turn["question"]) in page and html.escape(turn["answer"]) in page
    assert len(Learner.load(out / "model").told["you"]) == 1
