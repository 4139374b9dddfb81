"""The one pass over the data: ids of items numbered, values worked out, rows put to the part of their user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from palate.scale.spill import SCHEMA, Spill
from palate.store.model_folder import files
from palate.vocabulary import NO_NAME, Vocabulary

FLUSH_ROWS = 1 << 21  # rows that wait in memory, about 100 bytes each
MOST_LEVELS = 20
ITEM_IDS, COUNTS = "items.txt", "counts-{}.npy"


@dataclass(slots=True)
class Intake:
    """Takes interactions piece by piece (:class:`palate.datasets.files.assemble.Sink`).

    Attributes:
        spill: Where the rows go.
        vocabulary: What events mean.
        scale: Ends that ratings must lie within, where they are given.
        saved: Called after each flush.
        codes: Of each item its number, in the order of first appearance.
        counts: Rows with a value of each, (I,) or longer.
        words: Of each event its number.
        pieces, rows, valued: How many were taken; rows with a value.
        has_ratings: Whether there is a rating: events tell nothing then.
        levels: The ratings there are; None where they are over 20.
        of: A hash of all that was taken.
        passed: Pieces that were met; up to ``pieces`` they are passed over.
    """

    spill: Spill
    vocabulary: Vocabulary
    scale: Ends | None = None
    saved: Callable[[], None] = lambda: None
    codes: dict[str, int] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1024, dtype=np.int64))
    words: dict[str, int] = field(default_factory=dict)
    pieces: int = 0
    rows: int = 0
    valued: int = 0
    has_ratings: bool = False
    levels: set[float] | None = field(default_factory=set)
    of: str = ""
    passed: int = 0
    _waiting: list[tuple[NDArray[np.int64], pa.Table]] = field(default_factory=list)
    _taken: int = 0
    _written_ids: int = 0

    def passes_over(self) -> bool:
        self.passed += 1
        return self.passed <= self.pieces

    def take(self, interactions: pl.DataFrame) -> None:
        self._taken += 1
        if not interactions.height:
            return
        frame = self._valued(interactions)
        items = self._number(frame[ITEM])
        has_value = frame["value"].is_not_null().to_numpy()
        self._count(items[has_value])
        table = pa.table(
            [
                frame[USER].to_arrow().cast(pa.large_string()),
                np.where(has_value, items, np.int32(-1)),
                frame["value"].fill_null(float("nan")).to_numpy(),
                frame["time"].to_numpy(),
                frame["word"].to_numpy(),
                self.rows + np.arange(frame.height),
            ],
            SCHEMA,
        )
        self.of = _chained(self.of, frame)
        self.rows += frame.height
        self.valued += int(has_value.sum())
        first = frame.select(pl.col(USER).is_first_distinct()).to_series().to_numpy()
        kept = np.flatnonzero(has_value | first)
        table = table if len(kept) == frame.height else table.take(kept)
        self._waiting.append((self._parts(table["user"]), table))
        if sum(len(parts) for parts, _ in self._waiting) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits, and tell of it."""
        if self._waiting:
            parts, tables = zip(*self._waiting, strict=True)
            self._waiting.clear()
            self.spill.append(np.concatenate(parts), pa.concat_tables(tables))
        self.pieces += self._taken
        self._taken = 0
        self.saved()

    def _valued(self, interactions: pl.DataFrame) -> pl.DataFrame:
        """User, item, value, time and word of each row; value is null where it tells nothing."""
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
        value = pl.col(RATING) if self.has_ratings else signed_weight(frame, self.vocabulary)
        return frame.select(
            USER,
            ITEM,
            value.cast(pl.Float64).alias("value"),
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
        numbers = [codes.setdefault(one, len(codes)) for one in coded.dictionary.to_pylist()]
        found: NDArray[np.int32] = np.array(numbers, dtype=np.int32)[coded.indices.to_numpy()]
        return found

    def extend(self) -> None:
        """Make room to count as many items as have a number."""
        if len(self.codes) > len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros(2 * len(self.codes), dtype=np.int64)])

    def _count(self, items: NDArray[np.int32]) -> None:
        self.extend()
        found = np.bincount(items)
        self.counts[: len(found)] += found

    def _parts(self, users: pa.ChunkedArray) -> NDArray[np.int64]:
        coded = users.combine_chunks().dictionary_encode()
        mask = len(self.spill.lengths) - 1
        parts = np.array([hash_of(one) & mask for one in coded.dictionary.to_pylist()], dtype=np.int64)
        found: NDArray[np.int64] = parts[coded.indices.to_numpy()]
        return found

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
            words=dict(state["words"]),
            pieces=state["pieces"],
            rows=state["rows"],
            valued=state["valued"],
            has_ratings=state["has_ratings"],
            levels=None if state["levels"] is None else set(state["levels"]),
            of=state["of"],
            _written_ids=n_items,
        )


def _chained(of: str, frame: pl.DataFrame) -> str:
    """A hash of what came before and of these rows."""
    digest = hashlib.sha256(of.encode())
    for name in frame.columns:
        column = frame[name].rechunk()
        if column.dtype == pl.String:
            digest.update(column.str.len_bytes().to_numpy().tobytes())
            digest.update("".join(column.to_list()).encode())
        else:
            digest.update(column.fill_null(float("nan") if column.dtype.is_float() else -2).to_numpy().tobytes())
    return digest.hexdigest()
