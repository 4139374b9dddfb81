"""The ledger: written before a sum is opened, only rises, and no older copy passes for the newest."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import palate
from palate.errors import LedgerError, PalateError, PrivacyBudgetError
from palate.federated.accounting import Budget
from palate.federated.ledger import Entry, Ledger, Spent, seq_of

LINE, BUDGET = "films", Budget(3.0, 1e-5)
WHOLE = BUDGET.mu_squared
SOURCE = Path(palate.__file__).parents[1]

# Runs an action, killed right before its n-th call to the system, for every n; a line that it writes is cut in half.
# What the action could do until then is in the file "opened". Prints what each ledger says afterwards.
KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from palate.federated.accounting import Budget
from palate.federated.ledger import Ledger

action, folder = sys.argv[1], Path(sys.argv[2])
budget, names = Budget(3.0, 1e-5), ("open", "pwrite", "fsync", "ftruncate", "close", "replace")
real = {name: getattr(os, name) for name in names}

def create(path):
    Ledger.create(path / "ledger", line="films", budget=budget).close()

def spend(path):
    with Ledger.open(path / "ledger") as ledger:
        for n in range(2):
            ledger.spend(0.1, f"round {n}", line="films").use()
            real["pwrite"](opened, b"x", n)

def counted(name, killed_at):
    def call(*arguments):
        calls.append(name)
        if len(calls) == killed_at:
            if name == "pwrite" and b"chain" in arguments[1]:
                real["pwrite"](arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*arguments)
    return call

for step in range(1, 1000):
    path = folder / str(step)
    path.mkdir()
    if action == "spend":
        create(path)
    opened = os.open(path / "opened", os.O_CREAT | os.O_WRONLY)
    child = os.fork()
    if not child:
        calls = []
        for name in names:
            setattr(os, name, counted(name, step))
        {"create": create, "spend": spend}[action](path)
        os._exit(0)
    was_killed = os.waitpid(child, 0)[1] != 0
    try:
        ledger = Ledger.open(path / "ledger")
    except Exception as error:
        said = str(error)
        ledger = Ledger.create(path / "ledger", line="films", budget=budget)
    else:
        said = ""
    before = len(ledger.entries)
    ledger.spend(0.1, "afterwards", line="films")
    ledger.close()
    with Ledger.open(path / "ledger") as ledger:
        after = len(ledger.entries)
    print(json.dumps([was_killed, os.fstat(opened).st_size, before, after, said]))
    if not was_killed:
        break
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "ledger", line=LINE, budget=BUDGET) as made:
        yield made


def reopened(ledger: Ledger, path: Path) -> Ledger:
    ledger.close()
    return Ledger.open(path / "ledger")


def test_a_restart_midway_and_a_retrain_compose_and_training_stops_at_the_budget(
    ledger: Ledger, tmp_path: Path
) -> None:
    openings = BUDGET.split(12)
    ledger.spend(openings.round_zero, "round 0", line=LINE)
    for n in range(12):
        if n == 5:
            ledger = reopened(ledger, tmp_path)
        ledger.spend(openings.scalars + openings.gradients, f"round {n + 1}", line=LINE)
    assert ledger.epsilon == pytest.approx(3.0, abs=1e-9)
    assert ledger.left == pytest.approx(0.0, abs=1e-12)

    size = (tmp_path / "ledger").stat().st_size
    with reopened(ledger, tmp_path) as again, pytest.raises(PrivacyBudgetError, match=r"spent ε 3 of 3.*Stop"):
        again.spend(openings.round_zero, "round 0 of a retrain", line=LINE)
    assert (tmp_path / "ledger").stat().st_size == size  # what is refused is not written


def test_half_the_budget_is_half_of_mu_squared_and_not_of_epsilon(ledger: Ledger) -> None:
    ledger.spend(WHOLE / 2, "one training", line=LINE)
    assert ledger.epsilon == pytest.approx(2.03, abs=0.01)
    ledger.spend(WHOLE / 2, "another", line=LINE)
    assert ledger.epsilon == pytest.approx(3.0)


@pytest.mark.parametrize("action", ["create", "spend"])
def test_killed_at_every_step_nothing_that_was_opened_is_forgotten(tmp_path: Path, action: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OPENBLAS_NUM_THREADS": "1"}
    run = [sys.executable, "-W", "ignore", "-c", KILLED, action, str(tmp_path)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 10
    assert [was_killed for was_killed, *_ in found] == [True] * (len(found) - 1) + [False]
    for _, opened, before, after, said in found:
        assert opened <= before <= 2
        assert after == before + 1  # it goes on, and what came afterwards stays
        assert not said or (action == "create" and ("not there" in said or "holds nothing yet" in said))
    if action == "spend":
        assert {(opened, before) for _, opened, before, *_ in found} == {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)}


def test_the_row_is_synced_then_its_head_then_there_is_a_token(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("pwrite", "fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (calls.append(name), real(*given))[1])
    ledger.spend(0.1, "round 0", line=LINE)
    assert calls == ["pwrite", "fsync", "fsync", "replace", "fsync"]  # the row; the head, its place, and its folder


def test_an_older_copy_is_refused_by_the_head_beside_it(ledger: Ledger, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "ledger", tmp_path / "copy")
    ledger.spend(0.1, "round 0", line=LINE)
    ledger.close()
    shutil.copy(tmp_path / "copy", tmp_path / "ledger")
    with pytest.raises(LedgerError, match=r"ends 1 lines before the head .* older copy"):
        Ledger.open(tmp_path / "ledger")


def test_an_older_copy_of_ledger_and_head_is_refused_by_the_public_model(ledger: Ledger, tmp_path: Path) -> None:
    for name in ("ledger", "ledger.head"):
        shutil.copy(tmp_path / name, tmp_path / f"copy of {name}")
    ledger.spend(0.1, "round 0", line=LINE)
    published = ledger.head
    ledger.check(published)
    ledger.close()
    for name in ("ledger", "ledger.head"):
        shutil.copy(tmp_path / f"copy of {name}", tmp_path / name)
    with Ledger.open(tmp_path / "ledger") as old:  # it is whole in itself: who holds a newer head has to say so
        with pytest.raises(LedgerError, match="older copy"):
            old.check(published)
        assert seq_of(old.head) < seq_of(published)  # which a device sees without the ledger
        old.spend(0.1, "round 0", line=LINE)
        with pytest.raises(LedgerError, match="another history"):
            old.check(published)


def test_an_older_copy_of_everything_is_refused_by_a_head_on_another_disk(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir(), elsewhere.mkdir()
    with Ledger.create(here / "ledger", line=LINE, budget=BUDGET, head=elsewhere / "head") as ledger:
        shutil.copytree(here, tmp_path / "copy")
        ledger.spend(0.1, "round 0", line=LINE)
    shutil.rmtree(here)
    (tmp_path / "copy").rename(here)
    with pytest.raises(LedgerError, match="older copy"):
        Ledger.open(here / "ledger", head=elsewhere / "head")


def test_one_that_was_lost_is_not_begun_again(ledger: Ledger, tmp_path: Path) -> None:
    ledger.spend(0.1, "round 0", line=LINE)
    ledger.close()
    with pytest.raises(LedgerError, match="there already"):
        Ledger.create(tmp_path / "ledger", line=LINE, budget=BUDGET)
    (tmp_path / "ledger").unlink()
    with pytest.raises(LedgerError, match="or its head is"):
        Ledger.create(tmp_path / "ledger", line=LINE, budget=BUDGET)
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "ledger")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b'"mu_squared": 0.1', b'"mu_squared": 0.0'),
        lambda content: content.replace(b'"epsilon": 3.0', b'"epsilon": 9.0'),
        lambda content: b"".join(content.splitlines(keepends=True)[::2]),  # a line is taken out
        lambda content: content + content.splitlines(keepends=True)[-1],
        lambda content: content[:200] + b"\n" + content[200:],
        lambda content: b"",
    ],
)
def test_a_line_that_was_changed_is_found(ledger: Ledger, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    for n in range(3):
        ledger.spend(0.1, f"round {n}", line=LINE)
    ledger.close()
    content = (tmp_path / "ledger").read_bytes()
    (tmp_path / "ledger").write_bytes(damage(content))
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "ledger")
    (tmp_path / "ledger").write_bytes(content)
    with Ledger.open(tmp_path / "ledger") as whole:
        assert whole.spent == pytest.approx(0.3)


def test_two_writers_are_refused(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=f"held by process {os.getpid()}"):
        Ledger.open(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="held by process"):
        Ledger.create(tmp_path / "ledger", line=LINE, budget=BUDGET)
    ledger.spend(0.1, "round 0", line=LINE)


def test_one_that_is_replaced_while_it_is_open_writes_no_more(ledger: Ledger, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "ledger", tmp_path / "copy")
    ledger.spend(0.1, "round 0", line=LINE)
    os.replace(tmp_path / "copy", tmp_path / "ledger")
    for _ in range(2):
        with pytest.raises(LedgerError, match="Open it anew"):
            ledger.spend(0.1, "round 1", line=LINE)


def test_a_disk_that_fails_gives_no_token(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LedgerError, match="No space left"):
            ledger.spend(0.1, "round 0", line=LINE)
    with pytest.raises(LedgerError, match="Open it anew"):  # whether the line is there is not known before it is read
        ledger.spend(0.1, "round 0", line=LINE)
    assert reopened(ledger, tmp_path).spent in (0.0, 0.1)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(LedgerError, match="No space left"):
            Ledger.create(tmp_path / "another", line=LINE, budget=BUDGET)
    Ledger.create(tmp_path / "another", line=LINE, budget=BUDGET).close()  # none of it holds the file


def test_threads_together_spend_no_more_than_there_is(ledger: Ledger) -> None:
    def spend(n: int) -> bool:
        try:
            ledger.spend(WHOLE / 5, f"sum {n}", line=LINE)
        except PrivacyBudgetError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(16))) == 5
    assert [entry.seq for entry in ledger.entries] == [2, 3, 4, 5, 6]


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    times = iter([1.8e9, 4e9, -1.0, math.nan, math.inf, 1.8e9])
    with Ledger.create(tmp_path / "ledger", line=LINE, budget=BUDGET, clock=lambda: next(times)) as ledger:
        for n in range(5):
            ledger.spend(WHOLE / 5, f"round {n}", line=LINE)
        with pytest.raises(PrivacyBudgetError):
            ledger.spend(1e-3, "one more", line=LINE)
    with Ledger.open(tmp_path / "ledger") as again:
        assert again.epsilon == pytest.approx(3.0)
        assert [entry.at for entry in again.entries] == [4e9, -1.0, 0.0, 0.0, 1.8e9]


def test_only_a_ledger_makes_a_token_and_it_opens_one_sum(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"Ledger\.spend"):
        Spent(LINE, Entry(2, 0.0, "round 0", 0.1))
    token = ledger.spend(0.1, "round 0", line=LINE)
    assert (token.line, token.what, token.mu_squared, token.seq) == (LINE, "round 0", 0.1, 2)
    token.use()
    with pytest.raises(LedgerError, match="opened already"):
        token.use()


def test_a_process_that_goes_on_after_a_crash_pays_once(ledger: Ledger, tmp_path: Path) -> None:
    published = ledger.head
    ledger.spend(0.1, "round 0", line=LINE).use()
    with pytest.raises(LedgerError, match="given out in this process"):
        ledger.resume("round 0", 0.1, after=published)
    again = reopened(ledger, tmp_path)
    for what, mu_squared in (("round 0", 0.2), ("round 1", 0.1)):
        with pytest.raises(LedgerError, match="Begin the round anew"):
            again.resume(what, mu_squared, after=published)
    token = again.resume("round 0", 0.1, after=published)
    token.use()
    assert (token.seq, again.spent) == (2, 0.1)
    with pytest.raises(LedgerError, match="given out"):
        again.resume("round 0", 0.1, after=published)
    again.spend(0.1, "round 0", line=LINE)  # the same words again are another opening
    once_more = reopened(again, tmp_path)
    for after in (published, ""):
        with pytest.raises(LedgerError, match="Begin the round anew"):
            once_more.resume("round 0", 0.1, after=after)
    with pytest.raises(LedgerError, match="holds nothing"):
        once_more.resume("round 0", 0.1, after=once_more.head)
    once_more.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger, bad: ledger.spend(bad, "round 0", line=LINE),
        lambda ledger, bad: ledger.spend(0.1, bad, line=LINE),
        lambda ledger, bad: ledger.spend(0.1, "round 0", line=bad),
    ],
)
@pytest.mark.parametrize("bad", [None, -0.1, math.nan, math.inf, "", "two\nlines", "x" * 300, b"x", [], object()])
def test_what_cannot_be_spent_is_refused_and_not_written(
    ledger: Ledger, tmp_path: Path, call: Callable[[Ledger, object], Spent], bad: object
) -> None:
    before = (tmp_path / "ledger").read_bytes()
    with pytest.raises(PalateError, match="above 0"):
        ledger.spend(0.0, "round 0", line=LINE)
    with pytest.raises(PalateError, match=r"\A[^\n]+\Z"):
        call(ledger, bad)
    assert (tmp_path / "ledger").read_bytes() == before


@pytest.mark.parametrize(
    "head", [None, "2", ":", "1:abc", "-1:" + "0" * 64, "1:" + "0" * 63, "١:" + "0" * 64, 7, b"1:0"]
)
def test_a_head_that_is_none_is_refused(ledger: Ledger, head: object) -> None:
    for call in (ledger.check, seq_of):
        with pytest.raises(LedgerError, match="is no head of a ledger"):
            call(head)  # type: ignore[operator]
