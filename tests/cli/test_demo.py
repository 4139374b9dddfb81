from __future__ import annotations

import html
import io
import json
import re
import subprocess
import sys
import time
import urllib.request

import pytest
from rich.console import Console

from palate import Learner
from palate.cli.demo_product import ProductStory
from palate.cli.products import product_of
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
    result = cli("demo", "--sample", "--quick", "--out", out, "--json")  # then the story is on standard error
    assert result.code == 0, result.err
    document = result.json
    assert set(document) == {"headline", "path", "model", "simulation"}
    headline = result.err.rstrip().splitlines()[-1]
    assert headline.startswith("After five questions, ") and document["headline"] == headline
    assert {"report.html", "simulate.json", "rmse.png", "model"} <= {path.name for path in out.iterdir()}
    page = (out / "report.html").read_text()
    assert html.escape(headline) in page
    assert document["simulation"]["strategies"] == json.loads((out / "simulate.json").read_text())["strategies"]
    people = document["simulation"]["people"]["people"]
    assert [len(person["turns"]) for person in people] == [5, 5, 5]
    for turn in (turn for person in people for turn in person["turns"]):
        assert html.escape(turn["question"]) in page and html.escape(turn["answer"]) in page
    assert Learner.load(out / "model").recommend("you", k=1)

    answers = cli("interview", out / "model", "--user", "you", stdin="4\nq\n")
    assert answers.code == 0
    assert len(Learner.load(out / "model").told["you"]) == 1


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("product", ["news", "shop", "video", "social"])
def test_the_demo_of_a_product(cli, tmp_path, product):
    out = tmp_path / "demo"
    result = cli("demo", product, "--out", out, "--json")
    assert result.code == 0, result.err
    table, page = result.json["table"], (out / "report.html").read_text()
    assert table == json.loads((out / "table.json").read_text()) and not table["left_out"]
    assert html.escape(result.json["headline"]) in page
    assert {"0", "1", "3"} <= set(table["lists"]["stages"])
    for n, stage in table["lists"]["stages"].items():  # not behind the best other by more than chance explains
        assert stage["palate_minus_best"]["high"] >= 0.0, n
    new = table["new_items"]["palate_minus"]["random"]
    assert new["low"] > 0.0
    assert len(table["arrived"]["after"]) == 10 and table["arrived"]["first"][0] in result.err
    assert Learner.load(out / "model").recommend("you", k=1)


def test_a_product_that_is_none_and_options_that_do_not_go_together_are_one_line(cli, tmp_path):
    unknown = cli("demo", "bank", "--out", tmp_path)
    assert unknown.code == 2 and "product 'bank' is unknown. There are news, shop, video, social." in unknown.err
    assert "Name one: news, shop" in cli("demo", "--data", tmp_path, "--out", tmp_path).err
    assert "--sample and --quick" in cli("demo", "news", "--quick", "--out", tmp_path).err
    assert not list(tmp_path.iterdir())


def test_of_a_log_it_is_said_how_many_items_have_no_title(tmp_path):
    (tmp_path / "interactions.csv").write_text(
        "user_id,item_id,event\n" + "".join(f"u{n},i{n % 3},click\n" for n in range(9))
    )
    (tmp_path / "items.csv").write_text("item_id,title\ni0,Rain\ni1,\ni9,Snow\n")
    said = io.StringIO()
    story = ProductStory(Console(file=said, width=200), tmp_path, 0, product_of("news"))
    assert story.log(tmp_path).interactions.height == 9
    assert "2 of the items have no title: they are shown by their ids" in said.getvalue()
