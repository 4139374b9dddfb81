"""Nobody is known: every user gets questions in rounds, the answers join the data, the model is fitted again.

After Elahi, Ricci, Rubens, *Active learning strategies for rating elicitation in collaborative filtering: a system-wide
perspective*, ACM TIST 5(1), 2014: quality is over all people, since what one answers serves the others too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.acquisition import Candidates, Given, Population, Strategy, best, get_strategy, values
from palate.arrays import Array
from palate.datasets.tables import Dataset
from palate.datasets.views import item_table
from palate.encoders.items import encode
from palate.entities import ITEM, RATING, USER, Answer, AnswerKind
from palate.evaluation.judge import Judge
from palate.evaluation.play import Played, unmoved
from palate.evaluation.world import HeldOut, everybody
from palate.learner import Learner
from palate.model.choose import choose_likelihood
from palate.model.fit import fit_taste
from palate.model.scale import Scale, level_shares
from palate.posteriors.answerability import Answerability
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.taste import Taste
from palate.random import derive_rng

PER_ROUND = 5  # questions to each user between two fits
SYSTEM = "system"  # no strategy for one user: all pairs are chosen together (palate.loop.ask_pairs)


@dataclass(frozen=True, slots=True)
class _System:
    """What stays the same over the rounds."""

    data: Dataset
    users: list[str]
    encoder: str
    ratings: Array
    answerable: NDArray[np.bool_]
    held_out: HeldOut
    content: NDArray[np.float32] | None
    likelihood: Likelihood
    scale: Scale
    seed: int


def play_cold_system(
    data: Dataset, name: str, *, budget: int, pool: str, encoder: str, max_users: int, seed: int
) -> tuple[Played, list[str], dict[str, Any]]:
    """A strategy from nothing: what was played, the users, facts for the protocol."""
    likelihood = choose_likelihood(data, "auto").learnt_from(data.coded().values)
    data, users, ratings, answerable, held_out = everybody(data, seed=seed, max_users=max_users)
    content, _ = encode(item_table(data, data.coded().item_ids), encoder, None)
    scale = Scale.of(ratings[answerable])
    system = _System(data, users, encoder, ratings, answerable, held_out, content, likelihood, scale, seed)
    if name == "ceiling":
        played = _everything(system, budget)
    else:
        strategy = None if name == SYSTEM else get_strategy("random" if name == "answerable-random" else name)
        pool = "answered" if name == "answerable-random" else pool
        played = _rounds(system, strategy, pool=pool, budget=budget, rng=derive_rng(seed, "play", name))
    facts = {"fit_users": 0, "test_users": len(users), "like": system.scale.like, "per_round": PER_ROUND}
    return played, users, facts


def _rounds(system: _System, strategy: Strategy | None, *, pool: str, budget: int, rng: np.random.Generator) -> Played:
    """One strategy; None: all pairs chosen together."""
    n = len(system.ratings)
    known = np.zeros_like(system.answerable)
    asked = ~system.answerable if pool == "answered" else np.zeros_like(known)
    taste = _ignorant(system)
    belief = _believe(taste, system, known)
    row = Judge(taste, system.held_out, system.scale)(belief)
    rows, answered = [row], [np.zeros(n)]
    for first in range(0, budget, PER_ROUND):
        count = min(PER_ROUND, budget - first)
        if strategy is None and known.any():
            _ask_pairs(system, known, asked, count, rng)
        else:  # while nothing is known there are no pairs to prefer
            _ask_everybody(system, strategy or get_strategy("random"), taste, belief, known, asked, count, pool, rng)
        taste = _refit(system, known)
        belief = _believe(taste, system, known)
        # between two fits nothing is known that was not known before
        rows += [row] * (count - 1)
        answered += [answered[-1]] * (count - 1)
        row = Judge(taste, system.held_out, system.scale)(belief)
        rows.append(row)
        answered.append(known.sum(1).astype(np.float64))
    sums = {name: np.stack([part[name] for part in rows], 1) for name in row}
    judge = Judge(taste, system.held_out, system.scale)
    return Played(sums, judge.weights, np.stack(answered, 1), np.ones(n))


def _ask_everybody(
    system: _System,
    strategy: Strategy,
    taste: Taste,
    belief: Belief,
    known: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    count: int,
    pool: str,
    rng: np.random.Generator,
) -> None:
    """``count`` questions to each user, one at a time; ``known`` and ``asked`` are filled in."""
    everyone = np.arange(len(known))
    matrix = _csr(system, known)
    candidates = _candidates(system, taste, matrix)
    answerability = Answerability.fit(matrix, rng=rng) if known.any() else None
    exposure = None if answerability is None else answerability.start(len(known))
    given = Given.nothing(len(known))  # since this round's fit, which knows all answers before
    for _ in range(count):
        offered = replace(candidates, given=given)
        if pool == "open" and answerability is not None and exposure is not None:
            offered = candidates.aimed(answerability, exposure, given)
        picks, _ = best(values(strategy, belief, offered, allowed=~asked, rng=rng), ~asked, rng=rng)
        rows = everyone[picks >= 0]
        asked[rows, picks[rows]] = True
        got = system.answerable[everyone, np.maximum(picks, 0)] & (picks >= 0)
        known[everyone[got], picks[got]] = True
        answers = np.where(got, system.ratings[everyone, np.maximum(picks, 0)], np.nan)
        given = given.added(picks, answers)
        belief = taste.observe(belief, np.maximum(picks, 0), np.nan_to_num(answers)).where(got, belief)
        if answerability is not None and exposure is not None:
            exposure = answerability.observe(exposure, np.maximum(picks, 0), got)


def _ask_pairs(
    system: _System, known: NDArray[np.bool_], asked: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> None:
    """The pairs that tell most about everybody, ``count`` a user at most; ``known`` and ``asked`` are filled in."""
    users, items = np.nonzero(known)
    ids = system.data.coded().item_ids
    told = pl.DataFrame(
        {
            USER: [system.users[user] for user in users],
            ITEM: [ids[item] for item in items],
            RATING: system.ratings[users, items],
        }
    )
    everything = Dataset.from_tables(told, system.data.items)
    learner = Learner.fit(everything, encoder=system.encoder, likelihood=system.likelihood, dim=8, seed=system.seed)
    learner = learner.tell(
        Answer(user_id=system.users[user], item_id=ids[item], kind=AnswerKind.UNKNOWN)
        for user, item in zip(*np.nonzero(asked & ~known), strict=True)
    )
    rows = {user: row for row, user in enumerate(system.users)}
    columns = {item: column for column, item in enumerate(ids)}
    for question in learner.ask_pairs(count * len(rows), per_user=count, rng=rng):
        pair = rows[question.user_id], columns[question.item_id]
        asked[pair] = True
        known[pair] = system.answerable[pair]


def _everything(system: _System, budget: int) -> Played:
    taste = _refit(system, system.answerable)
    judge = Judge(taste, system.held_out, system.scale)
    found = judge(_believe(taste, system, system.answerable))
    return unmoved(found, judge.weights, system.answerable, budget)


def _csr(system: _System, known: NDArray[np.bool_]) -> sparse.csr_matrix:
    cells = np.nonzero(known)
    return sparse.csr_matrix((system.ratings[cells], cells), shape=known.shape)


def _ignorant(system: _System) -> Taste:
    """Before any answer: the middle of the scale for everything, and one dimension that nothing supports."""
    n_items = system.ratings.shape[1]
    level = system.likelihood.threshold((system.scale.low + system.scale.high) / 2)
    unit = ((system.scale.high - system.scale.low) / 4) ** 2 if system.likelihood.learns_scale else 1.0
    spread = Spread("isotropic", np.zeros((n_items, 1)))
    items = Items(np.full(n_items, level), np.zeros((n_items, 1)), spread, np.full(n_items, unit))
    return Taste.build(items, system.likelihood)


def _refit(system: _System, known: NDArray[np.bool_]) -> Taste:
    if not known.any():
        return _ignorant(system)
    users, items = np.nonzero(known)
    answers = Answers.build(users.astype(np.int32), items.astype(np.int32), system.ratings[users, items], known.shape)
    return fit_taste(answers, system.likelihood, system.content, dim=8, seed=system.seed)[0]


def _believe(taste: Taste, system: _System, known: NDArray[np.bool_]) -> Belief:
    return taste.believe(_csr(system, known))


def _candidates(system: _System, taste: Taste, answers: sparse.csr_matrix) -> Candidates:
    counts = np.bincount(answers.indices, minlength=answers.shape[1]).astype(np.float64)
    levels = level_shares(answers, system.scale) if answers.nnz else np.zeros((len(counts), len(system.scale.levels)))
    population = Population(answers, system.scale.edges(levels.shape[1]), taste, system.content)
    cut = system.likelihood.threshold(system.scale.cut)
    return Candidates.of_all(population, levels, targets=(counts + 1.0) / (counts + 1.0).sum(), like_cut=cut)
