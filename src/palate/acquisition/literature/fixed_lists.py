"""One list of questions for everybody, or one a group of users, made once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.spatial.distance import cdist

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import by_popularity, in_order, k_means
from palate.acquisition.literature.maxvol import rectangular_maxvol
from palate.acquisition.per_user import for_everybody
from palate.arrays import Array, Mask, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population
from palate.posteriors.taste import Taste

USERS = 400  # fitted users on whom a list is tried, evenly spaced
POOL = 200  # items that may enter it, the most rated
LENGTH = 30  # items chosen one by one
TESTS = 30  # ratings of each user that are predicted
GROUPS = 4
ROUNDS = 20  # of k-means


def greedy_extend(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask a fixed list, each of whose items helped the fitted users most.

    .. math:: S \leftarrow S \cup \arg\min_i \sum_{u,j} \left(r_{uj} - \hat r_{uj}(S \cup \{i\})\right)^2

    Minus the place in that list, (I,) or (n, I). Each fitted user is taken as new: half of the ratings can be answered,
    predictions are from the answers to S alone, and the error is on the other half, which is the same for every S. The
    list ends where nothing helps; the rest follows by popularity. One list for everybody.

    Cost: O(1) to ask. Offline O(TESTS · D) for each of the USERS who rated an item, of POOL, LENGTH times: at most
    10⁹ multiplications at 16 dimensions, a few seconds; likes O(D²) instead of O(D).

    References:
        Golbandi, Koren, Lempel, On bootstrapping recommender systems, CIKM 2010.
    """
    order = candidates.population.once("greedy-extend", _greedy_extend_build)
    return for_everybody(in_order(order, candidates), belief)


@dataclass(frozen=True, slots=True)
class _Trial:
    """n users as if new.

    Attributes:
        answers: Ratings that can be asked, (n, POOL) of the items of the pool, NaN where there is none.
        columns: Items of the test ratings, padded, (n, T).
        values: The ratings, NaN where padded, (n, T).
    """

    answers: Array
    columns: Positions
    values: Array


def _greedy_extend_build(population: Population) -> Positions:
    """All items in order."""
    taste, by_count = population.taste, by_popularity(population)
    pool = by_count[:POOL]
    trial = _trial(population, pool)
    n = len(trial.answers)
    belief = Belief(np.tile(taste.start.mean, (n, 1)), np.tile(taste.start.covariance, (n, 1, 1)))
    errors, chosen = _errors(taste, belief, trial, np.arange(n)), list[int]()
    while len(chosen) < min(LENGTH, len(pool)):
        gains = [
            -np.inf if place in chosen else _gain(taste, belief, trial, errors, pool[place], place)
            for place in range(len(pool))
        ]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        users = np.flatnonzero(~np.isnan(trial.answers[:, best]))
        moved = _told(taste, belief, trial, users, pool[best], best)
        belief.mean[users], belief.covariance[users] = moved.mean, moved.covariance
        errors[users] = _errors(taste, moved, trial, users)
        chosen.append(best)
    first = pool[chosen]
    return np.concatenate([first, by_count[~np.isin(by_count, first)]])


def _trial(population: Population, pool: Positions) -> _Trial:
    """Every other rating of a user can be asked, users alternating in which, so that no item is only ever a test."""
    users = np.unique(np.linspace(0, population.n_users - 1, min(USERS, population.n_users)).astype(np.intp))
    places = np.full(population.n_items, -1)
    places[pool] = np.arange(len(pool))
    answers = np.full((len(users), len(pool)), np.nan)
    columns, values = np.zeros((len(users), TESTS), dtype=np.intp), np.full((len(users), TESTS), np.nan)
    for row, user in enumerate(users):
        own = population.answers[user]
        open_ = np.arange(row % 2, own.nnz, 2)
        tests = np.delete(np.arange(own.nnz), open_)[:TESTS]
        asked = open_[places[own.indices[open_]] >= 0]
        answers[row, places[own.indices[asked]]] = own.data[asked]
        columns[row, : len(tests)], values[row, : len(tests)] = own.indices[tests], own.data[tests]
    return _Trial(answers, columns, values)


