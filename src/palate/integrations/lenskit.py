"""LensKit: Palate's list in its pipelines, its data and splits here, its scorers before our judge.

    from lenskit.pipeline import topn_pipeline
    from palate.integrations.lenskit import PalateScorer

    pipeline = topn_pipeline(PalateScorer())

LensKit keeps scores as 32-bit floats, so items whose scores differ by less stand in no order there.

References:
    Ekstrand, LensKit for Python: next-generation software for recommender systems experiments, CIKM 2020.
"""
# Annotations are evaluated at once, since LensKit reads those of a component, and they name classes of its own.

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.coding import signed_weight
from palate.datasets.splits import Split
from palate.datasets.tables import Dataset
from palate.datasets.times import seconds_of
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM, RATING, TIMESTAMP, TITLE, USER
from palate.errors import MissingExtra, OptionError
from palate.evaluation.baselines import Interactions, Scorer, matrix_of
from palate.evaluation.palate_ranker import Palate
from palate.ranking.histories import Histories

PURPOSE = "palate.integrations.lenskit"
GENRES = "genres"  # what LensKit's readers of MovieLens call categories


def __getattr__(name: str) -> Any:
    """``PalateScorer``, made when it is first asked for, since it derives from classes of LensKit."""
    if name != "PalateScorer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = _scorer()
    return globals()[name]


def _scorer() -> Any:
    try:
        from lenskit.data import ItemList, QueryInput, RecQuery
        from lenskit.pipeline import Component
        from lenskit.training import TrainingOptions
    except ImportError as error:
        raise MissingExtra("lenskit", "lenskit", PURPOSE) from error

    class PalateScorer(Component):  # type: ignore[misc]  # LensKit is not there when types are checked
        """Palate's list (:class:`palate.evaluation.palate_ranker.Palate`) as a scorer of LensKit.

        Every interaction counts as for the item, as with LensKit's own scorers of implicit feedback; times count where
        all have one. Somebody of the training data is scored as one who is known. Another history, or that of a user
        who was not there, is scored as that of somebody new; without one it is what is popular.
        """

        __qualname__ = "PalateScorer"
        config: None

        def train(self, data: Any, options: TrainingOptions = TrainingOptions()) -> None:  # noqa: B008  # LensKit's way
            if hasattr(self, "lists") and not options.retrain:
                return
            self.users, self.items = data.users, data.items
            rows = _pairs(data, len(self.users), len(self.items))
            self.lists = Palate().fit(rows, rng=options.random_generator())

        def __call__(self, query: QueryInput, items: ItemList) -> ItemList:
            asked = RecQuery.create(query)
            places = items.numbers(vocabulary=self.items, missing="negative")
            known, scores = places >= 0, np.full(len(items), np.nan)
            scores[known] = self._scores(asked)[places[known]]
            return ItemList(items, scores=scores)

        def _scores(self, asked: RecQuery) -> Array:
            history = _history(asked.query_items, self.items)
            user = None if asked.user_id is None else self.users.number(asked.user_id, missing=None)
            if user is not None:
                met = self.lists.model.met.of_person(user)
                if asked.query_items is None or np.array_equal(np.sort(history), np.sort(met)):
                    scores: Array = self.lists.score(np.array([user]))[0]
                    return scores
            scores = self.lists.of_new(Histories.of([history], len(self.items)))[0]
            return scores

    return PalateScorer


def _pairs(data: Any, n_users: int, n_items: int) -> Interactions:
    """The default interactions of a data set of LensKit, each pair once, by its numbers."""
    rows = pl.DataFrame(data.interactions().matrix().arrow())
    times = seconds_of(rows[TIMESTAMP]).to_numpy() if TIMESTAMP in rows.columns else np.full(rows.height, np.nan)
    users, items = (rows[name].to_numpy().astype(np.int64) for name in ("user_num", "item_num"))
    return Interactions(users, items, np.ones(rows.height), times, n_users, n_items)


def _history(met: Any, vocabulary: Any) -> NDArray[np.intp]:
    """Positions of what a query says was met, oldest first where it has times; strange items are left out."""
    if met is None or not len(met):
        return np.zeros(0, dtype=np.intp)
    places, times = met.numbers(vocabulary=vocabulary, missing="negative"), met.field(TIMESTAMP)
    order = np.arange(len(places)) if times is None else np.argsort(times, kind="stable")
    return np.asarray(places[order][places[order] >= 0], dtype=np.intp)


# --- data and splits ------------------------------------------------------------------------------


def dataset_of(data: Any, *, name: str = "lenskit") -> Dataset:
    """A ``lenskit.data.Dataset`` as ours: its default interactions, and its items with title and categories if it has
    them. All its users and items are there, with interactions or without.
    """
    interactions = pl.DataFrame(data.interactions().arrow(ids=True))
    return Dataset.from_tables(interactions, _items_of(data), _users_of(data), name=name)


