"""The strategies there are, by name."""

from __future__ import annotations

import inspect
from functools import partial
from typing import get_args

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.entropy import entropy
from palate.acquisition.belief.epig import epig
from palate.acquisition.belief.list_value import list_value
from palate.acquisition.belief.lookahead import lookahead
from palate.acquisition.belief.popularity import popularity
from palate.acquisition.belief.random import random
from palate.acquisition.belief.variance import variance
from palate.acquisition.literature import registry as literature
from palate.acquisition.pool import of_belief as pooled
from palate.acquisition.pool.pool import Status
from palate.acquisition.strategy import Score, Strategy
from palate.errors import OptionError, did_you_mean
from palate.errors.checks import shown

__all__ = ["ABOUT_ITEM", "DEFAULT", "STRATEGIES", "Score", "Strategy", "get_strategy", "grouped"]

DEFAULT = "list-value"  # to a user, for the list they are shown
ABOUT_ITEM = "lookahead"  # about an item: whom to ask, for what everybody will think of it

_belief = partial(Strategy.of, idea="The belief", status="recommended")
_unweighed = partial(_belief, weighs_answerability=False)
_LIST = "Howard 1966; Boutilier 2002"
_HOWARD, _EPIG = "Howard 1966", "Bickford Smith et al. 2023"

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        _unweighed(random, "O(1)", "baseline", is_random=True),
        _unweighed(popularity, "O(1)", "Rashid et al. 2002", "ratings"),
        _belief(entropy, "O(R)", "Kohrs & Merialdo 2001; Rashid et al. 2002", "nats"),
        _belief(variance, "O(D²)", "Cohn et al. 1996", "squared rating"),
        _belief(bald, "O(D²)", "Houlsby et al. 2011", "nats", aliases=("mean-divergence",)),
        _belief(a_optimal, "O(D²)", "Chaloner & Verdinelli 1995; Cohn et al. 1996", "squared rating"),
        _belief(a_optimal_relative, "O(D²)", f"{_EPIG}, first order"),
        _unweighed(lookahead, "O(I + D²)", f"{_HOWARD}; {_EPIG}", shortlist=48),
        _unweighed(list_value, "O(J (D + E))", _LIST, shortlist=48, shortlist_by="known"),
        _belief(epig, "O(D J)", _EPIG, "nats"),
        *literature.ENTRIES,
        *pooled.ENTRIES,
    )
}


def grouped() -> dict[Status, dict[str, list[Strategy]]]:
    """All of them by status, and within it by idea."""
    found: dict[Status, dict[str, list[Strategy]]] = {status: {} for status in get_args(Status)}
    for strategy in STRATEGIES.values():
        found[strategy.status].setdefault(strategy.idea, []).append(strategy)
    return found


def get_strategy(strategy: str | Strategy | Score) -> Strategy:
    """The strategy of that name or alias, or one of your own.

    Args:
        strategy: A name (``palate strategies`` shows all), a :class:`Strategy`, or a function of
            ``(belief, candidates, *, rng)``, which is weighed by the chance of an answer and called by its name.
    Raises:
        OptionError: If there is none of that name (the message has the nearest), or it is none of these.
    """
    if isinstance(strategy, Strategy):
        score: object = strategy.score
        if not callable(score):
            way = "Give a function of (belief, candidates, *, rng)."
            raise OptionError(f"the strategy {strategy.name!r} has the score {shown(score)}. {way}")
        return strategy
    if isinstance(strategy, str):
        return _named(strategy)
    other: object = strategy
    if not callable(other):
        raise OptionError(f"strategy is {shown(other)}. Give a name, a Strategy or a function that scores.")
    return next((one for one in STRATEGIES.values() if one.score is strategy), None) or _of_function(strategy)


def _named(name: str) -> Strategy:
    names = {name: one for one in STRATEGIES.values() for name in one.aliases} | STRATEGIES
    if name in names:
        return names[name]
    said = [f"strategy {shown(name)} is unknown.", did_you_mean(name, names), "See them all with `palate strategies`."]
    raise OptionError(" ".join(filter(None, said)))


def _of_function(score: Score) -> Strategy:
    name = getattr(score, "__name__", type(score).__name__)
    try:
        inspect.signature(score, follow_wrapped=False).bind(None, None, rng=None)
    except (TypeError, ValueError) as error:  # other arguments; none that can be read
        raise OptionError(
            f"strategy {name} cannot be called: {error}. Give a function of (belief, candidates, *, rng)."
        ) from error
    return Strategy(name, score, idea="Your own")
