"""A hash of a data set's content, the same on every machine and for every order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl

from palate.datasets.files.assemble import CORE_TYPES
from palate.entities import ITEM, USER
from palate.entities.friends import FRIEND

ROWS_AT_ONCE = 1 << 20


def fingerprint(interactions: pl.DataFrame, items: pl.DataFrame, users: pl.DataFrame, friends: pl.DataFrame) -> str:
    """SHA-256 over the core columns of the interactions and all columns of the others, rows sorted.

    Without friends it is that of versions which knew of none.
    """
    digest = hashlib.sha256()
    _add(digest, interactions.select(*CORE_TYPES), list(CORE_TYPES))
    _add(digest, items.select(sorted(items.columns)), [ITEM])
    _add(digest, users.select(sorted(users.columns)), [USER])
    if friends.height:
        _add(digest, friends.select(USER, FRIEND), [USER, FRIEND])
    return digest.hexdigest()


def _add(digest: hashlib._Hash, frame: pl.DataFrame, order: Sequence[str]) -> None:
    digest.update(f"{frame.height} {frame.columns}".encode())
    frame = frame.sort(order, nulls_last=False)
    for name in frame.columns:
        for start in range(0, frame.height, ROWS_AT_ONCE):
            _add_values(digest, frame[name].slice(start, ROWS_AT_ONCE))


def _add_values(digest: hashlib._Hash, values: pl.Series) -> None:
    digest.update(np.packbits(values.is_null().to_numpy()).tobytes())
    if values.dtype == pl.Binary:
        for part in values.drop_nulls():
            digest.update(len(part).to_bytes(8, "little") + part)
    elif values.dtype.is_numeric():
        digest.update(values.cast(pl.Float64).fill_null(0).to_numpy().astype("<f8").tobytes())
    else:
        text = values.drop_nulls() if values.dtype == pl.String else _written(values)
        digest.update(text.str.len_bytes().to_numpy().astype("<u4").tobytes())
        digest.update((text.str.join("").item() or "").encode())


def _written(values: pl.Series) -> pl.Series:
    if values.dtype.is_nested():
        return values.to_frame().select(pl.struct(values.name).struct.json_encode()).to_series()
    return (values.to_physical() if values.dtype.is_temporal() else values).cast(pl.String).drop_nulls()
