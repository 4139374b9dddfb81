"""Rules of thumb for one user: from what is predicted, what was answered, and who rated what."""

from palate.acquisition.literature.influence import SHORTLIST, impact_analysis, influence, item_item
from palate.acquisition.literature.predictions import (
    binary_prediction,
    high_low,
    highest_predicted,
    lowest_predicted,
    mf_optimal,
    min_norm,
    new_item_attributes,
)
from palate.acquisition.strategy import Score, Strategy


def _entry(name: str, score: Score, cost: str, source: str, unit: str, *, shortlist: int = 0) -> Strategy:
    """As published, none of them weighs answerability."""
    return Strategy(name, score, cost, source, unit, weighs_answerability=False, shortlist=shortlist)


ENTRIES: tuple[Strategy, ...] = (
    _entry("item-item", item_item, "O(ratings of it)", "Rashid et al. 2002", "similarity"),
    _entry("binary-prediction", binary_prediction, "O(1)", "Elahi et al. 2014", "probability"),
    _entry("highest-predicted", highest_predicted, "O(D)", "Elahi et al. 2014", "rating"),
    _entry("lowest-predicted", lowest_predicted, "O(D)", "Elahi et al. 2014", "rating"),
    _entry("high-low", high_low, "O(D)", "Elahi et al. 2014", "rating"),
    _entry("min-rating", lowest_predicted, "O(D)", "Karimi et al. 2011", "rating"),
    _entry("min-norm", min_norm, "O(D)", "Karimi et al. 2011", ""),
    _entry("mf-optimal", mf_optimal, "O(D²)", "Karimi et al. 2011; Anava et al. 2015", "squared rating"),
    _entry("influence", influence, "O(J D)", "Rubens & Sugiyama 2007", "rating", shortlist=SHORTLIST),
    _entry("impact-analysis", impact_analysis, "O(ratings of it)", "Mello et al. 2010", "paths"),
    _entry("new-item-attributes", new_item_attributes, "O(D)", "Zhu et al. 2020", ""),
)
