"""Masks: vectors of uniform words that cancel between two devices, or that a device takes off at the end.

Modulo 2⁶⁴ (or 2³²) a vector plus a uniform mask is uniform: it says nothing. The keys of a mask have 256 bits and are
of one sum, so no two masks are alike; a mask of a seed of 32 bits would repeat after some 2¹⁶ of them.

References:
    Bonawitz et al., Practical secure aggregation for privacy-preserving machine learning, CCS 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.federated.secure_sum.primitives import ExchangeKey, derive, keystream

Words = NDArray[np.unsignedinteger]  # the words of a sum, of 4 or 8 bytes


def add_pair_mask(total: Words, key: ExchangeKey, public: bytes, names: tuple[str, str], context: bytes) -> None:
    """Adds the mask that one device shares with another, in place.

    The device whose name is first in order adds the mask, the other subtracts it.

    Args:
        total: The words of the sum, (length,).
        key: Of the one device, for this sum.
        public: Of the other device, for this sum.
        names: The one, the other.
        context: Of the sum and the group.
    """
    first, second = sorted(names)
    secret = derive(key.agree(public), context, f"pair {first} {second}".encode())
    if names[0] == first:
        total += _mask(secret, total)
    else:
        total -= _mask(secret, total)


def add_self_mask(total: Words, seed: bytes, *, remove: bool = False) -> None:
    """Adds the mask of a device's own seed, or takes it off, in place."""
    if remove:
        total -= _mask(seed, total)
    else:
        total += _mask(seed, total)


def _mask(key: bytes, like: Words) -> Words:
    return np.frombuffer(keystream(key, like.nbytes), dtype=like.dtype)
