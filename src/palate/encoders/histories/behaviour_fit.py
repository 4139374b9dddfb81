"""Training of the behaviour Transformer: softmax over the catalogue, or over a sample of it, stopped in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.encoders.histories import causal
from palate.encoders.histories.behaviour import Behaviour, BehaviourOptions, device, import_torch
from palate.encoders.histories.history import Log
from palate.encoders.histories.sequences import Batch, Positions, Sequences
from palate.encoders.passes import best_pass
from palate.errors import DataError

_TOKENS = 4096  # of a step, padding included, at most
_FEW_TOKENS, _STEPS = 128, 24  # a small log is cut into this many steps a pass, of no fewer tokens
_STOPPING = 512  # windows of the users held out that decide when to stop, at most


def train(
    torch: Any,
    log: Log,
    item_vectors: NDArray[np.floating],
    n_users: int,
    options: BehaviourOptions,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None,
) -> Behaviour:
    """The weights of the pass that tells best what users held out like next."""
    trainer = _Trainer.prepare(torch, log, item_vectors, n_users, options, rng)
    start = trainer.snapshot()
    best = best_pass(
        trainer, "behaviour", least=math.inf, epochs=options.epochs, patience=options.patience, progress=progress
    )
    return start if best is None else best


@dataclass(slots=True, eq=False)
class _Trainer:
    """Weights on their way."""

    torch: Any
    options: BehaviourOptions
    sequences: Sequences
    users: Positions
    held: Positions  # windows of users held out, (W, 2)
    model: Behaviour
    inputs: Any
    weights: causal.Weights
    mean: causal.Weights  # of the weights over the steps
    steps: int
    optimizer: Any
    rng: np.random.Generator
    source: Any

    @classmethod
    def prepare(
        cls,
        torch: Any,
        log: Log,
        item_vectors: NDArray[np.floating],
        n_users: int,
        options: BehaviourOptions,
        rng: np.random.Generator,
    ) -> _Trainer:
        sequences = Sequences.of(log, n_users)
        active = rng.permutation(np.flatnonzero(np.diff(sequences.start)))
        n_held = min(round(options.held_out * len(active)), len(active) - 1)
        held = sequences.windows(active[:n_held], options.length, rng)[:_STOPPING]
        shapes = causal.shapes(options.size, options.layers, options.length, item_vectors.shape[1], len(item_vectors))
        model = Behaviour(causal.start(shapes, rng), *_standard(item_vectors))
        place = device(torch)
        weights = {
            name: torch.from_numpy(array.copy()).to(place).requires_grad_() for name, array in model.weights.items()
        }
        inputs = torch.from_numpy(model.standardised(item_vectors)).to(place)
        source = torch.Generator(device=place).manual_seed(int(rng.integers(2**31)))
        optimizer = torch.optim.AdamW(
            [
                {"params": [weights[name] for name in weights if causal.decays(name)], "weight_decay": options.decay},
                {"params": [weights[name] for name in weights if not causal.decays(name)], "weight_decay": 0.0},
            ],
            lr=options.rate,
        )
        mean = {name: weight.detach().clone() for name, weight in weights.items()}
        users = np.sort(active[n_held:])
        return cls(torch, options, sequences, users, held, model, inputs, weights, mean, 0, optimizer, rng, source)

    def snapshot(self) -> Behaviour:
        """The model with the mean of the weights so far."""
        kept = {name: weight.cpu().numpy().copy() for name, weight in self.mean.items()}
        return Behaviour(kept, self.model.centre, self.model.unit)

    def epoch(self) -> None:
        """One pass over all users but those held out."""
        windows = self.sequences.windows(self.users, self.options.length, self.rng)
        total = int((windows[:, 1] - windows[:, 0] + 1).sum())
        tokens = min(max(total // _STEPS, _FEW_TOKENS), _TOKENS)
        for part in _batches(windows, tokens, self.rng):
            loss = self._loss(self._forgetful(self.sequences.padded(part)))
            if loss is None:
                continue
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
            self.optimizer.step()
            self._average()

    def _average(self) -> None:
        """One step more in the mean, which is young at first: the start must not weigh in it."""
        self.steps += 1
        kept = min(self.options.averaging, self.steps / (9 + self.steps))
        with self.torch.no_grad():
            for name, weight in self.weights.items():
                self.mean[name].lerp_(weight, 1.0 - kept)

    def _forgetful(self, batch: Batch) -> Batch:
        """The batch with some windows of unknown kinds and gaps."""
        known = self.rng.random((len(batch.mask), 1)) >= self.options.forget
        return replace(batch, kinds=batch.kinds * known, gaps=batch.gaps * known)

    def _loss(self, batch: Batch) -> Any:
        """Mean negative log probability of the liked events to come; None if there is none."""
        torch = self.torch
        where, targets = _targets(batch, self.options.ahead, self.rng)
        if not len(targets):
            return None
        keep = self._keep((len(self.weights["residual"]), 1), self.options.forget)
        table = causal.items(self.weights, self.inputs, keep)
        states = causal.states(torch, self.weights, table, batch, self._drop)
        chosen = states[torch.from_numpy(where[0]), torch.from_numpy(where[1])]
        return self._cross_entropy(chosen, table, torch.from_numpy(targets).to(table.device))

    def _cross_entropy(self, states: Any, table: Any, targets: Any) -> Any:
        """Over all items, or over the target and a uniform sample that stands for the rest.

        Jean, Cho, Memisevic, Bengio, *On using very large target vocabulary*, ACL 2015.
        """
        torch, n_items = self.torch, len(table)
        if n_items <= self.options.negatives:
            logits = states @ table[:, :-1].T + table[:, -1]
            return torch.nn.functional.cross_entropy(logits, targets)
        sample = torch.from_numpy(self.rng.choice(n_items, self.options.negatives, replace=False)).to(table.device)
        right = (states * table[targets, :-1]).sum(-1) + table[targets, -1]
        logits = states @ table[sample, :-1].T + table[sample, -1] + math.log(n_items / len(sample))
        logits = logits.masked_fill(sample == targets[:, None], -math.inf)
        return (torch.logaddexp(right, torch.logsumexp(logits, 1)) - right).mean()

    def _drop(self, x: Any) -> Any:
        return x * self._keep(x.shape, self.options.dropout) / (1.0 - self.options.dropout)

    def _keep(self, shape: tuple[int, ...], dropped: float) -> Any:
        """1 with a chance of 1 - dropped; torch's own dropout would draw from the global generator."""
        draws = self.torch.rand(shape, generator=self.source, device=self.inputs.device)
        return (draws >= dropped).to(self.inputs.dtype)

    def loss(self) -> float:
        """Mean log2 rank of the next liked item among all, for users held out; without any the last pass is best.

        A gain anywhere in the list shows, so few users suffice, and it does not ask for calibration as likelihood does.
        """
        torch, ranks = self.torch, [np.zeros(0)]
        with torch.inference_mode():
            table = causal.items(self.mean, self.inputs)
            for part in _batches(self.held, _TOKENS, None):
                batch = self.sequences.padded(part)
                where, targets = _targets(batch, 1, self.rng)
                states = causal.states(torch, self.mean, table, batch)[where]
                logits = states @ table[:, :-1].T + table[:, -1]
                own = logits.gather(1, torch.from_numpy(targets).to(logits.device)[:, None])
                ranks.append(np.log2(1.0 + (logits > own).sum(1).cpu().numpy()))
        every = np.concatenate(ranks)
        return float(every.mean()) if len(every) else -float(self.steps)


