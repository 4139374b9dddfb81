"""What a fit on shards takes on so many nodes: seconds, memory, what crosses the network, and money.

Pure functions of sizes. The seconds are those of one core, measured on one machine (:data:`RATES`), so a prediction for
another machine or a much larger fit is an extrapolation. Shapes as in :mod:`palate.posteriors.statistics`: A = D + 1,
P = A (A + 1) / 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from palate.errors import OptionError
from palate.scale.halves import group_of, sums_at_once, sums_bytes

DOUBLE = 8  # bytes
GB = 1e9
MOST_NODES = 4_096


class Rates(NamedTuple):
    """Seconds of one core, each as a part that is the same for every dimension and one that grows with it.

    Attributes:
        answer, answer_number: Of each answer in the users' half, and of each of P.
        user, user_cube: Of each user, and of each of A³.
        sum, sum_number: Of each answer in the sums of the items, and of each of P.
        item, item_cube: Of each item, and of each of A³.
        moved_number: Of each number of the items' sums that is made, added or copied.
        task: Of each task, beside its work.
    """

    answer: float
    answer_number: float
    user: float
    user_cube: float
    sum: float
    sum_number: float
    item: float
    item_cube: float
    moved_number: float
    task: float


# Measured by `python -m benchmarks.scale --only rates` (benchmarks/results/scale.json).
RATES = Rates(
    answer=2.8e-08,
    answer_number=1.5e-10,
    user=1.6e-06,
    user_cube=1.3e-10,
    sum=4.6e-08,
    sum_number=2.9e-10,
    item=6.6e-06,
    item_cube=9.1e-11,
    moved_number=4.9e-10,
    task=1.0e-03,
)


class Load(NamedTuple):
    """What is to be fitted.

    Attributes:
        users, items, answers, shards: How many; of the items those with an answer.
        dim: Taste dimensions.
        keeps_users: Whether what is believed of users is kept from sweep to sweep: of likes, not of ratings or events.
        number_bytes: Of what goes from task to task: 8 of float64, 4 of float32.
        disk_bytes: Of the shards.
    """

    users: int
    items: int
    answers: int
    shards: int
    dim: int
    keeps_users: bool = False
    number_bytes: int = DOUBLE
    disk_bytes: int = 0

    @property
    def packed(self) -> int:
        """P."""
        return (self.dim + 1) * (self.dim + 2) // 2


class Cluster(NamedTuple):
    """Where it is fitted.

    Attributes:
        cores, memory, disk: Of a node; the last two in bytes, free.
        gbit: Of a node's network, in Gbit a second.
        price: Dollars a core and hour.
        share: Of its time in which a core works.
    """

    nodes: int
    cores: int
    memory: float
    disk: float
    gbit: float = 12.5
    price: float = 0.0408
    share: float = 0.7


class Costs(NamedTuple):
    """What a fit takes.

    Attributes:
        core_seconds: Of a sweep, all cores together.
        compute, network: Seconds of a sweep in which cores work, and in which a node sends and receives.
        sweep, fit: Seconds.
        sent: Bytes that a node receives in a sweep, by what they are.
        memory: Bytes of a node at its fullest, by what they are.
        disk: Bytes: the shards, and two checkpoints.
        dollars: Of all cores for the whole fit.
    """

    core_seconds: float
    compute: float
    network: float
    sweep: float
    fit: float
    sent: dict[str, float]
    memory: dict[str, float]
    disk: float
    dollars: float


def costs(load: Load, on: Cluster, *, sweeps: int, start_seconds: float = 300.0, rates: Rates = RATES) -> Costs:
    """What a fit of so many sweeps takes.

    Args:
        start_seconds: Until the first sweep: starting, reading, the first factors.
    """
    core_seconds = _core_seconds(load, on, rates)
    compute = core_seconds / (on.nodes * on.cores * on.share)
    sent = _sent(load, on)
    network = sum(sent.values()) / (on.gbit * GB / 8)
    fit = start_seconds + sweeps * (compute + network)
    dollars = fit / 3600 * on.nodes * on.cores * on.price
    return Costs(core_seconds, compute, network, compute + network, fit, sent, _memory(load, on), _disk(load), dollars)


def groups(load: Load, on: Cluster) -> tuple[int, int, bool]:
    """Shards that are worked on together, how many such groups there are, and whether a group is one task."""
    together, is_at_once = group_of(on.nodes * on.cores, on.nodes, load.shards, sums_bytes(load.items, load.dim))
    return together, load.shards // together, is_at_once


def _core_seconds(load: Load, on: Cluster, rates: Rates) -> float:
    cube, numbers = (load.dim + 1) ** 3, float(load.items * load.packed)
    _, n_groups, _ = groups(load, on)
    moved = numbers * (load.shards + 2 * n_groups + 6)  # a shard's sums; a group's, made and added; tables, items
    return (
        load.answers * (rates.answer + rates.sum + load.packed * (rates.answer_number + rates.sum_number))
        + load.users * (rates.user + cube * rates.user_cube)
        + load.items * (rates.item + cube * rates.item_cube)
        + moved * rates.moved_number
        + (load.shards + n_groups) * rates.task
    )


def _sent(load: Load, on: Cluster) -> dict[str, float]:
    """What a node receives: the tables of the others' items, and what the others' users say of its own."""
    elsewhere = (on.nodes - 1) / on.nodes
    sums = load.items * (load.packed + load.dim + 3) * load.number_bytes
    return {"tables of items": elsewhere * _table(load), "sums of items": elsewhere * sums}


def _table(load: Load) -> float:
    """All items as they cross the network: factors, precision, packed moments."""
    return float(load.items * ((load.dim + 2) * DOUBLE + load.packed * load.number_bytes))


def _given(load: Load) -> float:
    """The same joined, as the users' half reads it."""
    return float(load.items * (load.dim + 2 + load.packed) * DOUBLE)


