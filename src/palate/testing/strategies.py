"""What every strategy must keep, runnable on a strategy of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from palate.acquisition.candidates import Candidates
    from palate.acquisition.strategy import Score
    from palate.posteriors.belief import Belief
    from palate.posteriors.likelihood import Kind

USERS, ITEMS, DIMENSIONS, LEVELS, FITTED = 3, 12, 4, 5, 40
TOLERANCE = 1e-9  # relative; sums in another order


@dataclass(frozen=True)
class World:
    """A small world with known beliefs; ``one`` is about the first user of ``several``."""

    one: Belief
    several: Belief
    candidates: Candidates  # offered to all three

    @property
    def offered(self) -> Candidates:
        """What is offered to the first user."""
        return self.candidates.of(0)


def make_world(kind: Kind = "gaussian", seed: int = 0, *, rated: bool = True) -> World:
    """Beliefs about three users and twelve items, one of them never rated and one that everybody rates alike.

    With ``rated`` False no item has a rating and no user has been asked anything.
    """
    import scipy.sparse as sparse

    from palate.acquisition.candidates import Candidates
    from palate.posteriors.answerability import Answerability
    from palate.posteriors.belief import Belief
    from palate.posteriors.items import Items
    from palate.posteriors.likelihoods import named
    from palate.posteriors.population import Given, Population
    from palate.posteriors.taste import Taste

    rng = np.random.default_rng(seed)
    root = rng.normal(size=(USERS, DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    several = Belief(rng.normal(size=(USERS, DIMENSIONS)), root @ root.transpose(0, 2, 1) + 0.1 * np.eye(DIMENSIONS))
    spread = rng.uniform(0.01, 0.2, (ITEMS, 1, 1)) * np.eye(DIMENSIONS + 1)
    items = Items.build(rng.normal(size=(ITEMS, DIMENSIONS + 1)), spread, np.ones(ITEMS))
    likelihood = named(kind)
    scale = np.arange(2 if likelihood.is_binary else LEVELS, dtype=float)
    ratings = _ratings(len(scale), rng) if rated else np.full((FITTED, ITEMS), -1.0)
    known = ratings >= 0
    levels = (ratings[:, :, None] == scale).sum(0) / np.maximum(known.sum(0), 1)[:, None]
    cells = np.nonzero(known)
    answers = sparse.csr_matrix((ratings[cells], cells), shape=ratings.shape)
    content = rng.normal(size=(ITEMS, 6)).astype(np.float32)
    population = Population(answers, scale, Taste.build(items, likelihood), content)
    columns = np.array([[3, 7, 9], [4, -1, -1], [5, 3, -1]])
    given = Given(columns, np.where((columns < 0) | (columns == 9), np.nan, 1.0)) if rated else Given.nothing(USERS)
    loadings = rng.normal(0.0, 0.1, (ITEMS, 2))
    answerability = Answerability(rng.uniform(0.1, 0.9, ITEMS), loadings, np.full(ITEMS, 0.2))
    exposure = Belief(rng.normal(size=(USERS, 2)), np.tile(np.diag([1.0, 0.3]), (USERS, 1, 1)))
    everything = Candidates.of_all(population, levels, targets=np.full(ITEMS, 1.0 / ITEMS))
    candidates = everything.aimed(answerability, exposure, given)
    return World(several.of(0), several, candidates)


@cache
def shared_world(kind: Kind, *, rated: bool = True) -> World:
    """The same world at each call: what a strategy learns of its population is learnt once."""
    return make_world(kind, rated=rated)


def _ratings(levels: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Of ``FITTED`` users: -1 where there is none. Nobody rated the first item, all rate the second one alike."""
    ratings = rng.integers(0, levels, (FITTED, ITEMS)).astype(float)
    ratings[rng.random((FITTED, ITEMS)) < np.linspace(0.2, 0.8, ITEMS)] = -1.0
    ratings[:, 0], ratings[:, 1] = -1.0, 1.0
    return ratings


