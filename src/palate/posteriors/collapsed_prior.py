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

Items are worked on in blocks by pure functions whose sums add (:class:`Passes`): they may lie on several machines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np

from palate.arrays import Array
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.ridge import Design
from palate.posteriors.statistics import blocks, pack, row_places, unpack
from palate.posteriors.symmetric import turned

_ROUNDS = 3
_STEPS = 8  # of expectation maximisation a round, which costs little beside the regressions
_UNHEARD = 1e-3  # reliability below which answers say nothing of a direction
_NONE = np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class Told:
    """What answers and content say of some items, and how far :func:`settle_blocks` has come with them.

    Attributes:
        precisions: What the answers say of level and factors, packed, (I, P).
        pulls: Precision times the value they point at, (I, A).
        centred: Encodings less their mean, (I, E).
        turned: The precisions in the directions of this round, packed, (I, P).
        reliable: Share of an item that its answers tell, in these directions, packed, (I, P).
        heard: That share times what the answers point at, (I, A).
        said: What the coefficients say, (I, A), and ``doubt``, how unsure, (I, A).
        own: The pulls in these directions less what the population mean explains, (I, A).
    """

    precisions: Array
    pulls: Array
    centred: Array
    turned: Array = field(default_factory=lambda: _NONE)
    reliable: Array = field(default_factory=lambda: _NONE)
    heard: Array = field(default_factory=lambda: _NONE)
    said: Array = field(default_factory=lambda: _NONE)
    doubt: Array = field(default_factory=lambda: _NONE)
    own: Array = field(default_factory=lambda: _NONE)


Sums = tuple[Array, ...]


class Passes(Protocol):
    """All items, in blocks."""

    def each(self, function: Callable[..., tuple[Told, Sums]], *arguments: object) -> Sums:
        """What ``function(block, *arguments)`` sums, over the blocks, each of which becomes what it returns."""


class OneBlock:
    """All items in one block."""

    def __init__(self, block: Told) -> None:
        self.block = block

    def each(self, function: Callable[..., tuple[Told, Sums]], *arguments: object) -> Sums:
        self.block, sums = function(self.block, *arguments)
        return sums


def settle(
    prior: FusedPrior, precisions: Array, pulls: Array, content: Array, floor: float
) -> tuple[FusedPrior, Array, Array]:
    """:func:`settle_blocks` of items at hand.

    Args:
        precisions: What the answers to each item say of its level and factors, (I, A, A).
        pulls: Precision times the value they point at, (I, A).
        content: Of the items, (I, E); a block that an item lacks is NaN.
    Returns:
        The prior, posterior means, (I, A), and covariances, (I, A, A).
    """
    items = OneBlock(Told(pack(precisions), pulls, prior.centred(content)))
    prior, believed = settle_blocks(prior, items, floor)
    factors, covariances = believed(items.block)
    return prior, factors, unpack(covariances)


def settle_blocks(
    prior: FusedPrior, passes: Passes, floor: float
) -> tuple[FusedPrior, Callable[[Told], tuple[Array, Array]]]:
    """The prior of most evidence given the users, and what items are believed to be under it.

    Args:
        prior: That of the last sweep, of all the items.
        floor: Smallest variance kept on any factor (units of the answers squared).
    Returns:
        The prior, and what gives a block's posterior means, (I, A), and covariances, packed, (I, P).
    """
    for _ in range(_ROUNDS):
        back = _directions(prior)
        along = np.asarray(np.linalg.solve(back, prior.coefficients.T).T, dtype=np.float64)
        found = _regressions(prior, passes, back, along)
        mean = prior.mean + back @ found.shift
        passes.each(_less_the_mean, back, mean)
        own, shift = np.eye(len(back)), np.zeros(len(back))
        for _ in range(_STEPS):
            inverse = np.asarray(np.linalg.inv(own), dtype=np.float64)
            spread, reliable, pulled = passes.each(_expected, inverse, shift)
            own = spread / prior.items
            shift = shift + np.linalg.solve(reliable + 1e-9 * np.eye(len(inverse)), pulled)
        covariance = back @ own @ back.T
        prior = replace(
            prior,
            mean=mean + back @ shift,
            covariance=(covariance + covariance.T) / 2 + floor * np.eye(len(covariance)),
            coefficients=found.along @ back.T,
            # an item counts as much as is reliable: (r G + ρ)⁻¹ = (G + ρ / r)⁻¹ / r, which the prior can hold
            back=back / np.sqrt(found.reliable),
            strengths=found.strengths / found.reliable,
        )
    inverse = np.asarray(np.linalg.inv(own), dtype=np.float64)
    return prior, partial(_believed, back=back, inverse=inverse, shift=shift, mean=prior.mean)


