"""The users' half of a sweep for much data: compiled loops, shared among threads (:mod:`palate.posteriors.user_half`).

A part of a chunk's users gives their beliefs and its own sums over them; then a part of the items takes its sums from
the beliefs of the chunk. So no array of (I, P) is made for a chunk, each number is the work of one thread, and sums run
over the same parts in the same order however many threads there are: the same bits. Importing this does not import
Numba; the first use does, and compiles, once a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import numpy as np

from palate.arrays import Array
from palate.machine import on_threads
from palate.posteriors.answers import Answers, ByItem
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import Block, Head, Statistics, pack
from palate.posteriors.symmetric import shares, sound
from palate.posteriors.user_half import Given, Users, own_noise
from palate.posteriors.user_half import user_half as numpy_half

FROM_NUMBERS = 10**8  # entries of moments that a sweep adds; below it NumPy takes a fraction of a second
_NUMPY_BYTES = 48 * 2**20  # of packed user moments at a time; larger is not faster
_CHUNK_BYTES = 4 * 2**20  # of packed moments of users at a time: what a processor keeps near
_USER_COST = 10  # of a user's own matrix, in answers


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some users and their answers, in both orders, and where its parts begin.

    Attributes:
        rows: Of the users among all.
        answers: Theirs.
        by_item: The same answers.
        user_parts: Bounds of the parts of users, as rows of the chunk.
        item_parts: Bounds of the parts of items, as places in ``by_item.columns``.
    """

    rows: slice
    answers: Answers
    by_item: ByItem
    user_parts: list[int]
    item_parts: list[int]

    @classmethod
    def build(cls, rows: slice, answers: Answers) -> Chunk:
        by_item = answers.by_item()
        return cls(rows, answers, by_item, user_parts(answers), shares(by_item.start.astype(float)))


@dataclass(frozen=True, slots=True)
class Beliefs:
    """About the users of a chunk, and what follows for their answers.

    Attributes:
        moments: E[t tᵀ], packed, (n, P).
        precision: E[1 / ν], (n,).
        weights: Of the answers, (N,), the user's precision included.
        targets: What was observed, (N,).
    """

    moments: Array
    precision: Array
    weights: Array
    targets: Array


def user_parts(answers: Answers) -> list[int]:
    """Bounds of parts of users of about equal cost, as rows."""
    start = answers.values.indptr
    return shares(start + _USER_COST * np.arange(len(start), dtype=float))


