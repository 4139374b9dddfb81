"""The halves of a sweep over shards and blocks, by the tasks of a runner (:class:`palate.posteriors.sweeps.Halves`).

What a shard's users say of a block of items is added up in a fixed tree over the shard numbers: the bits are the same
however many tasks run at once, and wherever. Shards are taken in groups of neighbours, each on one node, which adds
them up before anything leaves it; a node has the beliefs of one group, and of the one before it, in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from operator import add
from typing import Any

import numpy as np

from palate.arrays import Array
from palate.posteriors.collapsed_prior import Told
from palate.posteriors.item_half import Common, ItemSums, Step
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import Head
from palate.runners import Handle, Runner, tree_sum
from palate.scale import tasks
from palate.scale.tasks import Source

AT_ONCE_BYTES = 2**30  # of a node: for sums over all items of the groups that are worked on at once


@dataclass(frozen=True, slots=True)
class Places:
    """Where the tasks of a fit run.

    Attributes:
        nodes: How many machines there are.
        shards: A power of two.
        group: Neighbouring shards that are worked on together, a power of two.
        blocks: Of items with an answer.
        is_at_once: Whether a group is the work of one task; else each of its shards is, and then each block.
    """

    nodes: int
    shards: int
    group: int
    blocks: int
    is_at_once: bool

    @classmethod
    def of(cls, runner: Runner, shards: int, blocks: int, sums_bytes: int) -> Places:
        """With groups that give all cores of a node work.

        Args:
            sums_bytes: Of the sums over all items (:func:`sums_bytes`).
        """
        group, is_at_once = group_of(runner.workers, runner.nodes, shards, sums_bytes)
        return cls(runner.nodes, shards, group, blocks, is_at_once)

    @property
    def groups(self) -> int:
        return self.shards // self.group

    def of_group(self, group: int) -> int:
        """Neighbouring groups are on one node."""
        return group * self.nodes // self.groups

    def of_shard(self, shard: int) -> int:
        return self.of_group(shard // self.group)

    def of_block(self, block: int) -> int:
        """The owner of a block of items."""
        return block * self.nodes // self.blocks

    @property
    def rounds(self) -> list[list[int]]:
        """Groups that are worked on at once: one a node."""
        everywhere = range(self.groups)
        of_node = [[group for group in everywhere if self.of_group(group) == node] for node in range(self.nodes)]
        return [[group for group in now if group is not None] for now in zip_longest(*of_node)]


def group_of(workers: int, nodes: int, shards: int, sums_bytes: int) -> tuple[int, bool]:
    """How many neighbouring shards are worked on together, and whether as one task.

    Where the sums over all items are small, each worker takes its shards at once: what it believes of their users need
    not leave it. Else a node works on so many shards that each of its workers has one, a block of items at a time.

    All numbers of shards are powers of two.
    """
    cores = -(-workers // nodes)
    apart = min(1 << max(cores - 1, 0).bit_length(), max(shards >> max(nodes - 1, 0).bit_length(), 1))
    at_once = max(shards >> max(nodes * cores - 1, 0).bit_length(), 1)
    fits = cores * sums_at_once(at_once) * sums_bytes <= AT_ONCE_BYTES
    return (at_once, True) if fits else (apart, False)


def sums_bytes(items: int, dim: int) -> int:
    """Of the sums over all items, as float64 (:class:`palate.posteriors.statistics.Block`)."""
    size = dim + 1
    return 8 * items * (size * (size + 1) // 2 + size + 2)


def sums_at_once(group: int) -> int:
    """Sums over all items that a task holds which takes a group at once: those on the way, and a shard's."""
    return group.bit_length() + 1


