"""The classic family: one rule for everybody, from counts, levels and the fitted factors."""

from palate.acquisition.literature.counts import co_coverage, entropy0, rarity
from palate.acquisition.literature.disagreement import error, gini, rating_variance
from palate.acquisition.literature.fixed_lists import greedy_extend, local_representative_items, representative_items
from palate.acquisition.literature.products import (
    helf,
    log_popularity_entropy,
    popularity_plus_entropy,
    popularity_times_entropy,
    popularity_times_error,
    popularity_times_gini,
    sqrt_popularity_variance,
)
from palate.acquisition.strategy import Score, Strategy


def _entry(name: str, score: Score, cost: str, source: str, unit: str) -> Strategy:
    """None of them knows of answerability: popularity is their stand-in for it."""
    return Strategy(name, score, cost, source, unit, weighs_answerability=False)


ENTRIES: tuple[Strategy, ...] = (
    _entry("co-coverage", co_coverage, "O(1)", "Golbandi et al. 2010", "pairs of ratings"),
    _entry("rating-variance", rating_variance, "O(1)", "Kohrs & Merialdo 2001", "squared rating"),
    _entry("entropy0", entropy0, "O(R)", "Rashid et al. 2008", "nats"),
    _entry("error", error, "O(1)", "Geurts & Frasincar 2017", "squared rating"),
    _entry("gini", gini, "O(R)", "Geurts & Frasincar 2017", "probability"),
    _entry("rarity", rarity, "O(1)", "Elahi et al. 2016", "per rating"),
    _entry("greedy-extend", greedy_extend, "O(1), a fixed list", "Golbandi et al. 2010", "place"),
    _entry("representative-items", representative_items, "O(1), a fixed list", "Liu et al. 2011", "place"),
    _entry("local-representative-items", local_representative_items, "O(1), fixed lists", "Shi et al. 2017", "place"),
    _entry("log-popularity-entropy", log_popularity_entropy, "O(R)", "Rashid et al. 2002", "squared nats"),
    _entry("popularity-times-entropy", popularity_times_entropy, "O(R)", "Rashid et al. 2002", "nats"),
    _entry("popularity-plus-entropy", popularity_plus_entropy, "O(R)", "Rashid et al. 2002", ""),
    _entry("sqrt-popularity-variance", sqrt_popularity_variance, "O(1)", "Golbandi et al. 2010", "squared rating"),
    _entry("helf", helf, "O(R)", "Rashid et al. 2008", ""),
    _entry("popularity-times-error", popularity_times_error, "O(1)", "Geurts & Frasincar 2017", "squared rating"),
    _entry("popularity-times-gini", popularity_times_gini, "O(R)", "Geurts & Frasincar 2017", "ratings"),
)
