from __future__ import annotations

import html
import json
import re

import pytest

SMALL = ["--strategies", "a-optimal", "--budget", 4, "--seeds", 1, "--encoder", "none"]


def test_simulate(cli, planted, tmp_path):
    result = cli("simulate", planted, *SMALL, "--out", tmp_path / "s", "--json")
    assert result.code == 0, result.err
    document = result.json
    assert document == json.loads((tmp_path / "s" / "simulate.json").read_text())
    assert set(document) == {
        *("palate", "command", "dataset", "protocol", "metric", "left_out", "budgets", "people", "strategies"),
    }
    assert document["budgets"] == [0, 1, 2, 3, 4]
    assert set(document["strategies"]) == {"random", "popularity", "a-optimal", "answerable-random", "ceiling"}
    assert {"list.png", "found.png", "rmse.png", "report.html", "simulate.json"} <= {
        path.name for path in (tmp_path / "s").iterdir()
    }
    assert "<script" not in (tmp_path / "s" / "report.html").read_text()


@pytest.mark.long
def test_simulate_forms(cli, planted, tmp_path):
    options = ["--forms", "recall,mixed", "--seconds", 24, "--naming", "popular", "--seeds", 2, "--encoder", "none"]
    result = cli("simulate", planted, *options, "--out", tmp_path / "s", "--json")
    assert result.code == 0, result.err
    document = result.json
    assert document == json.loads((tmp_path / "s" / "simulate.json").read_text())
    assert list(document["forms"]) == ["rate", "recall", "mixed"]
    assert document["seconds"] == [0, 6, 12, 18, 24]
    assert (document["protocol"]["naming"], document["protocol"]["seeds"]) == ("popular", [0, 1])
    rated, recalled = document["forms"]["rate"], document["forms"]["recall"]
    assert rated["rmse"]["mean"][0] == recalled["rmse"]["mean"][0] > rated["rmse"]["mean"][-1]
    assert rated["list-ndcg@10"]["mean"][0] < rated["list-ndcg@10"]["mean"][-1] < 1
    below = recalled["rmse"]["mean"][-1] - rated["rmse"]["mean"][-1]
    assert recalled["minus"]["rate"]["rmse"]["mean"][-1] == pytest.approx(below)
    assert (rated["asked"], rated["told"]["rate"] <= 6) == ({"rate": 6.0}, True)
    assert 1 < recalled["asked"]["recall"] <= 3
    shown = cli("simulate", planted, *options, "--out", tmp_path / "s").out
    assert "Whole list" in shown
    assert shown.splitlines()[-1].endswith("simulate.json")


def test_a_log_of_events_is_simulated_and_judged(cli, shop, tmp_path):
    """What makes no sense of events is left out with a word, in the document, on the screen and in the report."""
    shown = cli("simulate", shop, *SMALL, "--event", "got=purchase", "--out", tmp_path / "s")
    assert shown.code == 0, shown.err
    document = json.loads((tmp_path / "s" / "simulate.json").read_text())
    assert document["metric"] == "list-ndcg@10" and set(document["left_out"]) == {"rmse", "accuracy"}
    for name, figures in document["strategies"].items():
        assert "rmse" not in figures and len(figures["ndcg@10"]["mean"]) == 5, name
        assert name == "ceiling" or figures["labels_saved"]["metric"] == "list-ndcg@10"
    assert "Of the ten products on the list, liked, after n questions" in shown.out and "RMSE" not in shown.out
    report = (tmp_path / "s" / "report.html").read_text()
    assert "rmse, accuracy are left out: events say for or against" in report and "RMSE" not in report
    assert {path.name for path in (tmp_path / "s").iterdir()} - {"share-of-gain.png"} == {
        *("simulate.json", "report.html", "list.png", "found.png"),
    }
    judged = cli(
        "evaluate",
        shop,
        "--event",
        "got=purchase",
        "--split",
        "random",
        "--models",
        "popularity,item-knn",
        "--out",
        tmp_path / "e",
        "--json",
    ).json
    assert judged["events"]["got"] == 1.0 and judged["events"]["return"] < 0 and "ratings" not in judged
    refused = cli(
        "simulate", shop, *SMALL, "--event", "got=purchase", "--protocol", "cold-system", "--out", tmp_path / "c"
    )
    assert refused.err == "Error: cold-system plays ratings, and 'shop' has 0. Use new-users or new-items.\n"
    unknown = cli("simulate", shop, *SMALL, "--out", tmp_path / "u")
    assert unknown.code == 2 and "1 event is unknown: 'got' " in unknown.err


