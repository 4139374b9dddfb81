"""Whether a language model can be relied on, and how its answers are read: by gold answers drawn at random.

Gold are answers of the user, or of experts, to questions that the model answers too. They are to be drawn at random, or
weighed by the chance of being drawn: on those that were chosen because a model was unsure of them it looks worse than
it is, and an offset learnt there is wrong everywhere else.

A model likes some labels whatever the item. Per option an offset, and one slope for all, are learnt from gold. Whether
the mean over many items is taken off before is decided on gold, too: it helps where the options are equally common, and
hurts where they are not. Every figure is of answers held out of the fit that they judge.

References:
    Zhao et al., Calibrate before use: improving few-shot performance of language models, ICML 2021;
    Zhou et al., Batch calibration: rethinking calibration for in-context learning and prompt engineering, ICLR 2024;
    Guo et al., On calibration of modern neural networks, ICML 2017 (one slope for all classes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from palate.arrays import Array, Positions
from palate.entities.provenance import TASTE
from palate.errors import DataError, OptionError
from palate.errors.checks import count, positive, several, share
from palate.oracles.language_model.choosing import Said, likeliest
from palate.oracles.language_model.prompts import digest_of
from palate.records import Calibration

LEAST_GOLD = 20  # answers
GOLD_SHARE = 0.1  # of all questions
LEAST_AGREEMENT = 0.8  # of the two orders of the options
MOST_RELIABILITY = 0.99  # of a machine: its answer never takes the place of the user's own
_FOLDS = 10
_LOW = 0.1  # quantile of the reliability that may be spent on


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """How the answers of one source are read, and how reliable they are then.

    Attributes:
        raw: The source without calibration. What is read by this one has the source ``source``.
        offsets: Of each option, in nats, (K,).
        slope: Of the log-probabilities.
        gold: Answers that it was learnt from.
        agreement: Share of them to which both orders of the options had the same answer.
        accuracy: Share of them, held out, that was right.
        reliability: What an answer counts (:class:`palate.records.Calibration`): of options (p − 1/K) / (1 − 1/K) of
            the share p that is right, of ratings the noise of the user's own answer over that of the model's.
        low: The same where the doubt about p, of one in ten, goes against the model.
        refused: Why the source is not to be used; empty where it may be.
        certainty, right: Of each gold answer, held out, (gold,): for :func:`palate.oracles.calibration.certain_from`.
    """

    raw: str
    offsets: Array
    slope: float
    gold: int
    agreement: float
    accuracy: float
    reliability: float
    low: float
    refused: str = ""
    certainty: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    right: Array = field(default_factory=lambda: np.zeros(0), repr=False)

    @property
    def source(self) -> str:
        """Whose answers these are: other numbers are another source."""
        return f"{self.raw}+{digest_of([round(float(one), 9) for one in (*self.offsets, self.slope)])[:8]}"

    def probabilities(self, logp: npt.ArrayLike) -> Array:
        """Of the options, (..., K), by what the model said, (..., K) in nats."""
        return _read(np.asarray(logp, dtype=np.float64), self.offsets, self.slope)

    def option(self, logp: Array | None) -> int | None:
        """The place of the likeliest option; None without one."""
        return None if logp is None else likeliest(self.probabilities(logp))

    def record(self, subject: str = TASTE, *, at: float | None = None, key: str = "") -> Calibration:
        """What the log keeps of it: 0 where it is refused."""
        return Calibration(self.source, self.reliability, subject, at, key)


def draw_gold(
    n: int, *, share_of: float = GOLD_SHARE, least: int = LEAST_GOLD, rng: np.random.Generator
) -> tuple[Positions, float]:
    """Which of n questions are put to people too, ascending, and the probability with which each was drawn."""
    wanted = max(math.ceil(share(share_of, "share_of") * count(n, "n", least=1)), count(least, "least"))
    drawn = min(wanted, n)
    return np.sort(rng.choice(n, drawn, replace=False)), drawn / n


def calibrate(
    said: Sequence[Said],
    truth: Sequence[int],
    *,
    propensities: Sequence[float],
    batch: Sequence[Said] = (),
    levels: Sequence[float] = (),
    noise: float | None = None,
) -> Calibrated:
    """From what one source said to gold questions.

    Args:
        said: By one source, as :meth:`LanguageModel.said` gives it.
        truth: The places of the options that people gave.
        propensities: With which probability each was drawn to be gold, above 0.
        batch: What it said to other questions of the kind, for its mean; gold alone where there is none.
        levels: The rating that each option is, and ``noise`` the variance of the user's own answer about what they
            think, where they are ratings and what is learnt of them is Gaussian.
    Raises:
        OptionError: If there are fewer than 20, of several sources, not as many of each, or not drawn at random.
        DataError: If a truth is no option.
    """
    gold, places = several(said, "said"), several(truth, "truth")
    chances = np.array([share(one, "a propensity") for one in several(propensities, "propensities", "[0.1, 0.1]")])
    if not len(gold) == len(places) == len(chances) >= LEAST_GOLD:
        n = f"{len(gold)} answers of the model, {len(places)} truths and {len(chances)} propensities"
        raise OptionError(f"there are {n}. Give one of each for {LEAST_GOLD} gold questions or more.")
    if not (chances > 0.0).all():
        raise OptionError("the propensity of a gold question is 0. Draw gold at random, as draw_gold does.")
    kept = [place for place, one in enumerate(gold) if one.logp is not None]
    sources = sorted({gold[place].source for place in kept})
    if len(sources) > 1:
        raise OptionError(f"gold was answered by {len(sources)} sources, {sources[0]!r} and others. Calibrate each.")
    if len(kept) < LEAST_GOLD:
        raw = sources[0] if sources else gold[0].source
        return _refused(raw, gold, kept, f"it answered {len(kept)} of {len(gold)} gold questions")
    logp, right = np.array([gold[place].logp for place in kept]), _places(places, kept, len(gold[kept[0]].logp))
    weights = 1.0 / chances[kept]
    weights *= len(kept) / weights.sum()
    agreement = float(np.average([gold[place].agrees for place in kept], weights=weights))
    if agreement < LEAST_AGREEMENT - 1e-9:  # a rounding error is forgiven
        why = f"the two orders of the options have the same answer to {agreement:.0%} of gold"
        return _refused(sources[0], gold, kept, why, agreement)
    others = [one.logp for one in several(batch, "batch") if one.logp is not None and one.source == sources[0]]
    centre = np.mean([*logp, *others], axis=0)
    return _fitted(sources[0], logp, right, weights, centre, agreement, np.asarray(levels, dtype=np.float64), noise)


def _refused(raw: str, gold: Sequence[Said], kept: Sequence[int], why: str, agreement: float = 0.0) -> Calibrated:
    options = len(gold[kept[0]].logp) if kept else 0  # type: ignore[arg-type]  # kept are those with an answer
    return Calibrated(raw, np.zeros(options), 1.0, len(kept), agreement, math.nan, 0.0, 0.0, why)


def _places(truth: Sequence[object], kept: Sequence[int], options: int) -> Positions:
    found = [count(truth[place], "a truth") for place in kept]
    if max(found) >= options:
        raise DataError(f"a truth is option {max(found)} of {options}. Give places from 0.")
    return np.array(found, dtype=np.intp)


def _fitted(
    raw: str,
    logp: Array,
    truth: Positions,
    weights: Array,
    centre: Array,
    agreement: float,
    levels: Array,
    noise: float | None,
) -> Calibrated:
    """With or without the mean taken off, by which held-out truths are the likelier."""
    centres = (np.zeros_like(centre), centre)
    held = [_held_out(logp - one, truth, weights) for one in centres]
    rows = np.arange(len(truth))
    losses = [float(-(weights * np.log(np.maximum(chances[rows, truth], 1e-300))).sum()) for chances in held]
    best = int(np.argmin(losses))
    offsets, slope = _fit(logp - centres[best], truth, weights)
    offsets = offsets - slope * centres[best]
    said, right = held[best].argmax(1), held[best].argmax(1) == truth
    accuracy, low = _share_right(right, weights)
    options = logp.shape[1]
    found = [max((one - 1.0 / options) / (1.0 - 1.0 / options), 0.0) for one in (accuracy, low)]
    if len(levels):
        found = _of_ratings(levels[said] - levels[truth], weights, positive(noise, "noise"))
    reliability, lowest = (min(one, MOST_RELIABILITY) for one in found)
    return Calibrated(
        raw,
        offsets - offsets.mean(),
        slope,
        len(truth),
        agreement,
        float(np.average(right, weights=weights)),
        reliability,
        lowest,
        certainty=held[best].max(1),
        right=right.astype(np.float64),
    )


def _held_out(logp: Array, truth: Positions, weights: Array) -> Array:
    """Probabilities of the options of each gold question, by a fit to the others, (n, K)."""
    fold, found = np.arange(len(truth)) % _FOLDS, np.empty_like(logp)
    for one in range(_FOLDS):
        rest = fold != one
        found[~rest] = _read(logp[~rest], *_fit(logp[rest], truth[rest], weights[rest]))
    return found


def _read(logp: Array, offsets: Array, slope: float) -> Array:
    raised = slope * logp + offsets
    chances = np.exp(raised - raised.max(-1, keepdims=True))
    return np.asarray(chances / chances.sum(-1, keepdims=True))


def _fit(logp: Array, truth: Positions, weights: Array) -> tuple[Array, float]:
    """Offsets, (K,), and slope: likeliest under normal priors of variance 1, of the slope on its logarithm."""
    from scipy.optimize import minimize

    n, options = logp.shape
    rows = np.arange(n)

    def loss(parameters: Array) -> tuple[float, Array]:
        offsets, slope = parameters[:-1], math.exp(parameters[-1])
        chances = _read(logp, offsets, slope)
        value = -(weights * np.log(np.maximum(chances[rows, truth], 1e-300))).sum() + 0.5 * (parameters**2).sum()
        slip = chances * weights[:, None]
        slip[rows, truth] -= weights
        return float(value), np.append(slip.sum(0), slope * (slip * logp).sum()) + parameters

    bounds = [(None, None)] * options + [(-5.0, 5.0)]
    found = minimize(loss, np.zeros(options + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    return found[:-1], float(math.exp(found[-1]))


def _share_right(right: npt.NDArray[np.bool_], weights: Array) -> tuple[float, float]:
    """Posterior mean and low quantile of the share, by as many answers as the weighed ones are worth."""
    from scipy.stats import beta

    worth = weights.sum() ** 2 / (weights**2).sum()
    good = 1.0 + worth * np.average(right, weights=weights)
    bad = 2.0 + worth - good
    return float(good / (good + bad)), float(beta.ppf(_LOW, good, bad))


def _of_ratings(slips: Array, weights: Array, noise: float) -> list[float]:
    """Noise over that of the model's ratings; and the same where that is as large as it is one time in ten."""
    from scipy.stats import chi2

    worth = weights.sum() ** 2 / (weights**2).sum()
    square = float(np.average(slips**2, weights=weights))
    largest = square * worth / float(chi2.ppf(_LOW, worth))
    return [noise / max(one - noise, noise) for one in (square, largest)]
