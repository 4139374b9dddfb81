"""The strategies of the registry as parameters of a test; those that need torch are marked."""

from __future__ import annotations

import pytest

from palate.acquisition import STRATEGIES

EVERY = [
    pytest.param(name, marks=[pytest.mark.hf] if strategy.extra else [], id=name)
    for name, strategy in STRATEGIES.items()
]
