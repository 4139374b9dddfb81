"""RecBole: our data as its atomic files, its splits here, Palate's list under its trainer, its models before our judge.

    from palate.integrations.recbole import PalateRecommender, recbole_config

    config = recbole_config(PalateRecommender, "ml-100k", {"topk": [10]})

References:
    Zhao et al., RecBole: towards a unified, comprehensive and efficient framework for recommendation algorithms, CIKM
    2021. arXiv:2011.01731
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.coding import signed_weight
from palate.datasets.splits import Split
from palate.datasets.tables import Dataset
from palate.datasets.views import item_table
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM, RATING, TIMESTAMP, TITLE, USER
from palate.errors import DataError, MissingExtra, OptionError
from palate.evaluation.baselines import Interactions
from palate.evaluation.palate_ranker import Palate

PURPOSE = "palate.integrations.recbole"
PARTS = ("train", "valid", "test")
# What RecBole 1.2.1 asks NumPy for when it reads its settings, and NumPy 2 has no more.
_OF_NUMPY_1 = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}


def __getattr__(name: str) -> Any:
    """``PalateRecommender``, made when it is first asked for, since it derives from a class of RecBole."""
    if name != "PalateRecommender":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = _recommender()
    return globals()[name]


def recbole_config(model: Any, dataset: str, settings: Mapping[str, Any]) -> Any:
    """RecBole's ``Config``, under NumPy 2 too: for as long as it is made, NumPy has three names of NumPy 1 again.

    Args:
        model: A name of RecBole, or a class such as ``PalateRecommender``.
        dataset: Name of the folder and of the atomic files in it.
        settings: What RecBole takes as ``config_dict``; that of :func:`write_atomic` among them.
    """
    try:
        from recbole.config import Config
    except ImportError as error:
        raise MissingExtra("recbole", "recbole", PURPOSE) from error
    lacking = {name: value for name, value in _OF_NUMPY_1.items() if not hasattr(np, name)}
    for name, value in lacking.items():
        setattr(np, name, value)
    try:
        return Config(model=model, dataset=dataset, config_dict=dict(settings))
    finally:
        for name in lacking:
            delattr(np, name)


def _recommender() -> Any:
    try:
        import torch
        from recbole.model.abstract_recommender import GeneralRecommender
        from recbole.utils import InputType, ModelType
    except ImportError as error:
        raise MissingExtra("recbole", "recbole", PURPOSE) from error

    class PalateRecommender(GeneralRecommender):  # type: ignore[misc]  # RecBole is not there when types are checked
        """Palate's list (:class:`palate.evaluation.palate_ranker.Palate`) as a model of RecBole.

        It is fitted when it is made, on the interactions of the data set it is given, each of them for its item; times
        count where they are loaded. A trainer's ``fit`` changes nothing, and is not needed before its ``evaluate``.
        """

        __qualname__ = "PalateRecommender"
        type = ModelType.TRADITIONAL
        input_type = InputType.POINTWISE

        def __init__(self, config: Any, dataset: Any) -> None:
            super().__init__(config, dataset)
            self.nothing = torch.nn.Parameter(torch.zeros(1))  # a trainer cannot be made for a model without any
            self.lists = Palate().fit(_rows_of(dataset), rng=np.random.default_rng(config["seed"]))

        def calculate_loss(self, interaction: Any) -> Any:
            return self.nothing.sum()

        def full_sort_predict(self, interaction: Any) -> Any:
            scores = self.lists.score(interaction[self.USER_ID].cpu().numpy() - 1)
            return torch.from_numpy(_padded(scores)).to(self.device)

        def predict(self, interaction: Any) -> Any:
            users, items = (interaction[name].cpu().numpy() - 1 for name in (self.USER_ID, self.ITEM_ID))
            asked, rows = np.unique(users, return_inverse=True)
            return torch.from_numpy(self.lists.score(asked)[rows, items]).to(self.device)

    return PalateRecommender


def _rows_of(dataset: Any) -> Interactions:
    """Interactions by position: RecBole numbers from 1, its 0 is nobody and nothing."""
    rows = dataset.inter_feat.interaction
    users, items = (rows[name].numpy().astype(np.int64) - 1 for name in (dataset.uid_field, dataset.iid_field))
    times = rows.get(dataset.time_field)
    dated = np.full(len(users), np.nan) if times is None else times.numpy().astype(np.float64)
    return Interactions(users, items, np.ones(len(users)), dated, dataset.user_num - 1, dataset.item_num - 1)


def _padded(scores: Array) -> Array:
    """With a first column for the item that is none."""
    return np.pad(scores, ((0, 0), (1, 0)), constant_values=-np.inf)


# --- data and splits ------------------------------------------------------------------------------


def write_atomic(data: Dataset | Split, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write atomic files to ``folder/NAME/``: every interaction that speaks for its item, with rating and time where
    all have one, and the items with title and categories.

    In titles a tab or line break becomes a space and ``"`` becomes ``'``, in names of categories a space becomes ``_``:
    the format has no other way. :meth:`palate.Dataset.load` reads the files of a whole data set back.

    Args:
        data: A data set, or a split with all three parts, of which RecBole keeps to the rows.
    Returns:
        Settings for :func:`recbole_config` that load all of it.
    Raises:
        DataError: If a split has no validation part, or an id holds a tab, a line break or ``"``.
    """
    whole = data.whole if isinstance(data, Split) else data
    target = Path(folder) / whole.name
    target.mkdir(parents=True, exist_ok=True)
    parts = _named_parts(data) if isinstance(data, Split) else {"": whole}
    columns = _columns(whole)
    for part, rows in parts.items():
        _write(_for(rows).select(columns), target / f"{whole.name}{part and '.'}{part}.inter")
    items = item_table(whole, pl.concat([whole.items[ITEM], whole.interactions[ITEM]]).unique().sort().to_list())
    _write(items.select(ITEM, _flat(TITLE), _categories()), target / f"{whole.name}.item")
    settings: dict[str, Any] = {"data_path": str(folder), "load_col": {"inter": columns, "item": [ITEM]}}
    return settings | ({"benchmark_filename": list(PARTS)} if isinstance(data, Split) else {})


