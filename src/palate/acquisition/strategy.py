"""What a strategy is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.pool.pool import PoolStrategy, Status, described, named
from palate.arrays import Array
from palate.posteriors.belief import Belief


class Score(Protocol):
    """A strategy is its equation: a belief and candidates in, a score per candidate out. Stability: Caller."""

    def __call__(self, belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array: ...


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to choose what to ask.

    Attributes:
        name: As on the command line.
        score: (I,) for a belief about one user, (n, I) for n.
        cost: Of scoring one candidate; D taste dimensions, R rating levels, J targets.
        source: Where it comes from.
        unit: Of the score.
        weighs_answerability: Whether the score is multiplied by the chance of an answer.
        is_random: Whether every candidate is as likely as every other.
        shortlist: How many candidates are scored; 0 for all.
        shortlist_by: Which: the most promising by ``a-optimal-relative``, or what the user most likely knows.
        extra: The optional dependencies it needs, as in ``pip install '.[hf]'``; None where there are none.
        pool: The general strategy this is made of, which chooses its batches itself; None where there is none.
        idea: The idea it belongs to, as ``palate strategies`` groups them.
        status: ``recommended``; ``measured`` where what its questions are worth stands in ``benchmarks/results``;
            ``reference`` for everything else, correct by its tests and not measured.
        aliases: Other names of the same rule.
    """

    name: str
    score: Score
    cost: str = ""
    source: str = ""
    unit: str = ""
    weighs_answerability: bool = True
    is_random: bool = False
    shortlist: int = 0
    shortlist_by: Literal["promise", "known"] = "promise"
    extra: str | None = None
    pool: PoolStrategy | None = None
    idea: str = ""
    status: Status = "reference"
    aliases: tuple[str, ...] = ()

    @classmethod
    def of(cls, score: Score, cost: str, source: str, unit: str = "", **options: Any) -> Strategy:
        """Named as the function that scores."""
        return cls(named(score), score, cost, source, unit, **options)

    @property
    def description(self) -> str:
        """What it asks, in one line: the first of its function's docstring."""
        return described(self.score)
