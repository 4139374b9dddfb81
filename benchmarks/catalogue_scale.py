"""Time and memory as the catalogue grows: one pass, the next question, a list, shortlists, and peers beside ours."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._comparison import PEERS
from benchmarks._data import load, main
from benchmarks._peers_scale import DIM, JOBS, LABELLED, Job, K, data, measured
from palate.acquisition.fast.scorer import KINDS, Scorer
from palate.random import derive_rng

SIZES, POOLS = (100_000, 1_000_000), (10_000, 100_000, 500_000)
ANSWERS, REST_SECONDS = 8, 0.05
TURNS, PER_USER = 300, 20
LISTS, NEIGHBOURS, NEAREST, HISTORIES = 40, 100, 20, (0, 3, 30)
USERS, SHORTLISTS, AFTER = 60, (16, 64, 128, 256), (0, 5, 10)
LIMIT_SECONDS, LIMIT_BYTES = 60, 6 << 30
SCRIPT = Path(__file__).with_name("_peers_scale.py")


def run(seeds: int, peers: str) -> dict[str, Any]:
    """All parts; only the shortlists are repeated over the seeds, the others over time."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "one_pass": [_one_pass(n) for n in SIZES],
        "next_question": [_next_question_alone(100_000, dim) for dim in (16, 64)],
        "list": [_alone("--list", n) for n in SIZES],
        "shortlist": [row for name in ("movielens-100k", "jester") for row in _shortlists(name, seeds)],
        "pools": _pools(peers),
        "load_after": os.getloadavg()[0],
    }


# ---- one pass -------------------------------------------------------------------------------------------------------


def _one_pass(n: int, repeats: int = 30) -> dict[str, Any]:
    """A pass over n items beside one float32 product of the same matrix with a vector, taken in turn."""
    rng = derive_rng(0, "one-pass")
    factors = rng.normal(0, 0.3, (n, DIM))
    scorer = Scorer.build(factors, np.ones(n))
    aim = scorer.aim(np.full(n, 1 / n), keep=True)
    covariance = np.eye(DIM)
    for row in factors[:ANSWERS]:
        along = covariance @ row
        covariance -= np.outer(along, along) / (row @ along + 1.0)
    matrix, vector, product = (
        factors.astype(np.float32),
        rng.normal(size=DIM).astype(np.float32),
        np.empty(n, np.float32),
    )
    calls: dict[str, Callable[[], Any]] = {"product": lambda: np.dot(matrix, vector, out=product)}
    calls |= {kind: lambda kind=kind: scorer.score(kind, covariance, aim=aim) for kind in KINDS}
    calls["a-optimal, best 10"] = lambda: scorer.top("a-optimal", covariance, aim=aim, k=10, rng=rng)
    calls["a-optimal, new targets"] = lambda: scorer.score("a-optimal", covariance, aim=scorer.aim(np.full(n, 1 / n)))
    times = _interleaved(calls, repeats)
    product_times = times["product"]
    return {
        "items": n,
        "dimensions": DIM,
        "answers": ANSWERS,
        "repeats": repeats,
        **{
            name: {
                "best_ms": 1e3 * taken.min(),
                "median_ms": 1e3 * float(np.median(taken)),
                "best_ratio": taken.min() / product_times.min(),
                "median_ratio": float(np.median(taken / product_times)),
            }
            for name, taken in times.items()
        },
    }


