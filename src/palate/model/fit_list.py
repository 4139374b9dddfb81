"""What the one list is fitted on: who met what, and who would like what of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.special import log_ndtr

from palate.arrays import Array
from palate.datasets.coding import Coded, signed_weight
from palate.datasets.tables import Dataset
from palate.datasets.times import not_ahead
from palate.encoders.histories.events import Events
from palate.entities import EVENT, ITEM, TIMESTAMP, USER
from palate.model.scale import Scale
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import pack
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.ranking.cases import Offset
from palate.ranking.fit_list import Likes
from palate.ranking.held_back import Met
from palate.ranking.histories import Histories
from palate.ranking.repeats import Repeats, fit_repeats
from palate.vocabulary import NO_NAME

_OPTIONS = FitOptions(dim=8, sweeps=6)  # of the taste without the people held back: it only says how much liking counts


def met_of(coded: Coded, likelihood: Likelihood, scale: Scale, events: Events | None) -> Met:
    """Who met what: of ratings all that is rated, and what was done and meant well; of events what was meant well.

    Args:
        coded: The answers, as they are fitted.
        events: What was done beside answering; None if nothing.
    """
    shape = (len(coded.user_ids), len(coded.item_ids))
    rows = [_answered(coded.users, coded.items, coded.values, coded.timestamps, likelihood, scale)]
    if events is not None and not likelihood.events_only:
        log = events.log
        good = log.liking > 0.0
        n = int(good.sum())
        rows.append((log.users[good], log.items[good], np.ones(n, bool), np.full(n, np.nan), log.timestamps[good]))
        rows.reverse()  # of a pair that is in both without a time the rating counts
    users, items, good, values, times = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Met.of(users.astype(np.int64), items.astype(np.int64), good, values, times, shape)


def repeats_of(data: Dataset, coded: Coded) -> Repeats | None:
    """What people do again of what says most for an item: where there are purchases, these and no views.

    Args:
        coded: The same data, of which the numbers of people and items are taken.
    """
    words = data.vocabulary.words
    rows = data.interactions.select(
        pl.col(USER).cast(pl.Enum(coded.user_ids)).to_physical().cast(pl.Int64),
        pl.col(ITEM).cast(pl.Enum(coded.item_ids)).to_physical().cast(pl.Int64),
        pl.col(TIMESTAMP).fill_null(float("nan")),
        pl.col(EVENT).fill_null(NO_NAME),
        signed_weight(data.interactions, data.vocabulary).alias("liking"),
    ).filter(pl.col("liking") > 0.0)
    strengths = {name: words[name].strength for name in rows[EVENT].unique().sort()}
    if not strengths:
        return None
    act = max(strengths, key=lambda name: strengths[name])
    most = rows.filter(pl.col(EVENT).is_in([name for name in strengths if strengths[name] == strengths[act]]))
    users, items, times = (most[name].to_numpy() for name in (USER, ITEM, TIMESTAMP))
    shape = (len(coded.user_ids), len(coded.item_ids))
    return fit_repeats(users, items, not_ahead(times), shape, act=words[act].kind, least=strengths[act])


def met_by(answers: sparse.csr_matrix, times: Array, likelihood: Likelihood, scale: Scale) -> Met:
    """The same of answers alone, (U, I), and when they were given, (N,)."""
    users = np.repeat(np.arange(answers.shape[0]), np.diff(answers.indptr))
    users, items, liked, values, dated = _answered(users, answers.indices, answers.data, times, likelihood, scale)
    return Met.of(users, items.astype(np.int64), liked, values, dated, answers.shape)


def _answered(
    users: NDArray[np.integer[Any]],
    items: NDArray[np.integer[Any]],
    values: Array,
    times: Array,
    likelihood: Likelihood,
    scale: Scale,
) -> tuple[Any, ...]:
    """Who met what by answering: user, item, whether it was liked, value and time, of those that count."""
    liked = values > 0.0 if likelihood.events_only else values >= scale.like
    kept = liked if likelihood.events_only else np.ones(len(liked), dtype=bool)
    return users[kept], items[kept], liked[kept], values[kept], times[kept]


def likes_of(likelihood: Likelihood, scale: Scale, seed: int) -> Likes | None:
    """How likely each item is liked by people held back, as far as the others tell; None of events."""
    if likelihood.events_only:
        return None

    def likes(counted: Met) -> Offset:
        taste = _taste(counted, likelihood, seed)
        return lambda histories: _log_like(taste, histories, scale)

    return likes


def _taste(counted: Met, likelihood: Likelihood, seed: int) -> Taste | None:
    """None where nobody said anything."""
    said = ~np.isnan(counted.values)
    if not said.any():
        return None
    users, items = counted.users[said].astype(np.int32), counted.items[said].astype(np.int32)
    answers = Answers.build(users, items, counted.values[said], (counted.n_users, counted.n_items))
    values, weights = likelihood.observed(answers.values.data)
    rated = np.unique(items).astype(np.intp)
    found = fit(
        Answers(answers.matrix(values), weights).of_items(rated),
        likelihood=likelihood,
        options=_OPTIONS,
        rng=np.random.default_rng(seed),
    )
    factors = np.tile(found.factors.mean(0), (counted.n_items, 1))
    covariances = np.tile(
        pack(np.atleast_2d(np.cov(found.factors.T, ddof=0))) + found.covariances.mean(0), (counted.n_items, 1)
    )
    noise = np.full(counted.n_items, float(np.median(found.noise)))
    factors[rated], covariances[rated], noise[rated] = found.factors, found.covariances, found.noise
    return Taste.build(Items.of_packed(factors, covariances, noise), found.likelihood)


def _log_like(taste: Taste | None, histories: Histories, scale: Scale) -> NDArray[np.float32]:
    """(n, I)."""
    n = len(histories)
    if taste is None:
        return np.zeros((n, histories.n_items), dtype=np.float32)
    assert histories.values is not None
    said = ~np.isnan(histories.values)
    ends = np.concatenate([[0], np.cumsum(said)])[histories.start]
    parts = (histories.values[said], histories.items[said], ends)
    belief, items = taste.believe(sparse.csr_matrix(parts, shape=(n, histories.n_items))), taste.items
    mean = taste.like_level(taste.likelihood.threshold(scale.cut)) + belief.score(items.factors)
    return np.asarray(log_ndtr(mean / np.sqrt(belief.variance(items.factors) + items.answer_noise)), dtype=np.float32)