def halves(answers: Answers, dim: int) -> Callable[[Users, Given, Likelihood], tuple[Statistics, Users]]:
    """The users' half of each sweep over these answers: compiled where they are many."""
    row = 4 * (dim + 1) * (dim + 2)  # bytes
    if answers.values.nnz * row < 8 * FROM_NUMBERS:
        return partial(numpy_half, answers, chunk_size=max(1, _NUMPY_BYTES // row))
    chunks = [Chunk.build(*some) for some in answers.chunks(max(1, _CHUNK_BYTES // row))]
    return partial(user_half, chunks)


def user_half(chunks: list[Chunk], users: Users, given: Given, likelihood: Likelihood) -> tuple[Statistics, Users]:
    """Every user's belief given the items, as one sum, and what is kept of them all."""
    sums, heads = Block.zero(len(given.factors), given.factors.shape[1] - 1), []
    kept = Users(np.empty_like(users.moments), np.empty_like(users.precision))
    for chunk in chunks:
        beliefs, head = believe(chunk.answers, chunk.user_parts, users.of(chunk.rows), given, likelihood)
        add_answers(sums, chunk.by_item, chunk.item_parts, chunk.answers.weights, beliefs, likelihood)
        kept.precision[chunk.rows] = beliefs.precision
        if not likelihood.is_linear:
            kept.moments[chunk.rows] = beliefs.moments
        heads.append(head)
    return Statistics(reduce(add, heads), sums), kept


def believe(
    answers: Answers, parts: list[int], users: Users, given: Given, likelihood: Likelihood
) -> tuple[Beliefs, Head]:
    """Beliefs about some users given the items, and the sums over them.

    Args:
        parts: Bounds of the parts of users, as rows of the answers.
        users: As of the sweep before.
    """
    n, size = len(users.precision), given.packed.shape[1]
    n_answers = answers.values.nnz
    found = Beliefs(np.empty((n, size)), np.empty(n), np.empty(n_answers), np.empty(n_answers))
    pulls = given.factors * given.precision[:, None]
    shared = pack(given.shared)

    def part(first: int, last: int) -> Head:
        return _part(answers, users, given, pulls, shared, likelihood, found, first, last)

    return found, reduce(add, on_threads(part, parts[:-1], parts[1:]))


def _part(
    answers: Answers,
    users: Users,
    given: Given,
    pulls: Array,
    shared: Array,
    likelihood: Likelihood,
    found: Beliefs,
    first: int,
    last: int,
) -> Head:
    """Beliefs about users ``first`` to ``last − 1`` of a chunk, into ``found``, and the sums over them."""
    from palate.posteriors import sweep_kernels

    start, items = answers.values.indptr, answers.values.indices
    mine = slice(start[first], start[last])
    of_answer = np.ones(mine.stop - mine.start) if answers.weights is None else answers.weights[mine]

    def predicted() -> tuple[Array, Array]:
        mean, variance = np.empty(start[-1]), np.empty(start[-1])
        given_now = given.packed, given.factors, given.precision, users.moments
        sweep_kernels.predictions(start, items, *given_now, first, last, mean, variance)
        return mean[mine], variance[mine]

    entries = likelihood.entries(answers.values.data[mine], predicted)
    found.weights[mine], found.targets[mine] = entries.weights * of_answer, entries.targets
    log_determinants, squares = np.empty(len(users.precision)), np.empty(len(users.precision))
    sweep_kernels.user_beliefs(
        start,
        items,
        found.weights,
        found.targets,
        users.precision,
        given.packed,
        pulls,
        given.precision,
        shared,
        likelihood.confidence,
        likelihood.background,
        first,
        last,
        found.moments,
        log_determinants,
        squares,
    )
    some, rows = slice(first, last), np.repeat(np.arange(last - first), np.diff(start[first : last + 1]))
    found.precision[some], latent, doubt = users.precision[some], 0.0, 0.0
    if likelihood.learns_scale:
        counts = np.bincount(rows, of_answer, last - first).astype(float)
        found.precision[some], latent, doubt = own_noise(squares[some], counts, given.spread)
    found.weights[mine] *= found.precision[some][rows]
    return Head(
        last - first,
        found.moments[some].sum(0),
        float(sound(log_determinants[some]).sum()),
        latent + float((of_answer * entries.bound).sum()),
        doubt,
    )


def add_answers(
    sums: Block, by_item: ByItem, parts: list[int], weights: Array | None, beliefs: Beliefs, likelihood: Likelihood
) -> None:
    """Adds answers to the sums of their items.

    Args:
        by_item: The answers, their items numbered as in ``sums``.
        parts: Bounds of the parts of items, as places in ``by_item.columns``.
        weights: Of the answers, as so much of one, in the order of ``beliefs.weights``; None for all one.
    """
    from palate.posteriors import sweep_kernels

    def part(first: int, last: int) -> None:
        sweep_kernels.item_sums(
            *by_item,
            beliefs.weights,
            beliefs.targets,
            beliefs.moments,
            likelihood.confidence,
            likelihood.background,
            first,
            last,
            sums.moment,
            sums.cross,
            sums.squares,
        )
        columns, start = by_item.columns[first:last], by_item.start[first : last + 1]
        if weights is None:
            sums.answers[columns] += np.diff(start)
        elif len(columns):
            counted = weights[by_item.order[start[0] : start[-1]]]
            sums.answers[columns] += np.add.reduceat(counted, start[:-1] - start[0])

    on_threads(part, parts[:-1], parts[1:])