def split_of(train: Any, validation: Any, test: Any, *, items: pl.DataFrame | None = None, name: str) -> Split:
    """The three parts that RecBole's ``Dataset.build()`` gives, as our split: the same rows in each.

    RecBole keeps numbers as 32-bit floats, so times come back in steps of one or two minutes.

    Args:
        items: What is known of the items, such as ``Dataset.load(folder).items``; None: their ids alone.
        name: Of the data.
    """
    ids = sorted(train.field2id_token[train.iid_field][1:].tolist())
    known = pl.DataFrame({ITEM: ids}) if items is None else pl.DataFrame({ITEM: ids}).join(items, on=ITEM, how="left")

    def ours(part: Any) -> Dataset | None:
        if not len(part):
            return None
        rows = part.inter_feat.interaction
        columns = {
            USER: part.id2token(part.uid_field, rows[part.uid_field].numpy()),
            ITEM: part.id2token(part.iid_field, rows[part.iid_field].numpy()),
        } | {
            ours: rows[theirs].numpy().astype(np.float64)
            for ours, theirs in ((RATING, part.config["RATING_FIELD"]), (TIMESTAMP, part.time_field))
            if theirs in rows
        }
        return Dataset.from_tables(pl.DataFrame(columns), known, name=name)

    trained, tested = ours(train), ours(test)
    if trained is None or tested is None:
        raise DataError(f"{name} has nothing to train on or nothing to test on. Choose another split in eval_args.")
    return Split(trained, tested, ours(validation))


