"""The ratings that were told since the data, beside it in a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.entities import Answer, Form
from palate.errors import DataError
from palate.model.counted import UNWEIGHED, Counted, Rows, Told, Weights, counted
from palate.posteriors.answers import Answers
from palate.posteriors.likelihood import Likelihood


@dataclass(frozen=True, slots=True)
class Joined:
    """The answers of the data and the labels, as far as they count (:mod:`palate.model.counted`).

    Attributes:
        answers: What a fit takes, (U, I): answers of less weight than 1 by it, ratings that were asked for again as
            one of more weight or as several likes.
        rated: Who has rated what, each pair once, without those of less weight, (U, I) CSR.
        labels: By user and position of the item, the rows that labels put in the place of those of the data: none where
            they take a rating back.
    """

    answers: Answers
    rated: sparse.csr_matrix
    labels: Told = field(default_factory=dict)


def joined(
    answers: Answers,
    labels: Sequence[Answer],
    likelihood: Likelihood,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    weights: Weights = UNWEIGHED,
) -> Joined:
    """With these labels; those about other items say nothing here.

    Args:
        answers: Of the data, (U, I).
        labels: In the order of the log.
        weights: Of their sources.
    Raises:
        DataError: If the labels take back all that there is.
    """
    columns = {item: column for column, item in enumerate(item_ids)}
    rows = {user: row for row, user in enumerate(user_ids)}
    told = [
        (rows.setdefault(user, len(rows)), columns[one.answer.item_id], one)
        for user, given in _by_user(labels, columns).items()
        for one in counted(given, _rated(answers.values, rows.get(user), columns), weights)
    ]
    if not told:
        return Joined(answers, answers.values)
    left, shape = _Left.of(answers.values, told), (len(rows), len(item_ids))
    taught = [(user, item, *row) for user, item, one in told for row in one.rows(likelihood)]
    real = [(user, item, float(np.mean(one.values)), 1.0) for user, item, one in told if one.is_real and one.values]
    kept: dict[str, dict[int, Rows]] = {}
    names = list(rows)
    for user, item, one in told:
        kept.setdefault(names[user], {})[item] = one.rows(likelihood)
    return Joined(left.joined(taught, shape), left.matrix(real, shape), kept)


def _by_user(labels: Sequence[Answer], columns: Mapping[str, int]) -> dict[str, list[Answer]]:
    by_user: dict[str, list[Answer]] = {}
    for label in labels:
        if label.form is Form.RATE and label.item_id in columns:
            by_user.setdefault(label.user_id, []).append(label)
    return by_user


def _rated(answers: sparse.csr_matrix, row: int | None, columns: Mapping[str, int]) -> Callable[[str], float | None]:
    """The rating that the data has of an item, of the user of a row."""
    if row is None or row >= answers.shape[0]:
        return lambda _item: None
    rated = dict(zip(answers[row].indices.tolist(), answers[row].data.tolist(), strict=True))
    return lambda item: rated.get(columns[item])


@dataclass(frozen=True, slots=True)
class _Left:
    """What labels leave of the data, an entry an answer."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: Array

    @classmethod
    def of(cls, answers: sparse.csr_matrix, told: Sequence[tuple[int, int, Counted]]) -> _Left:
        before, width = answers.tocoo(), answers.shape[1]
        taken = [user * width + item for user, item, _ in told]
        stays = ~np.isin(before.row.astype(np.int64) * width + before.col, taken)
        return cls(before.row[stays], before.col[stays], before.data[stays])

    def joined(self, added: Sequence[tuple[int, int, float, float]], shape: tuple[int, int]) -> Answers:
        """With these: user, item, value and weight."""
        users, items, values, weights = self._with(added)
        if not len(users):
            raise DataError("there is no answer to fit: labels take back every rating of the data. Undo one of them.")
        weighed = weights if (weights != 1.0).any() else None
        return Answers.build(users.astype(np.int32), items.astype(np.int32), values, shape, weighed)

    def matrix(self, added: Sequence[tuple[int, int, float, float]], shape: tuple[int, int]) -> sparse.csr_matrix:
        """With these, each pair once."""
        users, items, values, _ = self._with(added)
        return sparse.csr_matrix((values, (users.astype(np.int32), items.astype(np.int32))), shape=shape)

    def _with(self, added: Sequence[tuple[int, int, float, float]]) -> Array:
        kept = np.stack([self.users, self.items, self.values, np.ones(len(self.users))])
        return np.concatenate([kept, np.array(added, dtype=np.float64).reshape(-1, 4).T], 1)
