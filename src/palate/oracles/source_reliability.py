"""How far the answers of a source stand for the user's own, learnt from questions that both have answered.

Of yes and no the two agree or not: a Beta of how often, and ρ = 2p − 1. Of ratings the mean squared difference is
σ² + σ_s², the user's own noise and the source's: an inverse gamma of it, and ρ = σ² / σ_s². What a source did on other
subjects is a prior for each of its subjects, worth :data:`POOLED` answers at most.

Gold is drawn at random, or counts by one over the probability with which it was drawn. What a strategy chose without
chance is none: it is where the model was unsure, and a source may be better or worse there than elsewhere.

References:
    Donmez, Carbonell, Proactive learning: cost-sensitive active learning with multiple imperfect oracles, CIKM 2008;
    Gelman et al., Bayesian data analysis, 2013, sections 2.6 and 5.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from palate.arrays import TINY
from palate.entities import Answer, Form
from palate.entities.provenance import TASTE
from palate.errors import DataError, OptionError
from palate.errors.checks import instance, normalise_id, number_of, positive, shown
from palate.records import Calibration

LEAST_GOLD = 20  # answers from which a source may be asked for more than gold
POOLED = 10.0  # answers that a prior from other subjects is worth, at most
QUANTILE = 0.1  # at which reliability is spent upon
EXPLORED = 0.05  # of decisions, that go by a draw instead, so that who was unlucky is heard again
GOLD_SHARE = 0.1  # of what a user has answered that a source is asked, too, from its 20th gold answer on
GOLD = "gold"  # strategy of such a question


class Gold(NamedTuple):
    """What a source said where the user's own answer is known.

    Attributes:
        said, own: On the scale of the answers; of yes and no 1 and 0.
        propensity: Probability with which this one was drawn, in (0, 1].
    """

    source: str
    said: float
    own: float
    propensity: float = 1.0
    subject: str = TASTE


class _Sums(NamedTuple):
    """Of gold by weight w: Σw, Σw², Σw × how far it is off: 0 or 1, or the squared difference in units of σ²."""

    weight: float = 0.0
    squared: float = 0.0
    off: float = 0.0

    @property
    def n(self) -> float:
        """How many answers of equal weight tell as much (Kish)."""
        return self.weight**2 / self.squared if self.squared else 0.0

    @property
    def mean(self) -> float:
        return self.off / self.weight if self.weight else 0.0


@dataclass(frozen=True, slots=True)
class Reliability:
    """What is believed of the reliability ρ of a source on a subject.

    Attributes:
        family: Whose errors it shares.
        gold: Answers of equal weight that it is learnt from.
        of_ratings: Whether answers are ratings; otherwise yes and no.
        shape: Parameters of the Beta of agreement, or of the inverse gamma of the squared difference in units of σ².
    """

    source: str
    subject: str
    family: str
    gold: float
    of_ratings: bool
    shape: tuple[float, float]

    @property
    def is_known(self) -> bool:
        """Whether it may be asked for more than gold."""
        return self.gold >= LEAST_GOLD - 1e-9 and self.low > 0.0

    @property
    def low(self) -> float:
        """ρ is less with a probability of a tenth."""
        return self.quantile(QUANTILE)

    @property
    def middle(self) -> float:
        """ρ is less as likely as not."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float:
        """ρ is less with this probability, in [0, 1]."""
        from scipy.stats import beta, invgamma

        a, b = self.shape
        off = invgamma.ppf(1.0 - share, a, scale=b) if self.of_ratings else 1.0 - beta.ppf(share, a, b)
        return self._rho(float(off))

    def draw(self, rng: np.random.Generator) -> float:
        """ρ as likely as it is believed, in [0, 1]."""
        a, b = self.shape
        return self._rho(b / rng.gamma(a) if self.of_ratings else 1.0 - rng.beta(a, b))

    def calibration(self, *, power: int = 1, at: float | None = None, key: str = "") -> Calibration:
        """What an answer of it counts from now on, and what it said before: ρ as likely too high as too low.

        Args:
            power: ``model.taste.likelihood.power``: of likes an answer of reliability ρ weighs ρ².
        """
        weight = self.middle**power if self.gold >= LEAST_GOLD - 1e-9 else 0.0
        return Calibration(self.source, weight, self.subject, at, key)

    def _rho(self, off: float) -> float:
        if not self.of_ratings:
            return min(max(1.0 - 2.0 * off, 0.0), 1.0)
        return min(1.0 / max(off - 1.0, TINY), 1.0)


