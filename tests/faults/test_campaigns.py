"""UP-07 and API-08: leases and budgets under many annotators, several processes, and those that are killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate import Recommender
from palate.campaign import Campaign, Campaigns, Submission
from palate.campaign.giving import Giving
from palate.service.keys import KeyRing
from palate.store.open_store import LOG, open_store
from tests.campaign.teams import copied
from tests.postgres import Postgres
from tests.served import ENVIRONMENT, served

ANNOTATORS, BUDGET, PRICE = 50, 100, 0.5
ITEMS = [f"i{number:02}" for number in range(40)]


def leases(log: Any, campaign: str) -> list[dict[str, Any]]:
    names = (
        "id",
        "source",
        "user_id",
        "item_id",
        "state",
        "label_key",
        "is_bought",
        "price",
        "leased_at",
        "expires_at",
    )
    rows = log.select(f"SELECT {', '.join(names)} FROM leases WHERE campaign = {{0}} ORDER BY leased_at", (campaign,))
    return [dict(zip(names, row, strict=True)) for row in rows]


def check_nothing_twice(rows: list[dict[str, Any]], budget: int) -> None:
    """No pair was two annotators' at one time, and no more was bought than may be."""
    by_pair: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_pair.setdefault((row["user_id"], row["item_id"]), []).append(row)
    for pair, given in by_pair.items():
        bought = [row for row in given if row["is_bought"]]
        assert len(bought) <= 1, pair
        for first, second in pairwise(given):
            assert first["state"] in ("given-on", "released") or first["label_key"], pair
            assert second["leased_at"] >= first["expires_at"] or first["state"] == "released", pair
    assert sum(row["is_bought"] for row in rows) <= budget


