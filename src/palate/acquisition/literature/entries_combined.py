"""Strategies made of strategies."""

from palate.acquisition.literature.combined import by_learning, log_popularity_entropy_item_item, switching, voting
from palate.acquisition.strategy import Strategy

ENTRIES: tuple[Strategy, ...] = (
    Strategy("voting", voting, "O(D²)", "Elahi et al. 2014", "votes", False),
    Strategy("switching", switching, "O(T D²)", "Elahi et al. 2012", "that of the chosen", False),
    Strategy("active-learning-by-learning", by_learning, "O(T D²)", "Hsu & Lin 2015", "log probability", False),
    Strategy(
        "log-popularity-entropy-item-item",
        log_popularity_entropy_item_item,
        "O(R + n)",
        "Rashid et al. 2002",
        "squared nats",
        False,
    ),
)
