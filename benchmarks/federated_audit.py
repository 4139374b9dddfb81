"""Whether a model line reveals more of a user than it claims: everything that it opens, with and without a canary.

A small world, run from the first opening to the last by the functions of the device and of the server. The canary is a
user whose vectors are as long as they may be. In half of the runs its device sends zeros. The auditor knows all else:
the answers of everybody, the start, every public model on the way, the standard deviation of the noise. For Gaussian
noise the exact log likelihood ratio of "the canary answered" after all openings is a sum over them,

    L = Σ ⟨x, v⟩/s² − ‖v‖²/(2 s²)        x: noisy sum less what is known of it, v: the canary's vector

and no test tells the two better apart (Neyman, Pearson). A threshold is chosen on a fifth of the runs; on the others
Clopper-Pearson intervals, of 95 % each, of the two kinds of error bound ε from below: by (ε, δ) alone, and by Gaussian
DP, which is sharper (Nasr et al., *Tight auditing of differentially private machine learning*, USENIX Security 2023).
The claim stands while no bound is above it. The control has a third of the noise, and its bounds have to be above it.
"""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import numpy as np
from scipy.special import ndtri
from scipy.stats import beta

from benchmarks._data import main
from palate.arrays import Array
from palate.federated import server
from palate.federated.accounting import epsilon_of, mu_of
from palate.federated.device import DeviceAnswers, upload
from palate.federated.fixed_point import Words, decode
from palate.federated.noise import noised
from palate.federated.options import FederatedOptions
from palate.machine import blas_threads
from palate.random import derive_rng

EPSILON, DELTA, ROUNDS, RUNS = 3.0, 1e-5, 6, 5_000
USERS, ITEMS, ANSWERS, DIMS = 2, 24, 8, 1  # what the auditor knows, the other users, makes no difference
CONTROL = 1 / 3  # of the noise
DOUBT = 0.05


def run(seeds: int) -> dict[str, Any]:
    """Of each seed a world and its runs, and of the first one the control."""
    rows = [{"seed": seed, **audit(seed=seed)} for seed in range(seeds)]
    control = {"seed": 0, **audit(noise=CONTROL)}
    return {"users": USERS, "items": ITEMS, "dims": DIMS, "rounds": ROUNDS, "rows": rows, "control": control}


def audit(*, runs: int = RUNS, rounds: int = ROUNDS, noise: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """Run a line so many times, in every other run with the canary's answers.

    Args:
        noise: Share of the noise that is really drawn. What is claimed stays.
    """
    options = FederatedOptions(epsilon=EPSILON, delta=DELTA, rounds=rounds, dim=DIMS, form="factors")
    others, canary = _world(derive_rng(seed, "audited world"))
    is_in = np.arange(runs) % 2 == 1
    with blas_threads(1), mock.patch("threadpoolctl.threadpool_limits"):  # once for all: it is slow
        lives = [
            _life(options, others, canary, bool(there), noise, derive_rng(seed, "audit", str(number)))
            for number, there in enumerate(is_in)
        ]
    ratios, squares = np.array(lives).T
    return {
        "runs": runs,
        "noise": noise,
        "claimed": {"epsilon": EPSILON, "mu": mu_of(EPSILON, DELTA)},
        "mu of the canary": float(np.sqrt(squares.mean())),
        **told_apart(ratios, is_in),
    }


def told_apart(ratios: np.ndarray, is_in: np.ndarray) -> dict[str, Any]:
    """What the ratios, (N,), of runs with and without the canary show: μ, and lower bounds of ε."""
    inside, outside = ratios[is_in], ratios[~is_in]
    mu = float(inside.mean() - outside.mean()) / math.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2)
    chosen = np.arange(len(ratios)) < len(ratios) // 5
    places = np.quantile(ratios[chosen], np.linspace(0.01, 0.99, 99))
    found = {}
    for name, bound in (("by (epsilon, delta)", _plain), ("by Gaussian DP", _gaussian)):
        best = max(places, key=lambda place: bound(*_errors(ratios[chosen], is_in[chosen], place)))
        found[name] = bound(*_errors(ratios[~chosen], is_in[~chosen], best))
    return {"mu": {"mean": mu, "half width": 1.96 * 2 / math.sqrt(len(ratios))}, "epsilon at least": found}


def _world(rng: np.random.Generator) -> tuple[list[DeviceAnswers], DeviceAnswers]:
    """Everybody else, and the canary: its answers to all items are at the ends of the scale."""
    answered = np.argsort(rng.random((USERS, ITEMS)), 1)[:, :ANSWERS]
    others = [DeviceAnswers(items, rng.integers(1, 6, ANSWERS)) for items in answered]
    return others, DeviceAnswers(np.arange(ITEMS), rng.permutation(np.tile([1.0, 5.0], ITEMS // 2)))


def _life(
    options: FederatedOptions,
    others: list[DeviceAnswers],
    canary: DeviceAnswers,
    is_in: bool,
    noise: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """One line from the start to the end: the log likelihood ratio, and the square of the canary's μ by the claim."""
    nothing = DeviceAnswers(np.array([], dtype=np.intp), np.array([]))
    state = server.begin([str(item) for item in range(ITEMS)], options, line="audit")
    ratio = square = 0.0
    while not state.is_done:
        public, seen = state.public, list[tuple[Array, float]]()

        def watched(total: Words, std: float, source: Any, seen: list[Any] = seen) -> Words:
            noisy = noised(total, noise * std, source)
            seen.append((decode(noisy - total), std))
            return noisy

        vector = upload(public, canary)
        sent = vector if is_in else upload(public, nothing)
        total = sum((upload(public, answers) for answers in others), sent)
        with mock.patch.object(server, "noised", watched):
            state = server.advance(state, total, USERS + 1, rng=rng)
        ends = np.cumsum([len(drawn) for drawn, _ in seen])
        assert ends[-1] == len(total)  # all of the noise was seen
        for (drawn, std), v, own in zip(
            seen, np.split(decode(vector), ends), np.split(decode(sent), ends), strict=False
        ):
            ratio += float(((drawn + own) @ v - v @ v / 2) / (noise * std) ** 2)
            square += float(v @ v / std**2)
    return ratio, square


def _errors(ratios: np.ndarray, is_in: np.ndarray, place: float) -> tuple[float, float]:
    """Upper ends of the intervals of false alarms and of misses, for a threshold there."""
    alarms, misses = ratios[~is_in] > place, ratios[is_in] <= place
    return _upper(int(alarms.sum()), len(alarms)), _upper(int(misses.sum()), len(misses))


def _upper(count: int, n: int) -> float:
    """Of a share (Clopper, Pearson 1934)."""
    return 1.0 if count == n else float(beta.ppf(1 - DOUBT / 2, count + 1, n - count))


def _plain(alarms: float, misses: float) -> float:
    sides = ((1 - misses - DELTA) / alarms, (1 - alarms - DELTA) / misses)
    return math.log(max(1.0, *sides))


def _gaussian(alarms: float, misses: float) -> float:
    mu = float(-ndtri(misses) - ndtri(alarms)) if max(alarms, misses) < 1.0 else 0.0
    return epsilon_of(max(mu, 0.0), DELTA)


if __name__ == "__main__":
    main("federated_audit", run, seeds=1)
