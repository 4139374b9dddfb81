from __future__ import annotations

import html

import polars as pl
import pytest

from palate.datasets import Dataset
from palate.evaluation.first_events import FIRST, first_events
from palate.evaluation.product import asked, cut
from palate.evaluation.report_product import product_headline, render_product
from tests.worlds import data, learner

AT = {"mean": 0.3, "low": 0.2, "high": 0.4}
LESS = {"mean": -0.01, "low": -0.03, "high": 0.01}


def test_a_log_is_cut_to_people_drawn_and_what_most_of_them_met() -> None:
    whole = data("events")
    some = cut(whole, users=50, items=20)
    assert some.interactions["user_id"].n_unique() <= 50
    assert set(some.interactions["item_id"]) == set(some.items["item_id"]) and some.items.height == 20
    again = cut(whole, users=50, items=20)
    assert some.interactions.equals(again.interactions)
    assert not cut(whole, users=50, items=20, seed=1).interactions.equals(some.interactions)
    people = whole.filter(pl.col("user_id").is_in(some.interactions["user_id"].unique().implode()))
    met = people.interactions.group_by("item_id").agg(pl.col("user_id").n_unique())["user_id"].sort(descending=True)
    kept = some.interactions.group_by("item_id").agg(pl.col("user_id").n_unique())["user_id"].sort(descending=True)
    assert kept.to_list() == met.head(20).to_list()
    assert cut(whole, users=10_000, items=10_000) is whole


@pytest.mark.parametrize("kind", ["events", "ratings"])
def test_who_arrives_does_three_things_and_what_they_do_later_is_marked_and_not_told(kind: str) -> None:
    of = learner(kind)
    ids = of.model.catalogue.ids
    did = [*ids[:9], "not in the model"]
    rows = {"user_id": ["late"] * 10, "item_id": did, "timestamp": [float(at) for at in range(10)]}
    value = {"event": ["view"] * 10} if kind == "events" else {"rating": [5.0] * 10}
    other = pl.DataFrame(rows | value)
    few = other.head(2).with_columns(user_id=pl.lit("few"))
    found = first_events(of, Dataset.from_tables(pl.concat([other, few])), seed=0)
    assert found is not None and found["user"] == "late" and len(found["first"]) == FIRST
    assert found["later"] == 6  # of those that the model holds
    shown = {item["item_id"]: item["taken"] for item in found["after"]}
    assert not set(did[:FIRST]) & set(shown)
    assert all(taken == (item in did[FIRST:9]) for item, taken in shown.items())
    assert first_events(of, Dataset.from_tables(few), seed=0) is None


def a_table() -> dict[str, object]:
    three = {
        "people": 40,
        "ndcg@10": {"palate": AT, "popularity": AT, "ease": AT},
        "recall@20": {},
        "best_rival": "ease",
        "palate_minus_best": LESS,
    }
    curve = {end: [value] * 11 for end, value in AT.items()}
    way = {"list-ndcg@10": curve, "list-ndcg@10_minus": {"popularity": {end: [v] * 11 for end, v in LESS.items()}}}
    return {
        "dataset": {"name": "news sample", "users": 9, "items": 8, "interactions": 7, "sha256": "f00d"},
        "seed": 0,
        "lists": {
            "dated": True,
            "people": 40,
            "items": 8,
            "left_out": {"ials": "it is <missing>"},
            "stages": {"3": three},
        },
        "questions": {"people": None, "strategies": {"list-value": way, "popularity": way}},
        "new_items": None,
        "left_out": {"new_items": "the items have no words"},
        "arrived": {
            "user": "<b>",
            "first": ["One", "Two", "Three"],
            "later": 4,
            "before": [],
            "after": [{"item_id": "i", "title": "A & B", "taken": True, "reason": "goes with One"}],
        },
    }


def test_the_report_says_everything_once_escaped_and_what_is_left_out_with_its_reason() -> None:
    table = a_table()
    said = product_headline(table)
    assert said == (
        "After three events the list of somebody new has an NDCG@10 of 0.300, that of the best other, EASE, 0.300 "
        "(−0.010, −0.030 to +0.010). After five questions and nothing else it is 0.300; about popular articles, 0.300 "
        "(−0.010, −0.030 to +0.010)."
    )
    page = render_product(table | {"headline": said}, title="Palate on the news sample", commands=["palate demo news"])
    for text in (
        said,
        "A & B",
        "person <b>",
        "iALS (it is <missing>)",
        "the items have no words",
        "♥ took it up later",
    ):
        assert html.escape(text, quote=False) in page
    assert "<b>" not in page
    nothing = table | {"lists": None, "questions": None, "arrived": None, "headline": ""}
    nothing["left_out"] = {"lists": "nobody is new", "questions": "nobody answered", "new_items": "no words"}
    assert "nobody is new" in render_product(nothing, title="Palate on the news sample", commands=[])
    assert product_headline(nothing) == "This data can say nothing of new people."


def test_questions_are_told_at_their_stages() -> None:
    found = asked(a_table()["questions"])  # type: ignore[arg-type]
    assert list(found) == [0, 2, 5, 10]
    assert found[5] == {"palate": AT, "popularity": AT, "palate_minus_popularity": LESS}
