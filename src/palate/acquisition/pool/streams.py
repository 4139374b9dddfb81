"""Candidates that come one by one: to ask or to let pass.

Ask for what is among the most useful of the last that came, in step with a budget.

Ask for what is uncertain as it comes, within a budget that is counted over a window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

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


Kind = Literal["fixed", "variable", "randomised"]


@dataclass(frozen=True, slots=True)
class UncertaintyStream:
    r"""Ask where the greatest probability is below a threshold and the share asked so far below the budget.

    ``fixed`` keeps the threshold; ``variable`` lowers it by ``step`` after asking and raises it after letting pass, so
    that it finds the level at which the budget is spent; ``randomised`` multiplies it by a draw of N(1, δ²) each time,
    so that nothing is certain to go unasked when the stream changes. What was spent is counted with forgetting,

    .. math:: \hat u_t = (1 - 1/w)\, \hat u_{t-1} + \text{asked}_t, \qquad \hat b_t = \hat u_t / w

    A rule is a value: :meth:`decide` gives the rule after the decision. O(1), O(C) with the probabilities.

    Attributes:
        budget: Share of the stream that may be asked for.
        kind: See above.
        threshold: On the greatest class probability.
        step: s of the threshold's change.
        spread: δ.
        window: w, in candidates.
        spent: û, so far.

    Raises:
        OptionError: If the budget is not above 0 and at most 1, or the kind unknown.
    References:
        Žliobaitė, Bifet, Pfahringer, Holmes, Active learning with drifting streaming data, IEEE TNNLS 25(1), 2014.
    """

    budget: float
    kind: Kind = "variable"
    threshold: float = 1.0
    step: float = 0.01
    spread: float = 1.0
    window: int = 100
    spent: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.budget <= 1.0:
            raise OptionError(f"budget is {self.budget}. Give the share to ask for, above 0 and at most 1.")
        if self.kind not in ("fixed", "variable", "randomised"):
            raise OptionError(f"kind {self.kind!r} is unknown. Use fixed, variable or randomised.")

    def decide(self, confidence: float, *, rng: np.random.Generator) -> tuple[bool, UncertaintyStream]:
        """Whether to ask for what has just come, and the rule from then on.

        Args:
            confidence: Greatest class probability, ``max_c p̄_c``.
        """
        kept = (1.0 - 1.0 / self.window) * self.spent
        if self.spent / self.window >= self.budget:
            return False, replace(self, spent=kept)
        factor = rng.normal(1.0, self.spread) if self.kind == "randomised" else 1.0
        asks = bool(confidence < self.threshold * factor)
        moved = self.threshold * (1.0 - self.step if asks else 1.0 + self.step)
        threshold = self.threshold if self.kind == "fixed" else moved
        return asks, replace(self, threshold=threshold, spent=kept + asks)
