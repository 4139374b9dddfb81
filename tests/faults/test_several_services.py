"""Several services of one model folder on one log in PostgreSQL, behind the balancer that is shipped."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from palate import Recommender, rate
from palate.errors import StoreBusy, StoreError
from palate.loop import checkpoint
from palate.recommender.refitting import REFITTING
from palate.service import keys
from palate.service.keys import KeyRing
from palate.store.lock import exclusive
from palate.store.open_store import open_store
from tests.balancer import CONFIG, HAPROXY, balanced
from tests.postgres import Postgres
from tests.served import Process, Served, copied, label, served

AGAIN_SECONDS = 60.0  # that a client tries again
needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed: make system")


# ---- what one service knows of what another has kept


@contextmanager
def pair(place: Path, store: str) -> Iterator[tuple[Served, Served]]:
    """Two services of one folder on one log."""
    with served(place, store=store) as one, served(place, store=store, again=one.folder) as two:
        yield one, two


def items(of: Served, user: str = "ann") -> list[str]:
    answer = of.call("GET", f"/v1/users/{user}/recommendations?k=40")
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_what_a_user_told_one_service_is_in_the_next_list_of_another(postgres: Postgres, tmp_path: Path) -> None:
    with pair(tmp_path, postgres.schema()) as (one, two):
        for number in range(1, 9):
            item = f"i{number:02}"
            assert item in items(two) and item in items(two, "bob")  # both are kept now
            kept = two.tenant.metrics.kept._value.get()
            assert item in items(two, "bob")
            assert two.tenant.metrics.kept._value.get() == kept + 1
            one.call("POST", "/v1/labels", label(f"k{number}", item_id=item))
            assert item not in items(two)
            again = two.call("POST", "/v1/labels", label(f"k{number}", item_id=item)).json()["labels"]
            assert [row["repeated"] for row in again] == [True]
        assert "bob" in two.tenant.kept._by_user  # what is kept of others stays, as long as it is fresh

        before = items(two)
        one.call("DELETE", f"/v1/items/{before[0]}")
        assert items(two) == before[1:]
        one.call("PUT", "/v1/users/ann/consent", {"key": "c", "purposes": [], "version": "1"})
        assert items(two) == items(two, "stranger")
        one.call("DELETE", "/v1/users/ann")
        assert two.call("GET", "/v1/users/ann/export").json()["log"] == []
        refused = two.call("POST", "/v1/labels", label("late"))
        assert refused.status_code == 409


def test_what_others_taught_the_items_reaches_every_service(postgres: Postgres, tmp_path: Path) -> None:
    with pair(tmp_path, postgres.schema()) as (one, two):
        before = items(two, "stranger")
        told = [label(f"k{n}", user_id=f"u{n}", item_id=before[0], value=1) for n in range(40)]
        one.call("POST", "/v1/labels", told)
        until = time.monotonic() + 30.0  # about a second on an idle machine
        while items(two, "stranger") == before:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert items(two, "stranger") == items(one, "stranger")


def test_a_log_that_does_not_answer_holds_up_no_list(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palate.service.following.WAIT_SECONDS", 0.2)
    with served(tmp_path, store=postgres.schema()) as service:
        before, let_go = items(service), threading.Event()
        monkeypatch.setattr(type(service.tenant.recommender), "stamp", lambda _self: let_go.wait(30.0) and ((0, 0), 0))
        try:
            assert items(service) == before
            reasons = service.call("GET", "/readyz").json()["reasons"]
            assert "scoring: the log does not answer" in reasons
        finally:
            let_go.set()


# ---- one folder for several processes


def test_services_that_start_together_agree_on_their_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = keys.secrets.token_urlsafe

    def slowly(n: int) -> str:
        time.sleep(0.1)
        return make(n)

    monkeypatch.setattr(keys.secrets, "token_urlsafe", slowly)
    rings = list[KeyRing]()
    threads = [threading.Thread(target=lambda: rings.append(KeyRing(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rings) == 4 and len({ring.sign("token", "x") for ring in rings}) == 1
    assert sum(ring.made_admin for ring in rings) == 1


def test_a_change_of_the_model_takes_no_other_change_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, save, is_saving = copied(tmp_path / "model"), checkpoint.save_model, threading.Event()

    def slowly(folder: Path, of: Any) -> Any:
        is_saving.set()
        time.sleep(0.3)
        return save(folder, of)

    with Recommender.open(folder) as one, Recommender.open(folder) as two:
        one.learner, two.learner  # noqa: B018 - both know the model as it is
        monkeypatch.setattr("palate.recommender.live.checkpoint.save_model", slowly)
        first = threading.Thread(target=one.withdraw_items, args=("i01",))
        first.start()
        is_saving.wait(30.0)
        with pytest.raises(StoreError, match="another process changed the model"):
            two.withdraw_items("i02")
        first.join()
        assert two.withdraw_items("i02") == 2


def test_one_of_several_services_refits(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    with Recommender.open(folder) as recommender:
        recommender.tell([rate(f"u{n}", "i01", 4.0) for n in range(30)])
        with exclusive(folder / REFITTING, wait_seconds=0.0):
            with pytest.raises(StoreBusy, match="refits the model"):
                recommender.refit_apart()
            refits = recommender.refit_regularly(after_labels=5)
            recommender.tell([rate(f"u{n}", "i02", 4.0) for n in range(30)])
            time.sleep(1.5)
            refits.stop()
            assert refits.done == []


# ---- three of them, one killed


class Calls:
    """Makes calls and makes them again with the same key, as palate.client does.

    Args:
        address: Of the balancer; empty: a hash of the user chooses among the services, as it does.
    """

    def __init__(self, address: str, services: list[Process]) -> None:
        self._address, self._services, self.key = address, services, services[0].key

    def __call__(self, method: str, path: str, user: str, body: Any = None) -> Any:
        until, first = time.monotonic() + AGAIN_SECONDS, int(hashlib.sha256(user.encode()).hexdigest(), 16)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        data, n = None if body is None else json.dumps(body).encode(), 0
        while True:
            address = self._address or self._services[(first + n) % len(self._services)].url
            request = urllib.request.Request(address + path, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                if error.code not in (502, 503, 504):
                    raise AssertionError(error.code, error.read()) from None
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < until, (method, path)
            n += 1
            time.sleep(0.05)


def test_one_of_three_services_is_killed_and_no_label_is_lost_or_doubled(postgres: Postgres, tmp_path: Path) -> None:
    folder, url = copied(tmp_path / "model"), postgres.schema()
    given = {"store": url, "fresh_seconds": 0.5, "free_bytes": 0}
    n_clients, n_labels, faults, kept = 4, 16, list[str](), dict[str, int]()
    half = threading.Semaphore(0)

    with ExitStack() as opened:
        services = [opened.enter_context(Process(folder, name=f"service-{n}", **given)) for n in range(3)]
        ports = [service.port for service in services]
        calls = Calls(opened.enter_context(balanced(tmp_path, ports)) if HAPROXY else "", services)

        def client(name: int) -> None:
            try:
                for number in range(n_labels):
                    if number == n_labels // 2:
                        half.release()
                    user, other, item = f"u{name}-{number % 4}", f"v{name}-{number % 4}", f"i{number + 1:02}"
                    calls("GET", f"/v1/users/{user}/recommendations?k=40", user)
                    rows = [label(f"{name}-{number}-{who}", user_id=who, item_id=item) for who in (other, user)]
                    found = calls("POST", "/v1/labels", other, rows)["labels"]  # of the first user's service
                    kept.update((row["key"], row["seq"]) for row in found)
                    shown = calls("GET", f"/v1/users/{user}/recommendations?k=40", user)["items"]
                    if item in [one["item_id"] for one in shown]:
                        faults.append(f"{user} is shown {item}, which they rated")
            except Exception as error:  # noqa: BLE001 - the thread's, told below
                faults.append(repr(error))

        threads = [threading.Thread(target=client, args=(name,)) for name in range(n_clients)]
        for thread in threads:
            thread.start()
        half.acquire(timeout=120.0)
        services[1].kill()
        for thread in threads:
            thread.join()
        assert not faults, faults[:3]

        with open_store(url) as log:
            rows = list(log.records())
            assert log.verify().is_whole
        assert {row.content.key: row.seq for row in rows} == kept  # every one is there, once, where it was said to be
        assert len(rows) == 2 * n_clients * n_labels

        users = sorted({row.user_id for row in rows})
        alone = {}
        with Recommender.open(copied(tmp_path / "alone"), store=url) as recommender:
            for user in users:
                alone[user] = [(o.item_id, round(o.score, 9), round(o.std, 9)) for o in recommender.recommend(user, 40)]
        for service in (services[0], services[2]):
            until = time.monotonic() + 60.0
            while {user: shown_by(service, user) for user in users} != alone:  # what others taught comes late
                assert time.monotonic() < until, "a service believes something else than one process does"
                time.sleep(0.2)


def shown_by(service: Process, user: str) -> list[tuple[str, float, float]]:
    found = json.loads(service.get(f"/v1/users/{user}/recommendations?k=40")[1])["items"]
    return [(one["item_id"], round(one["score"], 9), round(one["std"], 9)) for one in found]


# ---- the balancer


class Named(ThreadingHTTPServer):
    """Answers every call with its name, and says whether it is ready."""

    is_ready = True
    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.name, self.calls = name, list[str]()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Named

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        is_fine = self.path != "/readyz" or self.server.is_ready
        body = self.server.name.encode()
        self.send_response(200 if is_fine else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # a check of health does not wait for all of it
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        pass


@needs_haproxy
def test_the_balancer_sends_what_is_about_a_user_to_one_service(tmp_path: Path) -> None:
    servers = [Named(str(number)) for number in range(3)]

    def call(path: str, body: Any = None, key: str = "k") -> str:
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(address + path, data, headers), timeout=30) as response:
            return response.read().decode()

    def of(user: str, sent: str) -> set[str]:
        rows = [{"key": "a", "user_id": user}, {"key": "b", "user_id": "another"}]
        reads = [call(f"/v1/users/{sent}/{what}") for what in ("recommendations?k=3", "questions", "profile")]
        return {*reads, call("/v1/labels", rows[0]), call("/v1/labels", rows), call("/v1/events", rows)}

    with balanced(tmp_path, [server.server_port for server in servers]) as address:
        wait_until(lambda: len({call("/openapi.json") for _ in range(9)}) == 3)  # all are found ready
        homes = {f"u{number}": of(f"u{number}", f"u{number}") for number in range(60)}
        homes |= {"a/b ü": of("a/b ü", "a%2Fb%20%C3%BC")}
        assert all(len(home) == 1 for home in homes.values()), homes
        assert all(8 <= sum(home == {str(n)} for home in homes.values()) <= 36 for n in range(3))
        work = [{call("/v1/next?campaign=c", key=key), call("/v1/leases/l/release", {}, key)} for key in "abcdef"]
        assert all(len(home) == 1 for home in work) and len(set.union(*work)) > 1

        servers[1].is_ready = False
        wait_until(lambda: len({call("/openapi.json") for _ in range(9)}) == 2)
        moved = {user: of(user, user) for user in homes if "/" not in user}
        assert all(moved[user] == homes[user] for user in moved if homes[user] != {"1"})
        assert all(len(home) == 1 and home != {"1"} for home in moved.values())

        for server in servers:
            server.is_ready = False
        time.sleep(1.5)
        assert {call("/openapi.json") for _ in range(9)} == {"0", "1", "2"}  # which say why


def wait_until(is_so: Any) -> None:
    until = time.monotonic() + 60.0
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_compose_file_starts_what_the_balancer_asks() -> None:
    found = yaml.safe_load((CONFIG.parent / "compose.yaml").read_text())["services"]
    names = [name for name in found if name.startswith("palate-")]
    asked = {line.split()[1] for line in CONFIG.read_text().splitlines() if line.strip().startswith("server ")}
    assert set(names) == asked
    for name in names:
        command = found[name]["command"]
        assert command[:3] == ["palate", "serve", "/model"] and command[command.index("--store") + 1].startswith(
            "postgresql://"
        )
        assert "../model:/model" in found[name]["volumes"] and found[name]["environment"]["PGPASSWORD"]
    assert {port.rpartition(":")[0] for port in found["balancer"]["ports"]} == {"127.0.0.1:8000"}
