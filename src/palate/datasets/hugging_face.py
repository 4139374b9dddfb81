"""Tables of Hugging Face's library datasets as Arrow, told by their types and without importing the library."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from palate.errors import DataError

_LIBRARY = "datasets"


def as_arrow(table: Any, name: str) -> Any:
    """Its rows as Arrow, chosen and ordered as they are there, class labels by name; what is no table of that library
    is given back as it is.

    Args:
        name: The word for the table in an error, such as interactions.
    Raises:
        DataError: If there are several splits, which nobody has put together, or rows that come as a stream.
    """
    if not any(kind.__module__.partition(".")[0] == _LIBRARY for kind in type(table).__mro__):
        return table
    if isinstance(table, dict):
        if len(table) != 1:
            names = ", ".join(map(str, table)) or "none"
            raise DataError(f"{name} has {len(table)} splits: {names}. Give one of them, such as data['train'].")
        (table,) = table.values()
    if not hasattr(table, "with_format") or not hasattr(table, "__len__"):
        raise DataError(
            f"{name} is a {type(table).__name__}, a stream. Load it whole: load_dataset(..., streaming=False)."
        )
    rows: pa.Table = table.with_format("arrow")[:]  # by way of the indices that a filter or a shuffle leaves
    for place, column in enumerate(rows.column_names):
        labels = getattr(table.features.get(column), "names", None)
        if labels is not None:
            codes = rows[column].combine_chunks()
            named = pa.DictionaryArray.from_arrays(codes.cast(pa.int32()), pa.array(labels, pa.string()))
            rows = rows.set_column(place, column, named.cast(pa.string()))
    return rows
