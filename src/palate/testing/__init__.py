"""Contracts that anyone can run on an encoder or a strategy of their own, with pytest.

Subclass one under a name that starts with ``Test`` and write its ``make``; pytest then runs every rule it holds.
"""

from __future__ import annotations

from palate.testing.encoders import EncoderContract
from palate.testing.strategies import StrategyContract

__all__ = ["EncoderContract", "StrategyContract"]
