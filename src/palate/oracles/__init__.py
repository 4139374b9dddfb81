"""Who answers: a question in, an answer out."""

from palate.oracles.simulated import Oracle, Simulated

__all__ = ["Oracle", "Simulated"]
