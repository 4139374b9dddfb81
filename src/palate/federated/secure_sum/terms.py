"""What all devices of one secure sum are told before they join, and what every signature in it is over."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from palate.errors import OptionError, SecureSumError
from palate.errors.checks import count, number_of, shown

KINDS = ("keys", "shares", "upload", "unmask")  # of a device's messages, and the phases in which they are taken
MAX_GROUP = 200
MAX_LENGTH = 100_000_000  # words of a vector
_HEAD = 512  # bytes of a message beside what grows with the group or the vector
_EACH = {"keys": 0, "shares": 320, "upload": 0, "unmask": 100}  # bytes a device of the group


@dataclass(frozen=True)
class Terms:
    """The terms of one secure sum.

    Attributes:
        sum_id: 32 hex digits, new for every sum: a message of another sum is refused.
        about: What is summed, such as model line, round and digest of the public model; at most 400 characters.
        length: Words of every vector.
        minimum: Devices at least whose vectors are in a sum that opens, from 2.
        deadlines: When the phases keys, shares, upload and unmask end, in seconds of the caller's clock.
        width: Bytes of a word: 8, or 4 where every group's sum is known to lie within ±2³¹.
        group_size: Devices at least in a group; there are up to twice as many less one. Half of a group may drop out.
        most: Devices at most in all.

    Raises:
        OptionError: If a value is out of its range.
    """

    sum_id: str
    about: str
    length: int
    minimum: int
    deadlines: tuple[float, float, float, float]
    width: int = 8
    group_size: int = 64
    most: int = 100_000

    def __post_init__(self) -> None:
        if not isinstance(self.sum_id, str) or not re.fullmatch("[0-9a-f]{32}", self.sum_id):
            raise OptionError(f"sum_id is {shown(self.sum_id)}. Give 32 hex digits, such as secrets.token_hex(16).")
        if not isinstance(self.about, str) or len(self.about) > 400:
            raise OptionError(f"about is {shown(self.about)}. Give a text of at most 400 characters.")
        count(self.length, "length", least=1, most=MAX_LENGTH)
        count(self.minimum, "minimum", least=2, most=MAX_GROUP)
        count(self.group_size, "group_size", least=2, most=MAX_GROUP // 2)
        count(self.most, "most", least=2)
        if self.width not in (4, 8) or isinstance(self.width, bool):
            raise OptionError(f"width is {shown(self.width)}. Give 4 or 8 bytes.")
        ends = tuple(number_of(one) for one in self.deadlines) if isinstance(self.deadlines, tuple) else ()
        if len(ends) != len(KINDS) or not all(map(math.isfinite, ends)) or list(ends) != sorted(ends):
            raise OptionError(
                f"deadlines is {shown(self.deadlines)}. Give four times in a tuple, none before the last."
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the words, as they are sent."""
        return np.dtype(f"<u{self.width}")

    @cached_property
    def context(self) -> bytes:
        """The digest of the terms, which every signature covers."""
        return sha256(self.to_bytes()).digest()

    def most_bytes(self, kind: str) -> int:
        """The largest message of a kind that a device of this sum can have to send."""
        vector = self.length * self.width if kind == "upload" else 0
        return _HEAD + _EACH[kind] * (2 * self.group_size - 1) + vector

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Terms:
        """The terms that :meth:`to_bytes` gave.

        Raises:
            SecureSumError: If they are none.
        """
        try:
            fields = json.loads(raw)
            return cls(**{**fields, "deadlines": tuple(fields["deadlines"])})
        except (ValueError, TypeError, KeyError, RecursionError, OptionError) as error:
            raise SecureSumError(f"these are no terms of a secure sum ({shown(error)}). Ask for them again.") from None


def threshold_of(group: int) -> int:
    """Devices of a group that have to answer at the end: more than half.

    Two disjoint sets of so many do not fit into the group, so two stories about who dropped out cannot both be
    answered by devices that each answer once.
    """
    return group // 2 + 1
