"""The strategies of the recommender literature, by idea.

As published, hardly any of them weighs the chance of an answer: popularity stands in for it, or "not rated" is one of
the answers, or rewards rank items and may be below zero.
"""

from __future__ import annotations

from functools import partial

from palate.acquisition.literature.aspects import aspect_model, bayesian_aspect, flexible_mixture, personalised
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
from palate.acquisition.literature.clusters import igcn, user_partitioning
from palate.acquisition.literature.cofiba import cofiba
from palate.acquisition.literature.combined import (
    active_learning_by_learning,
    log_popularity_entropy_item_item,
    switching,
    voting,
)
from palate.acquisition.literature.counts import co_coverage, entropy0, rarity
from palate.acquisition.literature.disagreement import error, gini, rating_variance
from palate.acquisition.literature.fixed_lists import greedy_extend, local_representative_items, representative_items
from palate.acquisition.literature.influence import impact_analysis, influence, item_item
from palate.acquisition.literature.knn_bandit import knn_bandit
from palate.acquisition.literature.nicf import nicf
from palate.acquisition.literature.pebol import pebol_thompson, pebol_ucb
from palate.acquisition.literature.predictions import (
    binary_prediction,
    high_low,
    highest_predicted,
    lowest_predicted,
    mf_optimal,
    new_item_attributes,
)
from palate.acquisition.literature.products import (
    helf,
    log_popularity_entropy,
    popularity_plus_entropy,
    popularity_times_entropy,
    popularity_times_error,
    popularity_times_gini,
    sqrt_popularity_variance,
)
from palate.acquisition.literature.questionnaire import relative_questions
from palate.acquisition.literature.trees import decision_tree, functional_mf, multi_question_tree
from palate.acquisition.literature.value_of_information import evoi, evoi_lookahead, evoi_ndcg, expected_loss_dcg
from palate.acquisition.strategy import Strategy

_FEW = 200  # candidates a costly strategy scores
_WHOLE = 2_000  # catalogues up to this are scored whole, which takes a few milliseconds

_unweighed = partial(Strategy, weighs_answerability=False)
_crowd = partial(_unweighed, idea="The crowd's ratings")
_list = partial(_unweighed, idea="A list made once")
_user = partial(_unweighed, idea="The user's ratings")
_structure = partial(_unweighed, idea="A structure learnt first")
_bandit = partial(_unweighed, idea="Bandits")
_value = partial(Strategy, idea="The value of the list", shortlist=_FEW)
_several = partial(_unweighed, idea="Several strategies together")