def split_of(parts: Any, *, name: str = "lenskit") -> Split:
    """A ``lenskit.splitting.TTSplit`` as ours: the same rows in training and test."""
    lists = [
        pl.DataFrame(items.to_arrow(numbers=False)).with_columns(pl.lit(str(key.user_id)).alias(USER))
        for key, items in parts.test
        if len(items)
    ]
    test = pl.concat([rows.with_columns(pl.col(ITEM).cast(pl.String)) for rows in lists], how="diagonal_relaxed")
    train = dataset_of(parts.train, name=name)
    return Split(train, Dataset.from_tables(test, train.items, train.users, name=name))


def lenskit_dataset(data: Dataset) -> Any:
    """Our data set as a ``lenskit.data.Dataset``: every interaction that speaks for its item, with rating and time
    where all have one; ids are text. Titles stay behind: LensKit's builder takes none with the items.
    """
    try:
        from lenskit.data import DatasetBuilder
    except ImportError as error:
        raise MissingExtra("lenskit", "lenskit", PURPOSE) from error
    rows = _for(data)
    builder = DatasetBuilder(data.name)
    for kind, column, table in (("user", USER, data.users), ("item", ITEM, data.items)):
        builder.add_entities(kind, pl.concat([table[column], data.interactions[column]]).unique().sort().to_list())
    entities = {"entities": ["user", "item"], "allow_repeats": rows.select(USER, ITEM).is_duplicated().any()}
    builder.add_interactions(
        "interaction", rows.to_arrow(compat_level=pl.CompatLevel.oldest()), default=True, **entities
    )
    return builder.build()


def lenskit_split(split: Split) -> Any:
    """Our split as a ``lenskit.splitting.TTSplit``, which has no validation part: that is trained on."""
    try:
        from lenskit.data import ItemListCollection
        from lenskit.splitting import TTSplit
    except ImportError as error:
        raise MissingExtra("lenskit", "lenskit", PURPOSE) from error
    fitted = Split(split.train, split.validation).whole if split.validation is not None else split.train
    test = _for(split.test).to_pandas()
    return TTSplit(lenskit_dataset(fitted), ItemListCollection.from_df(test, [USER]), name=split.test.name)


def _for(data: Dataset) -> pl.DataFrame:
    """User, item, and rating and time where all rows have them, of the rows that speak for their item."""
    rows = data.interactions.filter(signed_weight(data.interactions, data.vocabulary) > 0.0)
    full = [name for name in (RATING, TIMESTAMP) if not rows[name].has_nulls()]
    return rows.select(USER, ITEM, *full)


def _items_of(data: Any) -> pl.DataFrame:
    items = pl.DataFrame(data.entities("item").arrow())
    kept = [pl.col(ITEM).cast(pl.String), *(pl.col(name) for name in (TITLE,) if name in items.columns)]
    if items.schema.get(GENRES) == pl.List(pl.String):
        kept.append(pl.col(GENRES).list.join(CATEGORY_SEPARATOR, ignore_nulls=True).alias(CATEGORY))
    return items.select(kept)


def _users_of(data: Any) -> pl.DataFrame:
    return pl.DataFrame(data.entities("user").arrow()).select(pl.col(USER).cast(pl.String))


# --- its scorers before our judge -----------------------------------------------------------------


@dataclass(frozen=True)
class LensKitRanker:
    """A scorer of LensKit as one of the rankers of :func:`palate.evaluation.evaluate.evaluate`.

    It is trained anew on what the judge gives it: who met what, without ratings. Somebody whom it cannot score gets
    what is popular, as with the other peers.

    Attributes:
        scorer: A component, such as ``lenskit.knn.ItemKNNScorer(max_nbrs=20)``. Its settings are taken, not what it has
            learnt.
    """

    scorer: Any
    fallback = True

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> Scorer:
        try:
            from lenskit.data import DatasetBuilder
            from lenskit.pipeline import Component, topn_pipeline
            from lenskit.training import TrainingOptions
        except ImportError as error:
            raise MissingExtra("lenskit", "lenskit", PURPOSE) from error
        if not isinstance(self.scorer, Component):
            raise OptionError(f"the scorer is a {type(self.scorer).__name__}. Give a component of LensKit.")
        builder = DatasetBuilder("train")
        builder.add_entities("user", np.arange(train.n_users))
        builder.add_entities("item", np.arange(train.n_items))
        users, items = matrix_of(train).nonzero()
        rows = pl.DataFrame({USER: users.astype(np.int64), ITEM: items.astype(np.int64)}).to_arrow()
        builder.add_interactions("interaction", rows, entities=["user", "item"], allow_repeats=False, default=True)
        pipeline = topn_pipeline(self.scorer).clone()
        pipeline.train(builder.build(), TrainingOptions(rng=int(rng.integers(2**31))))
        return _Trained(pipeline, train.n_items)


@dataclass(frozen=True)
class _Trained:
    pipeline: Any
    n_items: int

    def score(self, users: NDArray[np.integer]) -> Array:
        """Scores of all items, (B, I); -inf where LensKit gives none."""
        from lenskit.data import ItemList

        items = ItemList(item_ids=np.arange(self.n_items))
        found = [self.pipeline.run("scorer", query=int(user), items=items).scores() for user in users]
        scores = np.array(found, dtype=np.float64).reshape(len(users), self.n_items)
        return np.where(np.isnan(scores), -np.inf, scores)
