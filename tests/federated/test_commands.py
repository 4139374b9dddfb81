from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from palate.cli.app import run
from palate.client.device_log import DeviceLog
from palate.client.federated import Device
from palate.service.federated.line import Line
from tests.federated.served_line import ENVIRONMENT

SERVE = "import sys; from palate.cli import main; main(['federated', 'serve', *sys.argv[1:]])"
DEVICES = 10


def test_a_line_from_its_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items, mine = tmp_path / "items.csv", tmp_path / "mine.csv"
    items.write_text("item_id,title\n" + "".join(f"i{n},Film {n}\n" for n in range(6)))
    mine.write_text("item_id,rating\ni0,5\ni1,2.5\n")
    options = f"--items {items} --encoder none --rounds 1 --dim 1 --start-at {DEVICES} --minimum 8 --port 0 --json"
    command = [sys.executable, "-c", SERVE, str(tmp_path / "line"), *options.split(), "--no-log-requests"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True, start_new_session=True)
    try:
        assert server.stdout is not None
        document = ""
        while not document.rstrip().endswith("}"):
            document += server.stdout.readline()
        facts = json.loads(document)
        url, folder = facts["address"], tmp_path / "mine"
        join = ["federated", "join", url, "--device", str(folder)]
        assert run([*join, "--answers", str(mine)]) == 0  # without consent: nothing is sent
        assert "has not consented" in capsys.readouterr().err
        assert run([*join, "--contribute"]) == 1  # nobody has let it in
        assert "not enrolled" in capsys.readouterr().err

        def other(n: int) -> None:
            with (
                DeviceLog(tmp_path / f"other-{n}") as log,
                Device(url, log, transport=httpx.HTTPTransport(verify=False)) as device,
            ):
                log.consent(True)
                device.enrol(facts["enrol_code"])
                device.join(poll_seconds=0.1)

        threads = [threading.Thread(target=other, args=(n,)) for n in range(DEVICES - 1)]
        for thread in threads:
            thread.start()
        assert run([*join, "--code", facts["enrol_code"], "--json"]) == 0
        for thread in threads:
            thread.join(60)
        told = capsys.readouterr()
        assert json.loads(told.out)["rounds"] == 2 and "Round 1: step" in told.err
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0
    with Line.open(tmp_path / "line") as line:
        assert (line.public.round, len(line.ledger.entries)) == (2, 2)
        assert line.items[0] == {"item_id": "i0", "title": "Film 0"}
    out = tmp_path / "out.jsonl"
    assert run(["federated", "export", str(folder), "--out", str(out)]) == 0
    kept = [json.loads(row)["what"] for row in out.read_text().splitlines()]
    assert kept[:4] == ["answer", "answer", "consent", "enrolled"]
    assert (kept.count("round"), kept.count("left-out")) == (2, 0)
    capsys.readouterr()
    assert run(["federated", "forget", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"answers": 2, "rounds": 2, "model": "bounded"}
    assert run(["federated", "export", str(folder), "--out", str(out)]) == 2
    assert "there is no device" in capsys.readouterr().err


def test_who_makes_a_line_of_fewer_devices_than_take_part_is_told_and_so_is_a_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\ni0,Film 0\n")
    options = f"--items {items} --encoder none --dim 1 --start-at 2 --minimum 2 --group 2 --port 0 --json"
    command = [sys.executable, "-c", SERVE, str(tmp_path / "line"), *options.split(), "--no-log-requests"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True, start_new_session=True
    )
    try:
        assert server.stdout is not None
        document = ""
        while not document.rstrip().endswith("}"):
            document += server.stdout.readline()
        facts, told = json.loads(document), list[str]()
        with ExitStack() as opened:
            two = [opened.enter_context(DeviceLog(tmp_path / f"device-{n}")) for n in range(2)]
            among = [
                opened.enter_context(Device(facts["address"], log, transport=httpx.HTTPTransport(verify=False)))
                for log in two
            ]
            for device in among:
                device.log.consent(True)
                device.enrol(facts["enrol_code"])

            def say(text: str) -> None:
                told.append(text)
                if "Left out" in text:
                    raise InterruptedError

            other = threading.Thread(target=lambda: [among[1].step() or time.sleep(0.1) for _ in range(20)])
            other.start()
            with pytest.raises(InterruptedError):
                among[0].join(poll_seconds=0.1, say=say)
            other.join(60)
        assert "are 2 devices, and this one takes part from 10" in told[-1]
    finally:
        server.terminate()
        _, noted = server.communicate(timeout=60)
    assert "a device takes part in no group of fewer than 10" in noted


def test_a_device_that_waits_asks_less_and_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr("palate.client.federated.time.sleep", paused.append)
    with DeviceLog(tmp_path / "device") as log, Device("http://127.0.0.1:9", log) as device:
        words = iter(["waiting"] * 12 + ["ended"])
        monkeypatch.setattr(device, "step", lambda: next(words))
        device.join(poll_seconds=5.0)
    assert len(paused) == 12 and sum(paused) > 20.0
    assert paused[0] <= 0.1 and all(2.5 <= pause <= 5.0 for pause in paused[6:])


@pytest.mark.parametrize(
    ("text", "said"),
    [("item,rating\n", "no columns item_id and rating"), ("item_id,rating\ni1,good\n", "line 2 of"), (None, "cannot")],
)
def test_answers_that_cannot_be_read_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    answers = tmp_path / "answers.csv"
    if text is not None:
        answers.write_text(text)
    join = ["federated", "join", "http://127.0.0.1:9", "--device", str(tmp_path / "device"), "--contribute"]
    assert run([*join, "--answers", str(answers)]) == 2
    assert said in capsys.readouterr().err
    with DeviceLog(tmp_path / "device") as log:
        assert not log.contributes
