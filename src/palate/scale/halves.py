"""The halves of a sweep over shards and blocks, by the tasks of a runner (:class:`palate.posteriors.sweeps.Halves`).

What a shard's users say of a block of items is added up in a fixed tree over the shard numbers
(:mod:`palate.runners.tree`): the bits are the same however many tasks run at once, and wherever. Shards are taken in
groups of neighbours: the beliefs of one group, and of the one before it, are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any

import numpy as np

from palate.arrays import Array
from palate.posteriors.collapsed_prior import Told
from palate.posteriors.item_half import Common, ItemSums, Step
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import Head
from palate.runners import Handle, Runner, TreeSum, tree_sum
from palate.scale import tasks
from palate.scale.tasks import Source


@dataclass(frozen=True, slots=True)
class Sharded:
    """What a sweep moves: handles of what is believed of items, and of what is kept of users.

    Attributes:
        items: :class:`~palate.posteriors.item_half.ItemBlock`, a block each.
        tables: :class:`~palate.scale.tasks.Table`, a block each.
        users: :class:`~palate.posteriors.user_half.Users`, a shard each; None before the first sweep.
    """

    items: tuple[Handle, ...]
    tables: tuple[Handle, ...]
    users: tuple[Handle | None, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Handles of what the users say of each block of items, and of what is kept of them."""

    blocks: tuple[Handle, ...]
    users: tuple[Handle, ...]


class ShardedHalves:
    """Halves by tasks.

    Args:
        blocks: Of each block of items its number, its first item and the one after its last, of those with an answer.
        n_shards: A power of two.
        exchange: ``float64``, or ``float32``: as what tables and sums cross from task to task.
        group: Neighbouring shards whose beliefs are in memory together, a power of two.
    """

    def __init__(
        self,
        runner: Runner,
        source: Source,
        blocks: Sequence[tuple[int, int, int]],
        n_shards: int,
        *,
        dim: int,
        exchange: str,
        group: int,
    ) -> None:
        self._runner, self._source, self._dim, self._exchange = runner, source, dim, exchange
        self._blocks = blocks
        self._groups = [range(first, first + group) for first in range(0, n_shards, group)]

    def believe(self, state: Sharded, common: Common) -> tuple[Head, Sums]:
        submit, source, likelihood = self._runner.submit, self._source, common.likelihood
        given = submit(tasks.joined, state.tables, likelihood, common.spread)
        dim = self._dim
        totals = [TreeSum[Handle](self._added) for _ in self._blocks]
        heads, users, before = list[Handle](), list[Handle](), list[Handle]()
        for group in self._groups:
            told = [
                submit(tasks.believe_shard, source, shard, state.users[shard], given, likelihood, dim, returns=3)
                for shard in group
            ]
            beliefs, heads_now, users_now = (list(column) for column in zip(*told, strict=True))
            heads += heads_now
            users += users_now
            parts = [
                submit(tasks.block_sums, source, block, group.start, beliefs, likelihood, self._exchange)
                for block in self._blocks
            ]
            self._runner.free(beliefs)
            del told, beliefs
            self._runner.wait(before)  # not all beliefs are to be in memory at once
            before = parts
            for total, part in zip(totals, parts, strict=True):
                total.push(part)
        self._runner.free([given])
        head = tree_sum((self._runner.get(one) for one in heads), len(heads), add)
        return head, Sums(tuple(total.total() for total in totals), tuple(users))

    def _added(self, one: Handle, other: Handle) -> Handle:
        total: Handle = self._runner.submit(tasks.add_blocks, one, other)
        return total

    def items(self, state: Sharded, sums: Sums, step: Step) -> tuple[Sharded, ItemSums]:
        learnt = [
            self._runner.submit(tasks.learn_items, self._source, block, *both, step, self._exchange, returns=3)
            for block, both in zip(self._blocks, zip(state.items, sums.blocks, strict=True), strict=True)
        ]
        items, tables, of_items = zip(*learnt, strict=True)
        users = sums.users
        if not step.common.likelihood.is_linear:
            users = self._each(tasks.turned_users, users, step.forward)
        return Sharded(items, tables, users), self._sum(of_items)

    def _sum(self, parts: Sequence[Handle]) -> Any:
        return tree_sum((self._runner.get(part) for part in parts), len(parts), add)

    def _each(self, function: Callable[..., Any], handles: Sequence[Handle | None], *arguments: Any) -> tuple[Any, ...]:
        return tuple(None if one is None else self._runner.submit(function, one, *arguments) for one in handles)

    def settling(self, state: Sharded, sums: Sums, step: Step) -> Settling:
        told = [
            self._runner.submit(tasks.told_of, self._source, block, *both, step)
            for block, both in zip(self._blocks, zip(state.items, sums.blocks, strict=True), strict=True)
        ]
        return Settling(self._runner, told, Sharded(state.items, state.tables, sums.users), self._exchange)

    def turned(self, state: Sharded, matrix: Array) -> Sharded:
        items = self._each(tasks.turned_items, state.items, matrix)
        users = self._each(tasks.turned_users, state.users, matrix)
        return Sharded(items, self._each(tasks.table_of, items, self._exchange), users)

    def mean_squares(self, state: Sharded) -> Array:
        total: Array = self._sum(self._each(tasks.squares_of, state.items))
        return total / self._source.n_items

    def learnt(self, state: Sharded, common: Common) -> Likelihood:
        """The same: no likelihood that is fitted on shards learns between sweeps."""
        return common.likelihood


class Settling:
    """All items at the end of a fit with content (:class:`palate.posteriors.sweeps.Settling`)."""

    def __init__(self, runner: Runner, told: Sequence[Handle], state: Sharded, exchange: str) -> None:
        self._runner, self._told, self._state, self._exchange = runner, told, state, exchange

    def each(self, function: Callable[..., tuple[Told, tuple[Array, ...]]], *arguments: object) -> tuple[Array, ...]:
        done = [self._runner.submit(tasks.apply, function, block, *arguments, returns=2) for block in self._told]
        self._told = [block for block, _ in done]
        parts = [self._runner.get(sums) for _, sums in done]
        return tuple(tree_sum(column, len(parts), np.add) for column in zip(*parts, strict=True))

    def finish(self, believed: Callable[[Told], tuple[Array, Array]]) -> Sharded:
        items = tuple(
            self._runner.submit(tasks.finish_block, believed, *both)
            for both in zip(self._told, self._state.items, strict=True)
        )
        tables = tuple(self._runner.submit(tasks.table_of, one, self._exchange) for one in items)
        return Sharded(items, tables, self._state.users)
