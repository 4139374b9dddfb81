"""The sweeps of the batch fit, whoever works out their halves: one process at once, or many on shards and blocks.

Each sweep is a map over users to sums, and one update of all items (model.md, section 2). The evidence lower bound
never falls: each step, the change of coordinates included, maximises it in what it touches. That is why Λ is a full
matrix here. Rescaling tastes so that ``E[z zᵀ] = I`` turns a diagonal prior of the factors into a full one, and forcing
it back to a diagonal would lose bound; a rotation at the end makes the factor part of ``E[w wᵀ]`` diagonal, which is
where relevance is read off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from palate.arrays import Array
from palate.errors import OptionError
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.collapsed_prior import Passes, Told, settle_blocks
from palate.posteriors.item_half import FLOOR, Common, ItemBlock, ItemSums, Step, common_half
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.statistics import Head, Turn

_DROP_EVERY, _GONE = 5, 0.05  # sweeps after which dimensions go that carry less than this share of the same

State = TypeVar("State")
End = TypeVar("End", covariant=True)


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Settings of the batch fit.

    Attributes:
        dim: Taste dimensions at the start; those the data does not support are dropped at the end.
        sweeps: At most this many.
        tolerance: Stop when a sweep raises the bound by less than this share of its size, for answers of variance 1.
        prune: Drop dimensions that carry less than this share of what noise would show as a dimension.
    """

    dim: int = 16
    sweeps: int = 60
    tolerance: float = 3e-5
    prune: float = 0.3

    def __post_init__(self) -> None:
        if self.dim < 1 or self.sweeps < 1:
            raise OptionError(f"dim {self.dim} and sweeps {self.sweeps} must be at least 1.")


class Settling(Passes, Protocol[End]):
    """All items once the sweeps are over, as :func:`settle_blocks` goes through them."""

    def finish(self, believed: Callable[[Told], tuple[Array, Array]]) -> End:
        """The items as they are believed to be in the end."""


class Halves(Protocol[State]):
    """Who works out the halves of a sweep. A state holds what is believed of all items, and what is kept of users."""

    def believe(self, state: State, common: Common) -> tuple[Head, Any]:
        """Beliefs about all users given the items: the sums over users, and the sums over each item's answers."""

    def items(self, state: State, sums: Any, step: Step) -> tuple[State, ItemSums]:
        """Beliefs about all items given the users, who are in the coordinates of the step after it."""

    def settling(self, state: State, sums: Any, step: Step) -> Settling[State]:
        """All items for the end of a fit with content."""

    def turned(self, state: State, matrix: Array) -> State:
        """Level, factors and t in other coordinates, matrix (A', A)."""

    def mean_squares(self, state: State) -> Array:
        """Mean of ``E[w̃ w̃ᵀ]`` over the items, (A, A)."""

    def learnt(self, state: State, common: Common) -> Likelihood:
        """The likelihood with what it learns of the answers between two sweeps."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fit is after some sweeps.

    Attributes:
        common: What all items have in common.
        bounds: After each sweep, in nats.
        edge: Mean square of the factors along a direction that so many answers cannot tell from noise.
        is_done: Whether the sweeps are over.
    """

    common: Common
    bounds: tuple[float, ...] = ()
    edge: float = 0.0
    is_done: bool = False


def sweep(halves: Halves[State], state: State, at: Progress) -> tuple[State, Progress]:
    """One sweep, without the reduction that may follow it."""
    head, sums = halves.believe(state, at.common)
    turn = Turn.of(head)
    step = Step.of(at.common, turn)
    state, of_items = halves.items(state, sums, step)
    common, bound = common_half(step, of_items, head, turn)
    edge = _edge(head.users, of_items, common.likelihood)
    return state, Progress(common, (*at.bounds, bound), edge)


def sweeps(
    halves: Halves[State],
    state: State,
    at: Progress,
    options: FitOptions,
    after: Callable[[State, Progress], State] | None = None,
) -> tuple[State, Progress]:
    """Sweeps until the bound hardly rises, from wherever a fit is.

    Args:
        after: Called after each sweep; gives the state to go on from, which holds the same.
    """
    for number in range(len(at.bounds), 0 if at.is_done else options.sweeps):
        before = None if at.common.likelihood.is_linear else (state, at)
        state, at = sweep(halves, state, at)
        if number % _DROP_EVERY == _DROP_EVERY - 1 and isinstance(at.common.prior, LinearPrior):
            state, at = reduced(halves, state, at, _GONE * at.edge)
        at = replace(at, common=replace(at.common, likelihood=halves.learnt(state, at.common)))
        if number > 2:
            rise, least = at.bounds[-1] - at.bounds[-2], options.tolerance * abs(at.bounds[-1])
            if before is not None and rise < -least:
                common = replace(before[1].common, likelihood=at.common.likelihood)
                state, at = before[0], replace(before[1], common=common, edge=at.edge)
            at = replace(at, is_done=rise < least)
        if after is not None:
            state = after(state, at)
        if at.is_done:
            break
    return state, replace(at, is_done=True)


def settled(halves: Halves[State], state: State, at: Progress) -> tuple[State, Progress]:
    """What content and the answers say of the items once the factors are integrated out; as it is without content."""
    prior = at.common.prior
    if not isinstance(prior, FusedPrior):
        return state, at
    head, sums = halves.believe(state, at.common)
    step = Step.of(at.common, Turn.none(head))
    settling = halves.settling(state, sums, step)
    prior, believed = settle_blocks(prior, settling, FLOOR)
    return settling.finish(believed), replace(at, common=replace(at.common, prior=prior))


def told(items: ItemBlock, sums: Any, content: Array, step: Step) -> Told:
    """What the answers to a block of items and their content say of them."""
    prior = step.common.prior
    assert isinstance(prior, FusedPrior)
    unseen = step.unseen[np.triu_indices(len(step.unseen))]
    precisions = (step.moment(sums) + unseen) / items.noise[:, None]
    return Told(precisions, step.cross(sums) / items.noise[:, None], prior.centred(content))


def reduced(halves: Halves[State], state: State, at: Progress, least: float) -> tuple[State, Progress]:
    """Rotated so that factors are uncorrelated over the items, largest first, without the small ones.

    Args:
        least: Mean square over the items from which a dimension stays.
    """
    values, vectors = np.linalg.eigh(halves.mean_squares(state)[1:, 1:])
    keep = int((values >= least).sum())
    vectors = vectors[:, ::-1][:, :keep]
    vectors = vectors * np.where((vectors**3).sum(0) < 0.0, -1.0, 1.0)  # so that their signs are definite
    rotation = np.zeros((keep + 1, len(values) + 1))
    rotation[0, 0] = 1.0
    rotation[1:, 1:] = vectors.T
    common = replace(at.common, prior=at.common.prior.transform(rotation))
    return halves.turned(state, rotation), replace(at, common=common)


def _edge(users: int, sums: ItemSums, likelihood: Likelihood) -> float:
    """Mean square of the factors along a direction that so many answers cannot tell from noise.

    The largest singular value of noise is that of a direction with ``E[w²] = √(U I) / Σ weight``, σ being in the
    weights: one with less leaves no trace. Baik, Ben Arous, Péché, Annals of Probability 33(5), 2005.
    """
    pairs = float(users * sums.of_prior.items)
    return float(np.sqrt(pairs)) / (sums.precision + likelihood.background * pairs)
