"""The pass over a whole catalogue against the plain strategies, where it must agree, choose alike and stay small."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.acquisition import Candidates
from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.variance import variance
from palate.acquisition.fast.layout import within_rounding
from palate.acquisition.fast.quadratic_forms import low_rank, paired
from palate.acquisition.fast.scorer import KINDS, Kind, Scorer
from palate.errors import OptionError
from palate.posteriors.belief import Belief
from palate.posteriors.likelihoods import Gaussian, Implicit
from tests.acquisition.large import belief_after, catalogue

PLAIN = {"variance": variance, "bald": bald, "a-optimal": a_optimal}
TOLERANCE = 1e-4  # of the largest score


def scorer_of(candidates: Candidates) -> Scorer:
    return Scorer.build(candidates.items.factors, candidates.noise)


def agree(kind: Kind, belief: Belief, candidates: Candidates, *, keep: bool) -> None:
    plain = PLAIN[kind](belief, candidates, rng=np.random.default_rng(0))
    scorer = scorer_of(candidates)
    found = scorer.score(kind, belief.covariance, aim=scorer.aim(candidates.targets, keep=keep))
    assert found.dtype == np.float32
    assert found.shape == plain.shape
    np.testing.assert_allclose(found, plain, rtol=0, atol=TOLERANCE * max(float(np.abs(plain).max()), 1e-20))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(
    items=st.integers(1, 400),
    dim=st.integers(1, 40),
    answers=st.integers(0, 30),
    keep=st.booleans(),
    implicit=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_pass_agrees_with_the_plain_strategy(
    kind: Kind, items: int, dim: int, answers: int, keep: bool, implicit: bool, seed: int
) -> None:
    likelihood = Implicit(20.0, 5.0) if implicit else Gaussian()
    candidates = catalogue(items, dim, seed=seed, likelihood=likelihood)
    agree(kind, belief_after(answers, candidates), candidates, keep=keep)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("answers", [0, 1, 2, 8, 12])
def test_after_few_answers(kind: Kind, keep: bool, answers: int) -> None:
    """D = 48, so that up to 12 answers take the form of low rank."""
    candidates = catalogue(300, 48)
    belief = belief_after(answers, candidates)
    low = low_rank(belief.covariance)
    assert low is not None
    assert low.shape == (48, answers)
    agree(kind, belief, candidates, keep=keep)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [False, True])
def test_any_prior(kind: Kind, keep: bool) -> None:
    candidates = catalogue(200, 12)
    root = np.random.default_rng(1).normal(size=(12, 12))
    for start in (4.0 * np.eye(12), np.zeros((12, 12)), root @ root.T, np.diag([1.0] * 11 + [0.0]), 1e-9 * np.eye(12)):
        agree(kind, Belief(np.zeros(12), start), candidates, keep=keep)


@pytest.mark.parametrize("kind", KINDS)
def test_items_without_factors(kind: Kind) -> None:
    candidates = catalogue(5, 6)
    items = replace(candidates.items, factors=np.zeros((5, 6)))
    nothing = replace(candidates, items=items, shown=items)
    agree(kind, belief_after(0, candidates), nothing, keep=True)


def test_almost_exact_answers_leave_no_negative_score() -> None:
    candidates = catalogue(300, 8)
    scorer = scorer_of(candidates)
    belief = Belief(np.zeros(8), np.eye(8))
    for item in range(16):
        belief = belief.update(candidates.items.factors[item], 0.0, 1e-9)
    for kind in KINDS:
        assert (scorer.score(kind, belief.covariance, aim=scorer.aim(candidates.targets, keep=True)) >= 0).all()


def test_the_low_rank_identity() -> None:
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(7, 3)))[0] * [0.9, 0.5, 0.1]
    root = rng.normal(size=(7, 7))
    covariance, moment = np.eye(7) - vectors @ vectors.T, root @ root.T
    columns = paired(vectors, moment)  # V0 V1 2R0 2R1 V2 0 2R2 0
    assert columns.shape == (7, 8)
    twice = columns[:, [2, 3, 6]]
    moved = moment - (vectors @ twice.T + twice @ vectors.T) / 2
    np.testing.assert_allclose(moved, covariance @ moment @ covariance, atol=1e-12)


@pytest.mark.parametrize("items", [1, 3, 127, 128, 129, 2000])
def test_the_targets_moment(items: int) -> None:
    candidates = catalogue(items, 7)
    aim = scorer_of(candidates).aim(candidates.targets, keep=True)
    np.testing.assert_allclose(aim.moment, candidates.target_moment(), rtol=1e-5, atol=1e-7)
    assert np.array_equal(aim.moment, aim.moment.T)
    energies = np.einsum("id,de,ie->i", candidates.items.factors, aim.moment, candidates.items.factors)
    np.testing.assert_allclose(aim.energies, energies, rtol=1e-4)


# ---- the best -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(items=st.integers(1, 600), answers=st.integers(0, 12), k=st.integers(1, 40), seed=st.integers(0, 99))
def test_the_best_are_those_of_the_plain_strategy(kind: Kind, items: int, answers: int, k: int, seed: int) -> None:
    candidates = catalogue(items, 16, seed=seed)
    allowed = np.random.default_rng(seed).random(items) < 0.7
    belief = belief_after(answers, candidates)
    scorer = scorer_of(candidates)
    aim = scorer.aim(candidates.targets)
    weight = candidates.reach
    top = scorer.top(
        kind, belief.covariance, k=k, aim=aim, weight=weight, allowed=allowed, rng=np.random.default_rng(0)
    )
    plain = np.where(allowed, PLAIN[kind](belief, candidates, rng=np.random.default_rng(0)) * weight, -np.inf)
    expected = np.argsort(-plain)[: min(k, int(allowed.sum()))]
    assert top.items.tolist() == expected.tolist()
    np.testing.assert_allclose(top.values, plain[expected], rtol=1e-5)


def test_equal_ones_are_drawn_evenly() -> None:
    candidates = catalogue(1, 4)
    twins = candidates.take(np.zeros(300, dtype=np.intp))
    scorer = scorer_of(twins)
    picks = []
    for seed in range(400):
        top = scorer.top("variance", np.eye(4), k=2, rng=np.random.default_rng(seed))
        assert top.equal == 300
        assert len(set(top.items.tolist())) == 2
        picks.append(int(top.items[0]))
    assert len(set(picks)) > 180  # 300 (1 - exp(-4/3)) = 221 expected
    assert abs(float(np.mean(picks)) - 149.5) < 5 * 300 / np.sqrt(12 * 400)


def test_nothing_known_about_anything() -> None:
    candidates = catalogue(20_000, 4)
    scorer = scorer_of(candidates)
    aim = scorer.aim(candidates.targets)
    top = scorer.top("a-optimal", np.zeros((4, 4)), k=3, aim=aim, rng=np.random.default_rng(0))
    assert top.values.tolist() == [0.0, 0.0, 0.0]
    assert top.equal == 20_000


def test_nothing_to_ask() -> None:
    candidates = catalogue(300, 4)
    for scorer, allowed in ((scorer_of(candidates), np.zeros(300, dtype=bool)), (scorer_of(catalogue(0, 4)), None)):
        top = scorer.top("bald", np.eye(4), allowed=allowed, rng=np.random.default_rng(0))
        assert (top.items.tolist(), top.values.tolist(), top.equal) == ([], [], 0)


def test_more_asked_for_than_there_is() -> None:
    candidates = catalogue(300, 4)
    allowed = np.arange(300) % 100 == 7
    top = scorer_of(candidates).top("variance", np.eye(4), k=10, allowed=allowed, rng=np.random.default_rng(0))
    assert sorted(top.items.tolist()) == [7, 107, 207]


def test_only_blocks_that_reach_the_best_are_looked_at() -> None:
    scores = np.zeros(1000, np.float32)
    scores[[5, 700, 999]] = 3.0, 2.0, 2.9999
    tops = np.array([scores[start : start + 128].max() for start in range(0, 1000, 128)])
    assert within_rounding(scores, tops, 1).tolist() == [5, 999]
    assert within_rounding(scores, tops, 3).tolist() == [5, 700, 999]
    assert within_rounding(scores, tops, 4).tolist() == list(range(1000))


# ---- memory, threads, bad input -------------------------------------------------------------------------------------


def peak_bytes(work) -> int:
    work()  # compiles
    tracemalloc.start()
    try:
        kept = work()
        return tracemalloc.get_traced_memory()[1] if kept is not None else 0
    finally:
        tracemalloc.stop()


def test_memory_stays_within_its_bound() -> None:
    """One copy of the catalogue in single precision while building, one number an item while scoring."""
    items, dim, small = 200_000, 32, 4 << 20
    rng = np.random.default_rng(0)
    factors, noise, reach = rng.normal(size=(items, dim)), np.ones(items), rng.random(items)
    assert peak_bytes(lambda: Scorer.build(factors, noise)) < 4 * (dim + 4) * items + small
    scorer = Scorer.build(factors, noise)
    targets = np.full(items, 1 / items)
    assert peak_bytes(lambda: scorer.aim(targets)) < small
    assert peak_bytes(lambda: scorer.aim(targets, keep=True)) < 12 * items + small
    aim = scorer.aim(targets, keep=True)
    covariance = np.eye(dim) - 0.5 * np.diag(np.arange(dim) < 4)
    allowed = np.ones(items, dtype=bool)
    for kind in KINDS:
        best_of = peak_bytes(
            lambda kind=kind: scorer.top(
                kind, covariance, k=10, aim=aim, weight=reach, allowed=allowed, rng=np.random.default_rng(0)
            )
        )
        assert best_of < 4 * items + small


def test_threads_score_side_by_side() -> None:
    candidates = catalogue(5000, 16)
    scorer = scorer_of(candidates)
    aim = scorer.aim(candidates.targets)
    alone = scorer.score("a-optimal", np.eye(16), aim=aim)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: scorer.score("a-optimal", np.eye(16), aim=aim), range(20)))
    assert all(np.array_equal(scores, alone) for scores in together)


def test_the_moment_does_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = catalogue(5000, 16)
    moments = []
    for cores in (1, 3):
        monkeypatch.setattr("palate.machine.cores", lambda cores=cores: cores)
        moments.append(scorer_of(candidates).aim(candidates.targets).moment)
    assert np.array_equal(*moments)


@pytest.mark.parametrize(
    ("factors", "noise", "message"),
    [
        ([[np.nan]], [1.0], "a factor is nan. Give finite numbers, below 1e17."),
        ([[1.0]], [np.inf], "a noise is inf. Give finite numbers, below 1e17."),
        ([[1e30]], [1.0], "a factor is 1e+30. Give finite numbers, below 1e17."),
        ([[1.0]], [-2.0], "a noise is -2. Give variances of at least 0."),
    ],
)
def test_numbers_that_cannot_be_scored(factors: list[list[float]], noise: list[float], message: str) -> None:
    with pytest.raises(OptionError) as error:
        Scorer.build(np.array(factors), np.array(noise))
    assert str(error.value) == message


def test_the_best_none() -> None:
    with pytest.raises(OptionError) as error:
        scorer_of(catalogue(3, 2)).top("bald", np.eye(2), k=0, rng=np.random.default_rng(0))
    assert str(error.value) == "k is 0. Ask for at least 1 question."


def test_a_optimal_without_an_aim() -> None:
    with pytest.raises(OptionError) as error:
        scorer_of(catalogue(3, 2)).score("a-optimal", np.eye(2))
    assert str(error.value) == "a-optimal has no aim. Give aim=scorer.aim(targets)."
