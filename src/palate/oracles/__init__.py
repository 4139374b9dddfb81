"""Who answers: a question in, an answer out."""

from palate.oracles.protocol import Oracle
from palate.oracles.simulated import Simulated

__all__ = ["Oracle", "Simulated"]
