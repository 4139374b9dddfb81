"""The other half of a sweep: beliefs about items given the sums over users, then their prior and the noise.

A block of items is worked on by itself, given what all items have in common (:class:`Step`); what the prior and the
noise need to know of it are sums that add (:class:`ItemSums`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma

from palate.arrays import Array
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.prior import Prior, PriorSums
from palate.posteriors.statistics import Block, Head, Turn, pack, unpack
from palate.posteriors.symmetric import solve, turned

FLOOR = 1e-9  # smallest variance of a factor or of noise, as a share of that of the answers
SPREAD = 20.0  # n₀ of the users' noise at the start
_NOISE_ANSWERS = 100.0  # an item's own noise counts as much as the common one once it has this many answers
_SPREADS = (4.0, 1e4)  # range of n₀; with 4 and less the variance of what users vary by is infinite


@dataclass(frozen=True, slots=True)
class ItemBlock:
    """What a sweep moves of some items.

    Attributes:
        factors: Level and factors, posterior means, (I, A).
        covariances: Packed, (I, P).
        noise: σ², (I,).
    """

    factors: Array
    covariances: Array
    noise: Array

    def turned(self, matrix: Array) -> ItemBlock:
        """The same where level and factors are ``matrix @ w̃``, matrix (A', A)."""
        return ItemBlock(self.factors @ matrix.T, turned(self.covariances, matrix), self.noise)

    @property
    def squares(self) -> Array:
        """Sum of ``E[w̃ w̃ᵀ]``, (A, A)."""
        return np.asarray(self.factors.T @ self.factors + unpack(self.covariances.sum(0)))


@dataclass(frozen=True, slots=True)
class Common:
    """What all items have in common between two sweeps.

    Attributes:
        prior: Of level and factors.
        likelihood: With what was learnt of it.
        noise: The common noise around which that of each item lies, σ².
        spread: n₀, answers that the prior of a user's noise counts as.
    """

    prior: Prior
    likelihood: Likelihood
    noise: float = 1.0
    spread: float = SPREAD


@dataclass(frozen=True, slots=True)
class Step:
    """What the items' half of a sweep is given, beside the sums over each item's answers.

    Attributes:
        common: With the prior in the coordinates of the sweep.
        forward: Takes the users' t there, (A, A).
        unseen: What every item's moment gets of all users, (A, A).
        scatter: What it gets for each answer, packed, (P,); zeros where nothing.
    """

    common: Common
    forward: Array
    unseen: Array
    scatter: Array

    @classmethod
    def of(cls, common: Common, turn: Turn) -> Step:
        """The tastes behind single events lie around those of their people (:attr:`Likelihood.frequency`).

        Where tastes have second moment 1 over the users, each has ``frequency`` more of it in every direction.
        """
        likelihood, size = common.likelihood, len(turn.gram)
        more = likelihood.frequency * np.diag(np.append(0.0, np.ones(size - 1)))
        unseen = likelihood.background * (turn.gram + turn.gram[0, 0] * more)
        common = replace(common, prior=common.prior.transform(turn.backward))
        return cls(common, turn.forward, unseen, pack(more))

    def moment(self, sums: Block) -> Array:
        """What the answers to each item say, packed, (I, P)."""
        moment = sums.moment if _is_unit(self.forward) else turned(sums.moment, self.forward)
        return moment + sums.moment[:, :1] * self.scatter if self.scatter.any() else moment

    def cross(self, sums: Block) -> Array:
        """Σ weight y E[t] of each item, (I, A)."""
        return np.asarray(sums.cross @ self.forward.T)


def _is_unit(matrix: Array) -> bool:
    return bool((matrix == np.eye(len(matrix))).all())


@dataclass(frozen=True, slots=True)
class ItemSums:
    """Sums over a group of items, after their half of a sweep.

    Attributes:
        of_prior: What the prior needs to know.
        log_determinants: Of their covariances.
        errors: Of ``weight E[(y − t · w̃)²] / σ²`` over their answers.
        log_noise: Of ``log 2πσ²`` over their answers, by weight.
        of_noise: Log density of the noise under its prior, up to a constant; 0 where none is learnt.
        inverse_noise: Of ``1 / σ²``.
        precision: Of ``weight / σ²`` over their answers, for confidence above that of the unseen.
    """

    of_prior: PriorSums
    log_determinants: float
    errors: float
    log_noise: float
    of_noise: float
    inverse_noise: float
    precision: float

    def __add__(self, other: ItemSums) -> ItemSums:
        return ItemSums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def items_half(items: ItemBlock, sums: Block, content: Array, step: Step) -> tuple[ItemBlock, ItemSums]:
    """Every item's belief given the users.

    Args:
        items: As of the sweep before; only their noise counts.
        sums: Over their answers, in the coordinates of the users' half.
        content: Encodings of them, (I, E).
    """
    common, noise, n_answers = step.common, items.noise, sums.answers.astype(np.float64, copy=False)
    relevance = np.asarray(np.linalg.inv(common.prior.covariance), dtype=float)
    cross = step.cross(sums)
    pull = common.prior.predict(content) @ relevance + cross / noise[:, None]
    found = solve(step.moment(sums), step.unseen, relevance, pull, noise)
    squares = sums.squares - 2.0 * (found.means * cross).sum(1) + found.fitted
    of_noise, log_noise = 0.0, 0.0
    if common.likelihood.learns_scale:
        noise = np.maximum((squares + _NOISE_ANSWERS * common.noise) / (n_answers + _NOISE_ANSWERS), FLOOR)
        of_noise = float(0.5 * _NOISE_ANSWERS * (np.log(common.noise / noise) - common.noise / noise).sum())
        log_noise = float(n_answers @ np.log(2.0 * np.pi * noise))
    covariances = unpack(found.covariances.sum(0))
    of_prior = PriorSums.of(common.prior.mean, found.means, covariances, common.prior.centred(content))
    return ItemBlock(found.means, found.covariances, noise), ItemSums(
        of_prior=of_prior,
        log_determinants=float(found.log_determinants.sum()),
        errors=float((squares / noise).sum()),
        log_noise=log_noise,
        of_noise=of_noise,
        inverse_noise=float((1.0 / noise).sum()),
        precision=float((sums.moment[:, 0] / noise).sum()),
    )


def common_half(step: Step, sums: ItemSums, head: Head, turn: Turn) -> tuple[Common, float]:
    """The prior, the noise and n₀ given all items; and the bound, in nats.

    Some items divide people for reasons no taste explains; with one noise for all, every strategy that seeks
    information runs after those. The prior of an item's noise is an inverse gamma around a common one, itself at its
    best.
    """
    common, n_items = step.common, sums.of_prior.items
    prior, divergence = common.prior.refit_sums(sums.of_prior, FLOOR)
    evidence = head.latent + sums.of_noise - 0.5 * sums.log_noise - 0.5 * sums.errors
    spread, noise = common.spread, common.noise
    if common.likelihood.learns_scale:
        spread, noise = _spread(head.doubt / head.users), n_items / sums.inverse_noise
    item_information = 0.5 * (n_items * np.linalg.slogdet(prior.covariance)[1] - sums.log_determinants)
    bound = float(evidence - turn.information - item_information - divergence)
    return Common(prior, common.likelihood, noise, spread), bound


def _spread(doubt: float) -> float:
    """n₀ that makes the bound largest, from the mean of ``E[log ν] + E[1 / ν]`` over the users.

    It solves ``log(n₀ / 2) − ψ(n₀ / 2) = doubt − 1``, whose left side falls from infinity to 0.
    """
    low, high = (0.5 * spread for spread in _SPREADS)

    def left(half: float) -> float:
        return float(np.log(half) - digamma(half)) - (doubt - 1.0)

    if left(high) >= 0.0 or left(low) <= 0.0:
        return 2.0 * (high if left(high) >= 0.0 else low)
    return 2.0 * float(brentq(left, low, high))
