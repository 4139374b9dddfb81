from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from palate.errors import StoreError, UploadError
from palate.federated.secure_sum.terms import KINDS
from palate.service.federated.attempt import Attempt
from tests.federated.secure_sums import devices_of, plain, spent_in, terms_of, vectors_of

N, SENT = 5, (0, 1, 2, 3)  # the last one drops out before it sends its vector
VECTORS = vectors_of(N, 8)
TERMS = terms_of(most=N)
DEVICES = devices_of(TERMS, VECTORS)
NAMES = list(DEVICES)


class Times:
    """A clock that a test moves."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def begun(path: Path, clock: Times) -> Attempt:
    return await Attempt.begin(path, TERMS, bytes(32), NAMES, clock)


async def led(attempt: Attempt, clock: Times, kinds: tuple[str, ...]) -> None:
    """What devices send in some phases; those that were taken before send the same again."""
    for kind in kinds:
        for at, name in enumerate(NAMES):
            if kind == "keys":
                await attempt.receive(DEVICES[name].join())
            elif kind == "shares" or at in SENT:
                await attempt.receive(DEVICES[name].answer(attempt.message_for(name)))
        if kind == "upload":
            clock.now += TERMS.deadlines[2] - attempt.now
        await attempt.advance()


def test_killed_after_any_message_it_goes_on_to_the_same_sum(tmp_path: Path) -> None:
    path = tmp_path / "attempt"

    async def whole() -> list[bytes]:
        clock = Times(100.0)
        attempt = await begun(path, clock)
        await led(attempt, clock, KINDS)
        assert attempt.phase == "ready"
        ends = [entry.place + entry.size for entry in attempt._journal.entries]
        attempt.close()
        return [path.read_bytes()[:end] for end in ends]

    async def gone_on(content: bytes) -> None:
        path.write_bytes(content)
        clock = Times(-5e9)  # of a machine that has started anew
        attempt = Attempt.resume(path, NAMES, clock)
        assert attempt is not None
        at = (*KINDS, "ready").index(await attempt.advance())
        await led(attempt, clock, KINDS[at:])
        opened = attempt.open(spent_in(tmp_path))
        assert (opened.total == plain(VECTORS, SENT)).all()
        assert opened.devices == len(SENT)
        attempt.delete()

    prefixes = asyncio.run(whole())
    assert len(prefixes) == 1 + 2 * N + 2 * len(SENT) + 4  # the terms, the messages, the ends of phases
    for content in prefixes:
        asyncio.run(gone_on(content))


def test_no_clock_but_its_own_ends_a_phase_and_the_time_that_a_server_is_down_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waited() -> None:
        clock = Times(50.0)
        attempt = await begun(tmp_path / "attempt", clock)
        for wrong in (-1e12, 0.0, 1e12):
            monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
            assert await attempt.advance() == "keys"
            assert attempt.seconds_left == 10.0
        clock.now += 4.0
        for name in NAMES[:3]:
            await attempt.receive(DEVICES[name].join())
        clock.now -= 2.0  # back: nothing begins again
        assert await attempt.advance() == "keys"
        attempt.close()
        content = (tmp_path / "attempt").read_bytes()
        for start in (1e9, -1e9):
            clock = Times(start)
            (tmp_path / "attempt").write_bytes(content)
            resumed = Attempt.resume(tmp_path / "attempt", NAMES, clock)
            assert resumed is not None
            assert resumed.seconds_left == 6.0
            clock.now += 6.0
            assert await resumed.advance() == "shares"
            with pytest.raises(UploadError) as late:
                await resumed.receive(DEVICES[NAMES[3]].join())
            assert late.value.code == "late"
            resumed.close()
            assert resumed.phase == "shares"

    asyncio.run(waited())


def test_a_message_that_the_disk_did_not_take_did_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def sent() -> None:
        attempt = await begun(tmp_path / "attempt", Times())
        joined = DEVICES[NAMES[0]].join()
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(StoreError, match="No space left"):
                await attempt.receive(joined)
        assert await attempt.receive(joined)  # new: nothing was kept of it
        assert not await attempt.receive(joined)
        attempt.close()

    asyncio.run(sent())


def test_the_same_at_the_same_time_is_acknowledged_when_it_is_on_the_disk(tmp_path: Path) -> None:
    async def sent() -> None:
        attempt = await begun(tmp_path / "attempt", Times())
        joined = DEVICES[NAMES[0]].join()
        first, again = asyncio.create_task(attempt.receive(joined)), asyncio.create_task(attempt.receive(joined))
        assert not await again
        assert first.done() or len(attempt._journal.entries) == 2
        assert await first
        attempt.close()

    asyncio.run(sent())


def test_a_journal_without_its_beginning_is_no_attempt(tmp_path: Path) -> None:
    (tmp_path / "attempt").write_bytes(b"\x01\x02")
    assert Attempt.resume(tmp_path / "attempt", NAMES, Times()) is None
