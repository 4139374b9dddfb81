"""Lists and beliefs as Arrow streams and files: for warehouses, data frames and vector stores.

Each call gives a ``pyarrow.RecordBatchReader``, of which one part at a time is in memory: ``.read_all()`` is a table,
and Polars and DuckDB take the reader as it is. :func:`write` puts it into a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Unpack

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from palate.arrays import Array
from palate.entities import ITEM, USER
from palate.errors import OptionError
from palate.errors.checks import instance, normalise_id, one_of, path_of, several
from palate.learner import Learner
from palate.loop.all_lists import COLUMNS, USERS_AT_ONCE, everybody
from palate.loop.lists import ListArguments

ENDINGS = (".parquet", ".arrow", ".feather")
LISTS = pl.DataFrame(schema=COLUMNS).to_arrow().schema


def lists(
    learner: Learner, users: Iterable[str] | None = None, k: int = 10, **options: Unpack[ListArguments]
) -> pa.RecordBatchReader:
    """The lists of many users, a row an item: user_id, rank (from 1), item_id, score, std, chance, reason.

    Args:
        users: Ids, in the order wanted; everybody who is known if None.
        k, options: As of :meth:`palate.Learner.recommend_all`, with its errors.
    """
    tables = _learner(learner).recommend_all(users, k, **options)
    return _stream(LISTS, (table.to_arrow().cast(LISTS) for table in tables))


def item_vectors(learner: Learner) -> pa.RecordBatchReader:
    """What is believed of the items: ``item_id``, ``vector`` and ``std``, (A,) each, of float32.

    The first number of a vector is the level of the item, the others are its factors: its inner product with a vector
    of :func:`user_vectors` is the rating that is expected, before it is kept within the scale and before what the
    content of what a user answered adds to it. It orders items by liking alone, and not as ``recommend`` does.
    """
    model = _learner(learner).model
    items, ids = model.taste.items, model.catalogue.ids
    schema = _schema(ITEM, items.dim + 1)

    def parts() -> Iterator[pa.Table]:
        for first in range(0, len(ids), USERS_AT_ONCE):
            some = slice(first, first + USERS_AT_ONCE)
            variances = items.spread.take(np.arange(len(ids))[some]).covariances(items.dim + 1)
            means = np.concatenate([items.level[some, None], items.factors[some]], axis=1)
            yield _vectors(schema, list(ids[some]), means, np.sqrt(np.einsum("naa->na", variances)))

    return _stream(schema, parts())


def user_vectors(learner: Learner, users: Iterable[str] | None = None) -> pa.RecordBatchReader:
    """What is believed of users: ``user_id``, ``vector`` and ``std``, (A,) each, of float32.

    The first number of a vector is 1, with the standard deviation 0, the others are the taste.

    Args:
        users: Ids, in the order wanted; everybody who is known if None.
    Raises:
        IdError: If one is none.
    """
    memory = _learner(learner).memory
    asked = everybody(memory) if users is None else [normalise_id(user, USER) for user in several(users, "users")]
    schema = _schema(USER, memory.model.taste.items.dim + 1)

    def parts() -> Iterator[pa.Table]:
        for first in range(0, len(asked), USERS_AT_ONCE):
            some = asked[first : first + USERS_AT_ONCE]
            beliefs = [memory.state(user).belief for user in some]
            means = np.array([[1.0, *belief.mean] for belief in beliefs])
            stds = np.array([[0.0, *np.sqrt(np.diagonal(belief.covariance))] for belief in beliefs])
            yield _vectors(schema, some, means, stds)

    return _stream(schema, parts())


def write(stream: pa.RecordBatchReader, path: str | Path, *, form: str | None = None) -> int:
    """Write a stream into a new file, or over an old one: Parquet (``.parquet``) or Arrow IPC (``.arrow``,
    ``.feather``).

    Args:
        form: Which of these; as the name of the file ends if None.
    Returns:
        How many rows were written.
    Raises:
        OptionError: If it is another, or the file cannot be written.
    """
    instance(stream, pa.RecordBatchReader, "the stream", "item_vectors(learner)")
    file, rows = path_of(path, "path"), 0
    ending = form_of(file) if form is None else one_of(form, ENDINGS, "the form")
    try:
        with file.open("wb") as opened, writer(opened, stream.schema, ending) as sink:
            for batch in stream:
                sink.write_batch(batch)
                rows += batch.num_rows
    except OSError as error:
        raise OptionError(f"{file} cannot be written: {error.strerror}. Give another file.") from None
    return rows


def form_of(path: Path) -> str:
    """The ending that says what is written.

    Raises:
        OptionError: If it is another.
    """
    if path.suffix not in ENDINGS or path.is_dir():
        raise OptionError(f"the file is {str(path)!r}. Give a file whose name ends with {', '.join(ENDINGS)}.")
    return path.suffix


def writer(file: Path | BinaryIO, schema: pa.Schema, form: str) -> AbstractContextManager[Any]:
    """An open file that takes tables and batches of that schema."""
    if form == ".parquet":
        return pq.ParquetWriter(file, schema, compression="zstd")  # type: ignore[no-any-return]
    return pa.ipc.new_file(file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))  # type: ignore[no-any-return]


def _learner(learner: object) -> Learner:
    return instance(learner, Learner, "the learner", "palate.Learner.load(folder)")


def _schema(id: str, size: int) -> pa.Schema:
    vector = pa.list_(pa.float32(), size)
    return pa.schema([(id, pa.string()), ("vector", vector), ("std", vector)])


def _vectors(schema: pa.Schema, ids: list[str], means: Array, stds: Array) -> pa.Table:
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).ravel()), values.shape[1])
        for values in (means, stds)
    ]
    return pa.table([pa.array(ids, pa.string()), *columns], schema=schema)


def _stream(schema: pa.Schema, tables: Iterable[pa.Table]) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(schema, (batch for table in tables for batch in table.to_batches()))
