"""A device of a federated line: answers stay in its folder, and what it sends of them is one masked vector a round.

    from palate.client.device_log import DeviceLog
    from palate.client.federated import Device

    with DeviceLog(Path("my-device")) as log, Device("http://127.0.0.1:8000", log) as device:
        device.enrol(code)
        log.answer("i7", 4.0)
        log.consent(True)
        device.join()

A device without consent sends nothing. One with consent takes part in every round, with or without answers, so that
taking part says nothing of them. Needs httpx, of the extra ``serve``, and the extra ``federated``.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from palate.client.calls import AGAIN, Patience, ServiceError, base_url, fault_of, library
from palate.client.device_log import DeviceLog
from palate.errors import FederatedError, SecureSumError
from palate.errors.checks import positive
from palate.federated.device import DeviceAnswers, upload
from palate.federated.ledger import seq_of
from palate.federated.public import PublicModel
from palate.federated.secure_sum.device_side import SumDevice
from palate.federated.secure_sum.keys import DeviceKey
from palate.federated.secure_sum.terms import KINDS, Terms
from palate.federated.wire import BLOCK_BYTES, DEVICE, OCTETS, about, enrolment

MAX_FILE_BYTES = 1 << 30  # of a public file
TRIES = 50  # of a call, at most
ENDED = "ended"
_FIRST_PAUSE = 0.1  # seconds, after something has changed; then twice as long each time


class Device:
    """A device that talks to the server of a line. For one thread.

    What :meth:`step` gives is a word: ``waiting`` for a round, or one of ``keys``, ``shares``, ``upload``, ``unmask``
    when its part of that step is done, ``no-consent``, ``left-out`` of this attempt at a round, or ``ended``.

    Args:
        url: Such as ``http://127.0.0.1:8000``.
        log: What it keeps.
        timeout_seconds: For one try of a call.
        patience_seconds: For all tries of a call.
        rng: Draws how long is waited between tries.
        transport: Of httpx, for tests.

    Attributes:
        log: What it keeps.
        key: That it signs with.
        public: The newest public model that it has seen; None before the first.
    """

    def __init__(
        self,
        url: str,
        log: DeviceLog,
        *,
        timeout_seconds: float = 60.0,
        patience_seconds: float = 60.0,
        rng: random.Random | None = None,
        transport: Any = None,
    ) -> None:
        self._httpx, self.log, self._rng = library(), log, rng or random.Random()
        self._patience = positive(patience_seconds, "patience_seconds")
        timeout = positive(timeout_seconds, "timeout_seconds")
        self._http = self._httpx.Client(base_url=base_url(url), timeout=timeout, transport=transport)
        self.key = DeviceKey.from_bytes(log.key(lambda: DeviceKey.generate().to_bytes()))
        self.public: PublicModel | None = None
        self._sum: SumDevice | None = None
        self._sum_id = ""
        self._done = ""  # the last step of this sum that was taken from it
        self._reason = ""  # why it sat the last sum out
        self._seconds_left = 0.0

    def enrol(self, code: str) -> None:
        """Make this device's key known to the server. Again it changes nothing.

        Args:
            code: The line's, from its operator.
        Raises:
            ServiceError: If the code is wrong, or the server not reached.
            FederatedError: If this device is of another line.
        """
        now = self._round()
        line, promised = str(now["line"]), {name: float(now["privacy"][name]) for name in ("epsilon", "delta")}
        if self.log.line:
            self.log.check_promise(line, **promised)
        body = self.key.public + self.key.sign(enrolment(line, self.key.public))
        self._call("POST", "devices", body, {"authorization": f"Bearer {code}"})
        if self.log.line != line:
            self.log.keep("enrolled", line=line, device=self.key.id, **promised)

    def step(self) -> str:
        """Do what this device has to do now.

        Raises:
            ServiceError: If the server is not reached.
            FederatedError, LedgerError: If it is not the server of this line any more, promises something else, or was
                put back to an earlier state. The device sends nothing.
        """
        if not self.log.line:
            raise FederatedError("this device is not enrolled in a line. Enrol it with the code of its operator.")
        now = self._round()
        self.log.check_promise(now["line"], now["privacy"]["epsilon"], now["privacy"]["delta"])
        if now["ended"]:
            self._know(now)
            return ENDED
        if not now["terms"]:
            return "waiting"
        if not self.log.contributes:
            self._sum = None
            return "no-consent"
        terms = Terms.from_bytes(now["terms"].encode())
        if terms.sum_id != self._sum_id:
            if now["step"] != KINDS[0]:
                return "waiting"
            try:
                self._begin(now, terms)
            except ServiceError as error:
                if error.status == 404:  # the round has ended meanwhile, and its model is not the newest any more
                    return "waiting"
                raise
        if self._sum is None:
            return "left-out"
        try:
            self._take_part(self._sum, now["step"], terms)
        except ServiceError as error:
            if error.status in (0, *AGAIN):
                raise
            if error.code != "early":  # a step ends in this moment; the next look tells
                self._leave(terms, error.code, str(error))
        except SecureSumError as error:
            self._leave(terms, "refused", str(error))
        return self._done if self._sum is not None else "left-out"

    def join(self, *, poll_seconds: float = 5.0, say: Callable[[str], None] | None = None) -> None:
        """Take part in rounds until the line has ended.

        Args:
            poll_seconds: Between two looks at the round, at most; less where a step is short or has just ended.
            say: Called with a sentence whenever something has changed.
        """
        most, pause, before = positive(poll_seconds, "poll_seconds"), 0.0, ""
        while (word := self.step()) != ENDED:
            told = self._told(word)
            if told != before and say is not None:
                say(told)
            pause = min(_FIRST_PAUSE if told != before else 2.0 * pause, most)
            if self._seconds_left:  # else there is no round, and nothing to be late for
                pause = min(pause, max(0.02, self._seconds_left / 4))
            before = told
            time.sleep(self._rng.uniform(0.5, 1.0) * pause)

    def _told(self, word: str) -> str:
        """What :meth:`step` gave, as a sentence."""
        if word == "left-out":
            return f"Left out of this sum: {self._reason.rstrip('.')}."
        if word == "no-consent":
            return "This device has not consented, so it sends nothing."
        if word in KINDS and self.public is not None:
            return f"Round {self.public.round}: step {KINDS.index(word) + 1} of {len(KINDS)} done."
        return "Waiting for the next round."

    def _begin(self, now: Mapping[str, Any], terms: Terms) -> None:
        """Join a new sum, with what the answers of now say to the public model of the round."""
        public = self._know(now)
        self._sum_id, self._sum, self._done = terms.sum_id, None, ""
        if terms.about != about(public.line, public.round, public.digest):
            raise FederatedError("the terms of the sum are not about the public model of the round. Ask the operator.")
        places = {item: place for place, item in enumerate(public.item_ids)}
        known = {places[item]: value for item, value in self.log.answers.items() if item in places}
        answers = DeviceAnswers(np.array(list(known), dtype=np.intp), np.array(list(known.values())))
        self._sum = SumDevice(self.key, terms, upload(public, answers))

    def _take_part(self, sum_: SumDevice, step: str, terms: Terms) -> None:
        due = KINDS.index(step) if step in KINDS else len(KINDS)
        done = KINDS.index(self._done) if self._done else -1
        if done >= due or (done == len(KINDS) - 1 and due == len(KINDS)):
            return
        if done < due - 1:
            raise SecureSumError(f"the round is at {step!r}, and this device has not done what comes before it")
        body = sum_.join() if due == 0 else sum_.answer(self._message())
        if step == "upload":
            self.log.keep("round", sum=terms.sum_id, about=terms.about, bytes=len(body))  # before anything is sent
        self._call("POST", step, body)
        self._done = step

    def _leave(self, terms: Terms, code: str, reason: str) -> None:
        """Sit this sum out; the round after it may go better."""
        self._sum, self._reason = None, reason
        self.log.keep("left-out", sum=terms.sum_id, code=code, reason=reason)

    def _know(self, now: Mapping[str, Any]) -> PublicModel:
        """The public model of the round, fetched once; it is of this device's line, and none older than one before.

        Raises:
            FederatedError, LedgerError: If not.
        """
        facts = now["model"]
        if self.public is None or self.public.digest != facts["digest"]:
            public = PublicModel.from_buffers(self._file(facts), line=self.log.line or None)
            if public.digest != facts["digest"]:
                raise FederatedError("the public model is not the one that the round names. Ask the operator.")
            self.log.check_model(public.round, public.digest, seq_of(public.ledger) if public.ledger else 0)
            self.public = public
        return self.public

    def _file(self, facts: Mapping[str, Any]) -> bytes:
        """A public file, all of its blocks: which of them somebody wants is not to be seen."""
        blocks, size = int(facts["blocks"]), int(facts["bytes"])
        if not 0 < size <= min(MAX_FILE_BYTES, blocks * BLOCK_BYTES):
            raise FederatedError(f"a public file has {size:,} bytes in {blocks:,} blocks. Ask the operator.")
        content = b"".join(self._get(f"public/{facts['sha256']}/{block}") for block in range(blocks))
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise FederatedError("a public file is not what its SHA-256 says. Ask for it again.")
        return content

    def items(self) -> list[dict[str, str]]:
        """Id and title of every item, in the order of the public model."""
        found: list[dict[str, str]] = json.loads(self._file(self._round()["items"]))
        return found

    def _round(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._get("round"))
        self._seconds_left = float(found["seconds_left"])
        return found

    def _message(self) -> bytes:
        return self._get("message", {DEVICE: self.key.id})

    def _get(self, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        return self._call("GET", path, None, headers)

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None) -> bytes:
        """What the server answers; a call that is not answered is made again, with the same bytes."""
        patience = Patience(self._patience, TRIES, self._rng)
        headers = {**(headers or {}), **({"content-type": OCTETS} if body is not None else {})}
        while True:
            response, error = None, None
            try:
                response = self._http.request(method, f"/v1/{path}", content=body, headers=headers)
            except self._httpx.TransportError as failed:
                error = failed
            if response is not None and response.status_code not in AGAIN:
                break
            wait = patience.wait(response, error)
            if wait < 0.0 and response is not None:
                break
            time.sleep(wait)
        if not response.is_success:
            raise fault_of(response)
        content: bytes = response.content
        return content

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
