"""Twenty annotators at once over HTTP: is a pair given twice, a lease or an answer lost, and the order kept?

Each simulated annotator answers five times a second and holds a few pairs in advance, which may be replaced. An answer
hangs on the pair alone, so that one annotator who is alone, in a process of their own, is asked in the order that is
wanted: the rank correlation is between both orders, over the first pairs of the team; a pair that the one was not asked
comes last. The control does not count what is leased as answered. Nobody watches the quality of the labels meanwhile:
who answers five times a second is rightly taken to be too quick, and would count less and less.

``PALATE_ANNOTATORS_SECONDS`` says how long they answer, ``PALATE_ANNOTATORS_BEFORE`` how many answers the campaign has
before the service starts: so the end of a long campaign is tried in a minute.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks._data import load, main
from benchmarks.service_load import server
from palate import Recommender
from palate.campaign import Campaign, Campaigns, Submission
from palate.campaign.giving import Want
from palate.client import AsyncClient
from palate.service.keys import KeyRing
from palate.store.open_store import LOG, open_store

ANNOTATORS, PER_SECOND, SECONDS = 20, 5.0, 600.0
AT_ONCE = 20  # answers of an annotator that are in the campaign before, at once
USERS, AHEAD = 50, 3  # whose taste is asked about; pairs that an annotator holds
COMPARED = 3_000  # pairs whose order is compared, at most
FEW_USERS, FEW_SECONDS, FEW_COMPARED = 3, 5.0, 100  # with the control: many annotators about few people
QUESTION = "How would they rate it?"
SERVED = """
import sys
from pathlib import Path
from palate.service.server import serve
from palate.service.settings import Settings
serve({"default": Path(sys.argv[1])}, Settings(port=0, calls_per_second=1e6, log_requests=False, quality_seconds=1e9))
"""
CONTROL = """
from palate.campaign.taste_order import TasteOrder
TasteOrder._held = lambda self, pairs: []
"""


def value_of(user: str, item: str) -> int:
    """An answer from 1 to 5 that hangs on the pair alone."""
    return 1 + hashlib.sha256(f"{user} {item}".encode()).digest()[0] % 5


class Team:
    """What the annotators were given and kept."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []  # in the order in which they came
        self.leases: set[str] = set()
        self.stale: set[str] = set()
        self.kept: dict[str, str] = {}  # key of a label by its lease
        self.next_seconds: list[float] = []
        self.label_seconds: list[float] = []
        self.faults: Counter[str] = Counter()

    async def annotate(self, url: str, key: str, campaign: str, until: float, offset: float) -> None:
        """One annotator, until a time."""
        held: dict[str, dict[str, Any]] = {}
        async with AsyncClient(url, key, tries=20) as client:
            due = time.perf_counter() + offset
            while due < until:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += 1.0 / PER_SECOND
                begun = time.perf_counter()
                found = await client.next_questions(campaign, AHEAD, held=list(held))
                self.next_seconds.append(time.perf_counter() - begun)
                for id in found["stale"]:
                    self.stale.add(id)
                    held.pop(id, None)
                for lease in found["leases"]:
                    if lease["lease_id"] not in self.leases:
                        self.leases.add(lease["lease_id"])
                        self.given.append((lease["user_id"], lease["item_id"]))
                    held[lease["lease_id"]] = lease
                if not held:
                    continue
                id, lease = next(iter(held.items()))
                del held[id]
                begun = time.perf_counter()
                row = await client.answer(id, value_of(lease["user_id"], lease["item_id"]))
                self.label_seconds.append(time.perf_counter() - begun)
                self.kept[id] = row["key"]
            for id in held:
                await client.release(id)


def answered_before(folder: Path, users: list[str], n: int) -> None:
    """Some answers of the campaign, in the order in which many at once are asked."""
    with Recommender.open(folder) as recommender:
        campaigns, rng, done = Campaigns(recommender), np.random.default_rng(0), 0
        id = campaigns.make(Campaign("team", QUESTION, users=users, id="team")).id
        while done < n:
            given = campaigns.next_all(id, [Want(f"before-{one}", AT_ONCE) for one in range(ANNOTATORS)], rng=rng)
            leases = [lease for found in given for lease in found.leases]
            campaigns.submit(
                [Submission(f"b-{one.id}", one.id, one.source, value=value_of(*one.pair)) for one in leases]
            )
            done += len(leases)


def alone(folder: Path, users: list[str], n: int) -> list[tuple[str, str]]:
    """The order in which one annotator is asked."""
    asked: list[tuple[str, str]] = []
    with Recommender.open(folder) as recommender:
        campaigns, rng = Campaigns(recommender), np.random.default_rng(0)
        id = campaigns.make(Campaign("alone", QUESTION, users=users)).id
        while len(asked) < n:
            leases = campaigns.next(id, "alone", rng=rng).leases
            if not leases:
                break
            asked.append(leases[0].pair)
            label = Submission(f"a-{len(asked)}", leases[0].id, "alone", value=value_of(*leases[0].pair))
            campaigns.submit([label])
    return asked


