"""The strategies of the recommender literature, by idea.

As published, hardly any of them weighs the chance of an answer: popularity stands in for it, or "not rated" is one of
the answers, or rewards rank items and may be below zero.
"""

from __future__ import annotations

from functools import partial

from palate.acquisition.literature import (
    aspects,
    bandit_indices,
    clusters,
    cofiba,
    combined,
    counts,
    disagreement,
    fixed_lists,
    influence,
    knn_bandit,
    nicf,
    pebol,
    predictions,
    products,
    questionnaire,
    trees,
)
from palate.acquisition.literature import value_of_information as value
from palate.acquisition.strategy import Strategy

_FEW = 200  # candidates a costly strategy scores
_WHOLE = 2_000  # catalogues up to this are scored whole, which takes a few milliseconds

_unweighed = partial(Strategy.of, weighs_answerability=False)
_crowd = partial(_unweighed, idea="The crowd's ratings")
_list = partial(_unweighed, idea="A list made once")
_user = partial(_unweighed, idea="The user's ratings")
_structure = partial(_unweighed, idea="A structure learnt first")
_bandit = partial(_unweighed, idea="Bandits")
_value = partial(Strategy.of, idea="The value of the list", shortlist=_FEW)
_several = partial(_unweighed, idea="Several strategies together")

