"""A service whose log is in PostgreSQL, alone and beside another one."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from palate.store.open_store import LOG, open_store
from tests.postgres import Postgres
from tests.served import Process, copied, label, rows_of, served


def call(process: Process, method: str, path: str, body: Any = None) -> Any:
    status, answer = process.call(method, path, body)
    assert status == 200, answer
    return json.loads(answer)


def items(process: Process) -> list[str]:
    return [item["item_id"] for item in call(process, "GET", "/v1/users/ann/recommendations?k=10")["items"]]


def until_alike(one: Process, two: Process) -> float:
    """Seconds until the second shows what the first does."""
    started, wanted = time.monotonic(), items(one)
    while items(two) != wanted:
        assert time.monotonic() - started < 30.0
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.mark.long
def test_two_services_on_one_postgres_agree_without_talking_to_each_other(postgres: Postgres, tmp_path: Path) -> None:
    folder, url = copied(tmp_path / "model"), postgres.schema()
    with Process(folder, store=url) as one, Process(folder, store=url) as two:
        before = items(one)
        assert items(two) == before
        told = [label(f"k{number}", item_id=f"i{number:02}", value=5) for number in range(1, 6)]
        call(one, "POST", "/v1/labels", told)
        after = items(one)
        assert after != before and not {"i01", "i02"} & set(after)
        until_alike(one, two)  # a second on an idle machine
        for key in ("k1", "k2", "k3", "k4", "k5"):
            call(two, "DELETE", f"/v1/labels/{key}")
        assert items(two) == before
        until_alike(two, one)

        answers: list[list[dict[str, Any]]] = []
        batch = [label(f"both-{number}", user_id=f"u{number}") for number in range(20)]

        def send(to: Process) -> None:
            for _ in range(5):
                answers.append(call(to, "POST", "/v1/labels", batch)["labels"])

        threads = [threading.Thread(target=send, args=(to,)) for to in (one, two) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 40 and all(
            [row["seq"] for row in rows] == [row["seq"] for row in answers[0]] for rows in answers
        )
        assert '"database":"PostgreSQL"' in one.log.read_text()
        assert (one.stop(), two.stop()) == (0, 0)
    with open_store(url) as log:
        keys = [row.content.key for row in log.records() if not row.retracts]
        assert log.verify().is_whole
    assert keys == [f"k{number}" for number in range(1, 6)] + [f"both-{number}" for number in range(20)]
    assert not (folder / LOG).exists() or rows_of(folder) == []


def test_API_08_a_hundred_clients_share_five_connections_of_which_one_is_lost(
    postgres: Postgres, tmp_path: Path
) -> None:
    url, statuses = postgres.schema(), list[int]()
    with served(tmp_path, store=url) as service:
        leaked = service.tenant.recommender._live.log._connected()
        leaked.__enter__()  # and never given back

        def client(name: int) -> None:
            for number in range(3):
                row = label(f"{name}-{number}", user_id=f"u{name}")
                statuses.append(service.call("POST", "/v1/labels", row).status_code)
                statuses.append(service.call("GET", f"/v1/users/u{name}/export").status_code)

        threads = [threading.Thread(target=client, args=(name,)) for name in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(statuses) == 600 and set(statuses) <= {200, 503} and statuses.count(200) >= 300, statuses
        told = service.call(
            "POST", "/v1/labels", [label(f"{n}-{m}", user_id=f"u{n}") for n in range(100) for m in (0, 2)]
        )
        assert [row["repeated"] for row in told.json()["labels"]] == [True] * 200  # all of them were kept
        leaked.__exit__(None, None, None)
        others = "pid <> pg_backend_pid() AND datname IS NOT NULL"
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        assert service.call("POST", "/v1/labels", label("after")).status_code == 200  # the pool recovers
        assert service.call("GET", "/v1/users/ann/export").status_code == 200
    with open_store(url) as log:
        assert len(list(log.records())) == 301 and log.verify().is_whole