@dataclass(frozen=True, slots=True)
class Sharded:
    """What a sweep moves: handles of what is believed of items, and of what is kept of users.

    Attributes:
        items: :class:`~palate.posteriors.item_half.ItemBlock`, a block each.
        users: :class:`~palate.posteriors.user_half.Users`, a shard each; None before the first sweep.
    """

    items: tuple[Handle, ...]
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
        exchange: ``float64``, or ``float32``: as what tables and sums cross from task to task.
    """

    def __init__(
        self,
        runner: Runner,
        source: Source,
        blocks: Sequence[tuple[int, int, int]],
        places: Places,
        *,
        dim: int,
        exchange: str,
    ) -> None:
        self._runner, self._source, self._blocks, self._places = runner, source, blocks, places
        self._dim, self._exchange = dim, exchange

    def believe(self, state: Sharded, common: Common) -> tuple[Head, Sums]:
        submit, places, likelihood = self._runner.submit, self._places, common.likelihood
        tables = [submit(tasks.table_of, one, self._exchange, near=near) for near, _, (one,) in self._with(state.items)]
        given = [submit(tasks.joined, tables, likelihood, common.spread, near=node) for node in range(places.nodes)]
        self._runner.free(tables)
        totals = [_Tree(places, block, self._added) for block in range(places.blocks)]
        believed = self._at_once if places.is_at_once else self._apart
        heads, users = believed(state, given, likelihood, totals)
        self._runner.free(given)
        head = tree_sum(heads, places.shards, add)
        return head, Sums(tuple(total.sum for total in totals), users)

    def _at_once(
        self, state: Sharded, given: Sequence[Handle], likelihood: Likelihood, totals: Sequence[_Tree]
    ) -> tuple[Iterable[Head], tuple[Handle, ...]]:
        """A group a task. What is believed of users stays in it."""
        places, submit = self._places, self._runner.submit
        heads, users = list[Handle](), list[Handle]()
        for group in range(places.groups):
            node, first = places.of_group(group), group * places.group
            before = state.users[first : first + places.group]
            of_group = self._source, self._blocks, first, before, given[node], likelihood, self._dim, self._exchange
            returns = 1 + places.group + places.blocks
            of_heads, *more = submit(tasks.shards_at_once, *of_group, returns=returns, near=node)
            heads.append(of_heads)
            users += more[: places.group]
            for total, part in zip(totals, more[places.group :], strict=True):
                total.push(group, part)
        return (head for one in heads for head in self._runner.get(one)), tuple(users)

    def _apart(
        self, state: Sharded, given: Sequence[Handle], likelihood: Likelihood, totals: Sequence[_Tree]
    ) -> tuple[Iterable[Head], tuple[Handle, ...]]:
        """A shard a task, then a block a task, a group after another: for so many items that their sums are large."""
        places, submit = self._places, self._runner.submit
        heads, users = dict[int, Handle](), dict[int, Handle]()
        before = list[Handle]()
        for groups in places.rounds:
            now = list[Handle]()
            for group in groups:
                node, first = places.of_group(group), group * places.group
                beliefs = list[Handle]()
                for shard in range(first, first + places.group):
                    of_shard = self._source, shard, state.users[shard], given[node], likelihood, self._dim
                    belief, heads[shard], users[shard] = submit(tasks.believe_shard, *of_shard, returns=3, near=node)
                    beliefs.append(belief)
                for total, block in zip(totals, self._blocks, strict=True):
                    of_block = self._source, block, first, beliefs, likelihood, self._exchange
                    now.append(submit(tasks.block_sums, *of_block, near=node))
                    total.push(group, now[-1])
                self._runner.free(beliefs)
                del beliefs, belief
            self._runner.wait(before)  # not all beliefs are to be in memory at once
            before = now
        in_order = (self._runner.get(heads[shard]) for shard in range(places.shards))
        return in_order, tuple(users[shard] for shard in range(places.shards))

    def _added(self, one: Handle, other: Handle, near: int) -> Handle:
        total: Handle = self._runner.submit(tasks.add_blocks, one, other, near=near)
        return total

    def items(self, state: Sharded, sums: Sums, step: Step) -> tuple[Sharded, ItemSums]:
        learnt = [
            self._runner.submit(tasks.learn_items, self._source, block, *both, step, returns=2, near=near)
            for near, block, both in self._with(state.items, sums.blocks)
        ]
        items, of_items = zip(*learnt, strict=True)
        users = sums.users
        if not step.common.likelihood.is_linear:
            users = self._each_shard(tasks.turned_users, users, step.forward)
        return Sharded(items, users), self._sum(of_items)

    def _with(self, *handles: Sequence[Handle]) -> Iterator[tuple[int, tuple[int, int, int], tuple[Handle, ...]]]:
        """Where each block is worked on, what it is, and what is held of it."""
        for number, (block, *mine) in enumerate(zip(self._blocks, *handles, strict=True)):
            yield self._places.of_block(number), block, tuple(mine)

    def _sum(self, parts: Sequence[Handle]) -> Any:
        return tree_sum((self._runner.get(part) for part in parts), len(parts), add)

    def _each_shard(self, function: Callable[..., Any], users: Sequence[Handle | None], *more: Any) -> tuple[Any, ...]:
        return tuple(
            None if one is None else self._runner.submit(function, one, *more, near=self._places.of_shard(shard))
            for shard, one in enumerate(users)
        )

    def settling(self, state: Sharded, sums: Sums, step: Step) -> Settling:
        told = [
            self._runner.submit(tasks.told_of, self._source, block, *both, step, near=near)
            for near, block, both in self._with(state.items, sums.blocks)
        ]
        return Settling(self._runner, self._places, told, Sharded(state.items, sums.users))

    def turned(self, state: Sharded, matrix: Array) -> Sharded:
        items = [
            self._runner.submit(tasks.turned_items, one, matrix, near=near)
            for near, _, (one,) in self._with(state.items)
        ]
        users = self._each_shard(tasks.turned_users, state.users, matrix)
        return Sharded(tuple(items), users)

    def mean_squares(self, state: Sharded) -> Array:
        parts = [self._runner.submit(tasks.squares_of, one, near=near) for near, _, (one,) in self._with(state.items)]
        total: Array = self._sum(parts)
        return total / self._source.n_items

    def learnt(self, state: Sharded, common: Common) -> Likelihood:
        """The same: no likelihood that is fitted on shards learns between sweeps."""
        return common.likelihood


class _Tree:
    """The sum of the groups' sums over a block, in the order of :func:`palate.runners.tree`, however they come.

    What lies on one node is added there, the rest where the block's owner is.
    """

    def __init__(self, places: Places, block: int, added: Callable[[Handle, Handle, int], Handle]) -> None:
        self._places, self._owner, self._added = places, places.of_block(block), added
        self._held: dict[tuple[int, int], Handle] = {}  # by the first group and the number of groups

    def push(self, group: int, part: Handle) -> None:
        first, size = group, 1
        while (first ^ size, size) in self._held:
            other = self._held.pop((first ^ size, size))
            one, two = (part, other) if first & size == 0 else (other, part)
            first, size = first & ~size, 2 * size
            nodes = {self._places.of_group(first), self._places.of_group(first + size - 1)}
            part = self._added(one, two, nodes.pop() if len(nodes) == 1 else self._owner)
        self._held[first, size] = part

    @property
    def sum(self) -> Handle:
        (total,) = self._held.values()
        return total


class Settling:
    """All items at the end of a fit with content (:class:`palate.posteriors.sweeps.Settling`)."""

    def __init__(self, runner: Runner, places: Places, told: Sequence[Handle], state: Sharded) -> None:
        self._runner, self._places, self._told, self._state = runner, places, told, state

    def each(self, function: Callable[..., tuple[Told, tuple[Array, ...]]], *arguments: object) -> tuple[Array, ...]:
        done = [
            self._runner.submit(tasks.apply, function, block, *arguments, returns=2, near=self._places.of_block(number))
            for number, block in enumerate(self._told)
        ]
        self._told = [block for block, _ in done]
        parts = [self._runner.get(sums) for _, sums in done]
        return tuple(tree_sum(column, len(parts), np.add) for column in zip(*parts, strict=True))

    def finish(self, believed: Callable[[Told], tuple[Array, Array]]) -> Sharded:
        items = [
            self._runner.submit(tasks.finish_block, believed, *both, near=self._places.of_block(number))
            for number, both in enumerate(zip(self._told, self._state.items, strict=True))
        ]
        return Sharded(tuple(items), self._state.users)
