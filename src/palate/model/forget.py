"""A fit without some of its people: at once, and nearly as if they had never been in it.

What the model holds of them goes. Their :class:`~palate.posteriors.statistics.Statistics` leave the sums over people,
which is exact; the items then take a few sweeps more, since what is believed of the others was learnt with items that
knew them. Popularity, who can answer what, and what histories and attributes say stay until the next fit. So the model
is approximate; a fit of what is left is exact.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Mask
from palate.encoders.histories.events import Events
from palate.entities import USER
from palate.model.fit import items_of, observed
from palate.model.item_prior import of_answers
from palate.model.model import Model
from palate.posteriors.answers import Answers
from palate.posteriors.attribute_coding import Category
from palate.posteriors.attributes import Attributes
from palate.posteriors.fit import refined
from palate.posteriors.forgetting import Forgetting
from palate.posteriors.item_half import ItemBlock
from palate.posteriors.statistics import pack
from palate.posteriors.taste import Taste
from palate.ranking.histories import Histories
from palate.ranking.repeats import Repeats

SWEEPS = 4


def people_of(model: Model) -> frozenset[str]:
    """Everybody of whom a model holds something."""
    described = [] if model.users is None else model.users[USER].to_list()
    friends = [] if model.friendships is None else model.friendships.people
    return frozenset([*model.user_ids, *model.labels, *described, *friends])


def forget(model: Model, users: Collection[str], *, sweeps: int = SWEEPS) -> Model:
    """A model without these users.

    Args:
        sweeps: Of the items after their sums were taken out; 0 leaves the items as they are.
    """
    left = without(model, users)
    if not sweeps or not ({*model.user_ids, *model.labels} & {*users}):
        return left
    heard = _heard(left)
    if not heard.values.nnz:
        return left
    rated = np.unique(_heard(model).values.indices)
    likelihood, items = model.taste.likelihood, model.taste.items
    encodings = model.catalogue.encodings()
    factors = np.concatenate([items.level[rated, None], items.factors[rated]], 1)
    covariances = pack(items.spread.take(rated).covariances(items.dim + 1))
    found = refined(
        observed(heard, likelihood).of_items(rated),
        ItemBlock(factors, covariances, items.noise[rated]),
        model.prior,
        likelihood=likelihood,
        content=encodings[rated],
        times=sweeps,
    )
    if not likelihood.events_only:
        counts = np.bincount(heard.values.indices, minlength=len(encodings))[rated].astype(np.float64)
        found = replace(found, prior=of_answers(found.prior, found.factors, encodings[rated], counts))
    taste = Taste.build(items_of(found, rated, encodings), found.likelihood)
    return replace(left, taste=taste, prior=found.prior, user_noise=found.user_noise[: len(left.user_ids)])


def without(model: Model, users: Collection[str]) -> Model:
    """A model that holds nothing of these users, with items as they were."""
    gone = {*users}
    keep = np.array([user not in gone for user in model.user_ids], dtype=np.bool_)
    counts, rows = _counts(model, gone), np.flatnonzero(keep)
    users_left = None if model.users is None else model.users.filter(~pl.col(USER).is_in(list(gone)))
    events, met = model.events, None if model.list_model is None else model.list_model.met
    return replace(
        model,
        catalogue=model.catalogue.counting(np.arange(len(counts)), -counts),
        user_ids=[user for user in model.user_ids if user not in gone],
        answers=sparse.csr_matrix(model.answers[rows]),
        user_noise=model.user_noise[keep],
        forgetting=_kept_times(model, keep),
        events=None
        if events is None
        else Events(*(part[rows] for part in (events.liking, events.timestamps, events.kinds))),
        users=users_left,
        attributes=_nameless(model.attributes, users_left),
        friendships=None if model.friendships is None else model.friendships.without(gone),
        labels={user: found for user, found in model.labels.items() if user not in gone},
        list_model=model.list_model
        if met is None or model.list_model is None
        else replace(model.list_model, met=_taken(met, keep), repeats=_repeats(model.list_model.repeats, keep)),
    )


def _nameless(attributes: Attributes | None, left: pl.DataFrame | None) -> Attributes | None:
    """Without what only those who left were called."""
    if attributes is None or left is None:
        return attributes
    coding = attributes.coding
    parts = (
        one.known_to(set(left[one.name].drop_nulls())) if isinstance(one, Category) else one
        for one in coding.attributes
    )
    return replace(attributes, coding=replace(coding, attributes=tuple(parts)))


def _kept_times(model: Model, keep: Mask) -> Forgetting | None:
    of_entry = np.repeat(keep, np.diff(model.answers.indptr))
    return None if model.forgetting is None else replace(model.forgetting, times=model.forgetting.times[of_entry])


def _taken(met: Histories, keep: Mask) -> Histories:
    values = None if met.values is None else met.values[np.repeat(keep, met.sizes)]
    start = np.concatenate([[0], np.cumsum(met.sizes[keep])]).astype(np.intp)
    return Histories(met.items[np.repeat(keep, met.sizes)], start, met.n_items, values)


def _repeats(repeats: Repeats | None, keep: Mask) -> Repeats | None:
    return None if repeats is None else repeats.keeping(keep)


def _counts(model: Model, gone: Collection[str]) -> NDArray[np.int64]:
    """How often these users gave each level of each item, (I, R), as the catalogue has counted it."""
    table = np.zeros(model.catalogue.levels.shape, dtype=np.int64)
    edges, events_only = model.level_values, model.taste.likelihood.events_only
    for user in gone:
        labels, row = model.labels.get(user, {}), model.rows.get(user)
        entries = slice(*model.answers.indptr[row : row + 2]) if row is not None else slice(0, 0)
        values = dict(zip(model.answers.indices[entries].tolist(), model.answers.data[entries].tolist(), strict=True))
        for item, given in labels.items():
            real = [value for value, weight in given if weight >= 1.0]
            values.pop(item, None)
            if real:
                values[item] = float(np.mean(real))
        for item, value in values.items():
            value = float(np.sign(value)) if events_only else value
            table[item, min(int(np.searchsorted(edges, value)), len(edges) - 1)] += 1
    return table


def _heard(model: Model) -> Answers:
    """What the fit heard: the answers of the data, with those that labels put in their place, (U + others, I)."""
    rows = {user: row for row, user in enumerate(model.user_ids)}
    for user in model.labels:
        rows.setdefault(user, len(rows))
    before, width = model.answers.tocoo(), model.answers.shape[1]
    taken = [rows[user] * width + item for user, found in model.labels.items() for item in found]
    stays = ~np.isin(before.row.astype(np.int64) * width + before.col, taken)
    added = [
        (rows[user], item, *row)
        for user, found in model.labels.items()
        for item, given in found.items()
        for row in given
    ]
    users, items, values, weights = np.concatenate(
        [
            np.stack([before.row[stays], before.col[stays], before.data[stays], np.ones(int(stays.sum()))]),
            np.array(added, dtype=np.float64).reshape(-1, 4).T,
        ],
        1,
    )
    order = np.argsort(users, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(users.astype(np.intp), minlength=len(rows)))])
    shape = (len(rows), width)
    matrix = sparse.csr_matrix((values[order], items[order].astype(np.int32), start), shape=shape)
    return Answers(matrix, weights[order] if (weights != 1.0).any() else None)
