from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from palate.datasets import planted_world
from palate.evaluation.headline import certainty, counted, headline, judged, proposed, things
from palate.evaluation.simulate import SimulationOptions, simulate


def document(protocol: str = "new-users", metric: str = "list-hits@10", less: float = 0.1) -> dict[str, Any]:
    def strategy(at_five: float) -> dict[str, Any]:
        curve = [0.0] * 5 + [at_five] + [9.0] * 15
        minus = {"mean": [less] * 21, "low": [less - 0.2] * 21, "high": [less + 0.2] * 21}
        figures = {"mean": curve, "low": [value - 0.1 for value in curve], "high": [value + 0.1 for value in curve]}
        return {metric: figures, f"{metric}_minus": {"popularity": minus, "random": minus}}

    return {
        "dataset": {"name": "movies"},
        "protocol": {"name": protocol, "budget": 20, "seeds": [0, 1], "test_users": 1200},
        "metric": "rmse" if metric == "rmse" else "list-ndcg@10",
        "strategies": {"random": strategy(1.04), "popularity": strategy(2.06), "list-value": strategy(3.14)},
    }


@pytest.mark.parametrize(
    ("made", "strategy", "expected"),
    [
        (
            document(),
            "list-value",
            "After five questions, 3.1 of the ten films on Palate's list turn out to be ones that the person likes; "
            "asking about popular films, 2.1; asking at random, 1.0.",
        ),
        (
            document("new-items"),
            "random",
            "After five questions chosen by random about something new, 1.0 of the ten people whom Palate would show "
            "it to turn out to like it; asking those who rate most, 2.1; asking at random, 1.0.",
        ),
        (
            document("cold-system", "rmse"),
            "list-value",
            "After 20 questions, what Palate expects of a rating is off by 9.000 (RMSE); asking about "
            "popular films, by 9.000; asking at random, by 9.000.",
        ),
    ],
)
def test_the_sentence(made: dict[str, Any], strategy: str, expected: str) -> None:
    assert headline(made, strategy) == expected


@pytest.mark.parametrize(
    ("less", "metric", "said"),
    [(0.5, "list-hits@10", ";"), (0.1, "list-hits@10", ", which chance can explain;"),
     (-0.5, "list-hits@10", ", worse;"), (0.5, "rmse", ", worse;")],
)  # fmt: skip
def test_what_chance_can_explain_and_what_is_worse_is_said(less: float, metric: str, said: str) -> None:
    digits = 3 if metric == "rmse" else 2
    band = f"{less:+.{digits}f} ({less - 0.2:+.{digits}f} to {less + 0.2:+.{digits}f})".replace("-", "−")
    assert f"against popular films {band}{said}" in certainty(document(metric=metric, less=less), "list-value")


def test_the_numbers_of_the_sentence_are_those_of_the_document() -> None:
    data = planted_world(users=120, items=60, rng=np.random.default_rng(0)).dataset
    found = simulate(data, SimulationOptions(("list-value",), 6, (0,), encoder="none"))
    said = re.findall(r"\d+\.\d", headline(found, "list-value"))
    levels = [found["strategies"][name]["list-hits@10"] for name in ("list-value", "popularity", "random")]
    assert said == [f"{level['mean'][5]:.1f}" for level in levels]
    low, high = (f"{levels[0][end][5]:.2f}" for end in ("low", "high"))
    minus = found["strategies"]["list-value"]["list-hits@10_minus"]
    below = certainty(found, "list-value")
    against = f"{minus['popularity']['mean'][5]:+.2f}".replace("-", "−")
    assert f"Palate {low} to {high}; against popular items {against} (" in below
    assert minus["random"]["mean"][5] == pytest.approx(levels[0]["mean"][5] - levels[2]["mean"][5])


def test_of_new_items_it_is_people_who_are_counted() -> None:
    assert counted(document("new-items")) == "Of the ten people shown it, liked by"
    assert "; against those who rate most +0.10 (" in certainty(document("new-items"), "list-value")


def test_an_evaluation_in_a_sentence() -> None:
    def model(precision: float, ndcg: float) -> dict[str, Any]:
        return {"metrics": {"precision@10": {"mean": precision}, "ndcg@10": {"mean": ndcg}}}

    models = {
        "popularity": model(0.1, 0.1),
        "ease": model(0.19, 0.3),
        "slim": model(0.2, 0.2),
        "palate": model(0.2, 0.2),
    }
    found = {"k": 10, "dataset": "goodbooks", "with_history": {"best": "ease", "models": models}}
    assert judged(found) == (
        "2.00 of the ten books on Palate's list turned out to be ones that the person took up; of the best other "
        "model's, ease, 1.90; of the ten most popular, 1.00."
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("movielens-100k", "films"), ("ml-1m", "films"), ("lastfm-hetrec", "artists"), ("orders", "items"),
     ("html-pages", "items")],
)  # fmt: skip
def test_items_are_called_what_they_are(name: str, expected: str) -> None:
    assert things(name) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["random", "popularity", "bald", "list-value", "ceiling"], "list-value"),
        (["random", "bald", "epig"], "bald"),
        (["random", "popularity", "answerable-random", "ceiling"], "random"),
    ],
)
def test_a_reference_is_never_proposed(names: list[str], expected: str) -> None:
    assert proposed({"strategies": dict.fromkeys(names)}) == expected
