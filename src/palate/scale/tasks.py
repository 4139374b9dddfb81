"""The tasks of a fit on shards: pure functions of files and of what earlier tasks gave, so that any may run twice.

A task works on one core. What it is given may lie in memory that others read too, so nothing of it is written to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.posteriors.answers import Answers, ByItem
from palate.posteriors.collapsed_prior import Told
from palate.posteriors.compiled import Beliefs, add_answers, believe, user_parts
from palate.posteriors.fit import Unit
from palate.posteriors.item_half import ItemBlock, ItemSums, Step, items_half
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import Block, Head, unpack
from palate.posteriors.sweeps import told
from palate.posteriors.symmetric import moments_over_noise, shares
from palate.posteriors.user_half import Given, Users
from palate.runners import tree_sum
from palate.scale.shards import Shards, read_by_block, read_rows


@dataclass(frozen=True, slots=True)
class Source:
    """Where the answers and the content of a fit lie, and how its answers are taken.

    Attributes:
        folder: Of the shards.
        digest: Of their manifest.
        n_items: Items with an answer: the others are not fitted.
        come_first: Whether they have the first codes, as in shards that were made at once.
        likelihood: Of the answers, as far as it does not change.
        unit: That of the answers.
        content: A file of NumPy with the encodings of the items with an answer, (n_items, E), or None.
    """

    folder: str
    digest: str
    n_items: int
    come_first: bool
    likelihood: Likelihood
    unit: Unit
    content: str | None = None

    def answers(self, shard: int) -> Answers:
        """Of a shard, as the fit takes them."""
        rows = read_rows(self.folder, shard, digest=self.digest)
        values, weights = self.likelihood.observed((rows.values - self.unit.centre) / self.unit.size)
        shape = (len(rows.start) - 1, self.n_items)
        return Answers(sparse.csr_matrix((values, self.places(rows.items), rows.start), shape=shape), weights)

    def places(self, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Where items are among those with an answer."""
        if self.come_first:
            return codes
        has = Shards.open(self.folder).item_counts() > 0
        return (np.cumsum(has, dtype=np.int32) - 1)[codes]

    def encodings(self, first: int, last: int) -> Array:
        """Of some items, (n, E)."""
        if self.content is None:
            return np.zeros((last - first, 0))
        return np.asarray(np.load(Path(self.content), mmap_mode="r")[first:last], dtype=np.float64)


class Table(NamedTuple):
    """A block of items as the users' half sees it, in units of its noise (:class:`~palate.posteriors.user_half.Given`).

    Attributes:
        factors: (I, A).
        precision: (I,).
        packed: (I, P), as it crosses a network.
    """

    factors: Array
    precision: Array
    packed: NDArray[np.floating[Any]]


class UserBeliefs(NamedTuple):
    """What a shard's users are believed to like, and as how much of one each of their answers counts (None: one)."""

    beliefs: Beliefs
    counted: Array | None


def table_of(items: ItemBlock, exchange: str) -> Table:
    """What the users' half needs of a block of items."""
    packed = moments_over_noise(items.factors, items.covariances, items.noise)
    return Table(items.factors, 1.0 / items.noise, packed.astype(exchange, copy=False))


def joined(tables: Sequence[Table], likelihood: Likelihood, spread: float) -> Given:
    """All items, for the users' half."""
    factors, precision, packed = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    packed = packed.astype(np.float64, copy=False)
    return Given(factors, precision, packed, likelihood.background * unpack(packed.sum(0)), spread)


def believe_shard(
    source: Source, shard: int, before: Users | None, given: Given, common: Likelihood, dim: int
) -> tuple[UserBeliefs, Head, Users]:
    """Beliefs about the users of a shard given the items, the sums over them, and what is kept of them.

    Args:
        before: What was kept of the sweep before; None at the start.
    """
    answers = source.answers(shard)
    users = Users.start(answers.values.shape[0], dim, common) if before is None else before
    beliefs, head = believe(answers, user_parts(answers), users, given, common)
    kept = Users(users.moments if common.is_linear else beliefs.moments, beliefs.precision)
    return UserBeliefs(beliefs, answers.weights), head, kept


