"""Two scikit-learn estimators: a recommender, and the Bayesian softmax model of labels with its pool strategies.

Both work wherever scikit-learn takes an estimator: ``Pipeline``, ``cross_val_score``, ``GridSearchCV``. What is wrong
with an input is a ``ValueError`` too, as scikit-learn's own checks want it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from palate.arrays import Array
from palate.datasets.tables import Dataset
from palate.encoders.protocol import Encoder
from palate.entities import ITEM, RATING, USER
from palate.errors import DataError
from palate.errors.checks import count, flag, normalise_id
from palate.evaluation.metrics import NO_ITEM, list_metrics
from palate.integrations.classifier import PalateClassifier
from palate.integrations.estimator_input import InvalidInput, checked, refusing
from palate.learner import Learner
from palate.loop.lists import ListArguments, Recommendation, expectations
from palate.posteriors.likelihood import Likelihood

__all__ = ["InvalidInput", "PalateClassifier", "PalateRecommender", "list_ndcg"]

_USERS, _ITEMS = ("user", USER), ("item", ITEM)  # what the columns of a table may be called


class PalateRecommender(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A recommender whose ``X`` is a table of who and what, and whose ``y`` is how much they liked it.

    ``X`` has a column ``user`` (or ``user_id``) and a column ``item`` (or ``item_id``); in an array without names they
    are the first two. Ids may be text or numbers: ``7``, ``7.0`` and ``"7"`` are one user. Other columns are left out.
    ``y`` holds ratings; without it each row is something that the user did, and all there is to learn is what is done
    next. :meth:`score` is R² of the expected ratings, as of every regressor of scikit-learn. To choose settings by the
    lists that people see, give ``scoring=list_ndcg``.

    Args:
        items: Table of the items: ``item_id`` and any of ``title``, ``text``, ``category``. None: ids alone.
        users: Table of who the users are, by ``user_id``. None: nothing is known.
        encoder: Of the items' text; without a table of items none is needed.
        likelihood, dim, categories: As of :meth:`palate.Learner.fit`.
        random_state: Seed of the fit, a whole number.
    Attributes:
        learner_: The :class:`palate.Learner` of the fit, which asks, learns of answers and explains.
        n_features_in_, feature_names_in_: As of all estimators.
    Example:
        >>> X = [["ann", "tea"], ["ann", "coffee"], ["bob", "tea"], ["bob", "milk"]]
        >>> model = PalateRecommender(likelihood="gaussian").fit(X, [5, 1, 4, 2])
        >>> model.predict([["ann", "milk"], ["cleo", "something new"]]).shape
        (2,)
        >>> [item.item_id for item in model.recommend("ann", 1)]
        ['milk']
    """

    learner_: Learner
    n_features_in_: int

    def __init__(
        self,
        *,
        items: Any = None,
        users: Any = None,
        encoder: str | Encoder = "default",
        likelihood: str | Likelihood = "auto",
        dim: int | None = None,
        categories: bool = False,
        random_state: int = 0,
    ) -> None:
        self.items = items
        self.users = users
        self.encoder = encoder
        self.likelihood = likelihood
        self.dim = dim
        self.categories = categories
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> PalateRecommender:
        """Batch fit.

        Args:
            X: Who and what, (N, 2) or more.
            y: Ratings, (N,), or None.
        Raises:
            InvalidInput: If one of them cannot be taken.
            OptionError: If a setting is wrong.
        """
        with refusing():
            if y is None:
                pairs = self._pairs(checked(self, X, dtype=None))
            else:
                table, ratings = checked(self, X, y, dtype=None, y_numeric=True)
                pairs = self._pairs(table).with_columns(pl.Series(RATING, ratings, dtype=pl.Float64))
            data = Dataset.from_tables(pairs, self.items, self.users, name="X")
        self.learner_ = Learner.fit(
            data,
            encoder="none" if self.items is None else self.encoder,
            likelihood=self.likelihood,
            dim=self.dim,
            categories=self.categories,
            seed=self.random_state,
        )
        return self

    def predict(self, X: Any, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Expected rating of each row, (N,); without ratings in the fit, the strength of preference.

        Somebody unknown is like the population, and an item unknown like the items of which nothing is said.

        Args:
            X: Who and what, as of :meth:`fit`.
            return_std: Whether to give the standard deviation of that expectation too, (N,): what more answers could
                still take away. The noise of a single rating is not in it.
        Raises:
            InvalidInput: If X cannot be taken.
        """
        check_is_fitted(self)
        with refusing():
            with_std = flag(return_std, "return_std")
            pairs = self._pairs(checked(self, X, reset=False, dtype=None))
        learner = self._holding(pairs[ITEM])
        mean, std = np.empty(len(pairs)), np.empty(len(pairs))
        for (user,), rows in pairs.with_row_index("row").group_by(USER):
            places = learner.model.catalogue.positions(rows[ITEM].to_list())
            at = rows["row"].to_numpy()
            mean[at], std[at] = expectations(learner.model, learner.state(str(user)), places)
        return (mean, std) if with_std else mean

    def predict_std(self, X: Any) -> Array:
        """The standard deviations alone, (N,), of ``predict(X, return_std=True)``."""
        return np.asarray(self.predict(X, return_std=True)[1])

    def recommend(self, user: Any, k: int = 10, **options: Unpack[ListArguments]) -> list[Recommendation]:
        """The list to show a user, named as in ``X``; arguments and errors as of :meth:`palate.Learner.recommend`."""
        check_is_fitted(self)
        return self.learner_.recommend(_text(user, USER), k, **options)

    def _pairs(self, table: NDArray[Any]) -> pl.DataFrame:
        """The two columns that count, as text."""
        names = [*map(str, getattr(self, "feature_names_in_", ()))]
        places = [_place(names, known, position) for position, known in enumerate((_USERS, _ITEMS))]
        if table.shape[1] < 2:
            raise DataError(f"X has {table.shape[1]} feature(s). Give a column of users and a column of items.")
        return pl.DataFrame(
            {
                name: [_text(id, name) for id in table[:, place]]
                for name, place in zip((USER, ITEM), places, strict=True)
            }
        )

    def _holding(self, items: pl.Series) -> Learner:
        """The learner, with the items that it does not hold as items of which nothing is said."""
        known = self.learner_.model.catalogue
        unknown = [item for item in items.unique(maintain_order=True) if item not in known]
        return self.learner_.with_items(pl.DataFrame({ITEM: unknown})) if unknown else self.learner_

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return state | ({"learner_": _as_bytes(state["learner_"])} if "learner_" in state else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        fitted = {"learner_": _of_bytes(state["learner_"])} if "learner_" in state else {}
        super().__setstate__(state | fitted)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.categorical = tags.input_tags.string = True
        tags.regressor_tags.poor_score = True  # of a table whose numbers are no ids there is nothing to learn
        return tags


def list_ndcg(estimator: PalateRecommender, X: Any, y: Any = None, k: int = 10) -> float:
    """NDCG@k of the lists of the users of ``X`` against what they liked there, for ``scoring=list_ndcg``.

    Lists are made out of the whole catalogue of the fit, without what the user has in it; what is liked in ``X`` and is
    not in the catalogue counts as missed. Users without anything liked in ``X`` count not at all.

    Args:
        X: Held out rows.
        y: Their ratings, of which those from the fit's ``model.scale.like`` on are likes. None: all rows are.
    Returns:
        In [0, 1].
    Raises:
        InvalidInput: If nobody likes anything in X.
    """
    check_is_fitted(estimator)
    learner = estimator.learner_
    with refusing():
        values: Array | None = None
        if y is None:
            pairs = estimator._pairs(checked(estimator, X, reset=False, dtype=None))
        else:
            table, values = checked(estimator, X, y, reset=False, dtype=None, y_numeric=True)
            pairs, values = estimator._pairs(table), np.asarray(values, dtype=np.float64)
    kept = np.ones(len(pairs), dtype=bool) if values is None else values >= learner.model.scale.like
    liked = pairs.filter(pl.Series(kept)).unique()
    if liked.is_empty():
        raise InvalidInput(f"of {len(pairs):,} rows none is liked. Hold out more rows.")
    users = liked[USER].unique(maintain_order=True).to_list()
    catalogue = learner.model.catalogue
    items = [*catalogue.ids, *(item for item in liked[ITEM].unique(maintain_order=True) if item not in catalogue)]
    column, row = ({name: place for place, name in enumerate(names)} for names in (items, users))
    ranked = np.full((len(users), count(k, "k", least=1)), NO_ITEM)
    for user, place in row.items():
        shown = [column[one.item_id] for one in learner.recommend(user, k)]
        ranked[place, : len(shown)] = shown
    cells = ([row[user] for user in liked[USER]], [column[item] for item in liked[ITEM]])
    relevant = sparse.csr_array((np.ones(len(liked)), cells), shape=(len(users), len(items)))
    return float(list_metrics(ranked, relevant)["ndcg"].mean())


def _place(names: Sequence[str], known: tuple[str, str], position: int) -> int:
    """Which column of X it is: by name, or where there are no names by position.

    Raises:
        DataError: If there are names, and none of them is it.
    """
    found = [names.index(name) for name in known if name in names]
    if names and not found:
        raise DataError(f"X has no column {known[0]!r}, only {', '.join(names[:8])}. Call it {known[0]} or {known[1]}.")
    return found[0] if found else position


def _text(value: Any, kind: str) -> str:
    """An id as text: numbers too, and whole ones alike however they are kept."""
    if isinstance(value, (float, np.floating)):
        value = int(value) if float(value).is_integer() else repr(float(value))
    return normalise_id(str(value) if isinstance(value, np.str_) else value, kind)


def _as_bytes(learner: Learner) -> bytes:
    """The model folder of a learner as a ZIP file."""
    packed = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(packed, "w") as archive:
        learner.save(Path(folder) / "model")
        for path in sorted(Path(folder).rglob("*")):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _of_bytes(packed: bytes) -> Learner:
    with TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
        return Learner.load(Path(folder) / "model")