def test_UP_07_fifty_annotators_ask_at_once_of_whom_many_do_not_come_back(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        ring = KeyRing(service.folder)
        keys = [ring.add("annotator", name=f"a-{n}")[1] for n in range(ANNOTATORS)]
        body = {"name": "c", "question": "How?", "users": [f"u-{n}" for n in range(8)], "budget": BUDGET}
        body |= {"price": PRICE, "lease_seconds": 2.0}
        id = service.call("POST", "/v1/campaigns", body).json()["campaign"]["id"]
        gone: list[tuple[str, str]] = []
        kept: set[str] = set()

        def ask(key: str, k: int) -> list[dict[str, Any]]:
            answer = service.call("GET", "/v1/next", key=key, params={"campaign": id, "k": k})
            assert answer.status_code == 200, answer.text
            return list(answer.json()["leases"])

        def tell(key: str, lease: str) -> None:
            label = {"key": f"k-{lease}", "lease_id": lease, "value": 4}
            answer = service.call("POST", "/v1/labels", label, key=key)
            assert answer.status_code == 200, answer.text
            kept.add(f"k-{lease}")

        def annotate(n: int) -> None:
            for lease in ask(keys[n], 3):
                if n % 3 == 0:  # was killed with the question on the screen
                    gone.append((keys[n], lease["lease_id"]))
                else:
                    tell(keys[n], lease["lease_id"])

        together(annotate, ANNOTATORS)
        with open_store(service.folder / LOG, read_only=True) as log:
            rows = leases(log, id)
        assert len(rows) == BUDGET and len(kept) + len(gone) == BUDGET and gone  # no more than may be bought
        check_nothing_twice(rows, BUDGET)
        time.sleep(2.1)

        def go_on(n: int) -> None:
            while found := ask(keys[n], 1):
                tell(keys[n], found[0]["lease_id"])

        together(go_on, ANNOTATORS)
        progress = service.call("GET", f"/v1/campaigns/{id}").json()["progress"]
        assert (progress["labels"], progress["budget_left"], progress["leased"]) == (BUDGET, 0, 0)
        for key, lease in gone:  # and they answer after all: kept, and not paid
            tell(key, lease)
        progress = service.call("GET", f"/v1/campaigns/{id}").json()["progress"]
        assert (progress["labels"], progress["budget_left"]) == (BUDGET + len(gone), 0)
        assert progress["spent"] == pytest.approx(BUDGET * PRICE)
        counted = Counter(row.content.key for row in service.rows())
        assert set(counted) == kept and set(counted.values()) == {1}
        with open_store(service.folder / LOG, read_only=True) as log:
            check_nothing_twice(leases(log, id), BUDGET)
            ((bought,),) = log.select("SELECT bought FROM campaigns WHERE id = {0}", (id,))
        assert bought == BUDGET


def together(work: Callable[[int], None], n: int) -> None:
    """At once, in as many threads; the first fault is raised."""
    barrier = threading.Barrier(n)

    def one(number: int) -> None:
        barrier.wait()
        work(number)

    with ThreadPoolExecutor(n) as pool:
        list(pool.map(one, range(n)))


WORKER = """
import json, sys
import numpy as np
from palate import Recommender
from palate.campaign import Campaigns, Submission
folder, store, campaign, name = sys.argv[1:]
rng = np.random.default_rng(int(name))
with Recommender.open(folder, store=store or None) as recommender:
    campaigns = Campaigns(recommender)
    print("ready", flush=True)
    sys.stdin.readline()
    for turn in range(10_000):
        source = f"p{name}-{turn % 5}"
        found = campaigns.next(campaign, source, 2, rng=rng)
        if not found.leases:
            break
        lease = found.leases[0]
        print(json.dumps(["lease", lease.id]), flush=True)
        if rng.random() < 0.9:
            campaigns.submit([Submission(f"k-{lease.id}", lease.id, source, value=3)])
            print(json.dumps(["kept", f"k-{lease.id}"]), flush=True)
"""


class Worker:
    """A process of its own with five annotators."""

    def __init__(self, folder: Path, store: str, campaign: str, name: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), store, campaign, str(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def lines(self, *, kill_after: int = 0) -> list[list[str]]:
        """What it did; it is killed after so many lines, if that is not 0."""
        assert self.process.stdout is not None
        found: list[list[str]] = []
        for line in self.process.stdout:
            if line.endswith("\n"):
                found.append(json.loads(line))
            if len(found) == kill_after:
                self.process.send_signal(signal.SIGKILL)
                kill_after = -1
        self.process.wait(60)
        self.process.communicate()  # closes what is left open
        return found


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def test_UP_07_two_processes_on_one_log_of_which_one_is_killed(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = copied(tmp_path / "model")
    store = request.getfixturevalue("postgres").schema() if database == "postgres" else ""
    with Recommender.open(folder, store=store or None) as recommender:
        made = Campaign("c", "How?", users=["ann", "bob", "cid"], budget=80, lease_seconds=1.0)
        id = Campaigns(recommender).make(made).id
    workers = [Worker(folder, store, id, name) for name in range(2)]
    for worker in workers:
        worker.start()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(workers[0].lines, kill_after=8), pool.submit(workers[1].lines)
        lines = [*first.result(), *second.result()]
    assert workers[0].process.returncode == -signal.SIGKILL and workers[1].process.returncode == 0
    time.sleep(1.1)
    last = Worker(folder, store, id, 2)  # what the killed one held is offered again
    last.start()
    lines += last.lines()
    with open_store(store or folder / LOG) as log:
        rows, keys = leases(log, id), Counter(row.content.key for row in log.records())
        assert log.verify().is_whole
    check_nothing_twice(rows, 80)
    assert sum(row["is_bought"] for row in rows) >= 70  # but for what was let lie at the end
    told = [name for what, name in lines if what == "kept"]
    assert all(keys[key] == 1 for key in told) and set(keys.values()) == {1}
    given = [name for what, name in lines if what == "lease"]
    assert set(given) <= {row["id"] for row in rows}
    settled = {row["label_key"] for row in rows if row["label_key"]}
    assert settled == set(keys)  # a label and its lease are in one commit, whenever the process was killed


def test_UP_07_who_is_slower_chooses_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another service gives the best pair between the choice of this one and its commit."""
    with Recommender.open(copied(tmp_path / "model")) as one, Recommender.open(tmp_path / "model") as two:
        ours, theirs, rng = Campaigns(one), Campaigns(two), np.random.default_rng(0)
        id = ours.make(Campaign("c", "How?", users=["ann"], budget=2)).id
        choose, taken = Giving._choose, list[Any]()

        def interrupted(giving: Giving, *given: Any) -> Any:
            found = choose(giving, *given)
            if not taken:
                taken.append(None)  # once, and not of the other one too
                taken[0] = theirs.next(id, "bob", rng=rng).leases[0]
            return found

        monkeypatch.setattr(Giving, "_choose", interrupted)
        (lease,) = ours.next(id, "ann", rng=rng).leases
        assert lease.pair != taken[0].pair
        ((given,),) = one.log.select("SELECT count(*) FROM leases", ())  # type: ignore[attr-defined]
        assert given == 2 and ours.next(id, "cem", rng=rng).done == "budget"


@pytest.mark.parametrize("answered_at", [1_009.0, 1_011.0])
@pytest.mark.parametrize("is_given_back", [False, True])
def test_UP_07_an_answer_at_the_last_moment_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered_at: float, is_given_back: bool
) -> None:
    """It comes in time or late, and its commit after the pair was seen to be free."""
    with Recommender.open(copied(tmp_path / "model")) as recommender:
        campaigns, rng, clock = Campaigns(recommender), np.random.default_rng(0), [1_000.0]
        recommender.log._clock = lambda: clock[0]  # type: ignore[attr-defined]
        item = recommender.fitted.catalogue.ids[0]
        id = campaigns.make(Campaign("c", "How?", users=["ann"], items=[item], lease_seconds=10.0)).id
        (lease,) = campaigns.next(id, "ann", rng=rng).leases
        if is_given_back:
            campaigns.release(lease.id, "ann")
        choose = Giving._choose

        def at_the_last_moment(giving: Giving, *given: Any) -> Any:
            found = choose(giving, *given)
            monkeypatch.setattr(Giving, "_choose", choose)
            clock[0] = answered_at
            campaigns.submit([Submission("k", lease.id, "ann", value=4)])
            clock[0] = 1_011.0
            return found

        clock[0] = 1_011.0
        monkeypatch.setattr(Giving, "_choose", at_the_last_moment)
        assert campaigns.next(id, "bob", rng=rng).done == "asked"


def test_API_08_thirty_two_clients_give_and_take_where_transactions_are_serializable(
    postgres: Postgres, tmp_path: Path
) -> None:
    """No serialisation failure or deadlock reaches anybody, though another program changes the tables meanwhile."""
    folder, url = copied(tmp_path / "model"), postgres.schema()
    postgres.execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'")
    try:
        recommenders = [Recommender.open(folder, store=url) for _ in range(2)]
        services = [Campaigns(one) for one in recommenders]
        id = services[0].make(Campaign("c", "How?", users=[f"u-{n}" for n in range(4)], budget=96)).id
        stop = threading.Event()

        def other() -> None:
            import psycopg

            while not stop.is_set():
                with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
                    connection.execute("SELECT sum(changed) FROM leases").fetchall()
                    connection.execute("UPDATE campaigns SET changed = changed + 1")
                time.sleep(0.02)

        def client(n: int) -> None:
            campaigns, source, rng = services[n % 2], f"a-{n}", np.random.default_rng(n)
            for turn in range(3):
                (lease,) = campaigns.next(id, source, rng=rng).leases
                campaigns.submit([Submission(f"{n}-{turn}", lease.id, source, value=3)])

        beside = threading.Thread(target=retried, args=(other, stop))
        beside.start()
        together(client, 32)
        stop.set()
        beside.join()
        assert services[0].next(id, "late", rng=np.random.default_rng(0)).done == "budget"
        rows = leases(recommenders[0].log, id)
        for one in recommenders:
            one.close()
    finally:
        postgres.execute("ALTER DATABASE postgres RESET default_transaction_isolation")
    check_nothing_twice(rows, 96)
    assert len(rows) == 96 and {row["label_key"] for row in rows} == {
        f"{n}-{turn}" for n in range(32) for turn in range(3)
    }


def retried(work: Callable[[], None], stop: threading.Event) -> None:
    """The other program is the one that has to try again."""
    import psycopg

    while not stop.is_set():
        try:
            work()
        except psycopg.Error:
            continue
