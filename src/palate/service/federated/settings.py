"""How the rounds of a line are run, with defaults and units."""

from __future__ import annotations

from dataclasses import dataclass

from palate.errors import OptionError
from palate.errors.checks import count, number, positive
from palate.federated.secure_sum.robust import MAX_TRIM
from palate.federated.secure_sum.terms import MAX_GROUP


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """Of all rounds.

    Attributes:
        start_at: Devices that have to be enrolled before the first round begins.
        minimum: Devices in a sum, below which it is never opened.
        group_size: Devices that share masks, at least; up to twice as many less one.
        step_seconds: That devices have for each of the four steps of a round; a step ends sooner when all have sent.
        trim: Share of the groups' sums that is left out on either side of each number, so that hostile devices in so
            many groups do not move the model far; the noise grows by 1 / (1 − 2 trim). 0: none.
    """

    start_at: int = 64
    minimum: int = 32
    group_size: int = 64
    step_seconds: float = 3_600.0
    trim: float = 0.0

    def __post_init__(self) -> None:
        count(self.start_at, "start_at", least=2)
        count(self.minimum, "minimum", least=2, most=MAX_GROUP)
        count(self.group_size, "group_size", least=2, most=MAX_GROUP // 2)
        positive(self.step_seconds, "step_seconds")
        if number(self.trim, "trim", least=0.0) > MAX_TRIM:
            raise OptionError(f"trim is {self.trim:g}. Give at most {MAX_TRIM}.")
        if self.minimum > self.start_at:
            raise OptionError(
                f"minimum is {self.minimum} and start_at {self.start_at}, so that no sum would open. Start at "
                f"{self.minimum} devices or more."
            )
