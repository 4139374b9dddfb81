"""Palate's own list as one of the rankers, judged like the others: by events alone, so without a chance to like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.evaluation.baselines import Interactions
from palate.ranking.experts.levels import HALF_LIVES
from palate.ranking.fit_list import fit_list
from palate.ranking.held_back import Met
from palate.ranking.histories import Histories
from palate.ranking.list_model import LATELY, ListModel
from palate.ranking.weights import Weights, basis

_CELLS = 2**24  # of people times items scored at once


@dataclass(frozen=True)
class Palate:
    """The one list (:mod:`palate.ranking.list_model`), which chooses everything on people held back in its fit.

    Those of the fit who met something get the weights of people who are known, all others those of new people; nobody
    of whom nothing is known gets more than the level of the catalogue.
    """

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> Lists:
        return Lists(fit_list(met_of(train.liked), rng=rng))


@dataclass(frozen=True, eq=False)
class Lists:
    """A fitted list, which keeps what the users of the fit met."""

    model: ListModel

    @property
    def at_edge(self) -> Mapping[str, float]:
        """What the fit chose that is the least or the largest of those it could."""
        half_life = self.model.half_life
        counts = LATELY in {*self.model.new.counting, *self.model.known.counting}
        ends = (HALF_LIVES[0], HALF_LIVES[-1])
        return {"half_life": half_life} if half_life is not None and counts and half_life in ends else {}

    @property
    def level(self) -> str:
        """What orders the list of those of whom nothing is known."""
        names = [self.model.new.names[place] for place in np.flatnonzero(self.model.new.of(0))]
        return " and ".join(names) + (f", half-life {self.model.half_life:g} days" if LATELY in names else "")

    def score(self, users: NDArray[np.integer]) -> Array:
        met = self.model.met
        rows = Histories.of([np.arange(*met.start[user : user + 2]) for user in users], met.n_items)
        values = None if met.values is None else met.values[rows.items]
        return self._of(replace(rows, items=met.items[rows.items], values=values), self.model.known)

    def of_new(self, histories: Histories) -> Array:
        """Scores of all items for histories of people who are not in the fit, (n, I)."""
        return self._of(histories, self.model.new)

    def _of(self, histories: Histories, weights: Weights) -> Array:
        """By these weights; of those without a history by those of new people."""
        scores = np.zeros((len(histories), self.model.n_items))
        for some, part in histories.blocks(_CELLS):
            for own, rows in ((self.model.new, part.sizes == 0), (weights, part.sizes > 0)):
                if rows.any():
                    self._add(scores[some], part, own, rows)
        return scores

    def _add(self, scores: Array, histories: Histories, weights: Weights, rows: NDArray[np.bool_]) -> None:
        amounts = basis(histories.sizes, weights.at) @ weights.values
        amounts[~rows] = 0.0
        for place, name in enumerate(weights.names):
            if amounts[:, place].any():
                scores += amounts[:, place, None] * self.model.expert(name).evidence(histories)


def met_of(rows: Interactions) -> Met:
    """Rows as a list is fitted on."""
    return Met.of(
        rows.users.astype(np.int64),
        rows.items.astype(np.int64),
        rows.values > 0.0,
        rows.values,
        rows.timestamps,
        (rows.n_users, rows.n_items),
    )


def grid() -> Sequence[Palate]:
    """The settings to try: one, since the fit chooses its own."""
    return [Palate()]
