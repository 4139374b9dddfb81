from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from palate.client.device_log import FILE, KEY, DeviceLog
from palate.errors import AnswerError, DataError, FederatedError, IdError, LedgerError, StoreBusy


def test_nothing_is_contributed_before_consent_and_nothing_after_it_is_withdrawn(tmp_path: Path) -> None:
    with DeviceLog(tmp_path / "device") as log:
        log.answer("i1", 4.0)
        assert not log.contributes
        log.consent(True)
        assert log.contributes
    with DeviceLog(tmp_path / "device") as log:
        assert log.contributes
        log.consent(False, version="text-2")
        assert not log.contributes
    with DeviceLog(tmp_path / "device", now=lambda: -1e9) as log:  # a clock that jumps back
        assert not log.contributes
        log.consent(True)
        assert log.contributes
        said = [(row["given"], row["version"]) for row in log.rows() if row["what"] == "consent"]
    assert said == [(True, "2026-11"), (False, "text-2"), (True, "2026-11")]


def test_answers_are_there_wherever_a_process_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    with DeviceLog(folder) as log:
        log.answer_all([("i1", 4.0), ("i2", 2.0)])
        log.answer("i2", 5.0)
        log.answer("i1", None)
    whole = (folder / FILE).read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(len(whole) + 1):
        (folder / FILE).write_bytes(whole[:length])
        with DeviceLog(folder) as log:
            kept = sum(len(b"".join(lines[: n + 1])) <= length for n in range(len(lines)))
            assert log.answers == ({}, {"i1": 4.0}, {"i1": 4.0, "i2": 2.0}, {"i1": 4.0, "i2": 5.0}, {"i2": 5.0})[kept]
            log.answer("i3", 1.0)
        with DeviceLog(folder) as log:
            assert log.answers["i3"] == 1.0


@pytest.mark.parametrize(
    ("item", "value", "error"),
    [
        ("i1", float("nan"), AnswerError),
        ("i1", float("inf"), AnswerError),
        ("i1", True, AnswerError),
        ("i1", "4", AnswerError),
        ("", 4.0, IdError),
        ("i\0", 4.0, IdError),
    ],
)
def test_a_wrong_answer_is_refused_and_the_others_with_it(
    tmp_path: Path, item: str, value: float, error: type[Exception]
) -> None:
    with DeviceLog(tmp_path / "device") as log:
        with pytest.raises(error) as caught:
            log.answer_all([("i2", 3.0), (item, value)])
        assert "\n" not in str(caught.value)
        assert log.answers == {}
        assert list(log.rows()) == []


def test_a_folder_is_held_by_one_process_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    with DeviceLog(tmp_path / "device") as log:
        log.key(lambda: bytes(32))
        assert log.key(lambda: b"x" * 32) == bytes(32)  # made once
        for name in (FILE, KEY):
            assert stat.S_IMODE((tmp_path / "device" / name).stat().st_mode) == 0o600
        with pytest.raises(StoreBusy, match="held by process"):
            DeviceLog(tmp_path / "device")
    DeviceLog(tmp_path / "device").close()


def test_a_public_model_behind_one_that_was_seen_is_refused(tmp_path: Path) -> None:
    with DeviceLog(tmp_path / "device") as log:
        log.check_model(0, "aa", 0)
        log.check_model(1, "bb", 2)
        log.check_model(1, "bb", 2)
    with DeviceLog(tmp_path / "device") as log:
        for round, digest, ledger in ((0, "aa", 0), (1, "cc", 3), (2, "dd", 1)):
            with pytest.raises(LedgerError, match="put back to an earlier state"):
                log.check_model(round, digest, ledger)
        log.check_model(2, "dd", 3)
        assert sum(row["what"] == "model" for row in log.rows()) == 3


def test_a_server_of_another_line_or_with_a_weaker_promise_is_refused(tmp_path: Path) -> None:
    with DeviceLog(tmp_path / "device") as log:
        log.keep("enrolled", line="films", device="0" * 32, epsilon=3.0, delta=1e-5)
    with DeviceLog(tmp_path / "device") as log:
        log.check_promise("films", 3.0, 1e-5)
        for line, epsilon, delta in (("books", 3.0, 1e-5), ("films", 3.1, 1e-5), ("films", 3.0, 1e-4)):
            with pytest.raises(FederatedError, match="Ask its operator"):
                log.check_promise(line, epsilon, delta)


def test_what_a_device_holds_is_exported_whole_and_deleted_whole(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    with DeviceLog(folder) as log:
        log.key(lambda: b"k" * 32)
        log.answer("canary-item", 4.0)
        log.consent(True)
        log.keep("round", sum="0" * 32, about="films 0 aa", bytes=100)
        exported = [json.loads(line) for line in log.export().splitlines()]
        assert exported == list(log.rows())
        assert log.delete() == {"answers": 1, "rounds": 1, "model": "bounded"}
        assert (log.answers, log.contributes) == ({}, False)
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"canary" not in left
    assert b"k" * 32 not in left


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    with DeviceLog(folder) as log:
        log.answer("i1", 4.0)
    with (folder / FILE).open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(DataError, match="line 2 of"):
        DeviceLog(folder)
