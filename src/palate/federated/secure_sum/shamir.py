"""Shamir's secret sharing of 32 bytes: any ``threshold`` shares give the secret, fewer say nothing of it.

References:
    Shamir, How to share a secret, Communications of the ACM 22(11), 1979.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from palate.errors import SecureSumError
from palate.federated.secure_sum.keys import Entropy

PRIME = 2**256 + 297  # the first above every secret
SECRET_BYTES = 32
SHARE_BYTES = 33
_DRAWN = 48  # bytes a coefficient, so that the remainder is uniform to 2⁻¹²⁷


def split(secret: bytes, threshold: int, n: int, entropy: Entropy) -> list[bytes]:
    """Shares 1 to n, each of 33 bytes: a random polynomial of degree ``threshold - 1`` at 1 to n, the secret at 0."""
    drawn = entropy(_DRAWN * (threshold - 1))
    rest = [int.from_bytes(drawn[at : at + _DRAWN], "big") % PRIME for at in range(0, len(drawn), _DRAWN)]
    constant = int.from_bytes(secret, "big")
    shares = []
    for x in range(1, n + 1):
        value = 0
        for coefficient in rest:
            value = (value * x + coefficient) % PRIME
        shares.append(((value * x + constant) % PRIME).to_bytes(SHARE_BYTES, "big"))
    return shares


def join(shares: Mapping[int, bytes]) -> bytes:
    """The secret of ``threshold`` shares, by their numbers.

    Raises:
        SecureSumError: If no secret belongs to them.
    """
    weights = _weights(tuple(sorted(shares)))
    value = sum(weight * int.from_bytes(shares[x], "big") for x, weight in weights) % PRIME
    if value >= 1 << (8 * SECRET_BYTES):
        raise SecureSumError(f"{len(shares)} shares hold no secret. Some of them are not of one secret.")
    return value.to_bytes(SECRET_BYTES, "big")


@lru_cache(maxsize=256)  # the secrets of a group are joined at the same points
def _weights(points: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Lagrange's weights at 0."""
    found = []
    for x in points:
        over = under = 1
        for other in points:
            if other != x:
                over, under = over * other % PRIME, under * (other - x) % PRIME
        found.append((x, over * pow(under, -1, PRIME) % PRIME))
    return tuple(found)
