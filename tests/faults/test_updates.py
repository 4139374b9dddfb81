"""Faults of learning while it serves: what a start reads, dying refits, events twice, swapped models."""

from __future__ import annotations

import dataclasses
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from palate import Learner, Recommender, events, rate
from palate.datasets import planted_world
from palate.errors import ModelFolderError
from palate.loop import checkpoint, replay
from palate.loop.checkpoint import open_log
from palate.posteriors.belief import Belief
from palate.recommender import live, refitting, versions
from palate.records import Event, Record
from palate.service.keys import KeyRing
from palate.service.scoring import Call, Scoring
from tests.served import label, served

USERS = [f"n{number}" for number in range(8)]
TOLD = ("n1", "n5", "u01", "stranger")


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 20 rows were many."""
    for module in (checkpoint, live):
        monkeypatch.setattr(module, "TAIL", 20)
    monkeypatch.setattr(live, "KEEP_EVERY", 25)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Recommender]:
    data = planted_world(users=99, items=30, rng=np.random.default_rng(0)).dataset
    with Recommender.create(tmp_path / "model", data, encoder="none", dim=2) as recommender:
        yield recommender


def told(seed: int = 0, n: int = 120) -> list[Any]:
    rng = np.random.default_rng(seed)
    items = [f"i{number:02d}" for number in range(1, 13)]
    rows: list[Any] = []
    for number in range(n):
        user, item = rng.choice([*USERS, "u01", "u07"]), rng.choice(items)
        rows.append(rate(user, item, float(rng.integers(1, 6)), key=f"k{seed}-{number}"))
        if number % 9 == 0:
            rows += events(user, item, kind="click", key=f"e{seed}-{number}")
    return rows


def assert_same(mine: Learner, other: Learner) -> None:
    """All that is believed of users and of items, to the bit."""
    one, two = mine.model, other.model
    assert np.array_equal(one.taste.items.level, two.taste.items.level)
    assert np.array_equal(one.taste.items.factors, two.taste.items.factors)
    assert np.array_equal(one.catalogue.counts, two.catalogue.counts)
    assert np.array_equal(one.catalogue.levels, two.catalogue.levels)
    sums, others = mine.memory.learnt.sums, other.memory.learnt.sums
    assert set(sums) == set(others) and all(np.array_equal(sums[item], others[item]) for item in sums)
    assert dict(mine.told) == dict(other.told)
    for user in TOLD:
        for part in ("belief", "exposure"):
            first, second = getattr(mine.state(user), part), getattr(other.state(user), part)
            assert np.array_equal(first.mean, second.mean), (user, part)
            assert np.array_equal(first.covariance, second.covariance), (user, part)
        assert mine.recommend(user, 12) == other.recommend(user, 12)


def folder_of(recommender: Recommender) -> Path:
    return recommender._live.folder


def tell(recommender: Recommender, rows: list[Any]) -> None:
    recommender._live.log.append(rows)


def wait_for_beliefs(recommender: Recommender) -> None:
    keeping = recommender._live._keeping
    assert keeping is not None
    keeping.join()


# ---- UP-02 ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_rows")
def test_UP_02_what_was_kept_and_the_rows_since_equal_a_replay_of_all(
    one: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = told()
    tell(one, rows[:60])
    one.recommend("n1")
    wait_for_beliefs(one)
    tell(one, rows[60:75])
    one.undo("n1")
    whole = Learner.load(folder_of(one))
    assert_same(one.learner, whole)
    with Recommender.open(folder_of(one)) as again:  # the beliefs kept, and a short tail
        assert 0 < again._live.checkpoint.started_seq < again.last_seq
        assert again.learner.memory.past is not None
        assert_same(again.learner, whole)
        monkeypatch.setattr(live, "KEEP_EVERY", 10_000)
        tell(one, rows[75:])
        one.undo(
            "n5", next(answer.key for answer in one.learner.told["n5"] if answer.key in {r.key for r in rows[:60]})
        )
        assert_same(again.learner, Learner.load(folder_of(one)))  # more rows at once than are read at once
    with Recommender.open(folder_of(one)) as again:  # a long tail: read when somebody asks
        assert not again.learner.memory.told.changed
        assert_same(again.learner, Learner.load(folder_of(one)))


@pytest.mark.usefixtures("few_rows")
def test_UP_02_a_start_reads_the_rows_since_and_no_others(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(one, told())
    one.recommend("n1")
    wait_for_beliefs(one)
    read = list[int]()
    monkeypatch.setattr(
        checkpoint, "replayed", lambda memory, rows, seq=0: (read.append(len(list(rows))), (memory, ()))[1]
    )
    with Recommender.open(folder_of(one)) as again:
        assert max(read) == 0
        again.tell(rate("n1", "i01", 3.0))
        assert not again._live.checkpoint.memory._now, "a start and a label do not wait for what items have learnt"


def test_UP_02_beliefs_of_another_log_or_model_do_not_count(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEEP_EVERY", 25)
    tell(one, told(n=40))
    one.recommend("n1")
    wait_for_beliefs(one)
    log = folder_of(one) / "other.sqlite"
    with closing(open_log(folder_of(one), log)) as other:
        other.append(told(1, n=60))
    with Recommender.open(folder_of(one), store=log) as of_another:
        assert of_another._live.checkpoint.started_seq == 0
    one.refit()
    with Recommender.open(folder_of(one)) as again:
        assert again._live.checkpoint.started_seq == 0
        assert_same(again.learner, Learner.load(folder_of(one)))


@pytest.mark.parametrize("part", ["items-", "config.json"])
def test_MF_03_damaged_beliefs_are_passed_over_and_that_is_said(
    one: Recommender, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEEP_EVERY", 25)
    tell(one, told(n=40))
    one.recommend("n1")
    wait_for_beliefs(one)
    beliefs = folder_of(one) / "beliefs"
    rng = np.random.default_rng(0)
    path = next(path for path in beliefs.iterdir() if path.name.startswith(part))
    good = path.read_bytes()
    places = [*range(0, len(good), max(1, len(good) // 8)), *rng.integers(0, len(good), 8).tolist()]
    whole = Learner.load(folder_of(one))
    for number, place in enumerate(places):
        bad = bytearray(good)
        bad[place] ^= 1 << (number % 8)
        path.write_bytes(bad if number % 2 else good[:place])
        with pytest.warns(UserWarning, match="All rows of the log are read instead"):
            again = Recommender.open(folder_of(one))
        with again:
            assert again._live.checkpoint.started_seq == 0
            if number < 2:
                assert_same(again.learner, whole)
    path.write_bytes(good)


def test_UP_02_what_one_user_did_is_read_in_time_that_grows_with_it(one: Recommender) -> None:
    """Processor time, and a ratio: a machine may be busy."""
    model = one.learner.memory

    def seconds(n: int) -> float:
        rows = [Record(number, Event("n1", "i01", "click", 1.0, key=f"e{number}"), 0.0) for number in range(1, n + 1)]
        started, memory = time.process_time(), model
        for first in range(0, n, 500):
            memory, _ = checkpoint.replayed(memory, rows[first : first + 500])
        assert len(memory.seen["n1"]) == n
        return time.process_time() - started

    seconds(500)
    assert seconds(8_000) < 12.0 * min(seconds(2_000) for _ in range(3))  # four times as many rows


# ---- UP-03 ----------------------------------------------------------------------------------------------------------


def test_UP_03_rows_that_come_up_to_three_times_count_once(one: Recommender, tmp_path: Path) -> None:
    rows = told(n=60)
    tell(one, rows)
    with Recommender.create(tmp_path / "other", _data(), encoder="none", dim=2) as other:

        def feed(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for place in range(len(rows)):  # each in its turn, and those before it again, shuffled
                again = rng.integers(0, place + 1, rng.integers(0, 3))
                tell(other, [rows[place], *(rows[number] for number in again)])

        feeders = [threading.Thread(target=feed, args=(seed,)) for seed in (0, 1)]
        for feeder in feeders:
            feeder.start()
        for feeder in feeders:
            feeder.join()
        assert_same(one.learner, other.learner)
        assert other.last_seq == one.last_seq == len(rows)


def _data() -> Any:
    return planted_world(users=99, items=30, rng=np.random.default_rng(0)).dataset


# ---- UP-04 ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_rows")
def test_UP_04_rows_that_the_model_cannot_take_are_set_aside_and_the_rest_goes_on(one: Recommender) -> None:
    tell(one, [rate("n1", "i01", 5.0, key="good"), rate("n1", "nowhere", 5.0, key="item"), rate("n1", "i02", 1e30)])
    tell(one, told(n=30))
    after = one.recommend("n1", 12)
    assert one.learner.told["n1"][0].key == "good"
    assert "n1" in one.learner.memory.past.refused if one.learner.memory.past is not None else True
    tell(one, [rate("n1", "i03", 1.0, key="next")])
    assert one.recommend("n1", 12) != after and one.last_seq == len(list(one._live.log.records()))


def _after_ratings(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, list[str]], Any]) -> None:
    """Put a change behind every update by ratings, one by one or several at once, whose keys it is told."""
    heard, heard_each = replay._rate, replay._rate_each

    def one(model: Any, state: Any, answer: Any, weight: float = 1.0) -> Any:
        return change(heard(model, state, answer, weight), [answer.key])

    def several(model: Any, state: Any, some: Any, before: Any) -> Any:
        return change(heard_each(model, state, some, before), [each.answer.key for each in some])

    monkeypatch.setattr(replay, "_rate", one)
    monkeypatch.setattr(replay, "_rate_each", several)


@pytest.mark.parametrize("fault", ["raises", "not a number", "too large"])
@pytest.mark.parametrize("is_known", [False, True])
def test_UP_04_a_row_whose_update_fails_is_set_aside_after_three_tries(
    one: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, is_known: bool
) -> None:
    tries = list[str]()

    def poison(after: Any, keys: list[str]) -> Any:
        found = [key for key in keys if key.startswith("pill")]
        tries.extend(found)
        if not found:
            return after
        if fault == "raises":
            raise RuntimeError("of no kind that is foreseen")
        times = np.nan if fault == "not a number" else 1e30
        return dataclasses.replace(after, belief=Belief(after.belief.mean * times, after.belief.covariance))

    def lists(of: Recommender) -> list[Any]:
        return [of.recommend(user, 12) for user in ("n1", "n2", "stranger")]

    _after_ratings(monkeypatch, poison)
    rows = [rate("n1", "i01", 5.0), rate("n1", "i02", 1.0), *told(n=30)]
    with Recommender.create(tmp_path / "without", _data(), encoder="none", dim=2) as without:
        for of in (one, without):
            tell(of, rows)
        if is_known:
            lists(one)
        tell(one, [rate("n1", "i11", 5.0, key="pill")])
        assert lists(one) == lists(without)  # as it was before, with the first update
        assert 0 < len(tries) <= 3
        (row,) = one.learner.memory.guard.rows
        assert row.key == "pill" and ("no kind" in row.reason) == (fault == "raises")
        for of in (one, without):
            tell(of, [rate("n1", "i03", 5.0), rate("n2", "i04", 1.0)])
        before = len(tries)
        assert lists(one) == lists(without) and len(tries) == before  # the sequence moves on
        assert one.learner.memory.guard.unsaid() == [row] and not one.learner.memory.guard.unsaid()
        with Recommender.open(folder_of(one)) as again:
            assert lists(again) == lists(without) and again.learner.memory.guard.rows == [row]
        assert any(answer.key == "pill" for answer in one.learner.told["n1"])  # nothing is deleted


def test_UP_04_a_row_that_was_set_aside_is_told_of_by_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(after: Any, keys: list[str]) -> Any:
        if "pill" in keys:
            raise RuntimeError("secret of ann")
        return after

    _after_ratings(monkeypatch, poison)
    with served(tmp_path) as service:

        def items(user: str) -> Any:
            answer = service.call("GET", f"/v1/users/{user}/recommendations?k=5")
            assert answer.status_code == 200
            return answer.json()["items"]

        before = items("ann"), items("bob")
        assert service.call("POST", "/v1/labels", label("pill", user_id="ann", item_id="i05")).status_code == 200
        assert (items("ann"), items("bob")) == before
        for _ in range(100):
            if "row set aside" in service.log.getvalue():
                break
            time.sleep(0.1)
        (line,) = [json.loads(line) for line in service.log.getvalue().splitlines() if "row set aside" in line]
        assert line["level"] == "error" and line["kind"] == "RuntimeError" and "secret" not in service.log.getvalue()
        assert "palate_rows_set_aside_total 1.0" in service.call("GET", "/metrics").text
        told = service.call("GET", "/v1/models/set-aside", key="admin").json()
        assert told == {"set_aside": [{"key": "pill", "reason": "RuntimeError: secret of ann"}], "unreadable": []}


# ---- UP-01, UP-05: refits and swaps ---------------------------------------------------------------------------------


def killed_refits(one: Recommender, rounds: int, most_seconds: float) -> int:
    """Refits in another process, each killed at another moment while labels come in."""
    rng, ends = np.random.default_rng(3), list[tuple[str, bool]]()
    for number in range(rounds):
        done = threading.Event()
        feeder = threading.Thread(target=lambda n=number, end=done: [one.tell(told(10 + n, 1)[:1]), end.set()])
        feeder.start()
        seconds, before = float(rng.uniform(0.0, most_seconds)), one.versions()[0].digest
        try:
            refitting.refit_apart(
                one._live, 0.2, 0.02, lambda process, after=seconds: threading.Timer(after, process.kill).start()
            )
        except ModelFolderError as error:
            ends.append((str(error)[:38], one.versions()[0].digest == before))
        feeder.join()
        assert done.is_set(), "a label waited for a refit, or was refused"
        assert len(one.recommend("n1", 12)) > 0
    assert set(ends) <= {("the refit failed: it was ended by sign", True)}
    print(f"{len(ends)} of {rounds} killed, the others had ended before")
    return len(ends)


def check_that_killed_refits_do_no_harm(one: Recommender, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(live.__file__).resolve().parents[2]))
    tell(one, told(n=30))
    started = time.monotonic()
    one.refit_apart(tolerance=1.0)
    assert killed_refits(one, rounds, time.monotonic() - started) >= rounds // 2
    assert_same(one.learner, Learner.load(folder_of(one)))
    before = one.versions()[0].digest
    with monkeypatch.context() as patch:
        fit = refitting._fit_elsewhere

        def damaged(live: Any, out: Path, *rest: Any) -> None:
            fit(live, out, *rest)
            path = next(path for path in out.iterdir() if path.name.startswith("taste-"))
            path.write_bytes(path.read_bytes()[:-40])

        patch.setattr(refitting, "_fit_elsewhere", damaged)
        with pytest.raises(ModelFolderError, match="holds no whole checkpoint"):
            one.refit_apart()
        assert one.versions()[0].digest == before
    health = one.refit_apart(hold_back=1.0, tolerance=1.0)
    assert not health.faults and one.versions()[0].digest != before
    assert_same(one.learner, Learner.load(folder_of(one)))


def test_UP_01_a_refit_that_is_killed_harms_nothing(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    check_that_killed_refits_do_no_harm(one, 2, monkeypatch)


@pytest.mark.long
def test_UP_01_a_hundred_refits_that_are_killed_harm_nothing(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    check_that_killed_refits_do_no_harm(one, 100, monkeypatch)


def test_UP_05_every_list_comes_from_one_model(one: Recommender) -> None:
    def shown() -> tuple[Any, ...]:
        return tuple((item.item_id, item.score, item.std) for item in one.recommend("n1", 12))

    tell(one, told(n=40))
    lists = {shown()}
    one.refit(dim=1)
    lists.add(shown())
    assert len(lists) == 2
    versions = [version.id for version in one.versions()]
    found, stop, faults = set[tuple[Any, ...]](), threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not stop.is_set():
                found.add(shown())
        except BaseException as error:  # noqa: BLE001 - told by the test
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(3):
        one.promote(one.versions()[1].id if number or len(versions) > 1 else versions[0])
    stop.set()
    for reader in readers:
        reader.join()
    assert not faults and found == lists


@pytest.mark.parametrize("seconds", [2.0, pytest.param(60.0, marks=pytest.mark.long)])
def test_UP_05_every_answer_comes_from_one_version_while_they_change(one: Recommender, seconds: float) -> None:
    """Three models, each with three posteriors, in the place of each other a thousand times a second."""
    ring, calls = KeyRing(folder_of(one), tenant="default"), [Call("list", user, 5) for user in ("n1", "n2", "nobody")]
    shots, expected = [], dict[tuple[str, int], list[bytes]]()
    for dim in (2, 1, 3):
        one.refit(dim=dim)
        for number in range(3):
            tell(one, told(seed=10 * dim + number, n=6))
            shots.append(one.snapshot())
            expected[shots[-1].version, shots[-1].seq] = [
                Scoring(cast("Recommender", Shown([shots[-1]])), ring, 0.0).answer(call).body for call in calls
            ]
    assert len({tuple(bodies) for bodies in expected.values()}) == 9
    shown, stop, found = Shown(shots), threading.Event(), set[tuple[int, bytes]]()
    scoring, swaps = Scoring(cast("Recommender", shown), ring, 0.0), 0

    def read() -> None:
        while not stop.is_set():
            for number, call in enumerate(calls):
                found.add((number, scoring.answer(call).body))

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            shown.at = swaps % len(shots)
            swaps += 1
            time.sleep(0.001)
        stop.set()
        for reader in readers:
            reader.result()
    for number, body in found:
        said = json.loads(b"{" + body)
        assert body == expected[said["model"], said["seq"]][number]
    assert swaps > 100 * seconds and len({body for _, body in found}) > 18


class Shown:
    """In the place of a recommender: one of several snapshots."""

    def __init__(self, shots: list[Any]) -> None:
        self.shots, self.at = shots, 0

    def snapshot(self) -> Any:
        return self.shots[self.at]


def test_UP_05_a_snapshot_says_the_version_of_its_own_model(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another process changes the model just then."""
    one.refit(dim=1)
    with Recommender.open(folder_of(one)) as other:
        read, changed = versions.versions_of, list[int]()

        def meanwhile(folder: Path) -> Any:
            if not changed:
                changed.append(1)
                other.refit(dim=2)
            return read(folder)

        monkeypatch.setattr(versions, "versions_of", meanwhile)
        shot = one.snapshot()
    dims = {"2": 1, "3": 2}
    assert shot.learner.memory.fitted.taste.items.dim == dims[shot.version]


