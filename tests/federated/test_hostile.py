"""Row FE-02: a fifth of the parts of a sum is hostile, for a whole fit, with the robust step and without (control)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.arrays import Array
from palate.errors import FederatedError
from palate.federated.devices import Devices
from palate.federated.fixed_point import encode
from palate.federated.options import FederatedOptions
from palate.federated.secure_sum.robust import trimmed_sum
from palate.federated.server import advance, begin

USERS, ITEMS, PARTS, DIM, HOSTILE = 600, 30, 10, 2, (1, 7)
OPTIONS = FederatedOptions(epsilon=np.inf, dim=DIM, rounds=8, form="factors")
Attack = Callable[[Array, np.random.Generator], Array]

ATTACKS: dict[str, Attack] = {
    "signs turned": lambda part, _: -part,
    "ten times": lambda part, _: 10.0 * part,
    "ten times, signs turned": lambda part, _: -10.0 * part,
    "noise": lambda part, rng: rng.normal(size=part.shape) * 3.0 * np.abs(part).max(),
}
BREAK_A_PLAIN_SUM = {"ten times, signs turned", "noise"}  # of the others too few change this fit enough


@cache
def world() -> tuple[Array, Array, tuple[Devices, ...], tuple[Devices, ...]]:
    """What users would answer, which of it they did, the parts of a sum, and the same with stars turned round."""
    rng = np.random.default_rng(0)
    truth = 0.3 * rng.normal(size=ITEMS) + rng.normal(size=(USERS, DIM)) @ (0.8 * rng.normal(size=(DIM, ITEMS)))
    seen = rng.random((USERS, ITEMS)) < 0.5
    stars = np.clip(3.5 + truth + 0.5 * rng.normal(size=truth.shape), 1.0, 5.0)
    parts = np.array_split(np.arange(USERS), PARTS)
    honest = [Devices.of(sparse.csr_matrix(np.where(seen, stars, 0.0)[part])) for part in parts]
    turned = [Devices.of(sparse.csr_matrix(np.where(seen, 6.0 - stars, 0.0)[part])) for part in parts]
    return truth, seen, tuple(honest), tuple(turned)


@cache
def quality(attack: Attack | None, trim: float, *, flipped: bool = False, hostile: tuple[int, ...] = HOSTILE) -> float:
    """How well the fit's predictions of what was not answered go with the truth; 0 where the fit breaks down."""
    truth, seen, honest, turned = world()
    rng = np.random.default_rng(1)
    state = begin([str(item) for item in range(ITEMS)], OPTIONS, line="x")
    try:
        while not state.is_done:
            public, sums = state.public, []
            for at in range(PARTS):
                devices = turned[at] if flipped and at in hostile else honest[at]
                part = devices.round_zeros(public) if public.form == "means" else devices.contributions(public)
                sums.append(attack(part, rng) if attack and at in hostile else part)
            found = trimmed_sum(np.stack(sums), np.full(PARTS, USERS // PARTS), trim=trim)
            state = advance(state, encode(found.total), USERS)
    except FederatedError:
        return 0.0
    predicted = np.concatenate(
        [state.public.factors[:, 0] + one.beliefs(state.public)[0] @ state.public.factors[:, 1:].T for one in honest]
    )
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(np.corrcoef(predicted[~seen], truth[~seen])[0, 1]))


def test_FE_02_the_robust_step_costs_a_clean_fit_next_to_nothing() -> None:
    assert quality(None, 0.0) > 0.9
    assert quality(None, 0.2) > 0.99 * quality(None, 0.0)


@pytest.mark.parametrize("name", [*ATTACKS, "labels turned"])
def test_FE_02_a_fifth_of_the_parts_is_hostile(name: str) -> None:
    """Parts are silos whose sums are seen (mode A), or groups of devices under masks (mode B): the step is the same."""
    attack, flipped, clean = ATTACKS.get(name), name not in ATTACKS, quality(None, 0.0)
    assert quality(attack, 0.2, flipped=flipped) >= 0.95 * clean
    if name in BREAK_A_PLAIN_SUM:
        assert quality(attack, 0.0, flipped=flipped) < 0.95 * clean


def test_FE_02_hostile_devices_in_more_groups_than_are_trimmed_are_not_stood() -> None:
    """What the docs say of mode B: a fifth of all devices, spread over all groups, spoils every group."""
    assert quality(ATTACKS["noise"], 0.2, hostile=tuple(range(0, PARTS, 2))) < 0.95 * quality(None, 0.0)
