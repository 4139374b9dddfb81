"""Trees of questions: a user goes down by loving, hating or not knowing what is asked at each node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Candidates
from palate.arrays import Array, Positions
from palate.posteriors.population import Given

DEPTH = 10
LEAST = 20  # users below which a node is not split: what is fitted to fewer is chance
WEIGHED = 300  # items a node considers for its question, those most rated there
RATINGS = 1_000_000  # a tree is grown on at most about so many
LOVERS, HATERS, UNKNOWN = range(3)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Split:
    """How a node divides its users.

    Attributes:
        questions: Items asked there, in order, (Q,).
        weights: Of their answers (1 love, -1 hate, 0 unknown), (Q,).
        cut: Lovers have a weighted sum at or above it, haters below; who knows none of the items is unknown.
        columns: Items considered, (m,).
        gains: Of each as a question, (m,), at least 0.
    """

    questions: Positions
    weights: Array
    cut: float
    columns: Positions
    gains: Array

    @classmethod
    def single(cls, columns: Positions, gains: Array) -> Split:
        """By the one item of the largest gain, by none where none is considered."""
        questions = columns[[gains.argmax()]] if len(columns) else columns
        return cls(questions, np.ones(len(questions)), 0.0, columns, gains)

    def groups(self, answers: Array) -> Positions:
        """Lovers (0), haters (1) or unknown (2), of answers (n, Q) to (n,)."""
        known = (answers != 0).any(1)
        return np.where(known, np.where(answers @ self.weights >= self.cut, LOVERS, HATERS), UNKNOWN)


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its split, and a child for each of the three groups; a leaf has its parent's split and no child."""

    split: Split
    children: tuple[Node, ...] = ()


class Grower(Protocol[S]):
    """What a kind of tree must say; ``S`` is what it fits at a node."""

    def fit(self, users: Positions, above: S) -> S:
        """What is fitted to some users, given what their parent node has."""

    def split(self, users: Positions, fitted: S) -> Split:
        """The best split of some users."""


def grow(grower: Grower[S], opinions: sparse.csr_matrix, start: S) -> Node:
    """The tree of all users, who love (1) or hate (-1) items, (U, I)."""
    nothing = np.zeros(0, dtype=np.intp)
    empty = Node(Split(nothing, np.zeros(0), 0.0, nothing, np.zeros(0)))

    def below(users: Positions, above: S, parent: Split, depth: int) -> Node:
        fitted = grower.fit(users, above)
        if depth == DEPTH or len(users) < LEAST:
            return Node(parent)
        split = grower.split(users, fitted)
        if not split.gains.max(initial=0.0) > 0.0:
            return Node(parent)
        groups = split.groups(opinions[users][:, split.questions].toarray())
        parts = [users[groups == group] for group in (LOVERS, HATERS, UNKNOWN)]
        return Node(split, tuple(below(part, fitted, split, depth + 1) for part in parts))

    return below(np.arange(opinions.shape[0]), start, empty.split, 0)


def members_of(signs: sparse.csr_matrix) -> Iterator[sparse.csr_matrix]:
    """Who loves and then who hates each of m questions, by their opinions (n, m): 1 for each of them, (m, n)."""
    by_question = signs.T.tocsr()
    for sign in (1.0, -1.0):
        members = by_question.copy()
        members.data = (by_question.data == sign).astype(np.float64)
        members.eliminate_zeros()
        yield members


def most_rated(rated: sparse.csr_matrix) -> Positions:
    """The columns that a node considers, most ratings first: at least two, since one user is no group."""
    counts = np.bincount(rated.indices, minlength=rated.shape[1])
    columns = np.argsort(-counts, kind="stable")[:WEIGHED]
    return columns[counts[columns] >= 2]


def arrive(root: Node, given: Given, mean: float) -> Node:
    """The node where a user stands who has been asked this; ratings from ``mean`` on are love.

    A question of the tree that was not put when it was its turn cannot be put to this user, so it counts as unknown.
    """
    signs = np.where(given.answered, np.where(given.values >= mean, 1.0, -1.0), 0.0)
    opinion = dict(zip(given.columns.tolist(), signs.tolist(), strict=True))
    node, turn = root, 0
    while node.children:
        answers = []
        for question in node.split.questions.tolist():
            if question not in opinion and turn >= len(given.columns):
                return node
            turn += 1
            answers.append(opinion.get(question, 0.0))
        node = node.children[int(node.split.groups(np.array([answers]))[0])]
    return node


def scores(node: Node, candidates: Candidates) -> Array:
    """The gain of each candidate at a node, its questions first in order, what it did not consider last by count."""
    split = node.split
    table = np.full(candidates.population.n_items, np.nan)
    table[split.columns] = split.gains
    if node.children:
        table[split.questions] = split.gains.max() * (1.0 + 1e-9 * np.arange(len(split.questions), 0, -1))
    of_candidates = table[candidates.columns]
    return np.where(np.isnan(of_candidates), -1.0 / (1.0 + candidates.counts), of_candidates)
