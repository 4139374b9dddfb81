"""FE-06: what a line reveals of one user is measured, and is no more than it claims."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.federated_attack import LINES, attack
from benchmarks.federated_audit import CONTROL, DELTA, EPSILON, audit, told_apart
from palate.federated.accounting import epsilon_of


def test_FE_06_a_canary_shows_no_more_than_is_claimed_and_too_little_noise_is_caught() -> None:
    honest, weak = audit(runs=160, rounds=1), audit(runs=160, rounds=1, noise=CONTROL)
    mu = honest["claimed"]["mu"]
    assert 0.98 * mu < honest["mu of the canary"] <= mu  # as long as a vector may be, and none is longer
    assert honest["mu"]["mean"] - honest["mu"]["half width"] <= mu
    assert honest["epsilon at least"]["by Gaussian DP"] <= EPSILON < weak["epsilon at least"]["by Gaussian DP"]


@pytest.mark.parametrize("mu", [0.5, 2.0, 4.0])
def test_the_bounds_lie_below_what_is_true(mu: float) -> None:
    """Ratios whose μ is known: N(±μ²/2, μ²)."""
    rng, is_in = np.random.default_rng(0), np.arange(20_000) % 2 == 1
    found = told_apart(rng.normal(np.where(is_in, 1, -1) * mu**2 / 2, mu), is_in)
    true = epsilon_of(mu, DELTA)
    assert abs(found["mu"]["mean"] - mu) < 2 * found["mu"]["half width"]
    assert 0.0 < found["epsilon at least"]["by (epsilon, delta)"] < found["epsilon at least"]["by Gaussian DP"] < true
    assert found["epsilon at least"]["by Gaussian DP"] > 0.6 * true


@pytest.mark.long
def test_FE_06_who_took_part_is_read_without_privacy_and_not_at_epsilon_3() -> None:
    assert attack(1, **LINES["no privacy"])["likelihood ratio"]["mean"] >= 0.9
    private = attack(1, **LINES["epsilon 3"])
    assert (
        max(private["likelihood ratio"]["mean"], private["shift"]["mean"]) <= 0.6
    )  # of one target: .55 and its spread
