"""Items held back by how often they were met: what it does to the fit, and what it leaves as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.errors import OptionError
from palate.posteriors import likelihoods
from palate.posteriors.answers import Answers
from palate.posteriors.fit import Fitted, fit
from palate.posteriors.item_half import Common, ItemBlock, Step, items_half
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.statistics import Turn, pack, unpack
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.posteriors.user_half import Given, Users, user_half

PLAIN = Implicit(20.0, 5.0)
SCATTERED = replace(PLAIN, frequency=2.0)
USERS, ITEMS = 80, 30


def events(seed: int = 0) -> Answers:
    """Three kinds of people and items; of each kind some items are met by most, others by few."""
    rng = np.random.default_rng(seed)
    same = np.arange(USERS)[:, None] % 3 == np.arange(ITEMS) % 3
    rows, columns = np.nonzero(rng.random((USERS, ITEMS)) < np.where(same, np.linspace(0.95, 0.2, ITEMS), 0.05))
    return Answers.build(rows.astype(np.int32), columns.astype(np.int32), np.ones(len(rows)), (USERS, ITEMS))


def fitted(likelihood: Implicit, **options: float) -> Fitted:
    rng = np.random.default_rng(0)
    return fit(events(), likelihood=likelihood, options=FitOptions(dim=3, **options), rng=rng)  # type: ignore[arg-type]


def test_every_event_and_every_weak_zero_has_a_taste_of_its_own_around_the_persons() -> None:
    answers, rng = events(), np.random.default_rng(1)
    factors, covariances = rng.normal(size=(ITEMS, 4)), np.tile(pack(0.1 * np.eye(4)), (ITEMS, 1))
    given = Given.build(factors, covariances, np.ones(ITEMS), SCATTERED, 20.0)
    total, _ = user_half(answers, Users.start(USERS, 3, SCATTERED), given, SCATTERED, USERS)
    prior, met = LinearPrior.start(np.zeros(4), np.eye(4), np.zeros((ITEMS, 0))), np.diff(answers.values.tocsc().indptr)
    plain, found = (Step.of(Common(prior, one), Turn.none(total.head)) for one in (PLAIN, SCATTERED))
    own = 2.0 * np.diag([0.0, 1.0, 1.0, 1.0])  # what is not known of z, and φ in every direction
    np.testing.assert_allclose(
        unpack(found.moment(total.items)), unpack(total.items.moment) + 15.0 * met[:, None, None] * own
    )
    np.testing.assert_allclose(found.unseen, 5.0 * (unpack(total.head.gram) + USERS * own))
    assert np.array_equal(found.cross(total.items), total.items.cross)
    assert plain.moment(total.items) is total.items.moment


def test_the_more_often_an_item_is_met_the_more_its_factors_are_held_back() -> None:
    answers, found = events(), fitted(PLAIN)
    given = Given.build(found.factors, found.covariances, found.noise, PLAIN, 20.0)
    total, _ = user_half(answers, Users.start(USERS, 3, PLAIN), given, PLAIN, USERS)
    before, turn = ItemBlock(found.factors, found.covariances, found.noise), Turn.none(total.head)
    plain, held = (
        items_half(before, total.items, np.zeros((ITEMS, 0)), Step.of(Common(found.prior, one), turn))[0]
        for one in (PLAIN, SCATTERED)
    )
    left = (held.factors[:, 1:] ** 2).sum(1) / (plain.factors[:, 1:] ** 2).sum(1)
    met = np.bincount(answers.values.indices, minlength=ITEMS)
    assert left.max() < 1.0 and np.corrcoef(left, met)[0, 1] < -0.6


def test_sweeps_settle() -> None:
    bounds = np.array(fitted(SCATTERED, tolerance=0.0, sweeps=80).bounds)
    rises = np.diff(bounds)
    assert rises.min() > -1e-4 * np.abs(bounds).max() and abs(rises[-1]) < 1e-4 * np.abs(bounds).max()


def test_one_event_after_the_other_gives_the_belief_of_all() -> None:
    found = fitted(SCATTERED)
    of = Taste.build(Items.of_packed(found.factors, found.covariances, found.noise), SCATTERED)
    values = np.array([1.0, 0.4, -1.0, 1.0])
    whole = of.believe(sparse.csr_matrix((values, [3, 8, 11, 20], [0, 4]), shape=(1, ITEMS))).of(0)
    one = of.prior()
    for item, value in zip([3, 8, 11, 20], values, strict=True):
        one = of.observe(one, item, value)
    np.testing.assert_allclose(one.mean, whole.mean, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(one.covariance, whole.covariance, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), "much"])
def test_a_frequency_is_a_number_from_0(bad: float) -> None:
    with pytest.raises(OptionError, match=r"Give a number from 0|number"):
        Implicit(20.0, 5.0, bad)


def test_it_is_kept_and_models_without_one_are_read() -> None:
    assert likelihoods.named(**likelihoods.as_dict(SCATTERED)) == SCATTERED
    assert likelihoods.named("implicit", confidence=20.0, background=5.0) == PLAIN
