"""FE-05: what is claimed of privacy, beside dp-accounting. The accountant is always named: others say other numbers."""

from __future__ import annotations

import math

import pytest
from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant, privacy_loss_distribution
from dp_accounting.rdp import rdp_privacy_accountant
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import OptionError
from palate.federated.accounting import ACCOUNTANT, Budget, delta_of, epsilon_of, mu_of, noise_std

DELTA = 1e-5


@pytest.mark.parametrize(("epsilon", "mu", "multiplier"), [(1, 0.2681, 13.9), (3, 0.7191, 5.2), (10, 2.0004, 1.9)])
def test_the_figures_of_the_design(epsilon: float, mu: float, multiplier: float) -> None:
    budget = Budget(epsilon, DELTA)
    assert budget.mu == pytest.approx(mu, abs=5e-5)
    assert noise_std(1.0, budget.split(12).gradients) == pytest.approx(multiplier, abs=0.05)
    assert epsilon_of(budget.mu, DELTA) == pytest.approx(epsilon, abs=1e-9)


@pytest.mark.parametrize("epsilon", [1.0, 3.0, 10.0])
def test_the_whole_life_of_a_line_equals_the_pld_of_dp_accounting(epsilon: float) -> None:
    """Round 0, the scalars and the gradients of 12 rounds, each with its own noise, composed by the other library."""
    openings = Budget(epsilon, DELTA).split(12)
    stds = [noise_std(1.0, mu_squared) for mu_squared in openings]
    parts = [privacy_loss_distribution.from_gaussian_mechanism(std, value_discretization_interval=1e-4) for std in stds]
    together = parts[0].compose(parts[1].self_compose(12)).compose(parts[2].self_compose(12))
    assert together.get_epsilon_for_delta(DELTA) == pytest.approx(epsilon, abs=5e-5)


@given(epsilon=st.floats(1e-3, 1e3), delta=st.floats(1e-20, 0.5))
def test_mu_and_epsilon_are_one_curve(epsilon: float, delta: float) -> None:
    mu = mu_of(epsilon, delta)
    assert delta_of(mu, epsilon) == pytest.approx(delta, rel=1e-9)
    assert epsilon_of(mu, delta) == pytest.approx(epsilon, rel=1e-9)
    assert epsilon_of(1.01 * mu, delta) > epsilon > epsilon_of(0.99 * mu, delta)


@given(epsilon=st.floats(1e-3, 1e3), delta=st.floats(1e-20, 0.5), rounds=st.integers(1, 1_000))
def test_the_parts_of_a_budget_are_the_budget(epsilon: float, delta: float, rounds: int) -> None:
    budget = Budget(epsilon, delta)
    round_zero, scalars, gradients = budget.split(rounds)
    assert round_zero + rounds * (scalars + gradients) == pytest.approx(budget.mu_squared, rel=1e-12)


def test_FE_05_the_accountant_is_named_and_no_sampling_helps() -> None:
    """Noise 1.5, 2,250 steps (PLD: 2,249) of a twenty-fifth of the users: others count on that, Palate does not."""
    event = dp_event.PoissonSampledDpEvent(0.04, dp_event.GaussianDpEvent(1.5))
    by_rdp = rdp_privacy_accountant.RdpAccountant().compose(event, 2_250).get_epsilon(DELTA)
    by_pld = pld_privacy_accountant.PLDAccountant().compose(event, 2_249).get_epsilon(DELTA)
    assert by_rdp == pytest.approx(7.3293, abs=1e-4)  # opacus, with other orders: 7.3291
    assert by_pld == pytest.approx(6.7671, abs=1e-4)  # opacus, by PRV: 6.7774

    assert "no amplification" in ACCOUNTANT
    assert epsilon_of(math.sqrt(2_250) / 1.5, DELTA) > 80 * by_rdp


def test_RDP_says_more_for_the_same_noise() -> None:
    found = [
        rdp_privacy_accountant.RdpAccountant().compose(dp_event.GaussianDpEvent(1 / mu_of(epsilon, DELTA)))
        for epsilon in (1, 3, 10)
    ]
    assert [one.get_epsilon(DELTA) for one in found] == pytest.approx([1.093, 3.250, 10.73], abs=6e-3)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf, 1e4, "3", True, None])
@pytest.mark.parametrize("call", [lambda bad: Budget(bad, DELTA), lambda bad: mu_of(bad, DELTA)])
def test_an_epsilon_that_is_none_is_refused(call: object, epsilon: object) -> None:
    with pytest.raises(OptionError, match=r"epsilon is .+\. Give"):
        call(epsilon)  # type: ignore[operator]


@pytest.mark.parametrize("delta", [0.0, -1e-5, 1.0, math.nan, 1e-30, "x", None])
@pytest.mark.parametrize(
    "call", [lambda bad: Budget(3.0, bad), lambda bad: mu_of(3.0, bad), lambda bad: epsilon_of(1.0, bad)]
)
def test_a_delta_that_is_none_is_refused(call: object, delta: object) -> None:
    with pytest.raises(OptionError, match=r"delta is .+\. Give"):
        call(delta)  # type: ignore[operator]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, None])
def test_noise_for_nothing_is_refused(bad: object) -> None:
    for arguments in ((bad, 1.0), (1.0, bad)):
        with pytest.raises(OptionError, match="Give a finite number above 0"):
            noise_std(*arguments)  # type: ignore[arg-type]