def _memory(load: Load, on: Cluster) -> dict[str, float]:
    """One task a group: as many of them as cores. Else the beliefs about two groups of shards are there at a time."""
    together, n_groups, is_at_once = groups(load, on)
    of_node = -(-n_groups // on.nodes)
    items = load.items * (load.dim + 2 + load.packed) * DOUBLE
    sums = load.items * (load.packed + load.dim + 3) * load.number_bytes
    users = load.users * (load.packed if load.keeps_users else 1) * DOUBLE
    of_shard = load.answers / load.shards
    copies = min(2, of_node)
    believed, summed = copies * together, (copies + math.log2(of_node) + 1 + (on.nodes > 1)) * sums
    if is_at_once:
        at_work = min(on.cores, of_node)
        believed = at_work
        summed = at_work * sums_at_once(together) * sums_bytes(load.items, load.dim) + (of_node > 1) * sums
    return {
        "items and their tables": items / on.nodes + _table(load) + _given(load),
        "beliefs about users": believed * load.users / load.shards * load.packed * DOUBLE,
        "sums of items": summed,
        "users kept": 2 * users / on.nodes,
        "answers at work": on.cores * of_shard * 60,
        "programs": 0.4 * GB + (on.cores - 1) * (0.2 * GB if on.nodes > 1 else 0.0),
    }


def _disk(load: Load) -> float:
    items = load.items * (load.dim + 2 + load.packed) * DOUBLE
    users = load.users * (load.packed + 1 if load.keeps_users else 1) * DOUBLE
    return load.disk_bytes + 2 * (items + users)


def check(load: Load, on: Cluster) -> None:
    """That a fit has the memory and the disk that it takes.

    Raises:
        OptionError: If it has not, with what it lacks and what would do.
    """
    memory = sum(_memory(load, on).values())
    if memory > on.memory:
        what, most = max(_memory(load, on).items(), key=lambda part: part[1])
        has = f"a node would hold {memory / GB:,.1f} GB and has {on.memory / GB:,.1f}"
        fact = f"{has} (most of it: {what}, {most / GB:,.1f})"
        raise OptionError(f"{fact}. {_remedy(load, on)}")
    if _disk(load) > on.disk:
        raise OptionError(
            f"shards and checkpoints take {_disk(load) / GB:,.1f} GB and {on.disk / GB:,.1f} are free. "
            "Give a larger disk, or fewer dimensions (--dim)."
        )


def _remedy(load: Load, on: Cluster) -> str:
    """The smallest change that would do."""
    more = load._replace(shards=load.shards * 2)
    while more.shards <= 1 << 20:
        if sum(_memory(more, on).values()) <= on.memory:
            return f"Make {more.shards:,} shards (palate shard --shards {more.shards})."
        more = more._replace(shards=more.shards * 2)
    nodes = on.nodes * 2
    while nodes <= MOST_NODES:
        if sum(_memory(load, on._replace(nodes=nodes)).values()) <= on.memory:
            return f"Use {nodes:,} nodes."
        nodes *= 2
    half = load._replace(number_bytes=4)
    if load.number_bytes > 4 and sum(_memory(half, on).values()) <= on.memory:
        return "Use --exchange float32."
    return "No number of such nodes would do: give nodes of more memory, or fewer dimensions (--dim)."