def _interleaved(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each call, (repeats,), in turn, so that a busy machine is so for all.

    Each comes after a rest: the threads of BLAS spin for some 30 ms after a product, on the cores that come next.
    """
    for call in calls.values():
        call()  # compiles
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            time.sleep(REST_SECONDS)
            begun = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begun)
    return {name: np.array(seconds) for name, seconds in taken.items()}


# ---- label in to next question --------------------------------------------------------------------------------------


def next_question(items: int, dim: int) -> dict[str, Any]:
    """From an answer to the next question: ``tell`` and ``ask``, a new user every twenty answers."""
    learner, rng = synthetic_learner(items, dim), derive_rng(0, "next-question")
    learner.ask("nobody", rng=rng)  # compiles
    wall, cpu = [], []
    for turn in range(TURNS):
        user = f"user {turn // PER_USER}"
        if turn % PER_USER == 0:
            (question,) = learner.ask(user, rng=rng)
        answer = question.answer(float(rng.integers(1, 6)))
        begun, busy = time.perf_counter(), time.process_time()
        learner = learner.tell(answer)
        (question,) = learner.ask(user, rng=rng)
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - busy)
    ms = 1e3 * np.array(wall)
    return {
        "items": items,
        "dimensions": dim,
        "turns": TURNS,
        **{f"p{q}_ms": float(np.percentile(ms, q)) for q in (50, 99)},
        "best_ms": float(ms.min()),
        "cpu_p50_ms": 1e3 * float(np.median(cpu)),
    }


def _next_question_alone(items: int, dim: int) -> dict[str, Any]:
    """In a process whose BLAS has one thread: two that wait for each other on a shared machine are what is measured
    otherwise. The passes over the catalogue use all cores.
    """
    return _alone("--next", items, dim)


def _alone(*arguments: object) -> dict[str, Any]:
    """What this module prints in a process whose BLAS has one thread."""
    command = [sys.executable, "-m", "benchmarks.catalogue_scale", *map(str, arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return {**json.loads(done.stdout), "blas_threads": 1}


# ---- a list ---------------------------------------------------------------------------------------------------------


def lists(items: int) -> dict[str, Any]:
    """A list of ten of somebody who did 0, 3 or 30 things, and of somebody who answered ten questions.

    Shrunk cosines with a hundred neighbours an item, a walk to twenty of them, popularity, 16 dimensions of taste and
    12 of exposure; no factors.
    """
    import resource

    from palate.entities import Answer, AnswerKind
    from palate.records import events

    begun_with = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learner, rng = with_list_model(synthetic_learner(items, 16)), derive_rng(0, "lists")
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learner.recommend("nobody")  # compiles, and lays the catalogue out
    rows, known = [], [f"item {place}" for place in range(1000)]
    for n in HISTORIES:
        of = learner.see(events("ann", rng.choice(known, n, replace=False).tolist(), kind="click")) if n else learner
        rows.append({"events": n, "answers": 0, **_timed(lambda of=of: of.recommend("ann"))})
    told = [
        Answer("bob", item, AnswerKind.RATING, float(rng.integers(1, 6)))
        for item in rng.choice(known, 10, replace=False)
    ]
    of = learner.tell(told)
    rows.append({"events": 0, "answers": 10, **_timed(lambda: of.recommend("bob"))})
    laid_out = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mb = 1024.0
    return {
        "items": items,
        "dimensions": 16,
        "neighbours": NEIGHBOURS,
        "rows": rows,
        "model_mb": (made - begun_with) / mb,
        "more_for_lists_mb": (laid_out - made) / mb,
    }


def _timed(call: Callable[[], Any]) -> dict[str, float]:
    call()
    wall, cpu = [], []
    for _ in range(LISTS):
        time.sleep(REST_SECONDS)
        begun, busy = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - busy)
    return {
        "best_ms": 1e3 * min(wall),
        "median_ms": 1e3 * float(np.median(wall)),
        "cpu_median_ms": 1e3 * float(np.median(cpu)),
    }


def with_list_model(learner: Any) -> Any:
    """The same learner with a list model of counts, drawn: of each item a hundred neighbours near it in popularity."""
    from dataclasses import replace

    import scipy.sparse as sparse

    from palate import Learner
    from palate.loop.memory import Memory
    from palate.ranking.chances import Chances
    from palate.ranking.experts.company import Company, Pairs
    from palate.ranking.fit_list import WALK
    from palate.ranking.histories import Histories
    from palate.ranking.list_model import BROAD, COMPANY, EVER, LATE, ListModel
    from palate.ranking.weights import KNOWN, NEW, Weights

    model, rng = learner.model, derive_rng(0, "pairs")
    n, counts = len(model.catalogue), model.catalogue.counts
    near = np.arange(n, dtype=np.int32)[:, None] + rng.integers(1, 1000, (n, NEIGHBOURS), dtype=np.int32)
    columns = np.sort(near % n, axis=1)
    parts = (rng.integers(1, 9, n * NEIGHBOURS).astype(np.float32), columns.ravel())
    together = sparse.csr_array((*parts, np.arange(0, n * NEIGHBOURS + 1, NEIGHBOURS)), shape=(n, n))
    nearest = sparse.csr_array(  # every fifth of them
        (
            np.full(n * NEAREST, 0.05, np.float32),
            columns[:, :: NEIGHBOURS // NEAREST].ravel(),
            np.arange(n + 1) * NEAREST,
        ),
        shape=(n, n),
    )
    names = (EVER, COMPANY, BROAD, LATE, WALK)
    new, known = (Weights(names, at, np.tile([0.5, 0.6, 0.3, 0.4, 0.4], (len(at), 1))) for at in (NEW, KNOWN))
    chances = (Chances.plain(NEW), Chances.plain(KNOWN))
    levels = {EVER: np.log(counts + 1.0)}
    histories = Histories.of([], n)
    of = ListModel(levels, Pairs(together, counts), {WALK: Company(nearest)}, new, known, None, *chances, histories)
    return Learner(Memory(replace(model, list_model=of)))


# ---- shortlists of questions ----------------------------------------------------------------------------------------


def synthetic_learner(items: int, dim: int) -> Any:
    """A learner of that many items, put together without a fit: popularity falls like 1 / rank^0.8."""
    import polars as pl
    import scipy.sparse as sparse

    from palate import Learner
    from palate.loop.memory import Memory
    from palate.model.catalogue import Catalogue
    from palate.model.model import Model
    from palate.model.scale import Scale
    from palate.posteriors.answerability import Answerability
    from palate.posteriors.items import Items, Spread
    from palate.posteriors.likelihoods import Gaussian
    from palate.posteriors.linear_prior import LinearPrior
    from palate.posteriors.taste import Taste

    rng = derive_rng(0, "learner")
    spread = Spread("isotropic", rng.uniform(0.02, 0.2, (items, 1)))
    known = Items(rng.normal(0, 0.3, items), rng.normal(0, 0.35, (items, dim)), spread, np.full(items, 0.8))
    rate = np.maximum(0.6 / np.arange(1, items + 1) ** 0.8, 1e-4)
    loadings = 0.15 * rng.normal(size=(items, 12)) * np.sqrt(rate * (1 - rate))[:, None]
    ids = [f"item {position}" for position in range(items)]
    columns = {"item_id": ids, "title": ids, "text": [""] * items, "category": [""] * items}
    model = Model(
        catalogue=Catalogue(pl.DataFrame(columns), None, np.floor(1000 * rate), np.full((items, 5), 0.2)),
        taste=Taste.build(known, Gaussian()),
        prior=LinearPrior.start(np.zeros(dim + 1), np.eye(dim + 1), np.zeros((1, 0))),
        answerability=Answerability(rate, loadings, np.maximum(rate * (1 - rate) - (loadings**2).sum(1), 1e-3)),
        history_prior=None,
        user_ids=[],
        answers=sparse.csr_matrix((0, items)),
        user_noise=np.ones(0),
        events=None,
        scale=Scale((1.0, 2.0, 3.0, 4.0, 5.0), 4.0),
        encoder=("", ""),
        fingerprint="",
    )
    return Learner(Memory(model))


def _shortlists(name: str, seeds: int) -> list[dict[str, Any]]:
    """Share of the best EPIG × reach that the best of a shortlist has, over users, after 0, 5 and 10 answers."""
    shares: dict[tuple[int, int], list[float]] = {}
    for seed in range(seeds):
        for (m, after), found in _shares(name, seed).items():
            shares.setdefault((m, after), []).extend(found)
    return [
        {
            "set": name,
            "m": m,
            "answers": after,
            "users": len(found),
            "mean": float(np.mean(found)),
            "worst": min(found),
            "same_choice": float(np.mean(np.array(found) > 1 - 1e-12)),
        }
        for (m, after), found in sorted(shares.items())
    ]


def _shares(name: str, seed: int) -> dict[tuple[int, int], list[float]]:
    from palate.acquisition import Given
    from palate.acquisition.shortlist import shortlist
    from palate.evaluation.world import users_world
    from palate.posteriors.belief import Belief

    world = users_world(load(name), encoder="none", seed=seed, max_users=1000)
    rng, shares = derive_rng(seed, "shortlist", name), {}
    for user in range(min(USERS, len(world.subjects))):
        belief = Belief(world.start.mean[user], world.start.covariance[user])
        exposure, free = world.answerability.start(), np.ones(len(world.candidates), dtype=bool)
        answers = rng.permutation(np.flatnonzero(world.answerable[user]))[: max(AFTER)]
        for turn, item in enumerate([*answers, -1]):
            if turn in AFTER:
                candidates = world.candidates.aimed(world.answerability, exposure, Given.nothing())
                worth = np.where(free, exact_epig(belief, candidates) * candidates.reach, -np.inf)
                for m in SHORTLISTS:
                    chosen = shortlist(belief, candidates, m, allowed=free, rng=rng)
                    shares.setdefault((m, turn), []).append(float(worth[chosen].max() / worth.max()))
            if item >= 0:
                belief = world.taste.observe(belief, int(item), world.ratings[user, item])
                exposure, free[item] = world.answerability.observe(exposure, int(item), True), False
    return shares


def exact_epig(belief: Any, candidates: Any) -> np.ndarray:
    """EPIG over all targets, none drawn, (I,)."""
    factors = candidates.items.factors
    covariance = factors @ belief.covariance @ factors.T
    variance = np.diag(covariance) + candidates.noise
    squared = covariance**2 / (variance[:, None] * variance)
    return -0.5 * np.log1p(-np.minimum(squared, 1 - 1e-12)) @ candidates.targets


# ---- peers ----------------------------------------------------------------------------------------------------------


def _pools(peers: str) -> list[dict[str, Any]]:
    """A choice of K from pools of growing size, each in a process of its own; none larger after one that failed."""
    rows = []
    for job, (package, _) in JOBS.items():
        for who, command in (
            ("palate", [sys.executable, "-m", "benchmarks.catalogue_scale", "--one", job]),
            (package, [peers, str(SCRIPT), job]),
        ):
            failed = ""
            for n in POOLS:
                outcome = {"failed": failed} if failed else _in_a_process([*command, str(n)])
                failed = outcome.get("failed", "")
                rows.append({"job": job, "who": who, "items": n, "features": DIM, "k": K, **outcome})
    return rows


def _in_a_process(command: list[str]) -> dict[str, Any]:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))

    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, preexec_fn=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"did not finish in {LIMIT_SECONDS} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": f"ended with {last[:120]} under {LIMIT_BYTES >> 30} GiB"}
    return dict(json.loads(done.stdout))


def _ours(job: str, n: int) -> Job:
    """The same choices by palate, on the same data."""
    from scipy.special import expit

    from palate.acquisition.draw import choose
    from palate.acquisition.pool.coverage import choose_ranked_batch, core_set
    from palate.acquisition.pool.pool import Pool
    from palate.acquisition.pool.uncertainty import margin

    rows, labels, weights = data(n)
    labelled, features = rows[:LABELLED], rows[LABELLED:]
    rng = np.random.default_rng(0)

    def pool() -> Pool:
        first, known = expit(features @ weights), expit(labelled @ weights)
        both = np.stack([1 - first, first], 1)[None]
        return Pool(both, features, labelled, labels, np.stack([1 - known, known], 1)[None])

    if job == "uncertainty":
        return lambda: choose(margin(pool(), rng=rng), K, rng=rng)
    return lambda: {"k-centre": core_set, "ranked-batch": choose_ranked_batch}[job](pool(), K, rng=rng)


def growth_figure(document: dict[str, Any], path: Path) -> None:
    """Seconds against the size of the pool, both axes logarithmic, a panel a job; what did not finish is left out."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(JOBS), figsize=(11, 3.6), sharey=True, layout="constrained")
    for panel, job in zip(panels, JOBS, strict=True):
        rows = [row for row in document["pools"] if row["job"] == job and "seconds" in row]
        for who, marker in (("palate", "o"), (JOBS[job][0], "s")):
            points = [(row["items"], row["seconds"]) for row in rows if row["who"] == who]
            panel.plot(*zip(*points, strict=True), marker=marker, label=who)
        panel.set(title=f"{job}, {K} at once", xlabel="pool", xscale="log", yscale="log")
        panel.legend(frameon=False)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("seconds")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _main() -> None:
    if sys.argv[1:2] == ["--one"]:
        json.dump(measured(_ours(sys.argv[2], int(sys.argv[3]))), sys.stdout)
        return
    if sys.argv[1:2] == ["--next"]:
        json.dump(next_question(int(sys.argv[2]), int(sys.argv[3])), sys.stdout)
        return
    if sys.argv[1:2] == ["--list"]:
        json.dump(lists(int(sys.argv[2])), sys.stdout)
        return
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--peers", default=str(PEERS), metavar="PYTHON", help="of the environment that holds the peers")
    options, sys.argv[1:] = parser.parse_known_args()
    main("catalogue_scale", lambda seeds: run(seeds, options.peers), seeds=1)


if __name__ == "__main__":
    _main()
