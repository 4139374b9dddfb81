from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from palate.errors import StoreError
from palate.service.federated.journal import Journal


def appended(path: Path, bodies: list[bytes]) -> None:
    async def all_at_once() -> None:
        journal = Journal(path)
        await asyncio.gather(*(journal.append(n % 3, body) for n, body in enumerate(bodies)))
        assert [journal.read(entry) for entry in journal.entries] == bodies
        journal.close()

    asyncio.run(all_at_once())


def test_what_was_acknowledged_is_there_wherever_the_file_is_torn_behind_it(tmp_path: Path) -> None:
    path, bodies = tmp_path / "journal", [bytes([n]) * size for n, size in enumerate((0, 1, 9, 20))]
    appended(path, bodies)
    whole, ends = path.read_bytes(), [13 * (n + 1) + sum(map(len, bodies[: n + 1])) for n in range(len(bodies))]
    assert len(whole) == ends[-1]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length] + b"\xff" * (length % 3))  # and a tail of something else
        journal = Journal(path)
        kept = sum(end <= length for end in ends)
        assert [journal.read(entry) for entry in journal.entries] == bodies[:kept]
        journal.close()
        appended_after = [*bodies[:kept], b"next"]
        again = Journal(path)
        asyncio.run(again.append(0, b"next"))
        again.close()
        found = Journal(path)
        assert [found.read(entry) for entry in found.entries] == appended_after
        found.close()


def test_a_changed_byte_ends_the_journal_before_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    appended(path, [b"one", b"two", b"three"])
    content = bytearray(path.read_bytes())
    content[content.index(b"two")] ^= 1
    path.write_bytes(content)
    journal = Journal(path)
    assert [journal.read(entry) for entry in journal.entries] == [b"one"]
    journal.close()


def test_of_what_a_full_disk_did_not_take_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    appended(path, [b"one"])
    journal = Journal(path)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def written() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(StoreError, match="No space left"):
                await journal.append(0, b"lost")
        await journal.append(0, b"two")

    asyncio.run(written())
    assert [journal.read(entry) for entry in journal.entries] == [b"one", b"two"]
    journal.close()
    appended(tmp_path / "other", [])
    assert Journal(path).entries == journal.entries