def _named_parts(split: Split) -> dict[str, Dataset]:
    if split.validation is None:
        raise DataError("the split has no validation part, which RecBole wants. Use random_split.")
    return dict(zip(PARTS, (split.train, split.validation, split.test), strict=True))


def _for(data: Dataset) -> pl.DataFrame:
    return data.interactions.filter(signed_weight(data.interactions, data.vocabulary) > 0.0)


def _columns(whole: Dataset) -> list[str]:
    return [USER, ITEM, *(name for name in (RATING, TIMESTAMP) if not _for(whole)[name].has_nulls())]


def _flat(column: str) -> pl.Expr:
    return pl.col(column).str.replace_all(r"\s", " ").str.replace_all('"', "'", literal=True)


def _categories() -> pl.Expr:
    words = _flat(CATEGORY).str.replace_all(" ", "_", literal=True)
    return words.str.replace_all(CATEGORY_SEPARATOR, " ", literal=True)


def _write(frame: pl.DataFrame, path: Path) -> None:
    kinds = {
        USER: "token",
        ITEM: "token",
        RATING: "float",
        TIMESTAMP: "float",
        TITLE: "token_seq",
        CATEGORY: "token_seq",
    }
    for name in {USER, ITEM} & set(frame.columns):
        bad = frame[name].filter(frame[name].str.contains('[\t\r\n"]'))
        if len(bad):
            raise DataError(f"{name} {bad[0]!r} cannot stand in an atomic file. Take its tab, line break or quote out.")
    frame.rename({name: f"{name}:{kinds[name]}" for name in frame.columns}).write_csv(
        path, separator="\t", quote_style="never"
    )


# --- its models before our judge ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RecBoleRanker:
    """A trained model of RecBole as one of the rankers of :func:`palate.evaluation.evaluate.evaluate`, as it is.

    Its training is RecBole's: train it on the training part of the split that it is judged by.

    Attributes:
        model: Of RecBole, one that scores users by their number (general and traditional models).
        dataset: RecBole's data set, whose users and items are those of the split.
    """

    model: Any
    dataset: Any

    def __repr__(self) -> str:
        return f"RecBoleRanker({type(self.model).__name__})"

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> _Trained:
        """The model as it is; its users and items in the order of their ids as text, which is ours.

        Raises:
            DataError: If the split has other users or items.
            OptionError: If the model needs more than a user's number.
        """
        from recbole.utils import ModelType

        if self.model.type not in (ModelType.GENERAL, ModelType.TRADITIONAL):
            raise OptionError(f"{self!r} needs more than a user's number. Give a general model of RecBole.")
        field = self.dataset.uid_field
        users = self._order(field, np.unique(self.dataset.inter_feat[field].numpy()))
        items = self._order(self.dataset.iid_field, np.arange(1, self.dataset.item_num))
        if (len(users), len(items)) != (train.n_users, train.n_items):
            raise DataError(
                f"RecBole's data has {len(users):,} users and {len(items):,} items, the split {train.n_users:,} and "
                f"{train.n_items:,}. Read the split from the same data: split_of."
            )
        return _Trained(self.model, field, users, items)

    def _order(self, field: str, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """RecBole's numbers in the order of the ids."""
        return numbers[np.argsort(self.dataset.field2id_token[field][numbers].astype(str))]


@dataclass(frozen=True, eq=False)
class _Trained:
    model: Any
    user_field: str
    users: NDArray[np.int64]
    items: NDArray[np.int64]

    def score(self, users: NDArray[np.integer]) -> Array:
        """Scores of all items, (B, I)."""
        import torch
        from recbole.data.interaction import Interaction

        asked = Interaction({self.user_field: torch.from_numpy(self.users[users])}).to(self.model.device)
        self.model.eval()
        with torch.no_grad():
            found = self.model.full_sort_predict(asked).cpu().numpy()
        scores: Array = found.reshape(len(users), -1).astype(np.float64)[:, self.items]
        return scores