def _directions(prior: FusedPrior) -> Array:
    """Where Λ is the identity and what content explains uncorrelated over the items; back from there, (A, A)."""
    lower = np.linalg.cholesky(prior.covariance)
    explained = np.linalg.solve(lower, prior.coefficients.T)
    unequal = np.diag(np.arange(len(lower)) * 1e-9)  # so that directions are definite without content too
    total = explained @ prior.gram @ explained.T / prior.items
    return np.asarray(lower @ np.linalg.eigh((total + total.T) / 2 + unequal)[1])


class _Found:
    """Regressions in directions where Λ is the identity.

    Attributes:
        along: Coefficients, (E, A).
        strengths: (B, A).
        reliable: Share of an item that its answers tell, mean of the items, (A,).
        shift: Of the population mean, (A,).
    """

    def __init__(self, along: Array, n_blocks: int) -> None:
        size = along.shape[1]
        self.along, self.strengths = along.copy(), np.ones((n_blocks, size))
        self.reliable, self.shift = np.ones(size), np.zeros(size)


def _regressions(prior: FusedPrior, passes: Passes, back: Array, along: Array) -> _Found:
    """One pass over the directions, each given the others."""
    size, found = len(back), _Found(along, len(prior.sizes))
    (total,) = passes.each(_begin, back, prior.mean, along)
    total, energy = total + 1e-9 * np.eye(size), float(np.trace(prior.gram))
    for a in range(size):
        gram, projected = passes.each(_regress, a, found.shift)
        design = Design(gram, prior.sizes)
        heard = float(np.trace(gram)) / energy if energy > 0.0 else 0.0
        places, found.along[:, a] = design.averaged(projected) if heard > _UNHEARD else (design.off, 0.0)
        found.strengths[:, a] = design.strengths([places])[:, 0]
        found.reliable[a] = max(heard, _UNHEARD)
        (left,) = passes.each(_hear, a, found.along[:, a], design.ridge(places).covariance, found.shift)
        found.shift = found.shift + np.linalg.solve(total, left)
    return found


def _begin(block: Told, back: Array, mean: Array, along: Array) -> tuple[Told, Sums]:
    """A block in the directions of this round, and the sum of what its items' answers tell, (A, A)."""
    size, own = len(back), turned(block.precisions, back.T)
    pulls = (block.pulls - _times(block.precisions, mean)) @ back
    reliable, heard = np.empty_like(own), np.empty_like(pulls)
    for items in blocks(len(pulls)):
        known = np.linalg.inv(np.eye(size) + unpack(own[items]))
        reliable[items], heard[items] = pack(np.eye(size) - known), np.einsum("iab,ib->ia", known, pulls[items])
    said = block.centred @ along
    block = replace(block, turned=own, reliable=reliable, heard=heard, said=said, doubt=np.zeros_like(said))
    return block, (unpack(reliable.sum(0)),)


