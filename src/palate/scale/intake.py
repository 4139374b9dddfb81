"""The one pass over the data: ids of items numbered, values worked out, rows put to the part of their user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from palate.datasets.coding import signed_weight
from palate.datasets.rating_scale import Ends, check_within
from palate.entities import EVENT, ITEM, RATING, TIMESTAMP, USER
from palate.errors import DataError
from palate.scale.shards import hash_of
from palate.scale.spill import SCHEMA, Spill, writing
from palate.store.model_folder import files
from palate.vocabulary import NO_NAME, Vocabulary

FLUSH_ROWS = 1 << 20  # rows that wait in memory, about 100 bytes each
MOST_LEVELS = 20
ITEM_IDS, COUNTS = "items.txt", "counts-{}.npy"


@dataclass(slots=True)
class Intake:
    """Takes interactions piece by piece (:class:`palate.datasets.files.assemble.Sink`).

    Attributes:
        spill: Where the rows go.
        vocabulary: What events mean.
        again: What to do when the disk was full.
        scale: Ends that ratings must lie within, where they are given.
        saved: Called after each flush.
        codes: Of each item its number, in the order of first appearance.
        counts: Rows with a value of each, (I,) or longer.
        item_hashes: Of each item's id, (I,) or longer.
        words: Of each event its number.
        pieces, rows, valued: How many were taken; rows with a value.
        has_ratings: Whether there is a rating: events tell nothing then.
        levels: The ratings there are; None where they are over 20.
        of: A hash of all that was taken, however it was cut to pieces, of 64 bits.
        pieces_rows: As they lie in the data, of those pieces.
        passed, passed_rows: Pieces that were met; up to ``pieces`` they are passed over.
    """

    spill: Spill
    vocabulary: Vocabulary
    scale: Ends | None = None
    again: str = "give the same again"
    saved: Callable[[], None] = lambda: None
    codes: dict[str, int] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1024, dtype=np.int64))
    item_hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    words: dict[str, int] = field(default_factory=dict)
    pieces: int = 0
    rows: int = 0
    valued: int = 0
    has_ratings: bool = False
    levels: set[float] | None = field(default_factory=set)
    of: int = 0
    pieces_rows: int = 0
    passed: int = 0
    passed_rows: int = 0
    _waiting: list[tuple[NDArray[np.int64], pa.Table]] = field(default_factory=list)
    _written_ids: int = 0

    def passes_over(self, rows: int) -> bool:
        self.passed += 1
        self.passed_rows += rows
        if self.passed >= self.pieces:
            self._check_pieces()
        return self.passed <= self.pieces

    def _check_pieces(self) -> None:
        """Raises DataError if what was passed over is not what was taken before."""
        if self.passed < self.pieces or (self.passed == self.pieces and self.passed_rows != self.pieces_rows):
            raise DataError(
                f"the data comes in other pieces than before: {self.passed_rows:,} rows instead of "
                f"{self.pieces_rows:,}. Remove {self.spill.folder.parent} and start again."
            )

    def take(self, interactions: pl.DataFrame) -> None:
        if not interactions.height:
            return
        frame = self._valued(interactions)
        users, hashes = _hashed(frame[USER])
        items = self._number(frame[ITEM])
        has_value = frame["value"].is_not_nan().to_numpy()
        self._count(items[has_value])
        values, said, times, words = (frame[name].to_numpy() for name in ("value", "said", "time", "word"))
        places = self.rows + np.arange(frame.height)
        names = np.array([hash_of(word) for word in (*self.words, "")], dtype=np.uint64)  # the last of ratings, -1
        mixed = _mixed(places, hashes, self.item_hashes[items], said, times, names[words])
        self.of = (self.of + int(mixed.sum())) % (1 << 64)
        self.rows += frame.height
        self.valued += int(has_value.sum())
        table = pa.table([users, np.where(has_value, items, np.int32(-1)), values, times, words, places], SCHEMA)
        first = frame[USER].is_first_distinct().to_numpy()
        kept = np.flatnonzero(has_value | first)
        parts = (hashes & np.uint64(len(self.spill.lengths) - 1)).astype(np.int64)[kept]
        self._waiting.append((parts, table if len(kept) == frame.height else table.take(kept)))
        if sum(len(parts) for parts, _ in self._waiting) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits, and tell of it."""
        self._check_pieces()
        with writing(self.spill.folder.parent, self.again):
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            parts, tables = zip(*self._waiting, strict=True)
            self._waiting.clear()
            self.spill.append(np.concatenate(parts), pa.concat_tables(tables))
        self.pieces, self.pieces_rows = self.passed, self.passed_rows
        self.saved()

    def _valued(self, interactions: pl.DataFrame) -> pl.DataFrame:
        """User, item, value, time and word of each row; the value is NaN where it tells nothing.

        ``said`` is what the row itself says, whether ratings or events tell.
        """
        lacking = {RATING: pl.Float64, EVENT: pl.String, TIMESTAMP: pl.Float64}
        frame = interactions.with_columns(
            pl.lit(None, dtype=kind).alias(name) for name, kind in lacking.items() if name not in interactions.columns
        )
        check_within(frame, self.scale)
        self._name(frame[EVENT])
        ratings = frame[RATING].drop_nulls()
        if len(ratings):
            if not self.has_ratings:  # so far there were events alone, which tell nothing beside ratings
                self.counts[:] = 0
                self.valued = 0
            self.has_ratings = True
            if self.levels is not None:
                self.levels |= set(ratings.unique())
                self.levels = self.levels if len(self.levels) <= MOST_LEVELS else None
        number = pl.col(EVENT).fill_null(NO_NAME).replace_strict(self.words, return_dtype=pl.Int16)
        is_rating = pl.col(RATING).is_not_null()
        said = pl.coalesce(pl.col(RATING), signed_weight(frame, self.vocabulary).cast(pl.Float64))
        return frame.select(
            USER,
            ITEM,
            pl.when(is_rating | (not self.has_ratings)).then(said).fill_null(float("nan")).alias("value"),
            said.fill_null(float("nan")).alias("said"),
            pl.col(TIMESTAMP).fill_null(float("nan")).alias("time"),
            pl.when(is_rating).then(pl.lit(-1, dtype=pl.Int16)).otherwise(number).alias("word"),
        )

    def _name(self, events: pl.Series) -> None:
        """Number the words of events.

        Raises:
            DataError: If one is unknown.
        """
        tally = events.drop_nulls().value_counts()
        self.vocabulary.check(dict(zip(tally[EVENT], tally["count"], strict=True)))
        for name in (NO_NAME, *tally[EVENT].sort()):
            self.words.setdefault(name, len(self.words))

    def _number(self, ids: pl.Series) -> NDArray[np.int32]:
        """The numbers of items, new ones given to those that are new."""
        coded = ids.to_arrow().cast(pa.large_string()).dictionary_encode()
        codes = self.codes
        before = len(codes)
        numbers = [codes.setdefault(one, len(codes)) for one in coded.dictionary.to_pylist()]
        self.extend()
        for one in islice(codes, before, None):
            self.item_hashes[codes[one]] = hash_of(one)
        found: NDArray[np.int32] = np.array(numbers, dtype=np.int32)[coded.indices.to_numpy()]
        return found

    def extend(self) -> None:
        """Make room for as many items as have a number."""
        if len(self.codes) > len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros(2 * len(self.codes), dtype=np.int64)])
        if len(self.codes) > len(self.item_hashes):
            more = np.zeros(2 * len(self.codes), dtype=np.uint64)
            more[: len(self.item_hashes)] = self.item_hashes
            self.item_hashes = more

    def _count(self, items: NDArray[np.int32]) -> None:
        found = np.bincount(items)
        self.counts[: len(found)] += found

    # ---- checkpoints

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs, beside the files that this call writes."""
        folder = self.spill.folder
        new = list(self.codes)[self._written_ids :]
        with (folder / ITEM_IDS).open("ab") as file:
            file.write("".join(f"{one}\n" for one in new).encode())
            length = file.tell()
        self._written_ids = len(self.codes)
        files.write(folder / COUNTS.format(self.pieces), self.counts[: len(self.codes)].tobytes())
        return {
            "lengths": self.spill.lengths,
            "items": [len(self.codes), length],
            "words": self.words,
            "pieces": self.pieces,
            "pieces_rows": self.pieces_rows,
            "rows": self.rows,
            "valued": self.valued,
            "has_ratings": self.has_ratings,
            "levels": None if self.levels is None else sorted(self.levels),
            "of": self.of,
        }

    @classmethod
    def restored(
        cls, folder: Path, state: Mapping[str, Any], vocabulary: Vocabulary, scale: Ends | None = None
    ) -> Intake:
        """As it was at a checkpoint.

        Raises:
            DataError: If its files are not those that were written.
        """
        n_items, length = state["items"]
        try:
            raw = (folder / ITEM_IDS).read_bytes()[:length]
            counts = np.frombuffer((folder / COUNTS.format(state["pieces"])).read_bytes(), dtype=np.int64)
        except OSError as error:
            raise DataError(f"{folder} lacks a file ({error}). Remove the folder of shards and start again.") from None
        ids = raw.decode().split("\n")[:-1]
        if len(raw) != length or len(ids) != n_items or len(counts) != n_items:
            raise DataError(f"{folder} is damaged. Remove the folder of shards and start again.")
        with (folder / ITEM_IDS).open("r+b") as file:
            file.truncate(length)
        return cls(
            Spill.resumed(folder, state["lengths"]),
            vocabulary,
            scale,
            codes={one: number for number, one in enumerate(ids)},
            counts=counts.copy(),
            item_hashes=np.array([hash_of(one) for one in ids], dtype=np.uint64),
            words=dict(state["words"]),
            pieces=state["pieces"],
            pieces_rows=state["pieces_rows"],
            rows=state["rows"],
            valued=state["valued"],
            has_ratings=state["has_ratings"],
            levels=None if state["levels"] is None else set(state["levels"]),
            of=state["of"],
            _written_ids=n_items,
        )


def _hashed(ids: pl.Series) -> tuple[pa.Array, NDArray[np.uint64]]:
    """The ids in Arrow, and the hash of each, (N,)."""
    column = ids.to_arrow().cast(pa.large_string())
    coded = column.dictionary_encode()
    hashes = np.array([hash_of(one) for one in coded.dictionary.to_pylist()], dtype=np.uint64)
    return column, hashes[coded.indices.to_numpy()]


def _mixed(*columns: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of each row of columns of eight bytes, (N,): SplitMix64 (Steele et al., OOPSLA 2014) of each in turn.

    The sum of the hashes of all rows depends on the rows, which hold their place, and not on how they were read.
    """
    found = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        found = (found ^ column.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found = found ^ (found >> np.uint64(31))
    return found
