"""Features and labels as the models of labels take them: checked once, here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.arrays import Array
from palate.errors import AnswerError, DataError, OptionError


def as_features(features: ArrayLike, *, width: int | None = None) -> Array:
    """Features as floats, (N, E).

    Raises:
        DataError: If they are not a table of finite numbers, or not as wide as those the model was fitted to.
    """
    try:
        table = np.asarray(features, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"features are not numbers ({error}). Give an array of shape (N, E).") from error
    if table.ndim != 2:
        raise DataError(f"features have shape {table.shape}. Give one row an item, shape (N, E).")
    if width is not None and table.shape[1] != width:
        raise DataError(f"features have {table.shape[1]} columns, the model has {width}. Give the same features.")
    wrong = np.argwhere(~np.isfinite(table))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(f"feature {column} of row {row} is {table[row, column]}. Give finite numbers.")
    return table


def as_classes(classes: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """The class list, in the order in which probabilities come.

    Raises:
        OptionError: If there are fewer than two, or one stands in it twice.
    """
    listed = tuple(classes)
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise OptionError(f"classes are {list(listed)}. Give at least two, each once.")
    return listed


def as_codes(labels: Sequence[Hashable] | NDArray[np.generic], classes: tuple[Hashable, ...]) -> NDArray[np.intp]:
    """Position of each label in the class list, (N,).

    Raises:
        AnswerError: If a label is not in it.
    """
    position = {name: code for code, name in enumerate(classes)}
    codes = np.array([position.get(label, -1) for label in labels], dtype=np.intp)
    wrong = np.flatnonzero(codes < 0)
    if len(wrong):
        raise AnswerError(f"label {labels[wrong[0]]!r} of row {wrong[0]} is not among the classes {list(classes)}.")
    return codes


def as_values(values: ArrayLike) -> Array:
    """Values to predict, (N,).

    Raises:
        AnswerError: If one is not a finite number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise AnswerError(f"values have shape {numbers.shape}. Give one number a row, shape (N,).")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise AnswerError(f"value {numbers[wrong[0]]} of row {wrong[0]} is not a finite number.")
    return numbers


def same_length(features: Array, labels: NDArray[np.generic]) -> None:
    """Raises DataError if there is not one label a row."""
    if len(features) != len(labels):
        raise DataError(f"there are {len(features)} rows of features and {len(labels)} labels. Give one label a row.")
