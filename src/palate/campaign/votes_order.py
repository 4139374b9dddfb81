"""Which item to have an attribute of asked next: what a further vote is expected to tell."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from palate.arrays import Array
from palate.campaign.ledger import Ledger, Pair
from palate.campaign.taste_order import Next
from palate.recommender import Recommender

STRATEGY = "dirichlet"


class VotesOrder:
    r"""The items of a campaign about an attribute, valued by the votes so far.

    With a Dirichlet belief over the options, one vote in advance for each, and A votes in all, a further vote is
    expected to take off the summed variance of the shares p

    .. math:: \sum_c p_c (1 - p_c) / (A + 1)^2

    which is most where there are fewest votes, and of as many where they disagree. A vote that is given and not cast
    yet counts in A. An item whose answer is known (gold) is no part of the order.
    """

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self._of: tuple[object, ...] = ()
        self.model = ""

    def refresh(self, ledger: Ledger) -> None:
        """With all that was told and given up to now."""
        model, campaign = self._recommender.fitted, ledger.campaign
        if self._of != (id(model), campaign.items, campaign.gold):
            self._of = id(model), campaign.items, campaign.gold
            catalogue, out = model.catalogue, model.withdrawn  # what a filter leaves out is to be labelled
            ids = campaign.items or catalogue.ids
            self._ids = [one for one in ids if one in catalogue and one not in out and one not in campaign.gold]
            self._rows = {item: row for row, item in enumerate(self._ids)}
            self._gains = np.full(len(self._ids), _gain(np.zeros(len(campaign.options)), 0))
            ledger.touched.update(ledger.pairs)
        self.revalue(ledger)

    def revalue(self, ledger: Ledger) -> None:
        """Once more was given."""
        touched = {item for _, item in ledger.touched}
        ledger.touched.clear()
        for item in touched & self._rows.keys():
            self._gains[self._rows[item]] = self._value(item, ledger) if ledger.is_free(("", item)) else -np.inf

    def next(self, had: Collection[Pair]) -> Next | None:
        """The item of most gain that is free, and not among these; the first of equal ones."""
        gains = self._gains
        if any(item in self._rows for _, item in had):
            gains = gains.copy()
            gains[[self._rows[item] for _, item in had if item in self._rows]] = -np.inf
        row = int(gains.argmax()) if len(gains) else -1
        return None if row < 0 or gains[row] == -np.inf else Next(("", self._ids[row]), float(gains[row]))

    def value_of(self, pair: Pair, ledger: Ledger) -> float:
        """What an item that is given would be worth now if it were not."""
        return self._value(pair[1], ledger, given=-1) if pair[1] in self._rows else 0.0

    def why(self, _pair: Pair, _gain: float) -> str:
        """The reason in words; nothing that tells how others voted, or that the answer is known."""
        return "further votes tell most about the items that have fewest, or on which people differ"

    def _value(self, item: str, ledger: Ledger, given: int = 0) -> float:
        votes = np.zeros(len(ledger.campaign.options))
        for option, n in ledger.votes[item].items():
            votes[option] += n
        return _gain(votes, ledger.of(("", item)).held + given)


def _gain(votes: Array, given: int) -> float:
    """Of one more vote, with these, (C,), and so many that are given."""
    shares = (votes + 1.0) / (votes.sum() + len(votes))
    return float((shares * (1.0 - shares)).sum() / (votes.sum() + len(votes) + given + 1.0) ** 2)
