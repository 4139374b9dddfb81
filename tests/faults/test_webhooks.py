"""Faults of webhooks: a process that dies between a commit and its telling, a receiver that fails, a user erased."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from palate.errors import OptionError
from palate.loop.checkpoint import LOG
from palate.records import user_digest
from palate.service import webhooks
from palate.service.keys import KeyRing
from palate.service.settings import Settings
from palate.store.open_store import open_store
from palate.store.sql_log import SqlLog
from tests.served import Process, Served, copied, label, served


class Receiver:
    """Keeps what it is told.

    Args:
        answers: Status of each call in turn; the last one of all that follow.
    """

    def __init__(self, secret: Callable[[], str], port: int = 0, answers: tuple[int, ...] = (200,)) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies, self.refused = list[bytes](), 0
        outer, left = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                at, _, found = self.headers["palate-signature"].removeprefix("t=").partition(",v1=")
                digest = hmac.new(secret().encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
                assert hmac.compare_digest(digest, found) and abs(int(at) - time.time()) < 300
                status = left.pop(0) if len(left) > 1 else left[0]
                if status == 200:
                    outer.bodies.append(body)
                    outer.events += json.loads(body)["events"]
                else:
                    outer.refused += 1
                self.send_response(status)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def has(self, n: int, seconds: float = 60.0) -> bool:
        until = time.monotonic() + seconds
        while len(self.events) < n and time.monotonic() < until:
            time.sleep(0.02)
        return len(self.events) >= n


@contextmanager
def receiving(folder: Path, **options: Any) -> Iterator[Receiver]:
    receiver = Receiver(lambda: (folder / "keys" / "webhook").read_text().strip(), **options)
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def telling(place: Path, answers: tuple[int, ...]) -> Iterator[tuple[Receiver, Served]]:
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving(place / "default", answers=answers))
        yield receiver, stack.enter_context(served(place, Settings(webhook=f"http://127.0.0.1:{receiver.port}/")))


@pytest.mark.parametrize("ended", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_API_04_what_was_acknowledged_is_told_after_a_restart(tmp_path: Path, ended: signal.Signals) -> None:
    """The receiver does not answer while the service runs, so that it ends between the commit and the telling."""
    folder = copied(tmp_path / "model")
    with receiving(folder) as nobody:
        port = nobody.port
    address = f"http://127.0.0.1:{port}/hook?of=palate"
    with Process(folder, webhook=address) as service:
        sent = [f"k{number}" for number in range(40)]
        assert service.call("POST", "/v1/labels", [label(key) for key in sent])[0] == 200
        assert service.call("DELETE", "/v1/labels/k0")[0] == 200
        service.process.send_signal(ended)
        assert service.process.wait(60) == (0 if ended == signal.SIGTERM else -ended)
    assert (folder / "keys" / "webhook").stat().st_mode & 0o777 == 0o600
    with receiving(folder, port=port) as receiver:
        with Process(folder, webhook=address) as service:
            assert receiver.has(41, 180.0)
            assert service.stop() == 0
        told = sorted(receiver.events, key=lambda event: event["seq"])  # what was out when it ended is told last
        assert [event["key"] for event in told[:40]] == sent
        assert [event["type"] for event in told] == ["label.created"] * 40 + ["label.retracted"]
        assert told[40]["retracts"] == "k0" and not receiver.refused
    with open_store(folder / LOG) as log:
        assert isinstance(log, SqlLog)
        assert log.select("SELECT count(*) FROM outbox", ()) == [(0,)]


def test_webhooks_hold_ids_and_nothing_else_and_an_erased_user_not_even_that(tmp_path: Path) -> None:
    with telling(tmp_path, (200,)) as (receiver, service):
        service.call("POST", "/v1/labels", label("k1", value=5, source="secret-source"))
        event = {"key": "e1", "user_id": "ann", "item_id": "i04", "event": "click"}
        assert service.call("POST", "/v1/events", event).status_code == 200
        body = {"key": "a1", "attributes": {"note": "secret text"}}
        assert service.call("PUT", "/v1/users/ann/attributes", body).status_code == 200
        assert receiver.has(1)
        assert service.call("DELETE", "/v1/users/ann").status_code == 200
        assert receiver.has(2)
        told = 'palate_webhook_events_total{outcome="delivered"} 2.0'
        until = time.monotonic() + 30.0  # it is counted once the receiver has answered
        while told not in service.call("GET", "/metrics").text:
            assert time.monotonic() < until
            time.sleep(0.02)
    created, erased = receiver.events
    assert set(created) == {"type", "seq", "key", "at", "user_id", "item_id", "form"}
    assert set(erased) == {"type", "seq", "key", "at", "salt", "digest"} and erased["type"] == "user.erased"
    assert user_digest(erased["salt"], "ann") == erased["digest"]
    assert b"secret" not in b"".join(receiver.bodies)


def test_a_receiver_that_fails_is_tried_again_and_holds_up_no_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LONGEST_PAUSE", 0.2)
    with telling(tmp_path, (500, 302, 404, 200)) as (receiver, service):
        for number in range(5):
            assert service.call("POST", "/v1/labels", label(f"k{number}")).status_code == 200
        assert receiver.has(5)
        failed = [line for line in service.lines if line["event"] == "webhook failed"]
    assert [line["kind"] for line in failed] == ["status 500", "status 302", "status 404"]
    assert [event["key"] for event in receiver.events] == [f"k{number}" for number in range(5)]


def test_what_is_never_taken_is_dropped_in_the_end_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(webhooks, "MOST_TRIES", 2)
    with telling(tmp_path, (500,)) as (receiver, service):
        service.call("POST", "/v1/labels", label("k1"))
        until = time.monotonic() + 60
        while "webhook events dropped" not in service.log.getvalue() and time.monotonic() < until:
            time.sleep(0.05)
        (line,) = [line for line in service.lines if line["event"] == "webhook events dropped"]
        assert line["events"] == 1 and line["level"] == "error"
        assert service.tenant.recommender.log.select("SELECT count(*) FROM outbox", ()) == [(0,)]
    assert receiver.refused == 2


def test_a_service_without_one_ends_the_webhook_of_its_log(tmp_path: Path) -> None:
    with served(tmp_path, Settings(webhook="http://127.0.0.1:9/")) as service:
        service.call("POST", "/v1/labels", label("k1"))
    with served(tmp_path, again=tmp_path / "default") as service:
        service.call("POST", "/v1/labels", label("k2"))
        (line,) = [line for line in service.lines if line["event"] == "webhook ended"]
        assert line["events"] == 1
        for table in ("topics", "outbox"):
            assert service.tenant.recommender.log.select(f"SELECT count(*) FROM {table}", ()) == [(0,)]


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/", "ftp://example.org/", "https://", "https://name:secret@example.org/", "nonsense"),
        *("https://example.org:99999/", "https://example.org/#part", "http://127.0.0.1.example.org/"),
    ],
)
def test_an_address_that_is_open_to_others_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match=r"webhook.*\. (Write|Leave)") as error:
        Settings(webhook=url)
    assert "secret" not in str(error.value)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path / "default")
    (folder / "keys").mkdir()
    (folder / "keys" / "webhook").write_text("x" * 43)
    with pytest.raises(OptionError, match=r"webhook can be read by others\. .*chmod 600"):
        KeyRing(folder).webhook_secret()
