"""Ask for what is among the most useful of the last that came, in step with a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.errors import OptionError


@dataclass(frozen=True, slots=True)
class QuantileStream:
    r"""Ask where the score reaches a quantile of the last ones, moved by how far the budget is behind (BIQF).

    .. math:: \text{ask if } s_t \ge q_{1 - B}(s_{t-w+1..t})
        - \frac{\max s - \min s}{w_{tol}} (B\,t - \text{asked so far})

    Any score will do, as only its order and range count. A rule is a value: :meth:`decide` gives the rule after the
    decision. O(w).

    Attributes:
        budget: B, the share of the stream to ask for.
        window: w, scores that are remembered.
        tolerance: w_tol, how many candidates the spending may run ahead or behind.
        seen, asked: Candidates so far.
        recent: Their last scores.

    Raises:
        OptionError: If the budget is not above 0 and at most 1.
    References:
        Kottke, Krempl, Spiliopoulou, Probabilistic active learning in datastreams, IDA 2015.
    """

    budget: float
    window: int = 100
    tolerance: int = 50
    seen: int = 0
    asked: int = 0
    recent: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.budget <= 1.0:
            raise OptionError(f"budget is {self.budget}. Give the share to ask for, above 0 and at most 1.")

    def decide(self, score: float) -> tuple[bool, QuantileStream]:
        """Whether to ask for what has just come, and the rule from then on.

        Raises:
            OptionError: If the score is not finite.
        """
        if not np.isfinite(score):
            raise OptionError(f"a score of the stream is {score}. A score must be finite.")
        recent, seen = (*self.recent, score)[-self.window :], self.seen + 1
        behind = self.budget * seen - self.asked
        quantile = float(np.quantile(recent, 1.0 - self.budget))
        asks = bool(score >= quantile - (max(recent) - min(recent)) / self.tolerance * behind)
        return asks, replace(self, seen=seen, asked=self.asked + asks, recent=recent)