ENTRIES: tuple[Strategy, ...] = (
    _value(value.evoi_ndcg, "O(T (D + J))", "Boutilier 2002; Long et al. 2010", "NDCG", status="recommended"),
    _value(value.evoi, "O(D J)", "Boutilier 2002; Guo & Sanner 2010", "rating", status="recommended"),
    _value(value.evoi_lookahead, "O(M D J)", "Martin et al. 2024", "rating", shortlist=12),
    _value(value.expected_loss_dcg, "O(T log J)", "Long et al. 2010", "DCG"),
    _crowd(counts.entropy0, "O(R)", "Rashid et al. 2008", "nats", status="measured"),
    _crowd(products.helf, "O(R)", "Rashid et al. 2008", status="measured"),
    _crowd(products.log_popularity_entropy, "O(R)", "Rashid et al. 2002", "squared nats", status="measured"),
    _crowd(counts.co_coverage, "O(1)", "Golbandi et al. 2010", "pairs of ratings"),
    _crowd(counts.rarity, "O(1)", "Elahi et al. 2016", "per rating"),
    _crowd(disagreement.rating_variance, "O(1)", "Kohrs & Merialdo 2001", "squared rating"),
    _crowd(disagreement.error, "O(1)", "Geurts & Frasincar 2017", "squared rating"),
    _crowd(disagreement.gini, "O(R)", "Geurts & Frasincar 2017", "probability"),
    _crowd(products.popularity_times_entropy, "O(R)", "Rashid et al. 2002", "nats"),
    _crowd(products.popularity_plus_entropy, "O(R)", "Rashid et al. 2002"),
    _crowd(products.popularity_times_error, "O(1)", "Geurts & Frasincar 2017", "squared rating"),
    _crowd(products.popularity_times_gini, "O(R)", "Geurts & Frasincar 2017", "ratings"),
    _crowd(products.sqrt_popularity_variance, "O(1)", "Golbandi et al. 2010", "squared rating"),
    _list(fixed_lists.greedy_extend, "O(1)", "Golbandi et al. 2010", "place"),
    _list(fixed_lists.representative_items, "O(1)", "Liu et al. 2011", "place"),
    _list(fixed_lists.local_representative_items, "O(1)", "Shi et al. 2017", "place"),
    _list(questionnaire.relative_questions, "O(1)", "Sepliarskaya et al. 2018", "places"),
    _user(influence.item_item, "O(ratings of it)", "Rashid et al. 2002", "similarity"),
    _user(influence.impact_analysis, "O(ratings of it)", "Mello et al. 2010", "paths"),
    _user(influence.influence, "O(J D)", "Rubens & Sugiyama 2007", "rating", shortlist=_FEW),
    _user(predictions.binary_prediction, "O(1)", "Elahi et al. 2014", "probability"),
    _user(predictions.highest_predicted, "O(D)", "Elahi et al. 2014", "rating"),
    _user(predictions.lowest_predicted, "O(D)", "Elahi et al. 2014", "rating", aliases=("min-rating",)),
    _user(predictions.high_low, "O(D)", "Elahi et al. 2014", "rating"),
    _user(predictions.mf_optimal, "O(D²)", "Karimi et al. 2011; Anava et al. 2015", "squared rating"),
    _user(predictions.new_item_attributes, "O(D)", "Zhu et al. 2020"),
    _structure(clusters.igcn, "O(R clusters)", "Rashid, Karypis, Riedl 2008", "nats"),
    _structure(clusters.user_partitioning, "O(R D)", "Teixeira et al. 2002", "squared taste", shortlist=_WHOLE),
    _structure(trees.decision_tree, "O(1)", "Golbandi, Koren, Lempel 2011", "squared rating"),
    _structure(trees.functional_mf, "O(1)", "Zhou, Yang, Zha 2011", "squared rating"),
    _structure(trees.multi_question_tree, "O(1)", "Sun et al. 2013", "squared taste"),
    _structure(aspects.aspect_model, "O(R K)", "Boutilier, Zemel, Marlin 2003; Hofmann 2004", "nats", shortlist=_WHOLE),
    _structure(aspects.bayesian_aspect, "O(R K)", "Jin & Si 2004", "nats", shortlist=_WHOLE),
    _structure(aspects.flexible_mixture, "O(R K)", "Si & Jin 2003; Jin & Si 2004", "nats", shortlist=_WHOLE),
    _structure(aspects.personalised, "O(R K)", "Harpale & Yang 2008", "nats", shortlist=_WHOLE),
    _bandit(bandit_indices.epsilon_greedy, "O(1)", "Auer et al. 2002", "share of the scale"),
    _bandit(bandit_indices.ucb1, "O(1)", "Auer et al. 2002", "share of the scale"),
    _bandit(bandit_indices.lin_ucb, "O(D²)", "Li et al. 2010", "rating"),
    _bandit(bandit_indices.thompson, "O(D)", "Chapelle & Li 2011", "rating"),
    _bandit(bandit_indices.icf_ucb, "O(D²)", "Zhao et al. 2013", "rating"),
    _bandit(bandit_indices.icf_thompson, "O(D²)", "Zhao et al. 2013", "rating"),
    _bandit(knn_bandit.knn_bandit, "O(1), O(U) a user", "Sanz-Cruzado et al. 2019", "likes"),
    _bandit(cofiba.cofiba, "O(D²), O(U D²) a user", "Li et al. 2016", "rating"),
    _bandit(nicf.nicf, "O(D)", "Zou et al. 2020", "share of the scale", extra="hf"),
    _bandit(bandit_indices.max_item_trait, "O(D)", "Christakopoulou et al. 2016", "rating"),
    _bandit(bandit_indices.min_item_trait, "O(D)", "Christakopoulou et al. 2016", "rating", aliases=("min-norm",)),
    _bandit(pebol.pebol_thompson, "O(T E)", "Austin et al. 2024", "probability"),
    _bandit(pebol.pebol_ucb, "O(T E)", "Austin et al. 2024", "probability"),
    _several(combined.voting, "O(D²)", "Elahi et al. 2014", "votes"),
    _several(combined.switching, "O(T D²)", "Elahi et al. 2012", "that of the chosen"),
    _several(combined.active_learning_by_learning, "O(T D²)", "Hsu & Lin 2015", "log probability"),
    _several(combined.log_popularity_entropy_item_item, "O(R + n)", "Rashid et al. 2002", "squared nats"),
)