def _standard(item_vectors: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each column; what is constant or never known keeps its unit."""
    known = ~np.isnan(item_vectors)
    count = np.maximum(known.sum(0), 1)
    centre = np.where(known, item_vectors, 0.0).sum(0) / count
    spread = np.sqrt((np.where(known, item_vectors - centre, 0.0) ** 2).sum(0) / count)
    return centre.astype(np.float32), np.where(spread > 1e-6, spread, 1.0).astype(np.float32)


def _batches(windows: Positions, tokens: int, rng: np.random.Generator | None) -> Iterator[Positions]:
    """Windows of like length together, so that little is padding; with a generator in random order."""
    sizes = windows[:, 1] - windows[:, 0]
    noise = np.zeros(len(windows)) if rng is None else rng.random(len(windows))
    order = np.lexsort((noise, sizes))
    parts, first = [], 0
    while first < len(order):
        # ascending sizes: a step of n windows is as wide as its last
        width = np.arange(1, len(order) - first + 1) * (sizes[order[first:]] + 1)
        n = max(1, int(np.searchsorted(width, tokens, side="right")))
        parts.append(windows[order[first : first + n]])
        first += n
    for place in range(len(parts)) if rng is None else rng.permutation(len(parts)):
        yield parts[place]


def _targets(
    batch: Batch, ahead: int, rng: np.random.Generator
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Positions]:
    """Which states tell a liked event to come (rows and steps), and its item."""
    rows, steps = np.nonzero(batch.mask)
    last = batch.mask.sum(1)[rows] - 1
    told = np.minimum(steps + rng.integers(ahead, size=len(steps)), last)
    liked = batch.liking[rows, told] > 0
    return (rows[liked], steps[liked]), batch.items[rows, told][liked]


def fit_behaviour(
    log: Log,
    item_vectors: NDArray[np.floating],
    n_users: int,
    *,
    options: BehaviourOptions | None = None,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Behaviour:
    """A Transformer that has learnt from a log what people like next.

    Args:
        log: Events of all kinds; those with a liking above 0 are what is to be told.
        item_vectors: Content and factors of the items, side by side, (I, E); E may be 0.
        rng: Source of the start, the windows, the users held out and dropout.
        progress: Called with passes done and at most to do.
    Raises:
        DataError: If fewer than two events are liked, or a position is out of range.
        MissingExtra: If torch is not installed.
    """
    log.check(n_users, len(item_vectors))
    if int((log.liking > 0).sum()) < 2:
        raise DataError(f"{int((log.liking > 0).sum())} events of the log are liked. A next one needs two or more.")
    return train(import_torch(), log, item_vectors, n_users, options or BehaviourOptions(), rng, progress)