def _regress(block: Told, a: int, shift: Array) -> tuple[Told, Sums]:
    """What a regression along direction ``a`` needs: (E, E) and (E,)."""
    of_row = block.reliable[:, row_places(len(shift), a)]
    left = block.heard[:, a] - np.einsum("ib,ib->i", of_row, block.said + shift)
    weights = of_row[:, a]
    gram = (block.centred * weights[:, None]).T @ block.centred
    return block, (gram, block.centred.T @ (left + weights * block.said[:, a]))


def _hear(block: Told, a: int, along: Array, covariance: Array, shift: Array) -> tuple[Told, Sums]:
    """With new coefficients along direction ``a``, and the sum of what all leave unexplained, (A,)."""
    said, doubt = block.said.copy(), block.doubt.copy()
    said[:, a] = block.centred @ along
    doubt[:, a] = np.einsum("ie,ie->i", block.centred @ covariance, block.centred)
    left = block.heard - _times(block.reliable, said + shift)
    return replace(block, said=said, doubt=doubt), (left.sum(0),)


def _less_the_mean(block: Told, back: Array, mean: Array) -> tuple[Told, Sums]:
    return replace(block, own=(block.pulls - _times(block.precisions, mean)) @ back), ()


def _given(block: Told, inverse: Array, shift: Array, items: slice) -> tuple[Array, Array]:
    """Of some items: covariances given the coefficients, and means beyond the prior's, (n, A)."""
    precisions, expected = unpack(block.turned[items]), block.said[items] + shift
    given = np.asarray(np.linalg.inv(inverse + precisions), dtype=np.float64)
    left = block.own[items] - np.einsum("iab,ib->ia", precisions, expected)
    return given, np.einsum("iab,ib->ia", given, left)


def _expected(block: Told, inverse: Array, shift: Array) -> tuple[Told, Sums]:
    """One step of expectation maximisation of what items differ by beyond their content, the coefficients being found.

    Args:
        inverse: Of Λ, which was the identity at the start of the round, (A, A).
        shift: Of the population mean since then, (A,).
    Returns:
        Sums of ``E[w̃ w̃ᵀ]`` beyond the prior's mean, (A, A), of what the answers tell, (A, A), and of pulls, (A,).
    """
    spread, reliable, pulled = np.zeros_like(inverse), np.zeros_like(inverse), np.zeros_like(shift)
    for items in blocks(len(block.own)):
        given, beyond = _given(block, inverse, shift, items)
        moved = np.eye(len(inverse)) - given @ inverse  # by answers, per unit of what the coefficients are wrong
        spread += given.sum(0) + beyond.T @ beyond
        spread += np.einsum("iab,ib,icb->ac", moved, block.doubt[items], moved, optimize=True)
        reliable += len(given) * inverse - inverse @ given.sum(0) @ inverse
        pulled += (beyond @ inverse).sum(0)
    return block, (spread, reliable, pulled)


def _believed(block: Told, back: Array, inverse: Array, shift: Array, mean: Array) -> tuple[Array, Array]:
    """Posterior means, (I, A), and covariances, packed, (I, P), the doubt about coefficients with them."""
    means, covariances = np.empty_like(block.pulls), np.empty_like(block.precisions)
    for items in blocks(len(means)):
        given, beyond = _given(block, inverse, shift, items)
        kept = given @ inverse
        doubt = (kept * block.doubt[items, None, :]) @ np.swapaxes(kept, 1, 2)
        means[items] = mean + (block.said[items] + beyond) @ back.T
        covariances[items] = pack(back @ (given + doubt) @ back.T)
    return means, covariances


def _times(matrices: Array, vectors: Array) -> Array:
    """Of packed matrices, (I, P), and vectors, (I, A) or one for all, (A,)."""
    out = np.empty((len(matrices), vectors.shape[-1]))
    for items in blocks(len(matrices)):
        mine = vectors[items] if vectors.ndim == 2 else np.broadcast_to(vectors, out[items].shape)
        out[items] = np.einsum("iab,ib->ia", unpack(matrices[items]), mine)
    return out