def test_simulate_for_people_begins_with_the_sentence_of_the_report_and_fits_80_columns(
    cli, planted, tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    shown = cli("simulate", planted, *SMALL, "--budget", 20, "--out", tmp_path / "s").out
    said, sure, *rest = shown.splitlines()
    assert said.startswith("After five questions chosen by a-optimal, ") and sure.startswith("95 % intervals: ")
    report = (tmp_path / "s" / "report.html").read_text()
    assert html.escape(said) in report and html.escape(sure) in report
    assert max(len(line) for line in rest if str(tmp_path) not in line) <= 80
    assert "answerable-random" in shown and "…" not in shown


def test_seeds_are_counted_from_the_seed(cli, planted, tmp_path):
    options = ["--strategies", "random", "--budget", 1, "--encoder", "none", "--json"]
    document = cli("simulate", planted, *options, "--seeds", 2, "--seed", 5, "--out", tmp_path).json
    assert document["protocol"]["seeds"] == [5, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategies", "epik"], "strategy 'epik' is unknown. Did you mean 'epig'?"),
        (["--protocol", "old-users"], "protocol 'old-users' is unknown."),
        (["--pool", "full"], "pool 'full' is unknown."),
        (["--budget", "0"], "Invalid value for '--budget'"),
        (["--forms", "rates"], "the mixture 'rates' is unknown. Did you mean 'rate'?"),
        (["--forms", "rate", "--seconds", "0"], "the time of each user in seconds is 0."),
        (["--forms", "recall", "--naming", "loudest"], "the naming 'loudest' is unknown."),
        (
            ["--forms", "rate", "--pool", "answered"],
            "--forms plays new users in the open pool by their time. Leave --pool",
        ),
        (
            ["--forms", "rate", "--strategies", "bald"],
            "--forms plays new users in the open pool by their time. Leave --st",
        ),
        (["--seconds", "60"], "--seconds and --naming are of questions of several forms, of which none is given."),
    ],
)
def test_wrong_options_are_found_before_the_work(cli, tmp_path, options, message):
    result = cli("simulate", tmp_path / "not-even-there", "--out", tmp_path / "s", *options)
    assert result.code == 2
    assert result.err.startswith(f"Error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_data_without_ratings_and_events_cannot_be_simulated(cli, tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id,event\nu1,i1,impression\nu2,i2,impression\n")
    result = cli("simulate", tmp_path, "--out", tmp_path / "s")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "has no ratings and no events to simulate answers from" in result.err
    assert not (tmp_path / "s").exists()


def test_evaluate(cli, planted, tmp_path):
    options = ["--split", "random", "--models", "palate,popularity", "-k", 5, "--out", tmp_path / "e", "--json"]
    result = cli("evaluate", planted, *options)
    assert result.code == 0, result.err
    document = result.json
    assert document == json.loads((tmp_path / "e" / "evaluate.json").read_text())
    assert set(document["models"]) == {"palate", "popularity"}
    assert (document["k"], document["split"]) == (5, "random")
    known = document["with_history"]["models"]["popularity"]["metrics"]
    assert 0 < known["ndcg@5"]["mean"] < known["recall@10"]["mean"] < 1
    assert (tmp_path / "e" / "report.html").exists()


def test_evaluate_for_people(cli, planted, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    chosen = ["--models", "popularity,ease,palate", "--out", tmp_path / "e"]
    shown = cli("evaluate", planted, *chosen).out
    assert "users with a history" in shown and "Recall@20" in shown
    said, best, *rest = shown.splitlines()
    found = json.loads((tmp_path / "e" / "evaluate.json").read_text())
    hits = 10 * found["with_history"]["models"]["palate"]["metrics"]["precision@10"]["mean"]
    assert said.startswith(
        f"{hits:.2f} of the ten items on Palate's list turned out to be ones that the person took up;"
    )
    assert re.match(r"Best of 3 by NDCG@10: \w+ with 0\.\d+, over \d+ users with a history\.", best)
    assert html.escape(said) in (tmp_path / "e" / "report.html").read_text()
    assert max(len(line) for line in rest if "/" not in line) <= 80 and "…" not in shown


def test_people_without_a_history_have_a_table_that_says_who_stands_in(cli, tmp_path):
    rows = [f"u{user},i{(user * item) % 7},{user * 10 + item}" for user in range(40) for item in range(1, 5)]
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    shown = cli("evaluate", tmp_path, "--models", "popularity,item-knn", "--out", tmp_path / "e").out
    table = shown[shown.index("users without a history") :]
    assert re.search(r"item-knn .* popularity *\n", table) and re.search(r"popularity .* itself *\n", table)


def test_settings_at_the_end_of_their_range_and_missing_times_are_said(cli, planted, tmp_path, monkeypatch):
    monkeypatch.setattr("palate.evaluation.rivals.L2", (200.0, 400.0))
    shown = cli("evaluate", planted, "--split", "random", "--models", "ease", "--out", tmp_path / "e").out
    assert re.search(r"ease: l2=[24]00 is the end of what was tried; a wider range might be better\.", shown)
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nu1,i1\nu1,i2\nu1,i3\nu2,i1\nu2,i2\nu2,i3\n")
    chosen = ["--split", "leave-last-out", "--models", "popularity", "--out", tmp_path / "f"]
    assert "None of the 6 rows has a timestamp: of each user one item is left" in cli("evaluate", tmp_path, *chosen).out


@pytest.mark.long
def test_federated_simulate(cli, planted):
    options = ["federated", "simulate", planted, "--encoder", "none", "--rounds", 3, "--clients", 40]
    result = cli(*options, "--epsilon", "inf", "--json")
    assert result.code == 0, result.err
    document = result.json
    assert {"epsilon", "delta", "rounds", "rmse", "ndcg@10", "central", "private_means"} <= set(document)
    assert (document["epsilon"], document["rounds"], document["clients"]) == (None, 3, 40)
    assert set(document["central"]) == set(document["private_means"]) == {"rmse", "ndcg@10"}
    shown = cli(*options, "--epsilon", 1).out
    assert all(name in shown for name in ("federated, ε = 1", "central", "private means", "publish private means"))
    refused = cli(*options, "--epsilon", -1)
    assert refused.code == 2 and refused.err.startswith("Error: epsilon") and "\n" not in refused.err.strip()
