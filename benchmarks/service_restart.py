"""A service that starts again on a log of a million labels, the belief of a user with 200 answers, and its memory."""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import main
from benchmarks.catalogue_scale import synthetic_learner
from benchmarks.service_load import SERVED, Server, server
from palate import Recommender
from palate.entities import Answer, AnswerKind
from palate.store.open_store import open_store

ITEMS, DIM = 100_000, 32
LABELS, USERS, AT_ONCE = 1_000_000, 200_000, 10_000
OF_ONE, TIMES = 200, 20  # answers of each user whose belief is timed


def run(seeds: int) -> dict[str, Any]:
    """Times in seconds from the start of the process; beliefs in milliseconds; memory in MiB as users are read."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        synthetic_learner(ITEMS, DIM).save(folder)
        _fill(folder)
        first = _restart(folder, lists=False)
        begun = time.perf_counter()
        with Recommender.open(folder) as recommender:
            recommender.learner.memory.learnt  # noqa: B018 - all of the log, where the service has not kept it yet
            folded = time.perf_counter() - begun
            recommender._live.keep_beliefs(recommender._live.checkpoint)
        again = _restart(folder, lists=True)
        with Recommender.open(folder) as recommender:
            beliefs, memory = _beliefs(recommender), _memory(recommender)
    setting = {"items": ITEMS, "dimensions": DIM, "labels": LABELS, "users": USERS, "answers_of_one": OF_ONE}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        **setting,
        "without_beliefs": first,
        "with_beliefs": again,
        "replay_labels_per_second": LABELS / folded,
        "belief_milliseconds": beliefs,
        "memory_mib": memory,
    }


def _fill(folder: Path) -> None:
    rng = np.random.default_rng(0)
    with open_store(folder / "labels.sqlite") as log:
        for start in range(0, LABELS, AT_ONCE):
            items, values = rng.integers(0, ITEMS, AT_ONCE), rng.integers(1, 6, AT_ONCE)
            users = [f"u{(start + n) % USERS}" for n in range(AT_ONCE)]
            log.append(
                [
                    Answer(user, f"item {item}", AnswerKind.RATING, float(value))
                    for user, item, value in zip(users, items, values, strict=True)
                ]
            )
        for one in range(TIMES):
            items = rng.choice(ITEMS, OF_ONE, replace=False)
            log.append([Answer(f"long-{one}", f"item {item}", AnswerKind.RATING, 4.0) for item in items])


def _restart(folder: Path, *, lists: bool) -> dict[str, float]:
    """Seconds until a label is on the disk and, where wanted, until a list of somebody known is there."""
    begun = time.perf_counter()
    with server(SERVED, str(folder)) as of:
        key = (folder / "keys" / "admin").read_text().strip()
        label = {"key": f"restart-{time.time_ns()}", "user_id": "u1", "item_id": "item 7", "value": 4}
        _call(of, key, "/v1/labels", label)
        labels = time.perf_counter() - begun
        if not lists:
            return {"label_seconds": labels}
        while not _call(of, key, "/v1/users/u1/recommendations?k=10"):
            time.sleep(0.05)
        return {"label_seconds": labels, "list_seconds": time.perf_counter() - begun}


def _call(of: Server, key: str, path: str, body: Any = None) -> bool:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{of.port}{path}", data, headers), timeout=600
        ).read()
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return False
    return True


def _beliefs(recommender: Recommender) -> dict[str, float]:
    """Of users that nobody has asked about: their rows read and replayed."""
    recommender.learner.state("u1")  # compiles
    taken = []
    for one in range(TIMES):
        begun = time.perf_counter()
        recommender.learner.state(f"long-{one}")
        taken.append(1e3 * (time.perf_counter() - begun))
    return {"median": float(np.median(taken)), "most": max(taken)}


def _memory(recommender: Recommender) -> list[tuple[int, float]]:
    """After the beliefs of so many users."""
    found, learner = [], recommender.learner
    for user in range(USERS):
        learner.state(f"u{user}")
        if (user + 1) % (USERS // 8) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found.append((user + 1, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
    return found


if __name__ == "__main__":
    main("service_restart", run, seeds=1)
