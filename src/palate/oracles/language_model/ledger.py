"""What calls of a language model cost, to the last token, and a budget that nothing goes over.

Before a call the most that it can cost is set aside, or the call is not made. Afterwards what the server says that it
read and wrote is charged. Where the bill is not known, as of a call that was cut off, the most stays charged: money is
never counted twice, and never forgotten.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, fields
from fractions import Fraction

from palate.errors import OptionError
from palate.errors.checks import number, number_of, shown

PER = 1_000_000  # tokens for which a price is stated


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What a server charges, in one unit of money such as USD.

    Attributes:
        read, written: For a million tokens of prompts and of replies, at least 0.

    Example:
        >>> TokenPrice(0.15, 0.60).of(1_000_000, 500_000)
        Fraction(9, 20)
    """

    read: float = 0.0
    written: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, number(getattr(self, one.name), f"the price {one.name}", least=0.0))

    def of(self, read: int, written: int) -> Fraction:
        """What so many tokens cost, exactly."""
        return (Fraction(repr(self.read)) * read + Fraction(repr(self.written)) * written) / PER


FREE = TokenPrice()


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """Money set aside for one call: the most that it can cost."""

    most: Fraction


class Ledger:
    """What was spent, and how much may be. Threads may share it.

    Args:
        price: Of tokens.
        budget: Most that may be spent; infinity is no limit.
        spent: That counts already, as of an earlier run.
    """

    def __init__(self, price: TokenPrice = FREE, budget: float = math.inf, *, spent: float = 0.0) -> None:
        limit = number_of(budget)
        if not limit >= 0.0:
            raise OptionError(f"the budget is {shown(budget)}. Give 0 or more; leave it out for no limit.")
        self.price, self._limit = price, None if math.isinf(limit) else Fraction(repr(limit))
        self._lock = threading.Lock()
        self._spent = Fraction(repr(number(spent, "what is spent", least=0.0)))
        self._held = self._unknown = Fraction(0)
        self.calls = self.read = self.written = 0

    @property
    def spent(self) -> float:
        """In all, with what may have been charged for calls of which the bill is not known."""
        with self._lock:
            return float(self._spent)

    @property
    def unknown(self) -> float:
        """The part of it that may have been charged: the most of each call of which the bill is not known."""
        with self._lock:
            return float(self._unknown)

    @property
    def left(self) -> float:
        """What can still be set aside."""
        with self._lock:
            return math.inf if self._limit is None else float(self._limit - self._spent - self._held)

    def hold(self, read: int, written: int) -> Hold | None:
        """Set aside what so many tokens cost; None where that is more than is left."""
        most = self.price.of(read, written)
        with self._lock:
            if self._limit is not None and self._spent + self._held + most > self._limit:
                return None
            self._held += most
            return Hold(most)

    def settle(self, hold: Hold, read: int, written: int) -> float:
        """Charge what the server says, which is no more than was set aside. Returns it."""
        paid = self.price.of(read, written)
        self._charge(hold, paid)
        with self._lock:
            self.calls, self.read, self.written = self.calls + 1, self.read + read, self.written + written
        return float(paid)

    def keep(self, hold: Hold) -> float:
        """Charge all that was set aside: nobody knows what the call cost. Returns it."""
        self._charge(hold, hold.most, unknown=hold.most)
        return float(hold.most)

    def release(self, hold: Hold) -> None:
        """Charge nothing: the server refused the call."""
        self._charge(hold, Fraction(0))

    def _charge(self, hold: Hold, paid: Fraction, unknown: Fraction = Fraction(0)) -> None:
        with self._lock:
            self._held -= hold.most
            self._spent += paid
            self._unknown += unknown
