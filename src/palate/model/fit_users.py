"""What a batch fit learns of users besides their answers: what they did, and who they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Progress
from palate.datasets.coding import LIKING
from palate.datasets.tables import Dataset
from palate.encoders.histories.behaviour import Behaviour, item_vectors
from palate.encoders.histories.behaviour_fit import fit_behaviour
from palate.encoders.histories.events import Events
from palate.encoders.histories.history import HistoryText, Log, kind_codes, liking
from palate.encoders.text.words import NAME as LEXICAL
from palate.entities import EVENT, ITEM, RATING, TIMESTAMP, USER, WEIGHT
from palate.errors import OptionError
from palate.model.model import Model
from palate.posteriors.attribute_coding import Number
from palate.posteriors.attributes import Attributes, fit_attributes
from palate.posteriors.history_prior import fit_history
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.taste import Taste
from palate.vocabulary import NO_NAME, STANDARD, Vocabulary

TAUGHT_BY = 20_000  # users, drawn, who teach what attributes say of taste: it takes few, and a D × D matrix of each


def event_rows(data: Dataset) -> pl.DataFrame:
    """The interactions that are events and no ratings."""
    told = pl.col(LIKING).is_not_null() if LIKING in data.interactions.columns else pl.lit(False)
    return data.interactions.filter(pl.col(RATING).is_null() & (pl.col(EVENT).is_not_null() | told))


def events_of(
    data: Dataset, user_ids: list[str], item_ids: list[str], vocabulary: Vocabulary = STANDARD
) -> Events | None:
    """Rows without a rating as histories: they move the prior of taste, the ratings move the taste."""
    rows = event_rows(data)
    if rows.is_empty():
        return None
    coded = rows.select(
        pl.col(USER).replace_strict(user_ids, list(range(len(user_ids))), return_dtype=pl.Int32).alias("user"),
        pl.col(ITEM).replace_strict(item_ids, list(range(len(item_ids))), return_dtype=pl.Int32).alias("item"),
        _likings(rows, vocabulary).alias("liking"),
        pl.Series("kind", kind_codes(rows[EVENT].to_list(), vocabulary)),
        pl.col(TIMESTAMP).fill_null(float("nan")).alias("time"),
    ).sort("user", maintain_order=True)
    start = np.concatenate([[0], np.cumsum(np.bincount(coded["user"].to_numpy(), minlength=len(user_ids)))])
    shape, items = (len(user_ids), len(item_ids)), coded["item"].to_numpy()
    return Events(
        sparse.csr_matrix((coded["liking"].to_numpy(), items, start), shape=shape),
        sparse.csr_matrix((coded["time"].to_numpy(), items, start), shape=shape),
        sparse.csr_matrix((coded["kind"].to_numpy(), items, start), shape=shape),
    )


def _likings(rows: pl.DataFrame, vocabulary: Vocabulary) -> pl.Series:
    """What events say of liking: the strength of their kind, with its sign or as they were told, times the weight."""
    kinds = rows[EVENT].fill_null(NO_NAME)
    names = kinds.unique(maintain_order=True).to_list()
    sign = kinds.replace_strict(names, [float(vocabulary.word(name).sign) for name in names])
    strength = kinds.replace_strict(names, [vocabulary.strength(name) for name in names])
    if WEIGHT in rows.columns:
        sign = sign * rows[WEIGHT].fill_null(1.0).clip(upper_bound=1.0)
    return strength * (rows[LIKING].fill_null(sign) if LIKING in rows.columns else sign)


def log_of(
    answers: sparse.csr_matrix,
    events: Events | None,
    timestamps: Array,
    users: NDArray[np.int32],
    kinds: NDArray[np.int64] | None,
    seed: int,
) -> tuple[Log, NDArray[np.bool_]]:
    """What histories are made of, and which of it the prior is learnt from: all events or, without any, the first
    answers of each user, so that the later ones can be told.
    """
    if events is not None:
        log = events.log
        return log, np.ones(len(log), dtype=np.bool_)
    order = np.argsort(users, kind="stable")  # that of the answers' entries
    rows = np.repeat(np.arange(answers.shape[0]), np.diff(answers.indptr))
    weight = liking(answers.data, [None] * len(rows)) if kinds is None else answers.data
    codes = np.zeros(len(rows), dtype=np.int64) if kinds is None else kinds[order]
    log = Log(rows, answers.indices.astype(np.int64), weight, timestamps[order], codes)
    return log, log.early(answers.shape[0], np.random.default_rng(seed))


def check_history(history: str, encoder: object) -> None:
    """Raises OptionError unless histories can be encoded so."""
    if history == "text" and encoder in ("none", LEXICAL):
        raise OptionError(
            f"history 'text' is read by the encoder of text, and that is {encoder!r}. Name an encoder of text."
        )


def learn_behaviour(
    history: str,
    log: Log,
    taste: Taste,
    content: NDArray[np.float32] | None,
    n_users: int,
    seed: int,
    progress: Progress | None,
) -> Behaviour | None:
    """The Transformer that encodes histories, where that is what does.

    Raises:
        MissingExtra: If torch is not installed.
    """
    if history != "behaviour":
        return None
    vectors = item_vectors(content, taste.items.level, taste.items.factors)
    report = None if progress is None else lambda done, of: progress("learning behaviour", done, of)
    return fit_behaviour(log, vectors, n_users, rng=np.random.default_rng(seed), progress=report)


def history_prior(model: Model, log: Log, early: NDArray[np.bool_], progress: Progress | None) -> LinearPrior | None:
    """The prior of taste given history, from events and ratings or, without events, from first and later answers."""
    vectors, answers = model.history_vectors, model.answers
    if vectors is None:
        return None
    encoder = model.history_encoder
    if progress is not None and isinstance(encoder, HistoryText):
        encoder = replace(encoder, progress=lambda done, of: progress("encoding histories", done, of))
    histories = encoder.encode(log.take(early), vectors, answers.shape[0])
    if early.all():
        return fit_history(model.taste, answers, histories)
    later = sparse.csr_matrix((answers.data[~early], (log.users[~early], log.items[~early])), shape=answers.shape)
    return fit_history(model.taste, later, histories)


def attributes_of(
    data: Dataset, taste: Taste, answers: sparse.csr_matrix, user_ids: list[str], seed: int
) -> Attributes | None:
    """The prior of taste given attributes, from those users of the table who have answers, and from nobody else.

    None with events alone: what a user has not used says something from the start, and no history counts there either.
    """
    if taste.likelihood.events_only or len(data.users.columns) < 2:
        return None
    drawn = np.sort(np.random.default_rng(seed).permutation(len(user_ids))[:TAUGHT_BY])
    taught = pl.DataFrame({USER: [user_ids[row] for row in drawn]}, schema={USER: pl.String})
    table = taught.join(_users(data), on=USER, how="left", maintain_order="left")
    return fit_attributes(taste, answers[drawn], table.drop(USER).to_dict(as_series=False))


def described(data: Dataset, attributes: Attributes) -> pl.DataFrame:
    """The table of users, with those without answers, as far as the attributes were fitted: numbers and text.

    What is no number in a column of numbers is missing.
    """
    table = _users(data)
    columns = [
        pl.Series(one.name, list(map(one.read, table[one.name])), pl.Float64 if isinstance(one, Number) else pl.String)
        for one in attributes.coding.attributes
    ]
    return pl.DataFrame([table[USER], *columns])


def _users(data: Dataset) -> pl.DataFrame:
    return data.users.unique(subset=USER, keep="first", maintain_order=True)
