"""Contracts that anyone can run on an encoder, a strategy, an oracle or a label store of their own, with pytest.

Subclass one under a name that starts with ``Test`` and write its ``make``, or the ``open`` of a label store; pytest
then runs every rule it holds.
"""

from __future__ import annotations

from palate.testing.encoders import EncoderContract
from palate.testing.label_stores import LabelStoreContract
from palate.testing.oracles import OracleContract
from palate.testing.strategies import StrategyContract

__all__ = ["EncoderContract", "LabelStoreContract", "OracleContract", "StrategyContract"]
