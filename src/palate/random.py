"""Randomness is an argument: generators are derived from a seed and a name, never from hidden state."""

from __future__ import annotations

import hashlib

import numpy as np

from palate.errors import OptionError
from palate.errors.checks import shown


def derive_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and the names alone, so results do not depend on the order of requests.

    >>> bool(derive_rng(0, "ask", "ann").integers(100) == derive_rng(0, "ask", "ann").integers(100))
    True
    """
    digest = hashlib.sha256("\x00".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])


def generator(rng: object, seed: int, *names: str) -> np.random.Generator:
    """The source of randomness that was given; without one, that of the seed and the names.

    Raises:
        OptionError: If it is something else.
    """
    if rng is None:
        return derive_rng(seed, *names)
    if not isinstance(rng, np.random.Generator):
        raise OptionError(f"rng is {shown(rng)}. Give numpy.random.default_rng(seed), or leave it out.")
    return rng