ENTRIES: tuple[Strategy, ...] = (
    _value("evoi-ndcg", evoi_ndcg, "O(T (D + J))", "Boutilier 2002; Long et al. 2010", "NDCG", status="recommended"),
    _value("evoi", evoi, "O(D J)", "Boutilier 2002; Guo & Sanner 2010", "rating", status="recommended"),
    _value("evoi-lookahead", evoi_lookahead, "O(M D J)", "Martin et al. 2024", "rating", shortlist=12),
    _value("expected-loss-dcg", expected_loss_dcg, "O(T log J)", "Long et al. 2010", "DCG"),
    _crowd("entropy0", entropy0, "O(R)", "Rashid et al. 2008", "nats", status="measured"),
    _crowd("helf", helf, "O(R)", "Rashid et al. 2008", status="measured"),
    _crowd(
        "log-popularity-entropy",
        log_popularity_entropy,
        "O(R)",
        "Rashid et al. 2002",
        "squared nats",
        status="measured",
    ),
    _crowd("co-coverage", co_coverage, "O(1)", "Golbandi et al. 2010", "pairs of ratings"),
    _crowd("rarity", rarity, "O(1)", "Elahi et al. 2016", "per rating"),
    _crowd("rating-variance", rating_variance, "O(1)", "Kohrs & Merialdo 2001", "squared rating"),
    _crowd("error", error, "O(1)", "Geurts & Frasincar 2017", "squared rating"),
    _crowd("gini", gini, "O(R)", "Geurts & Frasincar 2017", "probability"),
    _crowd("popularity-times-entropy", popularity_times_entropy, "O(R)", "Rashid et al. 2002", "nats"),
    _crowd("popularity-plus-entropy", popularity_plus_entropy, "O(R)", "Rashid et al. 2002"),
    _crowd("popularity-times-error", popularity_times_error, "O(1)", "Geurts & Frasincar 2017", "squared rating"),
    _crowd("popularity-times-gini", popularity_times_gini, "O(R)", "Geurts & Frasincar 2017", "ratings"),
    _crowd("sqrt-popularity-variance", sqrt_popularity_variance, "O(1)", "Golbandi et al. 2010", "squared rating"),
    _list("greedy-extend", greedy_extend, "O(1)", "Golbandi et al. 2010", "place"),
    _list("representative-items", representative_items, "O(1)", "Liu et al. 2011", "place"),
    _list("local-representative-items", local_representative_items, "O(1)", "Shi et al. 2017", "place"),
    _list("relative-questions", relative_questions, "O(1)", "Sepliarskaya et al. 2018", "places"),
    _user("item-item", item_item, "O(ratings of it)", "Rashid et al. 2002", "similarity"),
    _user("impact-analysis", impact_analysis, "O(ratings of it)", "Mello et al. 2010", "paths"),
    _user("influence", influence, "O(J D)", "Rubens & Sugiyama 2007", "rating", shortlist=_FEW),
    _user("binary-prediction", binary_prediction, "O(1)", "Elahi et al. 2014", "probability"),
    _user("highest-predicted", highest_predicted, "O(D)", "Elahi et al. 2014", "rating"),
    _user(
        "lowest-predicted",
        lowest_predicted,
        "O(D)",
        "Elahi et al. 2014; Karimi et al. 2011",
        "rating",
        aliases=("min-rating",),
    ),
    _user("high-low", high_low, "O(D)", "Elahi et al. 2014", "rating"),
    _user("mf-optimal", mf_optimal, "O(D²)", "Karimi et al. 2011; Anava et al. 2015", "squared rating"),
    _user("new-item-attributes", new_item_attributes, "O(D)", "Zhu et al. 2020"),
    _structure("igcn", igcn, "O(R clusters)", "Rashid, Karypis, Riedl 2008", "nats"),
    _structure(
        "user-partitioning", user_partitioning, "O(R D)", "Teixeira et al. 2002", "squared taste", shortlist=_WHOLE
    ),
    _structure("decision-tree", decision_tree, "O(1)", "Golbandi, Koren, Lempel 2011", "squared rating"),
    _structure("functional-mf", functional_mf, "O(1)", "Zhou, Yang, Zha 2011", "squared rating"),
    _structure("multi-question-tree", multi_question_tree, "O(1)", "Sun et al. 2013", "squared taste"),
    _structure(
        "aspect-model", aspect_model, "O(R K)", "Boutilier, Zemel, Marlin 2003; Hofmann 2004", "nats", shortlist=_WHOLE
    ),
    _structure("bayesian-aspect", bayesian_aspect, "O(R K)", "Jin & Si 2004", "nats", shortlist=_WHOLE),
    _structure(
        "flexible-mixture", flexible_mixture, "O(R K)", "Si & Jin 2003; Jin & Si 2004", "nats", shortlist=_WHOLE
    ),
    _structure("personalised", personalised, "O(R K)", "Harpale & Yang 2008", "nats", shortlist=_WHOLE),
    _bandit("epsilon-greedy", epsilon_greedy, "O(1)", "Auer et al. 2002", "share of the scale"),
    _bandit("ucb1", ucb1, "O(1)", "Auer et al. 2002", "share of the scale"),
    _bandit("lin-ucb", lin_ucb, "O(D²)", "Li et al. 2010", "rating"),
    _bandit("thompson", thompson, "O(D)", "Chapelle & Li 2011", "rating"),
    _bandit("icf-ucb", icf_ucb, "O(D²)", "Zhao et al. 2013", "rating"),
    _bandit("icf-thompson", icf_thompson, "O(D²)", "Zhao et al. 2013", "rating"),
    _bandit("knn-bandit", knn_bandit, "O(1), O(U) a user", "Sanz-Cruzado et al. 2019", "likes"),
    _bandit("cofiba", cofiba, "O(D²), O(U D²) a user", "Li et al. 2016", "rating"),
    _bandit("nicf", nicf, "O(D)", "Zou et al. 2020", "share of the scale", extra="hf"),
    _bandit("max-item-trait", max_item_trait, "O(D)", "Christakopoulou et al. 2016", "rating"),
    _bandit(
        "min-item-trait",
        min_item_trait,
        "O(D)",
        "Christakopoulou et al. 2016; Karimi et al. 2011",
        "rating",
        aliases=("min-norm",),
    ),
    _bandit("pebol-thompson", pebol_thompson, "O(T E)", "Austin et al. 2024", "probability"),
    _bandit("pebol-ucb", pebol_ucb, "O(T E)", "Austin et al. 2024", "probability"),
    _several("voting", voting, "O(D²)", "Elahi et al. 2014", "votes"),
    _several("switching", switching, "O(T D²)", "Elahi et al. 2012", "that of the chosen"),
    _several(
        "active-learning-by-learning", active_learning_by_learning, "O(T D²)", "Hsu & Lin 2015", "log probability"
    ),
    _several(
        "log-popularity-entropy-item-item",
        log_popularity_entropy_item_item,
        "O(R + n)",
        "Rashid et al. 2002",
        "squared nats",
    ),
)
