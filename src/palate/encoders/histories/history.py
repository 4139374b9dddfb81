"""What a person did, as a vector.

Three encoders keep one protocol: :class:`RecencyMean`, the recency-weighted mean of what they liked minus what they
disliked, of the items' content (``mean``) or factors (``factors``); :class:`HistoryText`, what a text encoder says of a
list of titles (``text``); and :class:`palate.encoders.histories.behaviour.Behaviour`, a Transformer that has learnt
from the log what people like next (``behaviour``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.encoders.protocol import Encoder
from palate.entities import ITEM, TEXT, TITLE
from palate.errors import DataError, OptionError
from palate.vocabulary import NO_NAME, STANDARD, Vocabulary

if TYPE_CHECKING:
    import polars as pl


HistoryName = Literal["mean", "factors", "text", "behaviour"]
HISTORIES: tuple[HistoryName, ...] = get_args(HistoryName)
# Of events; the first stands for a rating, or no kind. A saved model knows them by their number: new ones come last.
KINDS = (
    *(NO_NAME, "click", "dislike", "hide", "like", "play", "purchase", "read", "report", "save", "share", "skip"),
    *("view", "add-to-cart", "impression", "refund", "return", "unsubscribe"),
)
_TITLES = 20  # of the newest events, in the text of a history
_CHUNK = 512  # people whose texts are encoded at once
_NAME = 60  # characters of an item without a title, there


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """What people did, N events in any order.

    Attributes:
        users, items: Positions, (N,).
        liking: How much each event says that its item is liked, in [-1, 1], (N,).
        timestamps: Seconds since the epoch, (N,). Of equal times the later row is the newer event; if one of a person's
            times is NaN, all events of that person count in the order of the rows.
        kinds: Positions in :data:`KINDS`, (N,).
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    liking: NDArray[np.float64]
    timestamps: NDArray[np.float64]
    kinds: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        users: ArrayLike,
        items: ArrayLike,
        liking: ArrayLike,
        timestamps: ArrayLike,
        kinds: Sequence[str | None] | None = None,
    ) -> Log:
        """A log from columns, kinds by name.

        Raises:
            DataError: If lengths differ, a liking is not in [-1, 1] or a kind is unknown.
        """
        columns = (
            np.asarray(users, dtype=np.int64),
            np.asarray(items, dtype=np.int64),
            np.asarray(liking, dtype=np.float64),
            np.asarray(timestamps, dtype=np.float64),
        )
        codes = np.zeros(columns[0].shape, dtype=np.int64) if kinds is None else kind_codes(kinds)
        _check_same_length(users=columns[0], items=columns[1], liking=columns[2], timestamps=columns[3], kinds=codes)
        _check_liking(columns[2])
        return cls(*columns, codes)

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[Any]) -> Log:
        """Some of the events, by mask or position."""
        return Log(self.users[rows], self.items[rows], self.liking[rows], self.timestamps[rows], self.kinds[rows])

    def check(self, n_users: int, n_items: int) -> None:
        """Raises DataError unless every position is one of that many."""
        _check_range("user", self.users, n_users)
        _check_range("item", self.items, n_items)

    def ranks(self, n_users: int) -> NDArray[np.int64]:
        """How many newer events each event's person has, (N,)."""
        return _ranks(self.users, self.timestamps, n_users)

    def early(self, n_users: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which events are among the first of their person's, (N,): one to half of them, none of a single one.

        The logarithm of how many is uniform: a prior that is learnt from long histories alone takes short
        ones, which lie further out, for more than they say (docs/lab-notes.md).
        """
        counts = np.bincount(self.users, minlength=n_users)
        taken = np.floor(np.exp(rng.random(n_users) * np.log(counts // 2 + 1.0)) + 1e-9)
        older = counts[self.users] - 1 - self.ranks(n_users)
        return np.asarray(older < np.minimum(taken, counts // 2)[self.users])


class HistoryEncoder(Protocol):
    """Turns what people did into vectors. Stability: full."""

    def encode(self, log: Log, item_vectors: NDArray[np.floating], n_users: int) -> NDArray[np.float64]:
        """A vector a person, (n_users, H), from the vectors of the items, (I, E); zeros for a person without events."""
        ...


@dataclass(frozen=True, slots=True)
class RecencyMean:
    """:func:`encode_histories` as an encoder; kinds of event count by their liking alone."""

    half_life: float = 10.0

    def encode(self, log: Log, item_vectors: NDArray[np.floating], n_users: int) -> NDArray[np.float64]:
        return encode_histories(
            log.users, log.items, log.liking, log.timestamps, item_vectors, n_users, half_life=self.half_life
        )


@dataclass(frozen=True, slots=True)
class HistoryText:
    """What a text encoder says of "liked: ..., disliked: ...", the newest first, at most twenty titles of each.

    Attributes:
        encoder: Of text.
        titles: Of the items, in their order (:func:`names_of`).
        progress: Called with (done, total) after each chunk of people; None: never.
    """

    encoder: Encoder
    titles: Sequence[str]
    progress: Callable[[int, int], None] | None = None

    def encode(self, log: Log, item_vectors: NDArray[np.floating], n_users: int) -> NDArray[np.float64]:
        log.check(n_users, len(self.titles))
        liked: list[list[str]] = [[] for _ in range(n_users)]
        disliked: list[list[str]] = [[] for _ in range(n_users)]
        for row in np.argsort(log.ranks(n_users), kind="stable").tolist():
            if log.liking[row] != 0:
                titles = (liked if log.liking[row] > 0 else disliked)[log.users[row]]
                titles.append(self.titles[log.items[row]])
        texts = [_sentence(likes, dislikes) for likes, dislikes in zip(liked, disliked, strict=True)]
        vectors = np.zeros((n_users, self.encoder.dim))
        for start in range(0, n_users, _CHUNK):
            stop = min(start + _CHUNK, n_users)
            vectors[start:stop] = self.encoder.encode(texts[start:stop])
            if self.progress is not None:
                self.progress(stop, n_users)
        return vectors


def names_of(items: pl.DataFrame) -> list[str]:
    """What to call each item of a table: its title, or the start of its text, or its id."""
    import polars as pl  # here: most encoders need no tables

    text = pl.col(TEXT).str.slice(0, 4 * _NAME).str.replace_all(r"\s+", " ").str.strip_chars()  # a text may be huge
    start = pl.when(text.str.len_chars() > _NAME).then(text.str.slice(0, _NAME).str.strip_chars_end() + "…")
    named = pl.when(pl.col(TITLE) != "").then(TITLE).when(text != "").then(start.otherwise(text)).otherwise(ITEM)
    return items.select(named).to_series().to_list()


def _sentence(liked: list[str], disliked: list[str]) -> str:
    named = (("liked", liked), ("disliked", disliked))
    return ". ".join(f"{name}: {'; '.join(titles[:_TITLES])}" for name, titles in named if titles)


def kind_codes(kinds: Sequence[str | None], vocabulary: Vocabulary = STANDARD) -> NDArray[np.int64]:
    """Positions in :data:`KINDS`, (N,); of an added word that of the documented one which it means.

    Raises:
        DataError: If a kind is unknown.
    """
    codes = {name: KINDS.index(vocabulary.word(name).kind) for name in {kind or NO_NAME for kind in kinds}}
    return np.array([codes[kind or NO_NAME] for kind in kinds], dtype=np.int64)


def liking(
    ratings: ArrayLike,
    events: Sequence[str | None] | NDArray[Any],
    *,
    mean: float | None = None,
    reach: float | None = None,
    vocabulary: Vocabulary = STANDARD,
) -> NDArray[np.float64]:
    """How much each event says that its item is liked.

    A rating counts as its distance from the mean rating, in units of the largest such distance. A row without a rating
    counts as the strength of its kind of event, below 0 where that is against (:mod:`palate.vocabulary`). If all
    ratings are equal they say nothing, and count as 0.

    Args:
        ratings: Shape (N,), NaN where the row has no rating.
        events: Kinds of event, shape (N,), ``""`` or ``None`` where the row has none.
        mean: Rating that counts as 0. ``None``: the mean of these ratings.
        reach: Distance from the mean that counts as 1; what lies beyond counts as 1 too. ``None``: the largest one of
            these ratings. For people who come later, give the mean and reach of the data that the model was fitted on.
        vocabulary: What events mean.
    Returns:
        Shape (N,), in [-1, 1].
    Raises:
        DataError: If a row has neither a rating nor a known kind of event, or an infinite rating.
        OptionError: If the reach is not above 0.
    """
    values = np.asarray(ratings, dtype=np.float64)
    kinds = np.asarray(events, dtype=object)
    _check_same_length(ratings=values, events=kinds)
    if np.isinf(values).any():
        raise DataError(f"row {int(np.isinf(values).argmax())} has an infinite rating. Ratings are finite numbers.")
    if reach is not None and not reach > 0:
        raise OptionError(f"the reach of a rating is {reach!r}. Give a number above 0.")
    rated = ~np.isnan(values)
    result = np.empty(len(values))
    result[~rated] = _likings(kinds[~rated], np.flatnonzero(~rated), vocabulary)
    result[rated] = _centred(values[rated], mean, reach)
    return result


def _likings(kinds: NDArray[np.object_], rows: NDArray[np.intp], vocabulary: Vocabulary) -> NDArray[np.float64]:
    names, codes = np.unique([kind if isinstance(kind, str) else "" for kind in kinds.tolist()], return_inverse=True)
    known = sorted(filter(None, vocabulary))
    unknown = np.flatnonzero(~np.isin(names, known))
    if unknown.size:
        row = int(np.flatnonzero(np.isin(codes, unknown))[0])
        raise DataError(
            f"row {rows[row]} has no rating and the event {kinds[row]!r}. Known events: {', '.join(known)}."
        )
    return np.array([vocabulary.liking(name) for name in names.tolist()], dtype=np.float64)[codes]


def _centred(values: NDArray[np.float64], mean: float | None, reach: float | None) -> NDArray[np.float64]:
    if values.size == 0:
        return values
    distance = values - (values.mean() if mean is None else mean)
    largest = float(np.abs(distance).max()) if reach is None else reach
    # rounding of the mean alone must not count as a distance
    if largest <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return np.zeros_like(values)
    return np.clip(distance / largest, -1.0, 1.0)


def encode_histories(
    users: ArrayLike,
    items: ArrayLike,
    liking: ArrayLike,
    timestamps: ArrayLike,
    item_vectors: NDArray[np.floating],
    n_users: int,
    *,
    half_life: float = 10.0,
) -> NDArray[np.float64]:
    """A vector for each person from the vectors of the items they met.

    With ``r_n`` the rank of event n among its person's, 0 for the newest, and ``l_n`` its liking::

        w_n = l_n 2^(-r_n / half_life)        h_u = Σ_n w_n x_n / Σ_n |w_n|

    One sparse product for all people: memory grows with the events, not with people times items.

    Args:
        users: Positions of the people, shape (N,), each in [0, n_users).
        items: Positions of the items, shape (N,), each in [0, I).
        liking: How much each event says that its item is liked, shape (N,), in [-1, 1].
        timestamps: Seconds, shape (N,). Of equal times the later row is the newer event; if one of a person's times is
            NaN, all events of that person count in the order of the rows.
        item_vectors: Shape (I, E).
        n_users: How many people.
        half_life: Number of newer events after which an event counts half.
    Returns:
        Shape (n_users, E); zeros for a person without events, or of whom no event says anything.
    Raises:
        DataError: If lengths differ, a position is out of range or a liking is not in [-1, 1].
        OptionError: If ``half_life`` is not a number above 0.
    """
    from scipy.sparse import csr_array

    if not (half_life > 0 and math.isfinite(half_life)):
        raise OptionError(f"half_life is {half_life!r}. Give a number of events above 0, such as 10.")
    user, item = np.asarray(users, dtype=np.int64), np.asarray(items, dtype=np.int64)
    liked, times = np.asarray(liking, dtype=np.float64), np.asarray(timestamps, dtype=np.float64)
    _check_same_length(users=user, items=item, liking=liked, timestamps=times)
    _check_range("user", user, n_users)
    _check_range("item", item, len(item_vectors))
    _check_liking(liked)
    weights = liked * np.exp2(-_ranks(user, times, n_users) / half_life)
    sums = csr_array((weights, (user, item)), shape=(n_users, len(item_vectors))) @ item_vectors.astype(np.float64)
    totals = np.bincount(user, weights=np.abs(weights), minlength=n_users)
    encoded: NDArray[np.float64] = np.divide(sums, np.where(totals > 0, totals, 1.0)[:, None], out=sums)
    return encoded


def _ranks(users: NDArray[np.int64], timestamps: NDArray[np.float64], n_users: int) -> NDArray[np.int64]:
    """How many newer events each event's person has."""
    timeless = np.zeros(n_users, dtype=bool)
    timeless[users[np.isnan(timestamps)]] = True
    order = np.lexsort((np.where(timeless[users], 0.0, timestamps), users))  # stable: equal times keep their order
    ends = np.cumsum(np.bincount(users, minlength=n_users))
    ranks = np.empty(len(users), dtype=np.int64)
    ranks[order] = ends[users[order]] - 1 - np.arange(len(users))
    return ranks


def _check_same_length(**columns: NDArray[np.generic]) -> None:
    if len({column.shape for column in columns.values()}) != 1 or next(iter(columns.values())).ndim != 1:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise DataError(f"the columns have the shapes {shapes}. Give one value a row in each.")


def _check_liking(liked: NDArray[np.float64]) -> None:
    outside = ~(np.abs(liked) <= 1)  # true for NaN too
    if outside.any():
        row = int(outside.argmax())
        raise DataError(f"the liking of row {row} is {liked[row]}. Give values from -1 to 1.")


def _check_range(what: str, positions: NDArray[np.int64], n: int) -> None:
    outside = (positions < 0) | (positions >= n)
    if outside.any():
        row = int(outside.argmax())
        raise DataError(f"row {row} names {what} {positions[row]}, and there are {n}. Positions count from 0.")
