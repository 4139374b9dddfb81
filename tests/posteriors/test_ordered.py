"""Stars of uneven steps: the chances of levels, an answer, the batch fit, and when they are chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from palate import Learner, rate
from palate.datasets import Dataset
from palate.entities import RATING
from palate.errors import OptionError
from palate.model.choose import Told, choose_likelihood, told
from palate.posteriors import likelihoods, ordered
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian, Ordered, Probit
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from tests.worlds import data

STARS = Ordered(levels=(1.0, 2.0, 4.0, 5.0), cuts=(-1.5, -0.2, 0.1))
MEAN, VARIANCE, NOISE = np.array([-0.7, 0.4]), np.array([0.9, 2.1]), np.array(1.0)


def chance(level: int, s: float, sd: float = 1.0) -> float:
    edges = [-np.inf, *STARS.cuts, np.inf]
    return float(norm.cdf((edges[level + 1] - s) / sd) - norm.cdf((edges[level] - s) / sd))


def test_levels_are_as_likely_as_the_latent_value_lies_between_their_cuts() -> None:
    total = VARIANCE + NOISE
    for k in range(4):
        slow = [
            quad(lambda s, m=m, v=v, k=k: chance(k, s) * norm.pdf(s, m, np.sqrt(v)), m - 12, m + 12)[0]
            for m, v in zip(MEAN, VARIANCE, strict=True)
        ]
        np.testing.assert_allclose(ordered.chances(np.array(STARS.cuts), MEAN, total)[:, k], slow, rtol=1e-6)
    by = 1e-6
    levels = np.array(STARS.levels)
    np.testing.assert_allclose(
        STARS.expected(MEAN, total, NOISE), ordered.chances(np.array(STARS.cuts), MEAN, total) @ levels
    )
    higher, lower = (STARS.expected(MEAN + step, total, NOISE) for step in (by, -by))
    np.testing.assert_allclose(STARS.slope(MEAN, total, NOISE), (higher - lower) / (2 * by), rtol=1e-7)
    assert (STARS.answer_variance(MEAN, total) > 0).all()


@pytest.mark.parametrize("value", STARS.levels)
@pytest.mark.parametrize("v", [0.3, 1.5])
def test_a_star_weighs_what_it_is_expected_to_tell(value: float, v: float) -> None:
    m, k = 0.3, STARS.levels.index(value)
    weights, targets, _ = STARS.entries(np.array([value]), lambda: (np.array([m]), np.array([v])))
    s = m + np.sqrt(v) * np.linspace(-5.5, 5.5, 11_001)
    log = np.log(np.maximum([chance(k, float(one)) for one in s], 1e-300))
    density = norm.pdf(s, m, np.sqrt(v))
    slope, curvature = np.gradient(log, s), -np.gradient(np.gradient(log, s), s)
    assert weights[0] == pytest.approx(np.trapezoid(curvature * density, s), rel=5e-3)
    assert weights[0] * (targets[0] - m) == pytest.approx(np.trapezoid(slope * density, s), abs=1e-3)


@pytest.mark.parametrize("value", STARS.levels)
def test_an_answer_moves_a_belief_to_its_moments(value: float) -> None:
    prior, w, level, noise = Belief(np.array([0.4]), np.array([[1.3]])), np.array([0.8]), 0.2, 1.7
    after = STARS.update(prior, w, level, np.array(value), np.array(noise))
    k = STARS.levels.index(value)

    def weight(z: float) -> float:
        return chance(k, level + 0.8 * z, np.sqrt(noise)) * norm.pdf(z, 0.4, np.sqrt(1.3))

    total = quad(weight, -12, 12)[0]
    mean = quad(lambda z: z * weight(z), -12, 12)[0] / total
    variance = quad(lambda z: (z - mean) ** 2 * weight(z), -12, 12)[0] / total
    assert (after.mean[0], after.covariance[0, 0]) == (pytest.approx(mean, rel=1e-6), pytest.approx(variance, rel=1e-6))


def test_far_out_nothing_overflows() -> None:
    far = np.array([-60.0, -8.0, 0.0, 8.0, 60.0])
    for low, high in ((-np.inf, -1.0), (-1.0, 2.0), (2.0, np.inf)):
        for part in ordered.log_slopes(low - far, high - far):
            assert np.isfinite(part).all()


def stars(seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """1 to 5 stars with steps as uneven as can be, and what is expected of everybody, (U, I)."""
    rng = np.random.default_rng(seed)
    s = rng.normal(size=(250, 2)) @ rng.normal(size=(2, 80)) * 0.8 + 0.5 * rng.normal(size=80)
    cuts = np.array([0.6, 0.8, 1.0, 1.2])
    rows, columns = np.divmod(rng.permutation(s.size)[:6000], 80)
    values = 1.0 + (s[rows, columns, None] + rng.normal(size=(6000, 1)) > cuts).sum(1)
    table = {"user_id": [f"u{r:03d}" for r in rows], "item_id": [f"i{c:02d}" for c in columns], RATING: values}
    return Dataset.from_tables(pl.DataFrame(table)), ordered.chances(cuts, s, np.ones_like(s)) @ np.arange(1.0, 6.0)


def test_the_fit_finds_the_steps_and_tells_more_than_with_even_ones() -> None:
    known, truth = stars()
    coded = known.coded()
    answers = Answers.build(coded.users, coded.items, coded.values, truth.shape)
    errors = {}
    for likelihood in (Ordered(), Gaussian()):
        fitted = fit(answers, likelihood=likelihood, options=FitOptions(dim=6), rng=np.random.default_rng(0))
        taste = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise), fitted.likelihood)
        mean, variance = taste.items.predict(taste.believe(answers.values, of_users=fitted.user_noise))
        expected = fitted.likelihood.on_scale(1.0, 5.0).expected(mean, variance, taste.items.noise)
        errors[likelihood.kind] = np.sqrt(np.mean((expected - truth) ** 2))
        if isinstance(fitted.likelihood, Ordered):
            np.testing.assert_allclose(np.diff(fitted.likelihood.cuts), 0.2, atol=0.06)
    assert errors["ordered"] < 0.97 * errors["gaussian"], errors


def test_auto_takes_them_where_they_tell_more_and_nothing_that_tells_less() -> None:
    known, _ = stars()
    assert choose_likelihood(known, "auto").kind == "ordered"
    few = known.filter(np.arange(known.interactions.height) < 1500)
    assert choose_likelihood(few, "auto") == Gaussian()
    likes = data("likes")
    coded = likes.coded()
    found = {one.kind: told(coded, one, 10_000) for one in (Probit(), Gaussian())}
    chosen = choose_likelihood(likes, "auto").kind
    other = {"probit": "gaussian", "gaussian": "probit"}[chosen]
    assert not found[other].better_than(found[chosen])


def test_better_is_more_likely_beyond_chance_and_no_worse_expected() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.3, 1000)
    flat, error = np.full(1000, -1.1), np.full(1000, 0.5)
    clear, slight = flat + 0.05 + noise - noise.mean(), flat + 0.01 + noise - noise.mean()
    assert Told(clear, error).better_than(Told(flat, error))
    assert not Told(slight, error).better_than(Told(flat, error))
    assert not Told(clear, error + 0.01).better_than(Told(flat, error))


def test_a_learner_of_stars_goes_through_the_whole_loop(tmp_path: object) -> None:
    known, _ = stars()
    learner = Learner.fit(known, encoder="none", likelihood="ordered")
    after = learner.tell([rate("ann", f"i{n:02d}", 5.0 if n % 2 else 1.0) for n in range(6)])
    for form in ("rate", "pair", "group", "page", "recall", "pick"):
        (question,) = after.ask("ann", forms=[form], rng=np.random.default_rng(0))
        assert np.isfinite(question.value)
    for strategy in ("evoi", "evoi-ndcg", "epig", "bald", "a-optimal", "variance", "lookahead", "entropy"):
        assert after.ask("ann", strategy=strategy, rng=np.random.default_rng(0))
    scores = np.array([one.score for one in after.recommend("ann", 74)])
    assert scores.min() >= 1.0 and scores.max() <= 5.0
    assert after.undo("ann").state("ann").values == (1.0, 5.0, 1.0, 5.0, 1.0)
    after.save(tmp_path)  # type: ignore[arg-type]
    again = Learner.load(tmp_path)  # type: ignore[arg-type]
    assert again.model.taste.likelihood == after.model.taste.likelihood
    assert [one.item_id for one in again.recommend("ann")] == [one.item_id for one in after.recommend("ann")]
    two = replace(known, interactions=known.interactions.filter(pl.col(RATING).is_in([1.0, 5.0])))
    assert Learner.fit(two, encoder="none", likelihood="ordered").recommend("ann", 3)


@pytest.mark.parametrize(
    "weights",
    [
        {"levels": (1, 2), "cuts": ()},
        {"levels": (2, 1), "cuts": (0,)},
        {"levels": (1, 2), "cuts": (np.nan,)},
        {"cuts": 3},
    ],
)
def test_levels_and_cuts_that_do_not_fit(weights: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="Give "):
        likelihoods.named("ordered", **weights)  # type: ignore[arg-type]


def test_a_continuous_scale_has_no_ordered_levels() -> None:
    values = np.linspace(-10.0, 10.0, 60)
    with pytest.raises(OptionError, match=r"^the answers have 60 levels, of at most 50 ordered\. Fit gaussian\.$"):
        Ordered().learnt_from(values)
