"""What all who label items say together of one attribute: one posterior an item, from the labels of a log.

Each label is a vote (:class:`palate.oracles.crowd.Crowd`). What a source counts by its last calibration about the
attribute, ``w``, is the share of the items that it looked at, as if it had guessed at the others: its vote is ``w`` for
its option and ``1 - w`` spread evenly over all. One of reliability 0 has no vote, and those of one family have one. A
language model has none until it is calibrated about the attribute.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import TINY, Array
from palate.entities import Answer
from palate.entities.item_attributes import ItemAttribute
from palate.entities.provenance import MACHINE
from palate.oracles.crowd import Crowd, Temperature
from palate.oracles.pseudo_labels import weight_of
from palate.records import Calibration

Gold = Mapping[str, int]  # the option of each item of which it is known
CAUTIOUS = 0.1  # temperature of a lower bound without gold: that of bluebirds and faces is .13 and .12, of all votes
_WORSE = 0.5 * 1.2816**2  # nats by which the lower end of a temperature is less likely: one-sided, 90 %
_TRIED = 200  # temperatures, up to the likeliest


@dataclass(frozen=True, slots=True, eq=False)
class ItemLabels:
    """What is believed of an attribute of the n items that somebody labelled.

    Attributes:
        attribute: With its K options.
        items: Their ids, ascending.
        probabilities: Of the options, tempered, (n, K); 1 for the option of an item of which it is known.
        lower: What each is at least, (n, K). It is worked out with the lower end of the temperature, 90 % sure by the
            items of which the option is known or, where they are too few, a cautious one; and with equal shares of the
            options before any vote, where the option is rarer then. So few votes leave little, as does a guess. It is
            no guarantee about items that mislead everybody.
        votes: That each has, (n,): of those of one family one, and of each source as much as it is reliable.
        known: Whether its option is known from gold, (n,).
        temperature: Power to which the crowd's probabilities are raised, since those who label an item err together.
        gold: How many items have votes and a known option.
        is_calibrated: Whether the temperature was learnt from them; of fewer than 20 it is a guess.
    """

    attribute: ItemAttribute
    items: tuple[str, ...]
    probabilities: Array
    lower: Array
    votes: Array
    known: NDArray[np.bool_]
    temperature: float
    gold: int
    is_calibrated: bool

    @property
    def kept(self) -> list[str]:
        """The items that a filter lets into lists; without one all that were labelled."""
        if self.attribute.at_least is None:
            return list(self.items)
        enough = self.lower[:, self.attribute.options.index(self.attribute.only)] >= self.attribute.at_least
        return [item for item, is_enough in zip(self.items, enough, strict=True) if is_enough]


def labels_of(
    attribute: ItemAttribute, told: Iterable[object], calibrations: Iterable[Calibration], gold: Gold
) -> ItemLabels:
    """The posterior of what was told, the same to the bit in whatever order it came.

    Of the answers of one source about an item the last counts; one that is no option takes back the one before.

    Args:
        told: Contents of a log, in its order; those that are no answers about the attribute say nothing here.
        calibrations: Of the same log, in its order: of a source the last one about the attribute holds, for what it
            said before, too.
        gold: Of items of which the option is known.
    """
    reliability = {one.source: one.reliability for one in calibrations if one.subject == attribute.name}
    said, n_options = _standing(attribute, told), len(attribute.options)
    crowd, voices = Crowd(n_options), dict[str, dict[str, float]]()
    for item, source in sorted(said):
        answer = said[item, source]
        uncalibrated = 0.0 if source.startswith(MACHINE) else 1.0
        weight = weight_of(answer) * reliability.get(source, uncalibrated)
        if not weight:
            continue
        family = answer.provenance.family
        crowd.vote(item, source, _vote(int(answer.value or 0), weight, n_options), family=family)
        of_item, voice = voices.setdefault(item, {}), family or source
        of_item[voice] = max(of_item.get(voice, 0.0), weight)
    items = tuple(sorted({*voices, *gold}))
    voted = np.array([item in voices for item in items], dtype=bool)
    probabilities, lower = np.zeros((2, len(items), n_options))
    temperature = Temperature()
    if voices:
        crowd.sweep()
        compared = {item: gold[item] for item in items if item in gold and item in voices}
        temperature = crowd.calibrate(compared)
        whom = [item for item in items if item in voices]
        probabilities[voted] = crowd.probabilities(whom)
        lower[voted] = np.minimum(probabilities[voted], _lower(crowd, whom, compared))
    known = np.array([item in gold for item in items], dtype=bool)
    probabilities[known] = lower[known] = np.eye(n_options)[[gold[item] for item in items if item in gold]]
    votes = np.array([sum(voices.get(item, {}).values()) for item in items], dtype=np.float64)
    how = float(temperature.value), int(temperature.gold), bool(temperature.is_calibrated)
    return ItemLabels(attribute, items, probabilities, lower, votes, known, *how)


def _standing(attribute: ItemAttribute, told: Iterable[object]) -> dict[tuple[str, str], Answer]:
    """The answer of each source about each item that counts, by both."""
    standing, strange = dict[tuple[str, str], Answer](), 0
    for one in told:
        if not isinstance(one, Answer) or one.provenance.subject != attribute.name:
            continue
        if one.value is None:
            standing.pop((one.item_id, one.source), None)
        elif one.value not in range(len(attribute.options)):
            strange += 1
        else:
            standing[one.item_id, one.source] = one
    if strange:
        warnings.warn(
            f"{strange} labels about {attribute.name!r} name none of its {len(attribute.options)} options and are left "
            "out. Declare the options that they were asked with.",
            stacklevel=2,
        )
    return standing


def _vote(option: int, weight: float, n_options: int) -> int | Array:
    """An option, or shares of all."""
    if weight == 1.0:
        return option
    shares = np.full(n_options, (1.0 - weight) / n_options)
    shares[option] += weight
    return shares


def _lower(crowd: Crowd, items: list[str], gold: Gold) -> Array:
    """Probabilities under a cautious temperature and, where that is less, with equal shares before any vote, (n, K)."""
    value, posterior = CAUTIOUS, crowd.posterior(items)
    if crowd.temperature.is_calibrated:
        tried = np.linspace(0.0, crowd.temperature.value, _TRIED)
        of_gold, truth = crowd.posterior(gold), (np.arange(len(gold)), np.array(list(gold.values())))
        losses = np.array([-np.log(_tempered(of_gold, one)[truth]).sum() for one in tried])
        value = float(tried[int(np.argmax(losses <= losses[-1] + _WORSE))])
    return np.minimum(_tempered(posterior, value), _tempered(posterior / crowd.prior, value))


def _tempered(chances: Array, temperature: float) -> Array:
    """To that power, and scaled to a sum of 1, (n, K)."""
    raised = np.maximum(chances, TINY) ** temperature
    return np.asarray(raised / raised.sum(1, keepdims=True))
