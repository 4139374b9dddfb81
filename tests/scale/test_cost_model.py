"""The cost model: its bytes are those of the arrays that a fit makes, and what it refuses would not have gone."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.errors import OptionError
from palate.posteriors.fit import first_items
from palate.posteriors.item_half import SPREAD
from palate.posteriors.likelihoods import Gaussian, Probit
from palate.posteriors.statistics import Block
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.user_half import Users
from palate.runners import Handle, InProcess
from palate.scale import cost_model, tasks
from palate.scale.cost_model import GB, Cluster, Load
from palate.scale.fit import fit_shards
from palate.scale.halves import group_of, sums_bytes
from palate.scale.sharding import shard

ITEMS, DIM = 50, 7
LOAD = Load(users=10**7, items=10**6, answers=10**9, shards=1024, dim=64, number_bytes=4, disk_bytes=24 * 10**9)
NODE = Cluster(nodes=16, cores=16, memory=512e9, disk=1e12)


def size_of(*arrays: Any) -> int:
    return sum(np.asarray(array).nbytes for array in arrays)


@pytest.mark.parametrize(("dtype", "number_bytes"), [("float64", 8), ("float32", 4)])
def test_its_bytes_are_those_of_the_arrays_of_a_fit(dtype: str, number_bytes: int) -> None:
    load = LOAD._replace(items=ITEMS, dim=DIM, number_bytes=number_bytes)
    items = first_items(np.ones((ITEMS, DIM + 1)))
    table = tasks.table_of(items, dtype)
    given = tasks.joined([table], Gaussian(), SPREAD)
    sums = Block.zero(ITEMS, DIM).cast(dtype)
    on = Cluster(nodes=2, cores=1, memory=GB, disk=GB)
    sent, memory = cost_model._sent(load, on), cost_model._memory(load, on)
    each = size_of(*(getattr(sums, field.name) for field in fields(sums)))
    joined = size_of(given.factors, given.precision, given.packed)
    assert sent["sums of items"] == each / 2
    assert sent["tables of items"] == size_of(*table) / 2
    held = size_of(items.factors, items.covariances, items.noise)
    assert memory["items and their tables"] == held / 2 + size_of(*table) + joined


def test_users_are_kept_where_the_likelihood_looks_at_them() -> None:
    for likelihood, keeps in ((Gaussian(), False), (Probit(), True)):
        users = Users.start(30, DIM, likelihood)
        memory = cost_model._memory(LOAD._replace(users=30, dim=DIM, keeps_users=keeps), NODE)
        kept = size_of(users.moments) if keeps else size_of(users.precision)
        assert memory["users kept"] == 2 * kept / NODE.nodes


def test_groups_are_those_of_the_fit_and_one_node_sends_nothing() -> None:
    assert cost_model.groups(LOAD, NODE) == (16, 64, False)
    assert group_of(256, 16, 1024, sums_bytes(10**6, 64)) == (16, False)
    assert group_of(256, 16, 1024, sums_bytes(100, 64)) == (4, True)
    alone = cost_model.costs(LOAD, NODE._replace(nodes=1), sweeps=10)
    assert sum(alone.sent.values()) == 0 == alone.network
    both = [cost_model.costs(LOAD, NODE, sweeps=sweeps) for sweeps in (10, 20)]
    assert both[1].fit - both[0].fit == pytest.approx(10 * both[0].sweep)
    assert both[0].dollars == pytest.approx(both[0].fit / 3600 * 256 * NODE.price)


@pytest.mark.parametrize("memory", [16e9, 32e9, 64e9, 128e9])
def test_what_it_advises_would_do(memory: float) -> None:
    on = NODE._replace(nodes=1, memory=memory)
    try:
        cost_model.check(LOAD, on)
    except OptionError as error:
        said = str(error)
    else:
        pytest.fail("a node of so little memory was said to do")
    if found := re.search(r"Use ([0-9,]+) nodes", said):
        cost_model.check(LOAD, on._replace(nodes=int(found[1].replace(",", ""))))
    elif found := re.search(r"--shards ([0-9]+)", said):
        cost_model.check(LOAD._replace(shards=int(found[1])), on)
    else:
        assert "No number of such nodes would do" in said


def test_a_disk_that_is_too_small_is_said() -> None:
    with pytest.raises(OptionError, match=r"take 59\.\d GB and 50\.0 are free"):
        cost_model.check(LOAD, NODE._replace(memory=1e15, disk=50e9))


class Counted(InProcess):
    """Four nodes, as far as a runner is told where tasks run: counts what each has to be sent, once."""

    nodes = 4

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, int] = {}
        self._lies: dict[int, set[int]] = {}
        self._kept: list[Any] = []  # so that no number of an object comes again

    def submit(self, function: Any, *arguments: Any, returns: int = 1, near: int | None = None) -> Any:
        if near is not None:
            for handle in _handles(arguments):
                there = self._lies.setdefault(id(handle), set())
                if there and near not in there:
                    self.sent[function.__name__] = self.sent.get(function.__name__, 0) + _bytes(self.get(handle))
                there.add(near)
        found = super().submit(function, *arguments, returns=returns)
        for handle in found if returns > 1 else (found,):
            self._lies[id(handle)] = set() if near is None else {near}
            self._kept.append(handle)
        return found


def _handles(arguments: Any) -> list[Any]:
    found = []
    for one in arguments:
        if isinstance(one, Handle):
            found.append(one)
        elif isinstance(one, list | tuple):
            found += _handles(one)
    return found


def _bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    parts = [getattr(value, one.name) for one in fields(value)] if is_dataclass(value) else value
    return sum(map(_bytes, parts)) if isinstance(parts, list | tuple) else 0


def test_what_crosses_the_network_is_what_the_model_says(tmp_path: Path) -> None:
    rng, sweeps, dim = np.random.default_rng(0), 3, 6
    rows, columns = np.nonzero(rng.random((400, 128)) < 0.2)
    ids = {"user_id": [f"u{row}" for row in rows], "item_id": [f"i{column}" for column in columns]}
    pl.DataFrame(ids | {"rating": rng.integers(1, 6, len(rows)).astype(float)}).write_csv(tmp_path / "data.csv")
    shards = shard(tmp_path / "data.csv", tmp_path / "shards", shards=16, block_items=16).shards
    for exchange, number_bytes in (("float64", 8), ("float32", 4)):
        with Counted() as runner:
            options = FitOptions(dim=dim, sweeps=sweeps, tolerance=0.0)
            rng = np.random.default_rng(0)
            fit_shards(shards, likelihood=Gaussian(), options=options, runner=runner, rng=rng, exchange=exchange)
        load = Load(400, 128, len(rows), 16, dim, number_bytes=number_bytes)
        expected = cost_model._sent(load, Cluster(nodes=4, cores=1, memory=GB, disk=GB))
        assert runner.sent.keys() == {"joined", "add_blocks"}  # no belief about a user
        assert runner.sent["joined"] == pytest.approx(4 * sweeps * expected["tables of items"], rel=0.05)
        assert runner.sent["add_blocks"] == pytest.approx(4 * sweeps * expected["sums of items"], rel=0.05)