def test_a_refit_that_is_worse_on_labels_held_back_does_not_serve(
    one: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(one, told(n=60))

    def spoilt(live_: Any, out: Path, held_back: list[str], started: object) -> None:
        refitting.fit_here(live_.folder, live_.place, out, held_back)
        found = checkpoint.read_model(out)
        items = found.memory.fitted.taste.items
        items.level[:] = items.level[::-1] - 3.0
        checkpoint.save_model(out, found)

    monkeypatch.setattr(refitting, "_fit_elsewhere", spoilt)
    before = one.recommend("n1", 12)
    health = one.refit_apart(hold_back=0.5)
    assert len(health.faults) == 1 and "labels held back" in health.faults[0]
    assert one.recommend("n1", 12) == before and len(one.versions()) == 1


def test_a_regular_refit_starts_after_so_many_labels(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(live_: Any, out: Path, held_back: list[str], started: object) -> None:
        refitting.fit_here(live_.folder, live_.place, out, held_back)

    monkeypatch.setattr(refitting, "_fit_elsewhere", here)
    refits = one.refit_regularly(after_labels=30)
    tell(one, told(n=20))
    time.sleep(0.6)
    assert not refits.done
    tell(one, told(1, n=20))
    for _ in range(100):
        if refits.done:
            break
        time.sleep(0.1)
    refits.stop()
    (health,) = refits.done
    assert not isinstance(health, Exception) and not health.faults
    assert len(one.versions()) == 2


def test_a_refit_that_is_given_up_ends_at_once(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(live.__file__).resolve().parents[2]))
    tell(one, told(n=30))
    before = one.versions()[0].digest
    given_up = threading.Event()

    def stop_while_it_starts(self: refitting.Refits, process: Any) -> None:
        self._give_up.set()
        self._stop.set()
        started(self, process)
        given_up.set()
        assert process.wait(timeout=60) == -signal.SIGTERM

    started = refitting.Refits._started
    monkeypatch.setattr(refitting.Refits, "_started", stop_while_it_starts)
    refits = one.refit_regularly(after_labels=1)
    assert given_up.wait(60.0)
    refits.stop(now=True)
    assert not refits.done and one.versions()[0].digest == before