def correlation(team: list[tuple[str, str]], one: list[tuple[str, str]], n: int = COMPARED) -> float:
    """Spearman's, of the places of the team's first pairs; in the other order what is not there comes last."""
    first = list(dict.fromkeys(team))[:n]
    place = {pair: at for at, pair in enumerate(one)}
    return float(spearmanr(range(len(first)), [place.get(pair, len(one)) for pair in first]).statistic)


def measured(model: Path, users: list[str], seconds: float, code: str, place: Path) -> tuple[dict[str, Any], Team]:
    folder = Path(shutil.copytree(model, place))
    ring, team = KeyRing(folder), Team()
    keys = [ring.add("annotator", name=f"annotator-{n}")[1] for n in range(ANNOTATORS)]
    admin = (folder / "keys" / "admin").read_text().strip()
    with server(code, str(folder)) as service:
        url, busy, first = f"http://127.0.0.1:{service.port}", 0.0, 0.0

        async def run() -> str:
            nonlocal busy, first
            async with AsyncClient(url, admin) as client:
                made = await client.make_campaign({"key": "team", "name": "team", "question": QUESTION, "users": users})
                begun = time.perf_counter()
                await client.campaign(made["id"])  # the pairs are valued once before
                first, busy = time.perf_counter() - begun, service.cpu()
                until = time.perf_counter() + seconds
                offsets = [n / ANNOTATORS / PER_SECOND for n in range(ANNOTATORS)]
                await asyncio.gather(
                    *(team.annotate(url, key, made["id"], until, at) for key, at in zip(keys, offsets, strict=True))
                )
                return str(made["id"])

        id = asyncio.run(run())
        busy = service.cpu() - busy
    with open_store(folder / LOG, read_only=True) as log:
        rows = Counter(row.content.key for row in log.records())
        again = log.select(
            "SELECT count(*) FROM (SELECT 1 FROM leases WHERE campaign = {0} AND state IN ('leased', 'answered') "
            "GROUP BY user_id, item_id HAVING count(*) > 1) twice",
            (id,),
        )
        held = {lease for (lease,) in log.select("SELECT id FROM leases WHERE campaign = {0}", (id,))}
    return {
        "answers": len(team.kept),
        "answers_per_second": len(team.kept) / seconds,
        "answers_lost": sum(key not in rows for key in team.kept.values()),
        "answers_doubled": sum(n > 1 for n in rows.values()),
        "leases": len(team.leases),
        "leases_lost": len(team.leases - held),
        "pairs_twice": int(again[0][0]),
        "replaced": len(team.stale),
        "first_seconds": first,
        "next_ms": percentiles(team.next_seconds),
        "label_ms": percentiles(team.label_seconds),
        "server_cpu_share": busy / seconds,
    }, team


def percentiles(seconds: list[float]) -> dict[str, float]:
    return {
        name: float(1e3 * np.quantile(seconds, share)) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }


def run(seeds: int) -> dict[str, Any]:
    seconds = float(os.environ.get("PALATE_ANNOTATORS_SECONDS", SECONDS))
    before = int(os.environ.get("PALATE_ANNOTATORS_BEFORE", 0))
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for seed in range(seeds):
            model = Path(place) / f"model-{seed}"
            data = load("movielens-100k")
            recommender = Recommender.create(model, data, encoder="none", seed=seed)
            users = [str(user) for user in recommender.fitted.user_ids[seed * USERS : (seed + 1) * USERS]]
            recommender.close()
            places = (Path(place) / f"{seed}-{n}" for n in count())
            late = Path(shutil.copytree(model, next(places)))
            if before:
                answered_before(late, users, before)
            row, team = measured(late, users, seconds, SERVED, next(places))
            one = alone(Path(shutil.copytree(late, next(places))), users, COMPARED)
            row["rank_correlation"] = correlation(team.given, one)
            few = users[:FEW_USERS]
            one = alone(Path(shutil.copytree(model, next(places))), few, FEW_COMPARED)
            row["few"] = {"users": FEW_USERS, "compared": FEW_COMPARED}
            for name, code in (("rank_correlation", SERVED), ("control_rank_correlation", CONTROL + SERVED)):
                _, team = measured(model, few, FEW_SECONDS, code, next(places))
                row["few"][name] = correlation(team.given, one, FEW_COMPARED)
            rows.append({"seed": seed, **row})
    machine = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    team_of = {"annotators": ANNOTATORS, "per_second": PER_SECOND, "ahead": AHEAD, "users": USERS, "seconds": seconds}
    team_of["answers_before"] = before
    return {**machine, **team_of, "rows": rows}


if __name__ == "__main__":
    main("annotators", run, seeds=1)
