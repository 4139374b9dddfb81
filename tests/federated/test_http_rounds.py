from __future__ import annotations

import asyncio
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from palate.federated.fixed_point import encode
from palate.federated.ledger import Ledger
from palate.federated.public import PublicModel
from palate.federated.secure_sum.server_side import GroupSum, Opened
from palate.service.federated.line import Line
from palate.service.federated.rounds import Rounds
from palate.service.federated.settings import RoundSettings
from tests.federated.served_line import Server, answers, devices, died, expected, lead, made, same, step

USERS, ITEMS = 14, 20
GIVEN = answers(USERS, ITEMS, np.random.default_rng(0))
HOW = {"start_at": USERS, "minimum": 8, "step_seconds": 3600.0}


def published(folder: Path) -> PublicModel:
    """The newest public model, also of a folder that is served."""
    files = json.loads((folder / "line.json").read_bytes())["files"]
    return PublicModel.load(folder / "files" / files["model"])


async def events_of(folder: Path) -> list[str]:
    """What happens in the first second in which a line is at work."""
    said: list[str] = []
    with Line.open(folder) as line:
        work = asyncio.create_task(Rounds(line, RoundSettings(**HOW), say=lambda event, **_: said.append(event)).run())
        await asyncio.wait({work}, timeout=1.0)
        work.cancel()
        await asyncio.wait({work})
    return said


def spendings(folder: Path) -> list[str]:
    with Ledger.open(folder / "ledger") as ledger:
        return [entry.what.rpartition(" ")[0] for entry in ledger.entries]


def test_a_whole_line_over_http_ends_in_the_model_of_one_process(tmp_path: Path) -> None:
    folder = made(tmp_path / "line", ITEMS)
    with Server(folder, **HOW) as server:
        among = devices(tmp_path, server, GIVEN)
        lead(server, among, 3)
        step(among, "ended")
        ended = server.round()
        assert (ended["round"], ended["ended"], ended["terms"]) == (3, "all rounds are done", "")
        assert json.loads(server.call("GET", "readyz")[1])["ready"]
        assert among[0].items() == [{"item_id": str(item), "title": ""} for item in range(ITEMS)]
        assert server.stop() == 0
    wanted = expected(GIVEN, [range(USERS)] * 3)
    assert {device.public.digest for device in among if device.public} == {published(folder).digest}
    assert same(published(folder), wanted)
    assert spendings(folder) == ["round 0 sum", "round 1 sum", "round 2 sum"]
    sent = [[row["bytes"] for row in device.log.rows() if row["what"] == "round"] for device in among]
    assert len({tuple(sizes) for sizes in sent}) == 1  # whatever they hold
    assert list((folder / "attempt").iterdir()) == []


def test_FE_04_whoever_drops_out_the_rest_is_summed_and_below_the_minimum_nothing_is_opened_or_spent(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path / "line", ITEMS)
    with Server(folder, **HOW) as server:
        among = devices(tmp_path, server, GIVEN)
        for stay in (6, 10):  # below the minimum, and enough
            server.until("keys")
            step(among, "keys")
            server.until("shares")
            step(among[:-1], "shares")  # one goes after each step
            server.pass_time()
            server.until("upload")
            step(among[: stay + 1], "upload")
            server.pass_time()
            if stay == 10:
                server.until("unmask")
                step(among[:stay], "unmask")
                server.pass_time()
        server.until("keys", round=1)
        ended = [event for event in server.events() if event["event"] in ("round given up", "round ended")]
        assert [(event["event"], event["round"]) for event in ended] == [("round given up", 0), ("round ended", 1)]
        assert ended[1]["devices"] == 11
        assert same(published(folder), expected(GIVEN, [range(11)]))

        never, midway, *others = among
        sums = [len(device.log.rounds) for device in (never, midway)]
        never.log.consent(False)
        step([midway, *others], "keys")
        step([never], "no-consent")
        server.pass_time()
        server.until("shares")
        step([midway, *others], "shares")
        server.until("upload")
        midway.log.consent(False)  # before it has sent its vector
        step([midway], "no-consent")
        step(others, "upload")
        server.pass_time()
        server.until("unmask")
        step(others, "unmask")
        step([never, midway], "no-consent")
        server.until(round=2)
        assert [len(device.log.rounds) for device in (never, midway)] == sums
    assert spendings(folder) == ["round 0 sum", "round 1 sum"]
    assert same(published(folder), expected(GIVEN, [range(11), range(2, USERS)]))


def test_FE_05_a_killed_server_goes_on_and_opens_and_spends_once(tmp_path: Path) -> None:
    folder = made(tmp_path / "line", ITEMS)
    server = Server(folder, **HOW)
    among = devices(tmp_path, server, GIVEN)
    port = int(server.url.rpartition(":")[2])
    for name in ("keys", "shares"):
        server.until(name)
        step(among, name)
    server.until("upload")
    step(among[:7], "upload")
    server.kill()
    server = Server(folder, settings={"port": port}, dies_at="opening", **HOW)
    assert server.until("upload")["round"] == 0
    step(among[:7], "upload")  # what was acknowledged is known
    step(among[7:], "upload")
    server.until("unmask")
    step(among, "unmask")
    assert server.process.wait(60) == -signal.SIGKILL
    assert (published(folder).round, spendings(folder)) == (0, ["round 0 sum"])  # before anything was opened
    assert died(folder, "publishing", **HOW) == -signal.SIGKILL
    assert (published(folder).round, spendings(folder)) == (0, ["round 0 sum"])
    other = shutil.copytree(folder, tmp_path / "other")
    with Server(folder, **HOW) as server:
        server.until("keys", round=1)
    assert spendings(folder) == ["round 0 sum"]
    assert same(published(folder), expected(GIVEN, [range(USERS)]))
    with Ledger.open(other / "ledger") as ledger:  # where something else was spent meanwhile, it is not opened
        ledger.spend(0.001, "another model", line="films")
    assert asyncio.run(events_of(other))[:2] == ["round goes on", "round given up"]
    assert (published(other).round, spendings(other)) == (0, ["round 0 sum", "another"])
    with Line.open(folder) as line:
        assert line.public.mu_squared == pytest.approx(line.ledger.spent)


def test_FE_02_a_hostile_group_does_not_move_the_model_of_a_line_that_trims(tmp_path: Path) -> None:
    """Four honest groups, and one that sends a thousand times as much."""
    honest = GroupSum(encode(20.0 + np.zeros(2 * ITEMS)), 50)
    hostile = GroupSum(encode(20_000.0 + np.zeros(2 * ITEMS)), 50)

    def counts(trim: float, *groups: GroupSum) -> float:
        folder = made(tmp_path / f"line-{trim}-{len(groups)}", ITEMS)
        with Line.open(folder) as line:
            settings = RoundSettings(trim=trim)
            rounds = Rounds(line, settings, say=lambda *_event, **_facts: None, rng=np.random.default_rng(0))
            spent = line.ledger.spend(line.state.mu_squared, "a sum", line="films")
            return float(rounds._next(Opened(groups), spent).counted.answered.mean())  # type: ignore[union-attr]

    assert counts(0.25, *[honest] * 4) == pytest.approx(80.0, rel=0.1)
    assert counts(0.25, *[honest] * 4, hostile) == pytest.approx(100.0, rel=0.1)
    assert counts(0.0, *[honest] * 4, hostile) > 10_000.0