def _told(taste: Taste, belief: Belief, trial: _Trial, users: Positions, item: int, place: int) -> Belief:
    """What is believed of some of the users once they have answered."""
    return taste.observe(belief.of(users), np.full(len(users), item), trial.answers[users, place])


def _gain(taste: Taste, belief: Belief, trial: _Trial, errors: Array, item: int, place: int) -> float:
    """By how much one more question lowers the squared error, summed over all users."""
    users = np.flatnonzero(~np.isnan(trial.answers[:, place]))
    after = _errors(taste, _told(taste, belief, trial, users, item, place), trial, users)
    return float((errors[users] - after).sum())


def _errors(taste: Taste, belief: Belief, trial: _Trial, users: Positions) -> Array:
    """Squared error on the test ratings of each, (n,)."""
    missed = taste.expected(belief, trial.columns[users]) - trial.values[users]
    return np.asarray(np.nansum(missed**2, axis=1))


def representative_items(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about a few items by which all others are expressed best.

    .. math:: \max_S \det(W_S^\top W_S)

    Minus the place in a list of all items whose every beginning S has nearly the largest volume, (I,) or (n, I). W has
    the items' factors. A user is a least-squares fit to the answers about S, and the error of that fit for the
    other items falls with the volume. One list for everybody, built once: O(D²) an item to start and O(D) a place.

    References:
        Liu, Meng, Liu, Yang, Wisdom of the better few: cold start recommendation via representative based rating
        elicitation, RecSys 2011 (RBMF); Fonarev et al., Efficient rectangular maximal-volume algorithm for rating
        elicitation in collaborative filtering, ICDM 2016.
    """
    order = candidates.population.once("representative-items", lambda own: rectangular_maxvol(own.taste.items.factors))
    return for_everybody(in_order(order, candidates), belief)


def local_representative_items(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about items that represent everybody, then those of the user's group.

    Minus the place in the list of the group nearest to the user's expected taste, (I,) or (n, I). Every list begins
    with the same D representative items of all, whose answers tell the groups apart; then come the representative items
    of the group, by the factors ``Σ_{u in group} (r_ui − r̄_i) z_u`` of its own ratings, z a taste. Groups are k-means
    clusters of the fitted users' tastes, where the paper grows a decision tree jointly.

    Built once: O(D²) an item and group; then O(D) a group and O(1) an item.

    References:
        Shi, Zhao, Shen, Local representative-based matrix factorization for cold-start recommendation, ACM TOIS 36(2),
        2017.
    """
    centres, orders = candidates.population.once("local-representative-items", _local_representative_items_build)
    lists = np.stack([in_order(order, candidates) for order in orders])
    return np.asarray(lists[cdist(np.atleast_2d(belief.mean), centres).argmin(1)].reshape(*belief.mean.shape[:-1], -1))


def _local_representative_items_build(population: Population) -> tuple[Array, list[Positions]]:
    """Centre of each group, (G, D), and its list of all items."""
    factors = population.taste.items.factors
    first = rectangular_maxvol(factors)[: factors.shape[1]]
    centres, groups = group_users(population)
    orders = []
    for group in range(len(centres)):
        own = rectangular_maxvol(_own_factors(population, groups == group))
        orders.append(np.concatenate([first, own[~np.isin(own, first)]]))
    return centres, orders


def group_users(population: Population) -> tuple[Array, Positions]:
    """Centres of the users' tastes, (G, D), and the group of each user, (U,); one where nobody is known."""
    tastes = population.tastes
    first = tastes.mean(0) if len(tastes) else np.zeros(tastes.shape[1])
    return k_means(tastes, first, GROUPS, rounds=ROUNDS)


def _own_factors(population: Population, members: Mask) -> Array:
    """Factors of the items by the ratings of some users alone, (I, D); an item they did not rate has none.

    One step of subspace iteration from their tastes: the span of the leading right singular vectors of their ratings.
    """
    answers = population.answers[members]
    residuals = answers.data - population.means[answers.indices]
    centred = sparse.csr_matrix((residuals, answers.indices, answers.indptr), shape=answers.shape)
    return np.asarray(centred.T @ population.tastes[members])
