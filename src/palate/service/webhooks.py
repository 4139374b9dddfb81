"""Labels and erasures, told to another program: at least once each, in order as long as all goes well.

A task for each is written in the commit of its row (:mod:`palate.store.outbox`), so what was acknowledged is told even
if this process dies right after. Nothing of this holds up a label: the calls are made in a thread of their own.

    POST URL
    palate-signature: t=1795942627,v1=6b7a…     HMAC-SHA256 of "t.body" under the secret, in hexadecimal digits
    {"tenant": "default", "events": [{"type": "label.created", "seq": 7, "key": "k1", "user_id": …, …}]}

An event holds ids and times, and nothing of what was said. That somebody was erased names nobody: it holds a salt and a
digest, which are those of a user whose id is known. The receiver answers with 2xx once it has kept them; it may get one
again, under the same ``seq``.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from palate.entities import Answer
from palate.errors import PalateError
from palate.records import Erasure, Record
from palate.service.settings import check_webhook
from palate.store.outbox import Outbox
from palate.store.sql_log import SqlLog

TOPIC = "webhook"
AT_ONCE = 100  # events of a call
MOST_TRIES = 100  # of an event: about 15 hours of a receiver that does not answer
MOST_WAITING = 1_000_000  # events; of more the oldest are dropped
TIMEOUT_SECONDS = 5.0  # of a call
LONGEST_PAUSE = 600.0  # between two tries, in seconds
LOOK_SECONDS = 0.25  # between two looks for something to tell


def signed(secret: str, body: bytes, at: int) -> str:
    """The header by which the receiver knows who sends, and that it was not long ago."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def event_of(record: Record) -> dict[str, Any]:
    """What is told of a row."""
    content = record.content
    of_row = {"seq": record.seq, "key": content.key, "at": record.recorded_at}
    if isinstance(content, Erasure):
        return {"type": "user.erased", **of_row, "salt": content.salt, "digest": content.digest}
    assert isinstance(content, Answer)
    about = {"user_id": content.user_id, "item_id": content.item_id, "form": content.form.value}
    if record.retracts:
        return {"type": "label.retracted", **of_row, **about, "retracts": record.retracts}
    return {"type": "label.created", **of_row, **about}


class Webhooks:
    """Tells an address, in a thread, until it is closed.

    Args:
        log: Of which rows are told.
        alert: Called with an event for the service's log, and facts.
        count: Called with an outcome (``delivered``, ``failed``, ``dropped``) and of how many events it is.
    """

    def __init__(
        self,
        log: SqlLog,
        url: str,
        secret: str,
        *,
        tenant: str,
        alert: Callable[..., None],
        count: Callable[[str, int], None],
    ) -> None:
        self._address, self._secret, self._tenant = check_webhook(url), secret, tenant
        self._outbox = Outbox(log, TOPIC, most_tries=MOST_TRIES)
        self._alert, self._count = alert, count
        self._failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="palate-webhooks")
        self._thread.start()

    def close(self) -> None:
        """Let the call that runs end, and start no other. What was not told is told after the next start."""
        self._stop.set()
        self._thread.join(2 * TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                is_idle = not self._tell()
            except PalateError as error:  # of the log; it is looked at again
                self._failed(type(error).__name__)
                is_idle = True
            if is_idle or self._failures:
                self._stop.wait(min(LONGEST_PAUSE, 2.0 ** (self._failures - 1)) if self._failures else LOOK_SECONDS)

    def _tell(self) -> bool:
        """Whether there was something to tell."""
        tasks = self._outbox.take(AT_ONCE, lease_seconds=4 * TIMEOUT_SECONDS)
        if not tasks:
            return False
        seqs = [task.seq for task in tasks]
        fault = self._post([event_of(task.record) for task in tasks])
        if not fault:
            self._outbox.done(seqs)
            self._failures = 0
            self._count("delivered", len(seqs))
            return True
        self._failed(fault)
        self._outbox.failed(seqs, fault, again_in_seconds=min(LONGEST_PAUSE, 2.0 ** (self._failures - 1)))
        given_up = self._outbox.set_aside()
        self._outbox.done(task.seq for task in given_up)
        dropped = len(given_up) + self._outbox.trim(MOST_WAITING)
        if dropped:
            self._count("dropped", dropped)
            self._alert("webhook events dropped", tenant=self._tenant, events=dropped, kind=fault)
        return True

    def _failed(self, fault: str) -> None:
        self._failures += 1
        self._count("failed", 1)
        self._alert("webhook failed", tenant=self._tenant, kind=fault, failures=self._failures)

    def _post(self, events: list[dict[str, Any]]) -> str:
        """Why it was not taken; empty if it was."""
        body = json.dumps({"tenant": self._tenant, "events": events}).encode()
        headers = {"content-type": "application/json", "palate-signature": signed(self._secret, body, int(time.time()))}
        to = self._address
        kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
        connection: http.client.HTTPConnection = kind(to.hostname or "", to.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", (to.path or "/") + (f"?{to.query}" if to.query else ""), body, headers)
            status = connection.getresponse().status  # a redirection is none of the answers that count
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()
        return "" if 200 <= status < 300 else f"status {status}"
