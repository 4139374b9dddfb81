"""A fit on shards: the same bits on any runner, what one process finds, and on from where it was stopped."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sparse

from palate.errors import CheckpointError, DataError, OptionError
from palate.posteriors.answers import Answers
from palate.posteriors.fit import Fitted, Unit, fit
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Ordered, Probit
from palate.posteriors.sweeps import FitOptions
from palate.runners import InProcess, Runner, Threads
from palate.scale import halves, tasks
from palate.scale.checkpoint import Checkpoints
from palate.scale.fit import fit_shards
from palate.scale.sharding import shard
from palate.scale.shards import Shards

USERS, ITEMS, DIM = 300, 80, 3
LIKELIHOODS: dict[str, Likelihood] = {"gaussian": Gaussian(), "probit": Probit(), "implicit": Implicit(20.0, 5.0, 2.0)}
OPTIONS = FitOptions(dim=5, sweeps=5, tolerance=0.0)
CONTENT = np.random.default_rng(2).normal(size=(ITEMS, 7))
CONTENT[::5, 4:] = np.nan  # one in five lacks the second block


@pytest.fixture(scope="module", params=LIKELIHOODS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Likelihood]:
    """Shards of planted ratings, likes or events: sixteen, and four blocks of items or more."""
    kind, folder, rng = request.param, tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((USERS, ITEMS)) < 0.25)
    factors = 0.6 * np.nan_to_num(CONTENT) @ rng.normal(size=(7, DIM)) / np.sqrt(7)
    scores = (rng.normal(size=(USERS, DIM)) @ factors.T + rng.normal(size=ITEMS))[rows, columns]
    noisy = scores + rng.normal(size=len(scores))
    frame = pl.DataFrame({"user_id": [f"u{row}" for row in rows], "item_id": [f"i{column}" for column in columns]})
    frame = {
        "gaussian": frame.with_columns(rating=np.round(2.0 * np.clip(3.0 + noisy, 1.0, 5.0)) / 2.0),
        "probit": frame.with_columns(rating=(noisy > 0.0).astype(float)),
        "implicit": frame.filter(noisy > 0.0).with_columns(event=pl.lit("purchase")),
    }[kind]
    frame.write_csv(folder / "interactions.csv")
    ids = [f"i{item}" for item in range(ITEMS + 5)]  # of the last nobody said anything
    pl.DataFrame({"item_id": ids, "title": ids}).write_csv(folder / "items.csv")
    found = shard(folder / "interactions.csv", folder / "shards", items=folder / "items.csv", shards=16, block_items=20)
    return found.shards, LIKELIHOODS[kind]


def encodings(shards: Shards, folder: Path) -> Path:
    """Those of the items that have an answer, by code."""
    ids = np.array([item for block in range(len(shards.blocks)) for item in shards.item_ids(block)])
    np.save(folder / "content.npy", CONTENT[[int(item[1:]) for item in ids[shards.item_counts() > 0]]])
    return folder / "content.npy"


def run(of: tuple[Shards, Likelihood], runner: Runner, **options: Any) -> Fitted:
    shards, likelihood = of
    options = {"options": OPTIONS, "rng": np.random.default_rng(1), **options}
    with runner:
        return fit_shards(shards, likelihood=likelihood, runner=runner, **options)


def assert_same_bits(one: Fitted, other: Fitted) -> None:
    for name in ("factors", "covariances", "noise", "user_noise"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.bounds == other.bounds


def in_one_process(of: tuple[Shards, Likelihood], **options: Any) -> Fitted:
    """The fit of :mod:`palate.posteriors.fit`, of the same users and items in the same order."""
    shards, likelihood = of
    rows = [shards.rows(number) for number in range(shards.n_shards)]
    values, weights = likelihood.observed(np.concatenate([one.values for one in rows]))
    ends = np.cumsum(np.concatenate([np.diff(one.start) for one in rows]))
    codes, items = np.unique(np.concatenate([one.items for one in rows]), return_inverse=True)
    assert len(codes) < shards.n_items
    matrix = sparse.csr_matrix((values, items, [0, *ends]), shape=(len(ends), len(codes)))
    options |= {"likelihood": likelihood, "options": OPTIONS, "rng": np.random.default_rng(1)}

    def right_vectors(residuals: sparse.csr_matrix, basis: np.ndarray) -> np.ndarray:
        """With the signs that shards give them: which these are is arbitrary, and content may answer to it."""
        products = residuals @ basis
        return np.linalg.eigh(products.T @ products)[1][:, ::-1]

    with mock.patch("palate.posteriors.fit._right_vectors", right_vectors):
        return fit(Answers(matrix, weights), **options)


def test_any_runner_gives_the_same_bits(world: tuple[Shards, Likelihood], tmp_path: Path) -> None:
    more = {"content": encodings(world[0], tmp_path), "sizes": (4, 3)}
    one = run(world, InProcess(), **more)
    for most in (halves.AT_ONCE_BYTES, 0):  # a group a task; a shard a task, then a block
        with mock.patch.object(halves, "AT_ONCE_BYTES", most):
            for workers in (1, 2, 5):  # with 5, groups of two shards, and of eight
                assert_same_bits(run(world, Threads(workers), **more), one)


def test_shards_give_what_one_process_finds(world: tuple[Shards, Likelihood]) -> None:
    found, expected = run(world, InProcess()), in_one_process(world)
    for name in ("factors", "covariances", "noise", "user_noise"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-10, err_msg=name)
    np.testing.assert_allclose(found.bounds, expected.bounds, rtol=1e-12)
    assert (np.diff(found.bounds) > 0).all()


@pytest.mark.parametrize("sizes", [(4, 3)])
def test_content_counts_as_in_one_process(
    world: tuple[Shards, Likelihood], sizes: tuple[int, ...], tmp_path: Path
) -> None:
    content = encodings(world[0], tmp_path)
    found = run(world, InProcess(), content=content, sizes=sizes)
    expected = in_one_process(world, content=np.load(content), sizes=sizes)
    for name in ("factors", "covariances", "noise"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9, err_msg=name)
    np.testing.assert_allclose(found.prior.coefficients, expected.prior.coefficients, atol=1e-7)  # type: ignore[attr-defined]
    assert np.abs(found.prior.coefficients).max() > 0.01  # type: ignore[attr-defined]


def test_a_sum_from_the_left_has_other_bits(world: tuple[Shards, Likelihood]) -> None:
    """Else the tests of the same bits would show nothing."""

    def from_the_left(parts: Any, n: int, add: Any) -> Any:
        return reduce(add, parts)

    with mock.patch.object(tasks, "tree_sum", from_the_left):
        other = run(world, InProcess())
    assert not np.array_equal(other.factors, run(world, InProcess()).factors)


def test_half_the_bytes_cross_and_cost_little(world: tuple[Shards, Likelihood]) -> None:
    whole, half = run(world, InProcess()), run(world, InProcess(), exchange="float32")
    assert not np.array_equal(half.factors, whole.factors)
    np.testing.assert_allclose(half.factors, whole.factors, atol=1e-5)
    assert (np.diff(half.bounds) > -1e-9 * abs(half.bounds[-1])).all()


class _Stopped(Exception):
    pass


def stopped_after(sweeps: int) -> Any:
    def progress(done: int, of: int) -> None:
        if done == sweeps:
            raise _Stopped

    return progress


def test_a_fit_that_was_stopped_goes_on_with_the_same_bits(world: tuple[Shards, Likelihood], tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "kept", every=2, fit={"seed": 1})
    with pytest.raises(_Stopped):
        run(world, InProcess(), checkpoints=kept, progress=stopped_after(5))
    (tmp_path / "kept" / "g0006").mkdir()  # one that was not finished counts for nothing
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["g0002", "g0004", "g0006"]
    done: list[int] = []
    again = Checkpoints(tmp_path / "kept", every=2, fit={"seed": 1}, resume=True)
    found = run(world, Threads(2), checkpoints=again, progress=lambda sweep, of: done.append(sweep))
    assert done == [5]
    assert_same_bits(found, run(world, InProcess()))


def test_a_checkpoint_that_is_not_of_this_fit_is_refused(world: tuple[Shards, Likelihood], tmp_path: Path) -> None:
    def at(fit: dict[str, Any], resume: bool = True) -> Checkpoints:
        return Checkpoints(tmp_path / "kept", every=1, fit=fit, resume=resume)

    run(world, InProcess(), checkpoints=at({"seed": 1}))
    with pytest.raises(CheckpointError, match="is a checkpoint already"):
        run(world, InProcess(), checkpoints=at({"seed": 1}, resume=False))
    with pytest.raises(CheckpointError, match="of another fit: its seed is 1, here it is 2"):
        run(world, InProcess(), checkpoints=at({"seed": 2}))
    block = max((tmp_path / "kept").glob("g*/block-001.safetensors"))
    block.write_bytes(block.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        run(world, InProcess(), checkpoints=at({"seed": 1}))


@pytest.mark.parametrize("at_once", [True, False])
def test_not_all_beliefs_are_in_memory_at_once(world: tuple[Shards, Likelihood], at_once: bool) -> None:
    """Of a shard for each worker, where a group is one task; else of two groups."""
    alive, most, beliefs, sums = 0, 0, tasks.believe_shard, tasks._sums

    class Held:
        def __init__(self, counted: Any) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            self.counted = counted

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def believe(*arguments: Any) -> Any:
        found, head, users = beliefs(*arguments)
        return tasks.UserBeliefs(found.beliefs, Held(found.counted)), head, users  # type: ignore[arg-type]

    def sums_of(source: Any, block: Any, shard: int, found: Any, likelihood: Any) -> Any:
        return sums(source, block, shard, tasks.UserBeliefs(found.beliefs, found.counted.counted), likelihood)

    with (
        mock.patch.object(tasks, "believe_shard", believe),
        mock.patch.object(tasks, "_sums", sums_of),
        mock.patch.object(halves, "AT_ONCE_BYTES", 2**30 if at_once else 0),
    ):
        run(world, Threads(2), options=FitOptions(dim=3, sweeps=1))
    assert alive == 0
    assert most <= 2 if at_once else 2 <= most <= 4  # of sixteen shards


def test_ordered_stars_and_no_answers_are_refused(world: tuple[Shards, Likelihood], tmp_path: Path) -> None:
    shards, _ = world
    with pytest.raises(OptionError, match="'ordered' cannot be fitted on shards"):
        run((shards, Ordered()), InProcess())
    with pytest.raises(OptionError, match="exchange"):
        run(world, InProcess(), exchange="float16")


def test_shards_that_changed_since_they_were_opened_are_refused(world: tuple[Shards, Likelihood]) -> None:
    shards, likelihood = world
    other = tasks.Source(str(shards.folder), "0" * 64, shards.n_items, True, likelihood, Unit(0.0, 1.0))
    with pytest.raises(DataError, match="have changed since"):
        other.answers(0)