def block_sums(
    source: Source,
    block: tuple[int, int, int],
    first_shard: int,
    beliefs: Sequence[UserBeliefs],
    likelihood: Likelihood,
    exchange: str,
) -> Block:
    """Sums over the answers of neighbouring shards to a block of items.

    Args:
        block: Its number, its first item, and the one after its last, among those with an answer.
        first_shard: The number of the shard that the first beliefs are about.
    """
    parts = (_sums(source, block, shard, found, likelihood) for shard, found in enumerate(beliefs, first_shard))
    return tree_sum(parts, len(beliefs), Block.add).cast(exchange)


def _sums(
    source: Source, block: tuple[int, int, int], shard: int, believed: UserBeliefs, likelihood: Likelihood
) -> Block:
    number, first, last = block
    rows = read_by_block(source.folder, shard, number, digest=source.digest)
    sums = Block.zero(last - first, _dim_of(believed.beliefs.moments.shape[1]))
    columns = source.places(rows.columns).astype(np.intp) - first
    by_item = ByItem(columns, rows.start, rows.users, rows.places)
    parts = shares(rows.start.astype(float))
    add_answers(sums, by_item, parts, believed.counted, believed.beliefs, likelihood)
    return sums


def shards_at_once(
    source: Source,
    blocks: Sequence[tuple[int, int, int]],
    first_shard: int,
    before: Sequence[Users | None],
    given: Given,
    likelihood: Likelihood,
    dim: int,
    exchange: str,
) -> tuple[Any, ...]:
    """:func:`believe_shard` and :func:`block_sums` of neighbouring shards: beliefs about their users stay here.

    Args:
        before: What was kept of the users of each.
    Returns:
        The sums over the users of each shard, as one list; what is kept of each; the sums of each block.
    """
    heads, kept = list[Head](), list[Users]()

    def sums_of(shard: int, users: Users | None) -> list[Block]:
        found, head, now = believe_shard(source, shard, users, given, likelihood, dim)
        heads.append(head)
        kept.append(now)
        return [_sums(source, block, shard, found, likelihood) for block in blocks]

    parts = map(sums_of, range(first_shard, first_shard + len(before)), before)
    sums = tree_sum(parts, len(before), lambda some, more: list(map(Block.add, some, more)))
    return heads, *kept, *(total.cast(exchange) for total in sums)


def _dim_of(packed: int) -> int:
    return (math.isqrt(8 * packed + 1) - 1) // 2 - 1


def add_blocks(one: Block, other: Block) -> Block:
    """The sums over the users of both."""
    return one + other


def learn_items(
    source: Source, block: tuple[int, int, int], items: ItemBlock, sums: Block, step: Step
) -> tuple[ItemBlock, ItemSums]:
    """Beliefs about a block of items given the users, and the sums over them."""
    _, first, last = block
    return items_half(items, sums.cast("float64"), source.encodings(first, last), step)


def told_of(source: Source, block: tuple[int, int, int], items: ItemBlock, sums: Block, step: Step) -> Told:
    """What answers and content say of a block of items."""
    _, first, last = block
    return told(items, sums.cast("float64"), source.encodings(first, last), step)


def apply(function: Callable[..., tuple[Told, tuple[Array, ...]]], block: Told, *arguments: Any) -> tuple[Any, Any]:
    """One pass over a block (:class:`palate.posteriors.collapsed_prior.Passes`)."""
    return function(block, *arguments)


def finish_block(believed: Callable[[Told], tuple[Array, Array]], block: Told, items: ItemBlock) -> ItemBlock:
    """A block as it is believed to be at the end."""
    return ItemBlock(*believed(block), items.noise)


def turned_items(items: ItemBlock, matrix: Array) -> ItemBlock:
    """In other coordinates."""
    return items.turned(matrix)


def turned_users(users: Users, matrix: Array) -> Users:
    """In other coordinates."""
    return users.transform(matrix)


def squares_of(items: ItemBlock) -> Array:
    """Sum of ``E[w̃ w̃ᵀ]`` over a block, (A, A)."""
    return items.squares


def precision_of(users: Users) -> Array:
    """E[1 / ν] of a shard's users, (n,)."""
    return users.precision


def residual_products(source: Source, shard: int, levels: Array, basis: Array) -> Array:
    """``Rᵀ R basis``, R the answers of a shard less the levels of their items, (I, K)."""
    answers = source.answers(shard).values
    residuals = sparse.csr_matrix(
        (answers.data - levels[answers.indices], answers.indices, answers.indptr), shape=answers.shape
    )
    return np.asarray(residuals.T @ (residuals @ basis))


def add_arrays(one: Array, other: Array) -> Array:
    """Their sum."""
    return one + other