class StrategyContract(ABC):
    """Subclass it in a test file under a name that starts with ``Test`` and say how to make the strategy.

    Attributes:
        draws: True for a strategy whose scores depend on what ``rng`` draws. The rules that compare two calls in which
            the draws fall differently (shuffled candidates, one user against several) then say nothing and pass.

    Example:
        >>> class TestMine(StrategyContract):
        ...     def make(self):
        ...         return my_strategy
    """

    draws = False

    @abstractmethod
    def make(self) -> Score:
        """The strategy under test."""

    def scores(self, belief: Belief, candidates: Candidates) -> NDArray[np.float64]:
        return self.make()(belief, candidates, rng=np.random.default_rng(0))

    def test_one_finite_score_per_item_for_one_user(self) -> None:
        for kind in KINDS:
            world = shared_world(kind)
            _expect(self.scores(world.one, world.offered), (ITEMS,), kind)

    def test_one_finite_score_per_user_and_item_for_several(self) -> None:
        for kind in KINDS:
            world = shared_world(kind)
            _expect(self.scores(world.several, world.candidates), (USERS, ITEMS), kind)

    def test_a_single_candidate_has_a_score(self) -> None:
        for kind in KINDS:
            world = shared_world(kind)
            _expect(self.scores(world.one, world.offered.take(np.array([2]))), (1,), kind)

    def test_a_taste_that_is_known_has_finite_scores(self) -> None:
        from palate.posteriors.belief import Belief

        for kind in KINDS:
            world = shared_world(kind)
            known = Belief(world.one.mean, np.zeros_like(world.one.covariance))
            _expect(self.scores(known, world.offered), (ITEMS,), kind)

    def test_finite_scores_where_nobody_has_rated_or_answered_anything(self) -> None:
        for kind in KINDS:
            world = shared_world(kind, rated=False)
            _expect(self.scores(world.one, world.offered), (ITEMS,), kind)

    def test_the_same_seed_gives_the_same_scores(self) -> None:
        for kind in KINDS:
            world = shared_world(kind)
            first, second = self.scores(world.several, world.candidates), self.scores(world.several, world.candidates)
            assert np.array_equal(first, second), f"{kind}: two calls with the same rng gave different scores"

    def test_what_it_is_given_is_left_as_it_was(self) -> None:
        for kind in KINDS:
            world, untouched = shared_world(kind), make_world(kind)
            self.scores(world.several, world.candidates)
            for name, now, before in zip(_NAMES, _arrays(world), _arrays(untouched), strict=True):
                assert np.array_equal(now, before), f"{kind}: the strategy changed {name}"

    def test_shuffled_candidates_have_shuffled_scores(self) -> None:
        order = np.random.default_rng(1).permutation(ITEMS)
        for kind in () if self.draws else KINDS:
            world = shared_world(kind)
            straight = self.scores(world.one, world.offered)
            shuffled = self.scores(world.one, world.offered.take(order))
            _expect_close(shuffled, straight[order], f"{kind}: shuffling the candidates did not shuffle the scores")

    def test_several_users_are_scored_as_each_alone(self) -> None:
        for kind in () if self.draws else KINDS:
            world = shared_world(kind)
            alone, together = self.scores(world.one, world.offered), self.scores(world.several, world.candidates)
            _expect_close(together[0], alone, f"{kind}: a user among others is scored differently")


KINDS: tuple[Kind, ...] = ("gaussian", "probit", "implicit")
_NAMES = (
    "belief.mean",
    "belief.covariance",
    "items.level",
    "items.factors",
    "counts",
    "levels",
    "targets",
    "reach",
    "population.answers.data",
    "population.answers.indices",
    "population.answers.indptr",
)


def _arrays(world: World) -> tuple[NDArray[np.float64], ...]:
    belief, candidates = world.several, world.candidates
    of_items = (candidates.items.level, candidates.items.factors)
    of_candidates = (candidates.counts, candidates.levels, candidates.targets, candidates.reach)
    answers = candidates.population.answers
    of_population = (answers.data, answers.indices, answers.indptr)
    return (belief.mean, belief.covariance, *of_items, *of_candidates, *of_population)


def _expect(scores: NDArray[np.float64], shape: tuple[int, ...], kind: str) -> None:
    assert scores.shape == shape, f"{kind}: scores have shape {scores.shape}, not {shape}"
    assert np.isfinite(scores).all(), f"{kind}: scores hold a value that is not finite: {scores}"


def _expect_close(scores: NDArray[np.float64], expected: NDArray[np.float64], otherwise: str) -> None:
    gap = float(np.abs(scores - expected).max())
    assert gap <= TOLERANCE * max(1.0, float(np.abs(expected).max())), f"{otherwise}, gap {gap:.1e}"
