"""What is wrong with what a scikit-learn estimator was given, as scikit-learn and as Palate want it said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

from sklearn.utils.validation import validate_data

from palate.errors import DataError, InputError
from palate.errors.checks import shown


class InvalidInput(DataError, ValueError, TypeError):
    """What was given to an estimator is wrong: a ``ValueError`` and a ``TypeError``, as scikit-learn wants it."""


@contextmanager
def refusing() -> Iterator[None]:
    """What scikit-learn or Palate has to say of an input, as one error of one line."""
    try:
        yield
    except (InputError, ValueError, TypeError, OverflowError) as error:
        said = " ".join(str(error).split())
        said = said if isinstance(error, InputError) else f"{said.rstrip('.')}. Give a table as fit says."
        raise InvalidInput(said[:500]) from None


def checked(estimator: Any, X: Any, y: Any = None, **options: Any) -> Any:
    """X, or X and y where y is given, as ``sklearn.utils.validation.validate_data`` makes them arrays.

    Raises:
        DataError, ValueError, TypeError: If one of them is no table, or no row of values.
    """
    for name, value in (("X", X), *([] if y is None else [("y", y)])):
        is_table = any(hasattr(value, method) for method in ("__len__", "__array__"))
        if isinstance(value, (str, bytes, Number)) or not is_table:
            raise DataError(f"{name} is {shown(value)}. Give {'a table' if name == 'X' else 'a value a row'}.")
    return validate_data(estimator, X, **options) if y is None else validate_data(estimator, X, y, **options)
