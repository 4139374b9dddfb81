"""Items on which nobody has acted, for people who are known: the order of Palate's list beside that of their words.

A fifth of the items is hidden with all that was done about them. Of each person who took up any of these, all hidden
items are put in order: by Palate's list; by TF-IDF, the words of an item times those of what the person took up; and at
random, which is what a recommender without content can do. NDCG@10, intervals over people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from palate.arrays import Array
from palate.datasets.splits import new_items
from palate.datasets.tables import Dataset
from palate.datasets.views import item_table, texts_of
from palate.entities import ITEM
from palate.evaluation.baselines import Interactions
from palate.evaluation.evaluate import interactions_of
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.metrics import expected_metrics, places
from palate.evaluation.text_profile import TfIdfProfile, has_words
from palate.learner import Learner
from palate.loop.list_scores import list_scores
from palate.random import derive_rng

K = 10
FEWEST = 2 * K  # hidden items: of fewer most are on every list
PEOPLE = 200  # whose lists are made, drawn


def new_item_lists(
    data: Dataset, *, seed: int = 0, progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any] | None:
    """By the protocol above; None where fewer than 20 hidden items have words, or nobody took one up.

    Returns:
        ``people`` and ``items`` (hidden) counted; ``ndcg@10`` of ``palate``, ``tf-idf`` and ``random`` (mean, low,
        high), and ``palate_minus`` the latter two, paired by person.
    """
    split = new_items(data, share=0.2, rng=derive_rng(seed, "new-items"))
    whole = data.coded("event")
    texts = tuple(texts_of(item_table(data, list(whole.item_ids))))
    if not has_words(texts):
        return None
    train, test = (interactions_of(part, whole, data.vocabulary).liked for part in (split.train, split.test))
    place = {item: number for number, item in enumerate(whole.item_ids)}
    new = split.test.interactions[ITEM].unique()  # of those that the table of items lacks nothing can be said
    hidden = np.sort([place[item] for item in new.filter(new.is_in(data.items[ITEM].implode()))])
    able = np.intersect1d(np.unique(train.users), np.unique(test.users))
    if not len(able) or len(hidden) < FEWEST:
        return None
    people = np.sort(derive_rng(seed, "people").permutation(able)[:PEOPLE])
    wanted = _wanted(test, people, hidden)
    progress("palate")
    learner = Learner.fit(split.train, seed=seed)
    names = [whole.item_ids[item] for item in hidden]
    scores = {
        "palate": _scores(learner, [whole.user_ids[user] for user in people], names),
        "tf-idf": TfIdfProfile(texts).fit(train, rng=derive_rng(seed, "tf-idf")).score(people)[:, hidden],
        "random": np.zeros(wanted.shape),
    }
    found = {
        name: expected_metrics(places(score, wanted, K)[1], wanted.sum(1))["ndcg"] for name, score in scores.items()
    }
    return {
        "people": len(people),
        "items": len(hidden),
        "ndcg@10": {
            name: bootstrap_mean(each, rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict()
            for name, each in found.items()
        },
        "palate_minus": {
            name: paired_bootstrap(found["palate"], found[name], rng=derive_rng(0, "bootstrap")).as_dict()
            for name in ("tf-idf", "random")
        },
    }


def _wanted(test: Interactions, people: Any, hidden: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """What each of them took up of the hidden items, (n, H)."""
    matrix = sparse.csr_array((np.ones(len(test.users)), (test.users, test.items)), shape=(test.n_users, test.n_items))
    return np.asarray(matrix[people][:, hidden].toarray() > 0)


def _scores(learner: Learner, users: list[str], item_ids: list[str]) -> Array:
    """What the list of each user is ordered by, of these items, (n, H)."""
    items = learner.model.catalogue.positions(item_ids)
    return np.stack([list_scores(learner.memory, user).total(items=items) for user in users])
