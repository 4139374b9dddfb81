"""Bandits and the value of information (strategies.md calls them section 5), and ranking by expected loss."""

from palate.acquisition.literature.bandit_indices import (
    epsilon_greedy,
    icf_thompson,
    icf_ucb,
    lin_ucb,
    max_item_trait,
    min_item_trait,
    thompson,
    ucb1,
)
from palate.acquisition.literature.cofiba import cofiba
from palate.acquisition.literature.knn_bandit import knn_bandit
from palate.acquisition.literature.nicf import nicf
from palate.acquisition.literature.pebol import pebol_thompson, pebol_ucb
from palate.acquisition.literature.value_of_information import (
    SHORTLIST,
    evoi,
    evoi_lookahead,
    evoi_ndcg,
    expected_loss_dcg,
)
from palate.acquisition.strategy import Strategy

_FEW = 200  # candidates a costly strategy scores

# Rewards may be below zero and rank items, so they are not multiplied by the chance of an answer; values are.
ENTRIES: tuple[Strategy, ...] = (
    Strategy("epsilon-greedy", epsilon_greedy, "O(1)", "Auer et al. 2002", "share of the scale", False),
    Strategy("ucb1", ucb1, "O(1)", "Auer et al. 2002", "share of the scale", False),
    Strategy("lin-ucb", lin_ucb, "O(D²)", "Li et al. 2010", "rating", False),
    Strategy("thompson", thompson, "O(D)", "Chapelle & Li 2011", "rating", False),
    Strategy("icf-ucb", icf_ucb, "O(D²)", "Zhao et al. 2013", "rating", False),
    Strategy("icf-thompson", icf_thompson, "O(D²)", "Zhao et al. 2013", "rating", False),
    Strategy("knn-bandit", knn_bandit, "O(1), O(U) a user", "Sanz-Cruzado et al. 2019", "likes", False),
    Strategy("cofiba", cofiba, "O(D²), O(U D²) a user", "Li et al. 2016", "rating", False),
    Strategy("nicf", nicf, "O(D)", "Zou et al. 2020", "share of the scale", False, extra="hf"),
    Strategy("max-item-trait", max_item_trait, "O(D)", "Christakopoulou et al. 2016", "rating", False),
    Strategy("min-item-trait", min_item_trait, "O(D)", "Christakopoulou et al. 2016", "rating", False),
    Strategy("pebol-thompson", pebol_thompson, "O(T E)", "Austin et al. 2024", "probability", False),
    Strategy("pebol-ucb", pebol_ucb, "O(T E)", "Austin et al. 2024", "probability", False),
    Strategy("evoi", evoi, "O(D J)", "Boutilier 2002; Guo & Sanner 2010", "rating", shortlist=_FEW),
    Strategy("evoi-lookahead", evoi_lookahead, "O(M D J)", "Martin et al. 2024", "rating", shortlist=SHORTLIST),
    Strategy("evoi-ndcg", evoi_ndcg, "O(T (D + J))", "Boutilier 2002; Long et al. 2010", "NDCG", shortlist=_FEW),
    Strategy("expected-loss-dcg", expected_loss_dcg, "O(T log J)", "Long et al. 2010", "DCG", shortlist=_FEW),
)
