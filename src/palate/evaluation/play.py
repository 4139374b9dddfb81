"""One strategy asks every subject of a world, question by question, and is judged after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import Given, Strategy, best, values
from palate.acquisition.targets import KNOWN, aimed_at
from palate.arrays import Array, Mask
from palate.evaluation.judge import Judge
from palate.evaluation.shown_list import ListJudge
from palate.evaluation.world import World
from palate.posteriors.belief import Belief


@dataclass(frozen=True, slots=True)
class Played:
    """What is known of each subject after 0, 1, ... budget questions.

    Attributes:
        sums: By metric, summed over the subject's test ratings (rmse: squared errors) or its one list, (n, budget + 1).
        weights: By metric, what to divide by, (n,).
        answered: Answers got so far, (n, budget + 1).
        plays: How often each subject took part, (n,).
    """

    sums: dict[str, Array]
    weights: dict[str, Array]
    answered: Array
    plays: Array


def play(
    world: World, strategy: Strategy, *, pool: str, budget: int, targets: str = KNOWN, rng: np.random.Generator
) -> Played:
    """Ask ``budget`` questions of each subject, one at a time.

    Args:
        targets: What the strategy aims at (:mod:`palate.acquisition.targets`).
        pool: ``open``: anything of the half that can be asked, and what cannot be answered is spent; ``answered``: only
            what can be.
    """
    n, everyone = len(world.subjects), np.arange(len(world.subjects))
    belief, exposure = world.start, world.answerability.start(n)
    # of the answered pool strategies know what can be answered, and so what else is known; the list has answers alone
    of_pool = exposure_of_all(world) if pool == "answered" else None
    allowed = world.answerable.copy() if pool == "answered" else world.askable.copy()
    lists, judge = ListJudge(world), Judge(world.taste, world.held_out, world.scale)
    rows = [lists(belief, exposure) | judge(belief)]
    answered, given = np.zeros((n, budget + 1)), Given.nothing(n)
    for turn in range(budget):
        candidates = world.candidates.aimed(
            world.answerability, of_pool or exposure, given, answerable=pool == "answered"
        )
        candidates = aimed_at(targets, belief, candidates, rng=rng)
        picks, _ = best(values(strategy, belief, candidates, allowed=allowed, rng=rng), allowed, rng=rng)
        asked = picks >= 0
        picks = np.maximum(picks, 0)
        got = asked & world.answerable[everyone, picks]
        allowed[everyone[asked], picks[asked]] = False
        answers = np.where(got, world.ratings[everyone, picks], np.nan)
        given = given.added(np.where(asked, picks, -1), answers)
        belief = world.taste.observe(belief, picks, np.nan_to_num(answers)).where(got, belief)
        exposure = world.answerability.observe(exposure, picks, got).where(asked, exposure)
        answered[:, turn + 1] = answered[:, turn] + got
        rows.append(lists(belief, exposure) | judge(belief))
    sums = {name: np.stack([row[name] for row in rows], 1) for name in rows[0]}
    return Played(sums, lists.weights | judge.weights, answered, np.ones(n))


def exposure_of_all(world: World) -> Belief:
    """What each subject is believed to know once asked about everything that can be asked."""
    return world.answerability.believe(sparse.csr_matrix(world.answerable), world.askable)


def average(plays: Sequence[Played]) -> Played:
    """The mean of several plays by the same subjects."""
    first, share = plays[0], 1.0 / len(plays)
    sums = {name: share * np.sum([play.sums[name] for play in plays], axis=0) for name in first.sums}
    return Played(sums, first.weights, np.mean([play.answered for play in plays], axis=0), first.plays)


def ceiling(world: World, budget: int) -> Played:
    """Everything answerable known from the start."""
    known = np.nonzero(world.answerable)
    matrix = sparse.csr_matrix((world.ratings[known], known), shape=world.ratings.shape)
    lists, judge = ListJudge(world), Judge(world.taste, world.held_out, world.scale)
    belief = world.taste.believe(matrix, world.start)
    found = lists(belief, exposure_of_all(world)) | judge(belief)
    return unmoved(found, lists.weights | judge.weights, world.answerable, budget)


def unmoved(found: dict[str, Array], weights: dict[str, Array], answerable: Mask, budget: int) -> Played:
    """What is found where all answers are known from the start, so that no question moves it."""
    sums = {name: np.repeat(value[:, None], budget + 1, 1) for name, value in found.items()}
    answered = np.repeat(answerable.sum(1)[:, None].astype(np.float64), budget + 1, 1)
    return Played(sums, weights, answered, np.ones(len(answered)))
