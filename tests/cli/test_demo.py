from __future__ import annotations

import html
import json

import pytest

from palate import Learner


@pytest.mark.slow
def test_the_demo_needs_no_options(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("demo", "--sample", "--quick")
    assert result.code == 0, result.err
    assert (tmp_path / "palate-demo" / "report.html").exists()


@pytest.mark.slow
def test_the_demo_on_the_generated_world(cli, tmp_path):
    out = tmp_path / "demo"
    result = cli("demo", "--sample", "--quick", "--out", out)
    assert result.code == 0, result.err
    headline = result.out.rstrip().splitlines()[-1]
    assert headline.startswith("planted, people never seen: Palate needed ")
    assert {"report.html", "simulate.json", "rmse.png", "model"} <= {path.name for path in out.iterdir()}
    page = (out / "report.html").read_text()
    assert headline in page
    assert Learner.load(out / "model").recommend("you", k=1)

    answers = cli("interview", out / "model", "--user", "you", stdin="4\nq\n")
    assert answers.code == 0

    again = cli("demo", "--sample", "--quick", "--out", out, "--json")  # safe to run again; the answer stays
    assert again.code == 0, again.err
    document = again.json
    assert set(document) == {"headline", "path", "model", "recommendations", "conversation", "simulation"}
    assert document["headline"] == headline
    assert document["simulation"]["strategies"] == json.loads((out / "simulate.json").read_text())["strategies"]
    assert len(document["recommendations"]) == 3
    assert len(document["conversation"]["turns"]) == 8
    for turn in document["conversation"]["turns"]:
        assert html.escape(turn["question"]) in page and html.escape(turn["answer"]) in page
    assert len(Learner.load(out / "model").told["you"]) == 1