@dataclass(frozen=True, slots=True)
class Reliabilities:
    """What gold has said so far. A value: :meth:`told` gives the next one.

    Attributes:
        noise: σ² of a user's own rating, by subject; of one without, answers are yes and no.
        families: Of sources whose family is not their own name.
    """

    noise: Mapping[str, float] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[tuple[str, str], _Sums] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for subject, noise in self.noise.items():
            positive(noise, f"the noise of {subject}")

    def told(self, gold: Gold | Iterable[Gold]) -> Reliabilities:
        """With further gold.

        Raises:
            OptionError: If a propensity is not in (0, 1]: what was not drawn is no gold.
            DataError: If an answer is not finite, or not 0 or 1 where answers are yes and no.
        """
        sums = dict(self.sums)
        for one in [gold] if isinstance(gold, Gold) else gold:
            instance(one, Gold, "gold", "Gold(source, said, own)")
            source, subject = normalise_id(one.source, "source"), normalise_id(one.subject, "subject")
            if not 0.0 < number_of(one.propensity) <= 1.0:
                raise OptionError(
                    f"the propensity of gold is {shown(one.propensity)}. Give that with which it was drawn, in (0, 1]."
                )
            weight, before = 1.0 / one.propensity, sums.get((source, subject), _Sums())
            sums[source, subject] = _Sums(
                before.weight + weight, before.squared + weight**2, before.off + weight * self._off(one, subject)
            )
        return replace(self, sums=MappingProxyType(sums))

    def of(self, source: str, subject: str = TASTE) -> Reliability:
        """What is believed of a source on a subject."""
        source, subject = normalise_id(source, "source"), normalise_id(subject, "subject")
        own, of_ratings = self.sums.get((source, subject), _Sums()), subject in self.noise
        others = [
            sums
            for (other, of), sums in self.sums.items()
            if other == source and of != subject and (of in self.noise) == of_ratings
        ]
        n = sum(sums.n for sums in others)
        mean, worth = (sum(sums.n * sums.mean for sums in others) / n, min(n, POOLED)) if n else (0.0, 0.0)
        heard, off = own.n + worth, own.n * own.mean + worth * mean
        # ahead of any gold: anything between as good as the user's own and nothing
        shape = (1.0 + heard / 2.0, 2.0 + off / 2.0) if of_ratings else (1.0 + heard - off, 1.0 + off)
        return Reliability(source, subject, self.families.get(source, source), own.n, of_ratings, shape)

    def gold_chance(self, source: str, subject: str = TASTE) -> float:
        """With which probability a source is to be asked, too, what a user has just answered."""
        return 1.0 if self.of(source, subject).gold < LEAST_GOLD - 1e-9 else GOLD_SHARE

    def _off(self, one: Gold, subject: str) -> float:
        said, own = number_of(one.said), number_of(one.own)
        if subject in self.noise:
            if not np.isfinite(said - own):
                raise DataError(f"gold says {shown(one.said)} and {shown(one.own)}. Give finite ratings.")
            return float((said - own) ** 2 / self.noise[subject])
        if {said, own} - {0.0, 1.0}:
            raise DataError(f"gold says {shown(one.said)} and {shown(one.own)} of {subject!r}. Give 0 or 1 of each.")
        return float(said != own)


def gold_in(answers: Iterable[Answer], user_source: str = "person") -> list[Gold]:
    """The gold among the answers of users: what a source was asked by chance (:data:`GOLD`) of an item that they rated.

    Args:
        user_source: Of what users say themselves.
    """
    rows = [
        one for one in answers if one.form is Form.RATE and one.value is not None and one.provenance.subject == TASTE
    ]
    own = {(one.user_id, one.item_id): one.value for one in rows if one.source in (user_source, one.user_id)}
    return [
        Gold(one.source, float(one.value or 0.0), float(own[one.user_id, one.item_id] or 0.0), one.propensity)
        for one in rows
        if one.question == GOLD and one.propensity and (one.user_id, one.item_id) in own and one.source != user_source
    ]
