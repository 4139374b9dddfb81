"""What crowds come to, on votes whose truth is known, beside crowd-kit: accuracy, seconds, honesty, choice, clones.

``sets``: all votes one at a time, in ten orders, then swept; beside the majority, crowd-kit's Dawid-Skene, and the same
model in plain NumPy, all items at once. Expected calibration error in ten bins: as the model says it (τ = 1), before
there is gold (τ = .5), with τ fitted on 50 items drawn at random (200 draws, the rest scored), and with the best τ.

``choice``: workers come at random and each is given one item, of those that they labelled in the set; accuracy after so
many votes an item. An item without a vote counts by chance.

``clones``: product pairs and a simulated model that is right with some probability, once and as four copies; some of
whose answers differ in the last rows. ``alone`` gives each copy a vote of its own.

``numbers``: of each comment four ratings are aggregated, and compared with the mean and the median of all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from benchmarks._comparison import Peers, main_with_peers
from benchmarks._data import folder_of
from palate.arrays import Array
from palate.evaluation.intervals import bootstrap_mean
from palate.oracles.crowd import Crowd, mean_of

SETS = {"bluebirds": "bluebirds", "faces": "faces", "product_pairs": "product_pairs", "web_rating": "web_rating_GPRX"}
ORDERS, ONWARD, GOLD, DRAWS, BINS = 10, 1, 50, 200, 10
CHOOSING, STAGES = ("bluebirds", "faces"), (1, 2, 3, 4, 5)
ACCURACIES, COPIES, SLIPS, HUMANS = (0.75, 0.92), 4, 0.1, (1, 3)
AGGREGATED = 4
PRIOR = (4.0, 2.0)


class Votes(NamedTuple):
    """A set of votes.

    Attributes:
        items, workers, labels: Of each vote, (V,).
        truth: Of each item, -1 where it is not known, (I,).
        classes: K.
    """

    items: np.ndarray
    workers: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    classes: int

    @property
    def known(self) -> np.ndarray:
        """Items with votes whose truth is known."""
        return np.intersect1d(np.flatnonzero(self.truth >= 0), self.items)


def read(name: str) -> Votes:
    """A set by its name; of several votes of a worker on an item the last."""
    folder = folder_of("crowd-labels")
    votes = pl.read_parquet(folder / f"{SETS[name]}_labels.parquet")
    truth = pl.read_parquet(folder / f"{SETS[name]}_truth.parquet")
    votes = votes.unique(["item_id", "worker_id"], keep="last", maintain_order=True)
    names = {name: place for place, name in enumerate(sorted({*votes["label"], *truth["truth"]}))}
    items = {item: place for place, item in enumerate(votes["item_id"].unique().sort())}
    known = np.full(len(items), -1)
    for item, label in truth.iter_rows():
        if item in items:
            known[items[item]] = names[label]
    rows = [votes[column].replace_strict(codes).to_numpy() for column, codes in (("item_id", items), ("label", names))]
    workers = np.unique(votes["worker_id"].to_numpy(), return_inverse=True)[1]
    return Votes(rows[0], workers, rows[1], known, len(names))


def crowd_of(votes: Votes, order: np.ndarray) -> Crowd:
    crowd = Crowd(votes.classes, prior=PRIOR)
    for row in order.tolist():
        crowd.vote(f"i{votes.items[row]}", f"w{votes.workers[row]}", int(votes.labels[row]))
    return crowd


def names_of(items: np.ndarray) -> list[str]:
    return [f"i{item}" for item in items.tolist()]


def batch(votes: Votes, prior: tuple[float, float] = PRIOR, tolerance: float = 1e-9) -> Array:
    """The same model in NumPy, all items at once from the shares of the votes, (I, K): what a sweep is compared with.

    Each item's shares are worked out from the counts without its own part.
    """
    items, workers, labels, k = votes.items, votes.workers, votes.labels, votes.classes
    before = np.full((k, k), prior[1] / (k - 1))
    np.fill_diagonal(before, prior[0])
    shares = np.zeros((items.max() + 1, k))
    np.add.at(shares, (items, labels), 1.0)
    shares /= shares.sum(1, keepdims=True)
    for _ in range(100_000):
        counts = np.tile(before, (workers.max() + 1, 1, 1))
        np.add.at(counts, (workers, slice(None), labels), shares[items])
        own = shares[items]
        logs = np.log(1.0 + shares.sum(0) - shares)
        np.add.at(logs, items, np.log(counts[workers, :, labels] - own) - np.log(counts.sum(2)[workers] - own))
        new = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        moved, shares = float(np.abs(new - shares).max()), new
        if moved <= tolerance:
            break
    return shares


# ---- sets ----


def of_set(name: str, peers: Peers) -> dict[str, Any]:
    """One row: a set."""
    votes = read(name)
    known, rng = votes.known, np.random.default_rng(0)
    truth, everything = votes.truth[known], np.arange(len(votes.truth))
    reference = batch(votes)
    crowd_of(votes, np.arange(64))  # compiles
    once, gaps, onward, seconds, sweeps = [], [], [], [], []
    for turn in range(ORDERS):
        order = rng.permutation(len(votes.items))
        begun = time.process_time()
        crowd = crowd_of(votes, order)
        seconds.append(time.process_time() - begun)
        once.append(float((crowd.labels(names_of(known)) == truth).mean()))
        if turn < ONWARD:
            onward.append(float(np.abs(gone_on(crowd, votes) - reference).max()))
        sweeps.append(crowd.sweep())
        gaps.append(float(np.abs(crowd.posterior(names_of(everything)) - reference).max()))
    theirs = np.array(
        peers("crowd", {"items": votes.items, "workers": votes.workers, "labels": votes.labels})["labels"]
    )
    right = float((crowd.labels(names_of(known)) == truth).mean())
    kit = float((theirs[known] == truth).mean())
    return {
        "set": name,
        "items": len(votes.truth),
        "known": len(known),
        "votes": len(votes.items),
        "classes": votes.classes,
        "majority": majority(votes),
        "crowd-kit": kit,
        "palate": right,
        "standard_error": float(np.sqrt(kit * (1.0 - kit) / len(known))),
        "once": _spread(once),
        "sweeps": max(sweeps),
        "gap": max(gaps),
        "gap_onward": max(onward),
        "microseconds": 1e6 * float(np.median(seconds)) / len(votes.items),
        "ece": honesty(crowd, known, truth),
    }


def gone_on(crowd: Crowd, votes: Votes, most: int = 500, tolerance: float = 1e-7) -> Array:
    """The posterior if the same step is taken on one item after the other from where the votes left it."""
    _, first = np.unique(votes.items, return_index=True)
    names, before = names_of(np.arange(len(votes.truth))), np.empty(0)
    for _ in range(most):
        for row in first.tolist():
            crowd.vote(f"i{votes.items[row]}", f"w{votes.workers[row]}", int(votes.labels[row]))
        now = crowd.posterior(names)
        if len(before) and np.abs(now - before).max() <= tolerance:
            break
        before = now
    return now


def majority(votes: Votes) -> float:
    """Accuracy of what most say; options with as many votes share it."""
    counts = np.zeros((len(votes.truth), votes.classes))
    np.add.at(counts, (votes.items, votes.labels), 1.0)
    best = counts == counts.max(1, keepdims=True)
    return float((best[votes.known, votes.truth[votes.known]] / best[votes.known].sum(1)).mean())


def honesty(crowd: Crowd, known: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    rng, drawn, temperatures = np.random.default_rng(1), [], []
    names = names_of(known)
    shares = crowd.posterior(names)

    def at(temperature: float) -> float:
        return ece(shares**temperature / (shares**temperature).sum(1, keepdims=True), truth)

    for _ in range(DRAWS):
        gold = rng.permutation(len(known))[:GOLD]
        rest = np.setdiff1d(np.arange(len(known)), gold)
        temperatures.append(crowd.calibrate({names[place]: int(truth[place]) for place in gold}).value)
        drawn.append(ece(crowd.probabilities([names[place] for place in rest]), truth[rest]))
    return {
        "one": at(1.0),
        "half": at(0.5),
        "gold": _interval(np.array(drawn)),
        "temperature": _spread(temperatures),
        "best": min(at(value) for value in np.linspace(0.02, 1.0, 50)),
    }


def ece(shares: Array, truth: np.ndarray) -> float:
    """Expected calibration error of the most likely option, ten bins."""
    sure, right = shares.max(1), shares.argmax(1) == truth
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(truth))


# ---- which item for whom ----

LESS = "information, less fewest votes first at 5"
Rule = Callable[[Crowd, str, np.ndarray, np.ndarray], Array]  # crowd, worker, items, votes of each item -> values

RULES: dict[str, Rule] = {
    "random": lambda _crowd, _worker, items, _counts: np.zeros(len(items)),
    "fewest votes first": lambda _crowd, _worker, items, counts: -counts[items].astype(float),
    "information": lambda crowd, worker, items, _counts: crowd.information(worker, names_of(items)),
}


def of_choice(name: str, seeds: int) -> list[dict[str, Any]]:
    """One row a rule: accuracy after so many votes an item, and information less fewest votes first."""
    votes, curves = read(name), dict[str, Array]()
    for rule, value in RULES.items():
        curves[rule] = np.array([chosen(votes, value, np.random.default_rng((seed, 1))) for seed in range(seeds)])
    rows = [
        {"set": name, "rule": rule, **{str(n): _interval(curve[:, place]) for place, n in enumerate(STAGES)}}
        for rule, curve in curves.items()
    ]
    last = curves["fewest votes first"][:, STAGES.index(5)]
    gaps = {str(n): _interval(curves["information"][:, STAGES.index(n)] - last) for n in (3, 4, 5)}
    return [*rows, {"set": name, "rule": LESS, **gaps}]


def chosen(votes: Votes, rule: Rule, rng: np.random.Generator) -> list[float]:
    """Accuracy at each stage."""
    n, said = len(votes.truth), dict[tuple[int, int], int]()
    left: dict[int, list[int]] = {}
    for item, worker, label in zip(votes.items.tolist(), votes.workers.tolist(), votes.labels.tolist(), strict=True):
        left.setdefault(worker, []).append(item)
        said[item, worker] = label
    crowd, counts = Crowd(votes.classes, prior=PRIOR), np.zeros(n, dtype=int)
    kept, found = list[tuple[int, int, int]](), list[float]()
    for bought in range(1, STAGES[-1] * n + 1):
        worker = int(rng.choice(list(left)))
        items = np.array(left[worker])
        values = rule(crowd, f"w{worker}", items, counts)
        item = int(rng.choice(items[values >= values.max() - 1e-12]))
        crowd.vote(f"i{item}", f"w{worker}", said[item, worker])
        counts[item] += 1
        left[worker].remove(item)
        if not left[worker]:
            del left[worker]
        kept.append((item, worker, said[item, worker]))
        if bought % n == 0 and bought // n in STAGES:
            found.append(_accuracy(votes, np.array(kept)))
    return found


def _accuracy(votes: Votes, bought: np.ndarray) -> float:
    """Of what the votes bought, (n, 3), come to, swept."""
    some = Votes(bought[:, 0], bought[:, 1], bought[:, 2], votes.truth, votes.classes)
    crowd = crowd_of(some, np.arange(len(bought)))
    crowd.sweep()
    right = (crowd.labels(names_of(some.known)) == votes.truth[some.known]).sum()
    return float((right + (len(votes.known) - len(some.known)) / votes.classes) / len(votes.known))


# ---- clones ----


def of_clones(seeds: int) -> list[dict[str, Any]]:
    """One row a number of people an item, an accuracy of the model, and how often its copies slip."""
    votes, rows = read("product_pairs"), []
    for humans in HUMANS:
        for accuracy in ACCURACIES:
            for slips in (0.0, SLIPS):
                arms: dict[str, list[float]] = {"people": [], "once": [], "copies": [], "alone": []}
                for seed in range(seeds):
                    for arm, right in _cloned(votes, humans, accuracy, slips, np.random.default_rng(seed)).items():
                        arms[arm].append(right)
                gap = np.array(arms["copies"]) - np.array(arms["once"])
                found = {arm: _interval(np.array(values)) for arm, values in arms.items()}
                rows.append({"people": humans, "accuracy": accuracy, "slips": slips, **found, "gap": _interval(gap)})
    return rows


def _cloned(votes: Votes, humans: int, accuracy: float, slips: float, rng: np.random.Generator) -> dict[str, float]:
    n = len(votes.truth)
    model = np.where(rng.random(n) < accuracy, votes.truth, 1 - votes.truth)
    copies = [np.where(rng.random(n) < slips, 1 - model, model) for _ in range(COPIES)]
    order = rng.permutation(len(votes.items))
    place = np.empty(len(order), dtype=int)  # among the votes on its item
    seen = np.zeros(n, dtype=int)
    for row in order.tolist():
        place[row] = seen[votes.items[row]]
        seen[votes.items[row]] += 1
    crowd, found = crowd_of(votes, order[place[order] < humans]), dict[str, float]()
    for arm, (some, family) in {
        "people": (0, ""),
        "once": (1, "model"),
        "copies": (COPIES, "model"),
        "alone": (COPIES, ""),
    }.items():
        for number, labels in enumerate(copies[:some]):
            for item, label in enumerate(labels.tolist()):
                crowd.vote(f"i{item}", f"copy-{number}", label, family=family)
        crowd.sweep()
        found[arm] = float((crowd.labels(names_of(np.arange(n))) == votes.truth).mean())
    return found


# ---- numbers ----


def of_numbers(seeds: int) -> list[dict[str, Any]]:
    """One row a way to aggregate: correlation with the mean and with the median of the other ratings of a comment."""
    ratings = pl.read_parquet(folder_of("popquorn-offensiveness") / "ratings.parquet")
    table = ratings.pivot("user_id", index="item_id", values="rating").drop("item_id").to_numpy().astype(float)
    ways: dict[str, Callable[[Array], Array]] = {
        "mean": lambda some: np.array([mean_of({str(w): row[w] for w in np.flatnonzero(row == row)}) for row in some]),
        "median": lambda some: np.nanmedian(some, axis=1),
        "bias of each worker taken off": lambda some: _less_bias(some, weigh=False),
        "bias and variance of each worker": lambda some: _less_bias(some, weigh=True),
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        ranks = np.where(np.isnan(table), np.inf, rng.random(table.shape)).argsort(1).argsort(1)
        some = np.where(ranks < AGGREGATED, table, np.nan)
        rest = np.where(ranks >= AGGREGATED, table, np.nan)
        use = (~np.isnan(rest)).sum(1) >= AGGREGATED
        for way, of in ways.items():
            value = of(some[use])
            truths = np.nanmean(rest[use], axis=1), np.nanmedian(rest[use], axis=1)
            found[way].append(tuple(float(np.corrcoef(value, truth)[0, 1]) for truth in truths))
    rows = []
    for way, values in found.items():
        gaps = np.array(values) - np.array(found["mean"])
        names = ("with_mean", "with_median")
        row = {name: _interval(np.array(values)[:, place]) for place, name in enumerate(names)}
        rows.append({"way": way, **row, **{f"{name}_gap": _interval(gaps[:, at]) for at, name in enumerate(names)}})
    return rows


def _less_bias(table: Array, *, weigh: bool, turns: int = 30) -> Array:
    """Truth, bias and variance of each worker by turns, both drawn in as if five ratings more had shown none."""
    said, shrink = ~np.isnan(table), 5.0
    values, weights = np.where(said, table, 0.0), said.astype(float)
    bias, truth = np.zeros(table.shape[1]), np.nanmean(table, axis=1)
    for _ in range(turns):
        left = np.where(said, values - truth[:, None], 0.0)
        bias = left.sum(0) / (said.sum(0) + shrink)
        if weigh:
            off = np.where(said, left - bias, 0.0) ** 2
            usual = off.sum() / said.sum()
            weights = said / ((off.sum(0) + shrink * usual) / (said.sum(0) + shrink))
        truth = (weights * (values - bias)).sum(1) / weights.sum(1)
    return truth


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}


def _interval(values: Array) -> dict[str, float]:
    mean, low, high = bootstrap_mean(values, rng=np.random.default_rng(0))
    return {"mean": float(mean), "low": float(low), "high": float(high)}


def run(seeds: int, peers: Peers) -> dict[str, Any]:
    return {
        "gold": GOLD,
        "sets": [of_set(name, peers) for name in SETS],
        "choice": [row for name in CHOOSING for row in of_choice(name, seeds)],
        "clones": of_clones(seeds),
        "numbers": of_numbers(seeds),
    }


if __name__ == "__main__":
    main_with_peers("crowd", run, seeds=5)
