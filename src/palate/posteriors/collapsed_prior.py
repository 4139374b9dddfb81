"""The content prior once more at the end of a fit, with the items' factors integrated out.

In the sweeps of :mod:`palate.posteriors.fit` the coefficients are a regression on the items' posterior means. Those of
an item with few answers lie near what the prior said before, and count as much as those of an item with many: content
is believed too little, and the first block that explains something keeps the others off. Here, with the users' beliefs
as they are, an item's factors are a function of the coefficients (``q(B) q(w | B)``), so that

    Σ_i log p(answers | w̃_i = f_i + Λ^½ ε) = Σ_i f_iᵀ g_i − ½ f_iᵀ M_i f_i + const,        f_i = mean + Bᵀ x_i,

    M_i = Λ⁻¹ − Λ⁻¹ C_i Λ⁻¹,        g_i = Λ⁻¹ C_i h_i,        C_i = (Λ⁻¹ + P_i)⁻¹

where ``P_i`` and ``h_i`` are the precision and the pull of the item's answers. Direction after direction this is a
ridge regression in which an item counts as much as its answers say, its strengths of most evidence (collapsed as in
Titsias, Lázaro-Gredilla, NIPS 2011) and averaged over which blocks are heard; Λ follows by expectation maximisation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.arrays import Array
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.ridge import Design
from palate.posteriors.statistics import blocks

_ROUNDS = 3
_STEPS = 8  # of expectation maximisation a round, which costs little beside the regressions
_UNHEARD = 1e-3  # reliability below which answers say nothing of a direction


def settle(
    prior: FusedPrior, precisions: Array, pulls: Array, content: Array, floor: float
) -> tuple[FusedPrior, Array, Array]:
    """The prior of most evidence given the users, and what items are believed to be under it.

    Args:
        prior: That of the last sweep.
        precisions: What the answers to each item say of its level and factors, (I, A, A).
        pulls: Precision times the value they point at, (I, A).
        content: Of the items, (I, E); a block that an item lacks is NaN.
        floor: Smallest variance kept on any factor (units of the answers squared).
    Returns:
        The prior, posterior means, (I, A), and covariances, (I, A, A).
    """
    centred = prior.centred(content)
    for _ in range(_ROUNDS):
        back = _directions(prior.covariance, centred @ prior.coefficients)
        turned = np.empty_like(precisions)
        for items in blocks(len(turned)):
            turned[items] = back.T @ precisions[items] @ back
        along = np.asarray(np.linalg.solve(back, prior.coefficients.T).T, dtype=np.float64)
        found = _regressions(centred, along, turned, (pulls - precisions @ prior.mean) @ back, prior.sizes)
        mean = prior.mean + back @ found.shift
        own = _Spread.start(turned, (pulls - precisions @ mean) @ back, found)
        for _ in range(_STEPS):
            own = own.step()
        covariance = back @ own.covariance @ back.T
        prior = replace(
            prior,
            mean=mean + back @ own.shift,
            covariance=(covariance + covariance.T) / 2 + floor * np.eye(len(covariance)),
            coefficients=found.along @ back.T,
            # an item counts as much as is reliable: (r G + ρ)⁻¹ = (G + ρ / r)⁻¹ / r, which the prior can hold
            back=back / np.sqrt(found.reliable),
            strengths=found.strengths / found.reliable,
        )
    factors, covariances = own.beliefs()
    for items in blocks(len(covariances)):
        covariances[items] = back @ covariances[items] @ back.T
    return prior, prior.mean + factors @ back.T, covariances


def _directions(covariance: Array, explained: Array) -> Array:
    """Where Λ is the identity and what content explains, (I, A), uncorrelated; back from there, (A, A)."""
    lower = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(lower, explained.T)
    unequal = np.diag(np.arange(len(lower)) * 1e-9)  # so that directions are definite without content too
    return np.asarray(lower @ np.linalg.eigh(scaled @ scaled.T / len(explained) + unequal)[1])


class _Found:
    """Regressions in directions where Λ is the identity.

    Attributes:
        along: Coefficients, (E, A).
        said: What they say of each item, (I, A), and how unsure, (I, A).
        strengths: (B, A).
        reliable: Share of an item that its answers tell, mean of the items, (A,).
        shift: Of the population mean, (A,).
    """

    def __init__(self, along: Array, said: Array, n_blocks: int) -> None:
        self.along, self.said, self.doubt = along, said, np.zeros_like(said)
        self.strengths, self.reliable = np.ones((n_blocks, said.shape[1])), np.ones(said.shape[1])
        self.shift = np.zeros(said.shape[1])


def _regressions(centred: Array, along: Array, precisions: Array, pulls: Array, sizes: tuple[int, ...]) -> _Found:
    """One pass over the directions, each given the others."""
    size = pulls.shape[1]
    found = _Found(along.copy(), centred @ along, len(sizes))
    reliable, pulls = np.empty_like(precisions), pulls.copy()
    for items in blocks(len(pulls)):
        known = np.linalg.inv(np.eye(size) + precisions[items])
        reliable[items], pulls[items] = np.eye(size) - known, np.einsum("iab,ib->ia", known, pulls[items])
    total, energy = reliable.sum(0) + 1e-9 * np.eye(size), float((centred**2).sum())
    for a in range(size):
        left = pulls[:, a] - np.einsum("ib,ib->i", reliable[:, a], found.said + found.shift)
        weights = reliable[:, a, a]
        gram = (centred * weights[:, None]).T @ centred
        design, projected = Design(gram, sizes), centred.T @ (left + weights * found.said[:, a])
        heard = float(np.trace(gram)) / energy if energy > 0.0 else 0.0
        places, found.along[:, a] = design.averaged(projected) if heard > _UNHEARD else (design.off, 0.0)
        ridge = design.ridge(places)
        found.said[:, a] = centred @ found.along[:, a]
        found.doubt[:, a] = np.einsum("ie,ie->i", centred @ ridge.covariance, centred)
        found.strengths[:, a] = design.strengths([places])[:, 0]
        found.reliable[a] = max(heard, _UNHEARD)
        left = pulls - _times(reliable, found.said + found.shift)
        found.shift += np.linalg.solve(total, left.sum(0))
    return found


class _Spread:
    """What items differ by beyond their content, by expectation maximisation, the coefficients being found.

    Attributes:
        covariance: Λ where it was the identity at the start, (A, A).
        shift: Of the population mean since the start, (A,).
    """

    def __init__(self, covariance: Array, shift: Array, precisions: Array, pulls: Array, found: _Found) -> None:
        self.covariance, self.shift = covariance, shift
        self._precisions, self._pulls, self._found = precisions, pulls, found

    @classmethod
    def start(cls, precisions: Array, pulls: Array, found: _Found) -> _Spread:
        """From precisions, (I, A, A), and pulls, (I, A), less what the population mean explains."""
        size = len(found.shift)
        return cls(np.eye(size), np.zeros(size), precisions, pulls, found)

    def _given(self, inverse: Array, items: slice) -> tuple[Array, Array]:
        """Of some items: covariances given the coefficients, and means beyond the prior's, (n, A)."""
        precisions, expected = self._precisions[items], self._found.said[items] + self.shift
        given = np.asarray(np.linalg.inv(inverse + precisions), dtype=np.float64)
        return given, np.einsum("iab,ib->ia", given, self._pulls[items] - _times(precisions, expected))

    def step(self) -> _Spread:
        inverse, n = np.asarray(np.linalg.inv(self.covariance), dtype=np.float64), len(self._pulls)
        spread, reliable, pulled = np.zeros_like(inverse), np.zeros_like(inverse), np.zeros_like(self.shift)
        for items in blocks(n):
            given, beyond = self._given(inverse, items)
            moved = np.eye(len(inverse)) - given @ inverse  # by answers, per unit of what the coefficients are wrong
            spread += given.sum(0) + beyond.T @ beyond
            spread += np.einsum("iab,ib,icb->ac", moved, self._found.doubt[items], moved, optimize=True)
            reliable += len(given) * inverse - inverse @ given.sum(0) @ inverse
            pulled += (beyond @ inverse).sum(0)
        shift = np.linalg.solve(reliable + 1e-9 * np.eye(len(inverse)), pulled)
        return _Spread(spread / n, self.shift + shift, self._precisions, self._pulls, self._found)

    def beliefs(self) -> tuple[Array, Array]:
        """Means beyond the population's, (I, A), and covariances, (I, A, A), the doubt about coefficients with them."""
        inverse = np.asarray(np.linalg.inv(self.covariance), dtype=np.float64)
        means, covariances = np.empty_like(self._pulls), np.empty_like(self._precisions)
        for items in blocks(len(means)):
            given, beyond = self._given(inverse, items)
            kept = given @ inverse
            doubt = (kept * self._found.doubt[items, None, :]) @ np.swapaxes(kept, 1, 2)
            means[items], covariances[items] = self._found.said[items] + beyond, given + doubt
        return means, covariances


def _times(matrices: Array, vectors: Array) -> Array:
    return np.asarray(np.einsum("iab,ib->ia", matrices, vectors))
