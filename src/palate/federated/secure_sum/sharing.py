"""How the two secrets of a device are dealt to its group: sealed for each receiver, with a digest of each share.

The digests are public. By them the server leaves out a share that a hostile receiver changed, and a receiver one that
its dealer made wrong; a share is as random as a key, so its digest does not betray it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from palate.federated.secure_sum.keys import Entropy
from palate.federated.secure_sum.messages import as_text, data_of, malformed
from palate.federated.secure_sum.primitives import TAG_BYTES, derive, seal, unseal
from palate.federated.secure_sum.shamir import SHARE_BYTES, split

SEED, MASK_KEY = "seed", "key"  # the two secrets of a device; of one device at most one is ever opened
_SEALED_BYTES = 2 * SHARE_BYTES + TAG_BYTES
_DIGEST_BYTES = 32


class Shares(NamedTuple):
    """Of both secrets of one dealer, for one receiver."""

    seed: bytes
    key: bytes


class Dealt(NamedTuple):
    """What a dealer sends for one receiver: a sealed text, and digests of the two shares in it."""

    sealed: bytes
    seed: bytes
    key: bytes

    def as_fields(self) -> list[str]:
        return [as_text(one) for one in self]

    @classmethod
    def of(cls, value: Any) -> Dealt:
        """As a message holds it; raises UploadError."""
        if not isinstance(value, list) or len(value) != 3:
            malformed("what is dealt to a device is not three texts")
        sizes = (_SEALED_BYTES, _DIGEST_BYTES, _DIGEST_BYTES)
        return cls(*(data_of(one, "to", size) for one, size in zip(value, sizes, strict=True)))


def deal(seed: bytes, key: bytes, threshold: int, n: int, entropy: Entropy) -> list[Shares]:
    """Shares of both secrets for the 1st to the nth receiver."""
    return list(map(Shares, split(seed, threshold, n, entropy), split(key, threshold, n, entropy)))


def seal_shares(shares: Shares, secret: bytes, context: bytes, names: tuple[str, str]) -> Dealt:
    """The shares for one receiver.

    Args:
        secret: That dealer and receiver share.
        context: Of the sum and the group.
        names: The dealer, the receiver.
    """
    key = derive(secret, context, _purpose(names))
    digests = (share_digest(share, kind, context, names) for share, kind in zip(shares, (SEED, MASK_KEY), strict=True))
    return Dealt(seal(key, shares.seed + shares.key), *digests)


def open_shares(dealt: Dealt, secret: bytes, context: bytes, names: tuple[str, str]) -> Shares | None:
    """The shares that a dealer sealed; None where they are not those of the digests."""
    text = unseal(derive(secret, context, _purpose(names)), dealt.sealed)
    if text is None:
        return None
    shares = Shares(text[:SHARE_BYTES], text[SHARE_BYTES:])
    fit = (
        share_digest(shares.seed, SEED, context, names) == dealt.seed,
        share_digest(shares.key, MASK_KEY, context, names) == dealt.key,
    )
    return shares if all(fit) else None


def share_digest(share: bytes, kind: str, context: bytes, names: tuple[str, str]) -> bytes:
    """The digest of one share, by which it is known again."""
    return sha256(context + f"{kind} {names[0]} {names[1]} ".encode() + share).digest()


def seed_digest(seed: bytes, context: bytes, device: str) -> bytes:
    """The digest of a device's seed: what is joined of shares is held against it."""
    return sha256(context + f"whole {device} ".encode() + seed).digest()


def numbered(names: Sequence[str]) -> dict[str, int]:
    """At which point of the polynomials each device of a group has its shares."""
    return {name: x for x, name in enumerate(names, 1)}


def _purpose(names: tuple[str, str]) -> bytes:
    return f"share {names[0]} {names[1]}".encode()
