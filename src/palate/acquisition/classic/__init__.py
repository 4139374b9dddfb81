"""The classic family: one rule for everybody, from counts, levels and the fitted factors."""

from palate.acquisition.classic.co_coverage import co_coverage
from palate.acquisition.classic.entropy0 import entropy0
from palate.acquisition.classic.error import error
from palate.acquisition.classic.gini import gini
from palate.acquisition.classic.greedy_extend import greedy_extend
from palate.acquisition.classic.helf import helf
from palate.acquisition.classic.local_representative_items import local_representative_items
from palate.acquisition.classic.log_popularity_entropy import log_popularity_entropy
from palate.acquisition.classic.popularity_plus_entropy import popularity_plus_entropy
from palate.acquisition.classic.popularity_times_entropy import popularity_times_entropy
from palate.acquisition.classic.popularity_times_error import popularity_times_error
from palate.acquisition.classic.popularity_times_gini import popularity_times_gini
from palate.acquisition.classic.rarity import rarity
from palate.acquisition.classic.rating_variance import rating_variance
from palate.acquisition.classic.representative_items import representative_items
from palate.acquisition.classic.sqrt_popularity_variance import sqrt_popularity_variance
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
