from __future__ import annotations

import json
from pathlib import Path

import pytest

from palate import Recommender
from palate.records import Slate
from palate.store.open_store import open_store


def slates(model: Path) -> list[Slate]:
    with open_store(model / "labels.sqlite", read_only=True) as log:
        return [row.content for row in log.records() if isinstance(row.content, Slate)]


def test_versions_are_shown_promoted_and_rolled_back(cli, model):
    first = cli("models", model, "--json").json["models"]
    assert [one["is_live"] for one in first] == [True]
    assert cli("models", model, "--rollback").code == 2
    assert cli("tell", model, "--user", "ann", "--item", "i03", "--answer", "4").code == 0
    with Recommender.open(model) as recommender:
        recommender.refit()
    second = cli("models", model, "--json").json["models"]
    assert [one["is_live"] for one in second] == [True, False] and second[1]["digest"] == first[0]["digest"]
    shown = cli("models", model)
    assert second[0]["id"] in shown.out and "serves" in shown.out
    back = cli("models", model, "--rollback", "--json").json["models"]
    assert back[0]["is_live"] and back[0]["fitted_seq"] == first[0]["fitted_seq"]
    again = cli("models", model, "--promote", second[0]["id"], "--json").json["models"]
    assert again[0]["fitted_seq"] == second[0]["fitted_seq"]
    assert cli("models", model, "--promote", "99").err.startswith("Error: version '99' is not kept in")
    assert cli("models", model, "--promote", "1", "--rollback").code == 2


def test_lists_are_drawn_kept_and_judged(cli, model):
    drawn = [cli("recommend", model, "--user", f"r{n}", "-k", 3, "--explore", 1.0, "--json").json for n in range(4)]
    kept = slates(model)
    assert [one["slate"] for one in drawn] == [one.key for one in kept] and len({one.key for one in kept}) == 4
    assert [[item["propensity"] for item in one["items"]] for one in drawn] == [list(one.propensities) for one in kept]
    events = [
        {"content": "event", "user_id": one.user_id, "item_id": one.items[0], "kind": "click", "value": 1.0}
        | {"slate": one.key, "key": f"e-{one.key}"}
        for one in kept[:2]
    ]
    (model / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert cli("store", "import", model, model / "events.jsonl").code == 0
    found = cli("off-policy", model, "--policy", "live,popular,1", "--json")
    assert found.code == 0, found.err
    live, popular, version = found.json["policies"]
    assert (live["lists"], live["shown"]["mean"], live["left_out"]) == (4, 0.5, 0)
    assert live["effective"] == pytest.approx(4.0) and live["estimates"]["ips"]["mean"] == pytest.approx(0.5)
    assert popular["effective"] < 4.0 and set(popular["estimates"]) == {"ips", "snips", "dr"}
    assert version | {"policy": "live"} == live
    said = cli("off-policy", model, "--explore", 0.5).out
    assert "doubly robust" in said and "4 lists, 0 left out" in said and "these estimates say little" in said
    assert cli("off-policy", model, "--policy", "mine").err.startswith("Error: --policy has 'mine'. Give popular, live")


def test_a_drawn_list_takes_no_option_that_the_log_does_not_keep(cli, model):
    for option in (
        ("--diversity", "0.5"),
        ("--include-seen",),
        ("--allow", "i03"),
        ("--all", "--out", "lists.parquet"),
    ):
        user = () if option[0] == "--all" else ("--user", "ann")
        result = cli("recommend", model, *user, "--explore", 0.5, *option)
        assert result.code == 2 and "--explore draws the list of one user" in result.err
    assert not slates(model)
    assert cli("off-policy", model).err.startswith("Error: 0 slates can be judged")


def test_a_file_for_research_leaves_out_who_does_not_allow_it(cli, model, tmp_path):
    with Recommender.open(model) as recommender:
        for user, purposes in (("ann", ["serve"]), ("bob", ["research"]), ("cy", ["research"]), ("cy", [])):
            recommender.know(user, age=31)
            recommender.consent(user, purposes, version="v1")
        recommender.know("dan", age=31)

    def users(*options: str) -> set[str]:
        assert cli("store", "export", model, tmp_path / "log.jsonl", *options).code == 0
        return {json.loads(row)["user_id"] for row in (tmp_path / "log.jsonl").read_text().splitlines()}

    assert users() == {"ann", "bob", "cy", "dan"}
    assert users("--purpose", "research") == {"bob", "dan"}
    assert cli("store", "export", model, tmp_path / "log.jsonl", "--purpose", "resarch").code == 2
