"""The batch fit of answers that lie in shards: the same sweeps as in one process, each half by tasks of a runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from palate.arrays import Array
from palate.errors import DataError, OptionError
from palate.errors.checks import one_of
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.fit import Fitted, Unit, first_covariance, first_factors, first_items, first_levels, principal
from palate.posteriors.item_half import Common, ItemBlock
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Ordered
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.prior import Prior
from palate.posteriors.sweeps import FitOptions, Progress, reduced, settled, sweeps
from palate.runners import Runner, tree
from palate.scale import tasks
from palate.scale.checkpoint import Checkpoints
from palate.scale.halves import Places, Sharded, ShardedHalves, sums_bytes
from palate.scale.shards import Shards
from palate.scale.tasks import Source

Exchange = Literal["float64", "float32"]


def fit_shards(
    shards: Shards,
    *,
    likelihood: Likelihood,
    options: FitOptions,
    runner: Runner,
    rng: np.random.Generator,
    content: Path | None = None,
    sizes: Sequence[int] | None = None,
    exchange: Exchange = "float64",
    checkpoints: Checkpoints | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Item factors, their covariances and their prior from answers in shards (:func:`palate.posteriors.fit.fit`).

    The bits hang on the shards and the options, and on the processor and the build of its linear algebra; not on the
    runner, nor on how many tasks it runs at once.

    Args:
        likelihood: Not one of ordered stars, whose steps are learnt from single answers.
        rng: Source of the start.
        content: A file of NumPy with the encodings of the items that have an answer, by code, (n, E).
        sizes: Columns of each block of it.
        exchange: As what sums and tables go from task to task; ``float32`` is half as much.
        checkpoints: Where a fit that was stopped goes on; None: nowhere.
        progress: Called with (sweeps done, sweeps at most).
    Returns:
        As of a fit in one process; the noise of users shard by shard, in the order of their rows.
    Raises:
        DataError: If there is no answer.
        OptionError: If the likelihood is one of ordered stars.
    """
    one_of(exchange, get_args(Exchange), "exchange")
    if isinstance(likelihood, Ordered):
        raise OptionError(
            "the likelihood 'ordered' cannot be fitted on shards: its steps are learnt from single answers. "
            "Use gaussian, or fit in one process without --shards."
        )
    counts = shards.item_counts()
    ends = np.concatenate([[0], np.cumsum(counts > 0)]).tolist()  # items without an answer would only slow it down
    found_in = [(number, ends[first], ends[last]) for number, (first, last) in enumerate(shards.blocks)]
    blocks = [block for block in found_in if block[1] < block[2]]
    if not blocks:
        raise DataError("there is no answer to fit: the shards hold 0. Give data with at least one.")
    n_items = ends[-1]
    unit = unit_of(shards) if likelihood.learns_scale else Unit(0.0, 1.0)
    file = None if content is None else str(content.resolve())
    source = Source(str(shards.folder), shards.digest, n_items, bool(counts[:n_items].all()), likelihood, unit, file)
    places = Places.of(runner, shards.n_shards, len(blocks), sums_bytes(n_items, options.dim))
    halves = ShardedHalves(runner, source, blocks, places, dim=options.dim, exchange=exchange)
    found = None if checkpoints is None else checkpoints.last(runner, places)
    if found is None:
        of_item = counts[counts > 0].astype(np.float64)
        sums = (shards.item_sums()[counts > 0] - unit.centre * of_item) / unit.size
        levels = first_levels(sums, of_item, likelihood)
        state, common = _start(runner, source, shards, blocks, places, levels, options.dim, sizes, rng)
        at = Progress(common)
    else:
        state, at = found

    def after(state: Sharded, at: Progress) -> Sharded:
        if checkpoints is not None:
            state = checkpoints.keep(runner, state, at, places)
        if progress is not None:
            progress(len(at.bounds), options.sweeps)
        return state

    state, at = sweeps(halves, state, at, options, after)
    state, at = settled(halves, state, at)
    state, at = reduced(halves, state, at, options.prune * at.edge)
    return _gathered(runner, unit, state, at)


def unit_of(shards: Shards) -> Unit:
    """Where the answers lie and how far apart (:meth:`palate.posteriors.fit.Unit.of`), from their sums."""
    centre = shards.total / shards.n_events
    size = float(np.sqrt(max(shards.total_squares / shards.n_events - centre**2, 0.0)))
    return Unit(centre, size if size > 1e-7 * max(abs(centre), 1e-300) else 1.0)


def _start(
    runner: Runner,
    source: Source,
    shards: Shards,
    blocks: Sequence[tuple[int, int, int]],
    places: Places,
    levels: Array,
    dim: int,
    sizes: Sequence[int] | None,
    rng: np.random.Generator,
) -> tuple[Sharded, Common]:
    """As of a fit in one process: levels from means, factors along what the answers vary by most."""
    likelihood = source.likelihood
    middle = 0.0 if likelihood.events_only or likelihood.learns_scale else shards.total / shards.n_events
    around = levels + middle

    def times(basis: Array) -> Array:
        parts = [
            runner.submit(tasks.residual_products, source, shard, around, basis, near=places.of_shard(shard))
            for shard in range(shards.n_shards)
        ]
        total = tree(runner, parts, tasks.add_arrays)
        found: Array = runner.get(total)
        runner.free([*parts, total])
        return found

    def right_vectors(basis: Array) -> Array:
        inner = basis.T @ times(basis)
        return np.asarray(np.linalg.eigh((inner + inner.T) / 2.0)[1][:, ::-1])

    factors = first_factors(levels, principal(times, right_vectors, source.n_items, dim, rng))
    given = factors.mean(0), first_covariance(dim)
    if source.content is None:
        prior: Prior = LinearPrior.start(*given, np.zeros((source.n_items, 0)))
    else:
        encodings = source.encodings(0, source.n_items)
        prior = LinearPrior.start(*given, encodings) if sizes is None else FusedPrior.start(*given, encodings, sizes)
    items = [
        runner.submit(first_items, factors[first:last], near=places.of_block(number))
        for number, (_, first, last) in enumerate(blocks)
    ]
    return Sharded(tuple(items), (None,) * shards.n_shards), Common(prior, likelihood)


def _gathered(runner: Runner, unit: Unit, state: Sharded, at: Progress) -> Fitted:
    """All of it, in the unit of the answers."""
    users = [runner.submit(tasks.precision_of, one) for one in state.users]
    precision = np.concatenate([runner.get(one) for one in users])
    average = float(precision.mean())
    parts = [runner.get(one) for one in state.items]
    names = ("factors", "covariances", "noise")
    items = ItemBlock(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    items, prior = unit.put_back_items(items, at.common.prior, average)
    likelihood = at.common.likelihood
    return Fitted(items.factors, items.covariances, items.noise, prior, at.bounds, average / precision, likelihood)
