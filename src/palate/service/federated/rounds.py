"""The rounds of a line, one after the other: an attempt, the ledger, the opening, the next public model.

    attempt is ready  ->  the spending is in the ledger  ->  the sums are opened, noise is added  ->  the next public
    model is on the disk  ->  devices are told

A server that is killed at any of these arrows goes on there. Between the ledger and the next model it opens the same
sum with the same spending: of the first opening nothing had left the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from palate.errors import LedgerError, PrivacyBudgetError, UploadError
from palate.federated.fixed_point import SCALE, decode, encode
from palate.federated.ledger import Spent
from palate.federated.secure_sum.robust import trimmed_sum
from palate.federated.secure_sum.server_side import Opened
from palate.federated.secure_sum.terms import Terms
from palate.federated.server import State, advance
from palate.federated.wire import about
from palate.service.federated.attempt import SEED_BYTES, Attempt, Clock
from palate.service.federated.line import Line
from palate.service.federated.settings import RoundSettings

TOGETHER_SECONDS = 0.02  # messages that come within it are looked at once
Say = Callable[..., None]


class Rounds:
    """A line at work. For one event loop; :meth:`run` is its task.

    Args:
        rng: Draws the noise in tests; None: the system's secure generator.
        clock: Seconds, that only go forward.
        say: Takes an event and facts, for the log; nothing of a device is among them.
    """

    def __init__(
        self,
        line: Line,
        settings: RoundSettings,
        *,
        say: Say,
        rng: Generator | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.line, self._settings, self._rng, self._say, self._clock = line, settings, rng, say, clock
        self._attempt: Attempt | None = None
        self._news = asyncio.Event()
        self.halted = ""  # why it waits for somebody to look after it

    async def run(self) -> None:
        """Run rounds until the line has ended, or somebody has to look after it.

        Raises:
            PalateError: If what is on the disk cannot be gone on from, or written to.
        """
        try:
            self._resume()
            while not self.line.ended:
                await self._go_on()
        except BaseException as error:
            self.halted = type(error).__name__
            raise
        finally:
            if self._attempt is not None:
                self._attempt.close()
                self._attempt = None

    def _resume(self) -> None:
        """The attempt of a process that was killed."""
        for nonce in self.line.attempts():
            found = Attempt.resume(self.line.attempt(nonce), self.line.devices, self._clock)
            if found is None or found.terms.about != self._about or self._attempt is not None:
                self.line.attempt(nonce).unlink()
            else:
                self._attempt = found
                self._say("round goes on", round=self.line.public.round, phase=found.phase)

    @property
    def _about(self) -> str:
        public = self.line.public
        return about(public.line, public.round, public.digest)

    async def _go_on(self) -> None:
        if self.line.state.is_done:
            return self._end("all rounds are done")
        if self._attempt is None and len(self.line.devices) >= self._settings.start_at:
            await self._begin()
        if self._attempt is None:
            await self._wait(None)
            return
        phase = await self._attempt.advance()
        if phase == "failed":
            self._give_up(self._attempt)
        elif phase == "ready":
            await self._open(self._attempt)
        else:
            await self._wait(self._attempt.seconds_left)

    async def _wait(self, seconds: float | None) -> None:
        """Until something has come, or so many seconds have passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
            await asyncio.sleep(TOGETHER_SECONDS)
        self._news.clear()

    async def _begin(self) -> None:
        public, settings, each = self.line.public, self._settings, self._settings.step_seconds
        most = max(bound for _, bound in public.parts) * SCALE * (2 * settings.group_size - 1)
        terms = Terms(
            sum_id=secrets.token_hex(16),
            about=self._about,
            length=sum(length for length, _ in public.parts),
            minimum=settings.minimum,
            deadlines=(each, 2 * each, 3 * each, 4 * each),
            width=4 if most < 2**31 else 8,
            group_size=settings.group_size,
            most=len(self.line.devices),
        )
        path = self.line.attempt(terms.sum_id)
        self._attempt = await Attempt.begin(
            path, terms, secrets.token_bytes(SEED_BYTES), self.line.devices, self._clock
        )
        self._say("round begins", round=public.round, devices=len(self.line.devices))

    def _give_up(self, attempt: Attempt) -> None:
        """Nothing of it is opened; the round is tried again."""
        self._say("round given up", round=self.line.public.round, left_out=attempt.left_out)
        self._forget(attempt)

    async def _open(self, attempt: Attempt) -> None:
        """Spend, open, publish: the only place where a sum is opened."""
        line, what = self.line, f"round {self.line.public.round} sum {attempt.terms.sum_id}"
        was_spent = any(entry.what == what for entry in line.ledger.entries)  # by a process that was killed
        try:
            spent = await asyncio.to_thread(self._resume_spending if was_spent else self._spend, what)
        except PrivacyBudgetError as error:
            self._forget(attempt)
            return self._end(str(error))
        except LedgerError:
            if not was_spent:
                raise
            return self._give_up(attempt)  # something else was spent since; what this one spent stays spent
        opened = await asyncio.to_thread(attempt.open, spent)
        state = await asyncio.to_thread(self._next, opened, spent)
        line.commit(state)
        self._say("round ended", round=line.public.round, devices=opened.devices, left_out=attempt.left_out)
        self._forget(attempt)

    def _next(self, opened: Opened, spent: Spent) -> State:
        total, factor = opened.total, 1.0
        if self._settings.trim:
            values = np.stack([decode(group.values) for group in opened.groups])
            devices = np.array([group.devices for group in opened.groups])
            found, factor = trimmed_sum(values, devices, trim=self._settings.trim)
            total = encode(found)
        return advance(
            self.line.state,
            total,
            opened.devices,
            mu_squared=spent.mu_squared,
            factor=factor,
            ledger=self.line.ledger.head,
            rng=self._rng,
        )

    def _forget(self, attempt: Attempt) -> None:
        self._attempt = None
        attempt.delete()

    def _spend(self, what: str) -> Spent:
        return self.line.ledger.spend(self.line.state.mu_squared, what, line=self.line.public.line)

    def _resume_spending(self, what: str) -> Spent:
        return self.line.ledger.resume(what, self.line.state.mu_squared, after=self.line.public.ledger)

    def _end(self, why: str) -> None:
        self.line.end(why)
        self._say("line ended", why=why)

    @property
    def largest_bytes(self) -> int:
        """The largest body that a device can have to send in any round of the line."""
        public, options = self.line.public, self.line.state.options
        return 8 * len(public) * (options.dim + 1) + (1 << 17)

    async def enrol(self, public_key: bytes) -> str:
        """Take a device into the line; its id."""
        device = await self.line.enrol(public_key)
        self._news.set()
        return device

    def most_bytes(self, step: str) -> int:
        """The largest message of a step.

        Raises:
            UploadError: If there is no round to send it to.
        """
        return self._now().terms.most_bytes(step)

    async def receive(self, raw: bytes) -> None:
        """Take a message of a device; it is on the disk when this returns.

        Raises:
            UploadError: If it is not taken; nothing of it is kept.
        """
        taking = asyncio.create_task(self._now().receive(raw))  # to its end, even if the device hangs up meanwhile
        try:
            await asyncio.shield(taking)
        finally:
            self._news.set()

    def message_for(self, device: str) -> bytes:
        """What a device has to be told in this step.

        Raises:
            UploadError: If there is nothing for it.
        """
        return self._now().message_for(device)

    def _now(self) -> Attempt:
        if self._attempt is None:
            raise UploadError("there is no round now. Ask GET /v1/round when there is.", "closed")
        return self._attempt

    def document(self) -> dict[str, Any]:
        """What everyone may know: where the line is, and what to fetch."""
        line, attempt = self.line, self._attempt
        budget, public = line.ledger.budget, line.public
        return {
            "line": public.line,
            "round": public.round,
            "ended": line.ended,
            "halted": bool(self.halted),
            "step": attempt.phase if attempt is not None else "",
            "seconds_left": round(attempt.seconds_left, 3) if attempt is not None else 0.0,
            "terms": attempt.terms.to_bytes().decode() if attempt is not None else "",
            "model": {"digest": public.digest, **line.files["model"].facts},
            "items": line.files["items"].facts,
            "privacy": {"epsilon": budget.epsilon, "delta": budget.delta, "mu_squared": public.mu_squared},
        }
