"""Contracts that anyone can run on encoders, strategies, oracles, desks and label stores of their own, with pytest.

Subclass one under a name that starts with ``Test`` and write its ``make``, or the ``open`` of a label store; pytest
then runs every rule it holds.
"""

from __future__ import annotations

from palate.testing.desks import DeskContract
from palate.testing.encoders import EncoderContract
from palate.testing.label_stores import LabelStoreContract
from palate.testing.oracles import OracleContract
from palate.testing.strategies import StrategyContract

__all__ = ["DeskContract", "EncoderContract", "LabelStoreContract", "OracleContract", "StrategyContract"]
