"""The strategies by name: what each says of itself, its standing against what was measured, other names, own ones."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.acquisition import STRATEGIES, Strategy, get_strategy, select
from palate.acquisition.belief.lookahead import lookahead
from palate.acquisition.pool.pool import PoolStrategy
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.registry import grouped
from palate.errors import OptionError
from palate.testing.strategies import make_world

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
# the same numbers elsewhere, milliseconds, and words that name strategies too: the error of a draw, what was learnt
NOT_OF_WORTH = {
    "agreement.json",
    "catalogue_scale.json",
    "choice_scale.json",
    "learning_items.json",
    "learnt_reliability.json",
    "speed.json",
}
BELIEF = {
    "random",
    "popularity",
    "entropy",
    "variance",
    "bald",
    "a-optimal",
    "a-optimal-relative",
    "lookahead",
    "list-value",
    "epig",
}
EVERY: list[Strategy | PoolStrategy] = [*STRATEGIES.values(), *POOL_STRATEGIES.values()]


def words(document: Any) -> Iterator[str]:
    """The first word of every key and every text: a criterion is called ``evoi 0.01``."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key.split(" ")[0]
            yield from words(value)
    elif isinstance(document, list):
        for value in document:
            yield from words(value)
    elif isinstance(document, str):
        yield document.split(" ")[0]


MEASURED = {
    word
    for path in RESULTS.glob("*.json")
    if path.name not in NOT_OF_WORTH
    for word in words(json.loads(path.read_text()))
}


def test_the_status_is_what_the_results_say() -> None:
    wrong = [one.name for one in EVERY if (one.status != "reference") != (one.name in MEASURED)]
    assert wrong == []
    found = {one.name for one in STRATEGIES.values() if one.status == "recommended"}
    assert found == {*BELIEF, "evoi", "evoi-ndcg"}
    assert {one.name for one in STRATEGIES.values() if one.idea == "The belief"} == BELIEF


def test_each_says_what_it_asks_what_it_costs_and_where_it_comes_from() -> None:
    for one in EVERY:
        text = inspect.getdoc(one.score or one.choose)  # type: ignore[union-attr]  # a pool strategy has one of both
        assert one.description == text.partition("\n")[0].rstrip("."), one.name
        assert one.description.split()[0] in ("Ask", "Label", "Draw") and 15 < len(one.description) < 100, one.name
        assert one.cost.startswith("O(") and one.source, one.name
        if one.name != "random":
            assert re.search(r"\nReferences:\n(    .*\n?)*    .*\b(19|20)\d\d\b", text), (
                f"{one.name}: a source, its year"
            )


def test_groups_hold_every_strategy_once_by_status_and_idea() -> None:
    found = grouped()
    assert list(found) == ["recommended", "measured", "reference"]
    assert sorted(one.name for ideas in found.values() for group in ideas.values() for one in group) == sorted(
        STRATEGIES
    )
    for status, ideas in found.items():
        assert {(one.status, one.idea) for idea, group in ideas.items() for one in group if one.idea == idea} == {
            (status, idea) for idea in ideas
        }


def test_the_properties_that_single_one_out() -> None:
    assert [name for name, one in STRATEGIES.items() if one.name != name or not one.idea] == []
    assert [one.name for one in STRATEGIES.values() if one.is_random] == ["random"]
    assert [one.name for one in STRATEGIES.values() if one.extra] == ["nicf"]
    weighed = {one.name for one in STRATEGIES.values() if one.weighs_answerability}
    values = {"evoi", "evoi-ndcg", "evoi-lookahead", "expected-loss-dcg"}
    assert weighed == {"entropy", "variance", "bald", "a-optimal", "a-optimal-relative", "epig", *values}


# ---- by name, by alias, of your own ----------------------------------------------------------------------------------


def test_aliases_are_other_names_of_the_same_rule() -> None:
    aliases = {alias: one.name for one in STRATEGIES.values() for alias in one.aliases}
    assert aliases == {"min-rating": "lowest-predicted", "min-norm": "min-item-trait", "mean-divergence": "bald"}
    assert not aliases.keys() & STRATEGIES.keys()
    for alias, name in aliases.items():
        assert get_strategy(alias) is get_strategy(name) is STRATEGIES[name]


def mine(belief: Any, candidates: Any, *, rng: np.random.Generator) -> np.ndarray:
    """Ask by level.

    Not by anything else.
    """
    return np.broadcast_to(candidates.items.level, (*belief.mean.shape[:-1], len(candidates)))


class Mine:
    def __call__(self, belief: Any, candidates: Any, *, rng: np.random.Generator) -> np.ndarray:
        return mine(belief, candidates, rng=rng)


def test_a_strategy_or_a_function_is_taken_as_it_is() -> None:
    own = Strategy("own", mine)
    assert get_strategy(own) is own
    assert get_strategy(lookahead) is STRATEGIES["lookahead"], "a known function is its strategy, shortlist and all"
    world = make_world()
    for given, name in ((mine, "mine"), (Mine(), "Mine")):
        found = get_strategy(given)
        assert (found.name, found.weighs_answerability, found.status) == (name, True, "reference")
        best = int((world.offered.items.level * world.offered.reach).argmax())
        assert select(found, world.one, world.offered, rng=np.random.default_rng(0))[0].item == best
    assert get_strategy(mine).description == "Ask by level"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a_optimal", "strategy 'a_optimal' is unknown. Did you mean 'a-optimal' or 'd-optimal' or 'mf-optimal'? See"),
        ("BALD", "strategy 'BALD' is unknown. Did you mean 'bald'"),
        ("min-ratings", "strategy 'min-ratings' is unknown. Did you mean 'min-rating'"),
        ("zzz", "strategy 'zzz' is unknown. See them all with"),
        ("", "strategy '' is unknown. See them all with"),
        (3, "strategy is 3. Give a name, a Strategy or a function that scores."),
        (None, "strategy is None. Give a name, a Strategy or a function that scores."),
        (["bald"], "strategy is ['bald']. Give a name, a Strategy or a function that scores."),
        (lambda belief: belief, "strategy <lambda> cannot be called: "),
        (lambda belief, candidates: belief, "strategy <lambda> cannot be called: "),
        (np.random.default_rng, "strategy default_rng cannot be called: "),
    ],
)
def test_anything_else_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        get_strategy(given)
    text = str(caught.value)
    assert text.startswith(message)
    assert "\n" not in text and len(text) < 200
    if isinstance(given, str):
        assert text.endswith("See them all with `palate strategies`.")
