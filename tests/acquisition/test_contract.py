"""Every strategy of the registry keeps the contract that anybody's own strategy is held to."""

from __future__ import annotations

import pytest

from palate.acquisition import STRATEGIES, Strategy
from palate.acquisition.pool import of_belief as pooled
from palate.testing import StrategyContract

# Their scores hang on draws, so that two calls with other company or order fall differently.
DRAWS = {
    "random",
    "epig",
    "epsilon-greedy",
    "icf-thompson",
    "pebol-thompson",
    "active-learning-by-learning",
    *(entry.name for entry in pooled.ENTRIES),
}


def _contract(strategy: Strategy) -> type[StrategyContract]:
    members = {"make": lambda self: strategy.score, "draws": strategy.name in DRAWS, "__module__": __name__}
    if strategy.extra:
        members["pytestmark"] = pytest.mark.hf
    return type(f"Test_{strategy.name.replace('-', '_')}", (StrategyContract,), members)


globals().update({contract.__name__: contract for contract in map(_contract, STRATEGIES.values())})
