"""The strategies there are, by name."""

from __future__ import annotations

import difflib

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.entropy import entropy
from palate.acquisition.belief.epig import epig
from palate.acquisition.belief.lookahead import lookahead
from palate.acquisition.belief.popularity import popularity
from palate.acquisition.belief.random import random
from palate.acquisition.belief.variance import variance
from palate.acquisition.literature import (
    entries_bandits as bandits,
)
from palate.acquisition.literature import (
    entries_classic as classic,
)
from palate.acquisition.literature import (
    entries_combined as combined,
)
from palate.acquisition.literature import (
    entries_personal as personal,
)
from palate.acquisition.literature import (
    entries_structured as structured,
)
from palate.acquisition.pool import as_strategies as pooled
from palate.acquisition.strategy import Score, Strategy
from palate.errors import OptionError

__all__ = ["DEFAULT", "STRATEGIES", "Score", "Strategy", "get_strategy"]

DEFAULT = "lookahead"

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("random", random, "O(1)", "baseline", "", weighs_answerability=False, is_random=True),
        Strategy("popularity", popularity, "O(1)", "Rashid et al. 2002", "ratings", weighs_answerability=False),
        Strategy("entropy", entropy, "O(R)", "Kohrs & Merialdo 2001; Rashid et al. 2002", "nats"),
        Strategy("variance", variance, "O(D²)", "Cohn et al. 1996", "squared rating"),
        Strategy("bald", bald, "O(D²)", "Houlsby et al. 2011", "nats"),
        Strategy("a-optimal", a_optimal, "O(D²)", "Chaloner & Verdinelli 1995; Cohn et al. 1996", "squared rating"),
        Strategy("a-optimal-relative", a_optimal_relative, "O(D²)", "Bickford Smith et al. 2023, first order", ""),
        Strategy(
            "lookahead",
            lookahead,
            "O(I + D²)",
            "Howard 1966; Bickford Smith et al. 2023",
            "",
            weighs_answerability=False,
            shortlist=48,
        ),
        Strategy("epig", epig, "O(D J)", "Bickford Smith et al. 2023", "nats"),
        *classic.ENTRIES,
        *personal.ENTRIES,
        *structured.ENTRIES,
        *bandits.ENTRIES,
        *combined.ENTRIES,
        *pooled.ENTRIES,
    )
}


def get_strategy(name: str | Strategy | Score) -> Strategy:
    """The strategy of that name, the one given, or the one of a function that scores.

    Raises:
        OptionError: If there is none; the message has the nearest names.
    """
    if isinstance(name, Strategy):
        return name
    if callable(name):
        return Strategy(getattr(name, "__name__", "own"), name, cost="", source="own", unit="")
    if name in STRATEGIES:
        return STRATEGIES[name]
    near = difflib.get_close_matches(name, STRATEGIES, n=2)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(STRATEGIES)}."
    raise OptionError(f"strategy {name!r} is unknown. {hint}")
