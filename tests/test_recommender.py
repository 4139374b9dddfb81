"""A learner and its log: nothing told is lost, and everybody on the folder sees the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import palate
from palate import Attribute, Dataset, Event, Learner, Recommender, events, rate
from palate.datasets import planted_world
from palate.datasets.convert import write_folder
from palate.errors import AnswerError, DataError, ModelFolderError, OptionError, StoreError, UnknownItem
from palate.loop.lists import expectations
from palate.loop.state import UserState

ROOT = Path(__file__).resolve().parents[1]
OLD, OLD_LISTS = ROOT / "tests" / "data" / "old-model", ROOT / "tests" / "data" / "old-model-lists.json"
OPTIONS: dict[str, Any] = {"encoder": "none", "dim": 2}
USERS = ("ann", "bob", "u01", "stranger")


def small_world() -> Dataset:
    """Ratings and some events of 40 users, with who they are."""
    world = planted_world(users=40, items=12, rng=np.random.default_rng(0)).dataset
    ids = world.interactions["user_id"].unique().sort()
    ages = pl.Series("age", [20.0 + n % 7 for n in range(len(ids))])
    towns = pl.Series("town", ["north" if n % 2 else "south" for n in range(len(ids))])
    return replace(world, users=pl.DataFrame({"user_id": ids, "age": ages, "town": towns}))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_world()


@pytest.fixture(scope="module")
def made(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommender") / "model"
    Recommender.create(folder, data, **OPTIONS).close()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def one(folder: Path) -> Iterator[Recommender]:
    with Recommender.open(folder) as recommender:
        yield recommender


@pytest.fixture
def two(folder: Path, one: Recommender) -> Iterator[Recommender]:
    with Recommender.open(folder) as recommender:
        yield recommender


# What a recommender holds, as JSON, so that another process can say it too.
VIEW = """
def view(recommender):
    memory = recommender.learner.memory
    told = {user: [[one.item_id, one.value, one.key] for one in told] for user, told in memory.told.items()}
    seen = {user: [[one.item_id, one.kind, one.key] for one in seen] for user, seen in memory.seen.items()}
    known = {user: {one.name: one.value for one in known} for user, known in memory.known.items()}
    users = ("ann", "bob", "u01", "stranger")
    shown = {user: [[one.item_id, one.score, one.std] for one in recommender.recommend(user, 50)] for user in users}
    return {"told": told, "seen": seen, "known": known, "shown": shown, "items": len(memory.model.catalogue)}
"""
exec(VIEW)
view: Callable[[Recommender], dict[str, Any]] = globals()["view"]

CHILD = f"""
import json, sys
from palate import *
{VIEW}
def open_(folder):
    global recommender
    recommender = Recommender.open(folder)
    return "open"
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


class Child:
    """Another process. Each call is an expression that it evaluates; ``recommender`` is the one it has open."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1])}
        command = [sys.executable, "-W", "error", "-c", CHILD]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def __call__(self, expression: str) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(expression, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    other = Child()
    yield other
    other.end()


def assert_same_state(one: UserState, two: UserState) -> None:
    """To the bit."""
    for name in ("start", "belief", "exposure"):
        assert np.array_equal(getattr(one, name).mean, getattr(two, name).mean), name
        assert np.array_equal(getattr(one, name).covariance, getattr(two, name).covariance), name
    assert (one.rated, one.values, one.asked) == (two.rated, two.values, two.asked)


def reopened(folder: Path) -> Learner:
    with Recommender.open(folder) as recommender:
        return recommender.learner


def assert_reopens_as(learner: Learner, folder: Path) -> None:
    again = reopened(folder)
    for user in USERS:
        assert_same_state(learner.state(user), again.state(user))
    assert dict(again.told) == dict(learner.told)


def tell_of_all_kinds(recommender: Recommender) -> None:
    recommender.tell([rate("ann", "i01", 5, key="k1"), rate("ann", "i02", 1, key="k2"), rate("u01", "i03", 2)])
    recommender.see(events("ann", ["i04", "i05"], kind="click", key="e1"))
    recommender.see([*events("bob", "i06", kind="dislike"), *events("bob", "i07", kind="save", liking=0.5, at=5.0)])
    recommender.know("ann", age=60, town="north")
    recommender.know("bob", age=20)
    recommender.undo("ann", "k2")


# ---- one folder, several recommenders -------------------------------------------------------------------------------


def test_each_verb_is_seen_by_a_second_recommender_at_its_next_call(one: Recommender, two: Recommender) -> None:
    (question,) = one.ask("ann")
    acts: list[Callable[[], object]] = [
        lambda: one.tell(question.answer(5, key="k1")),
        lambda: one.tell([rate("ann", "i02", 1.0), rate("bob", "i03", 4.0)]),
        lambda: one.see(events("ann", ["i04", "i05"], kind="click")),
        lambda: one.know("ann", age=60),
        lambda: one.undo("ann"),
        lambda: one.undo("ann", "k1"),
        lambda: one.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["New"]})),
        lambda: one.refit(),
        lambda: one.tell(rate("ann", "n1", 3.0)),
    ]
    before = view(two)
    for act in acts:
        act()
        after = view(two)
        assert after == view(one)
        assert after != before
        before = after
    assert before["told"]["ann"][-1][:2] == ["n1", 3.0] and before["items"] == 13


def test_the_verbs_that_read_are_those_of_the_learner(one: Recommender, two: Recommender) -> None:
    two.tell(rate("ann", "i01", 5.0))
    learner = one.learner
    assert one.ask("ann", k=3) == learner.ask("ann", k=3) == two.ask("ann", k=3)
    assert "i01" not in [question.item_id for question in one.ask("ann", k=50)]
    assert one.ask_about("i02", k=3) == learner.ask_about("i02", k=3)
    assert one.ask_pairs(5) == learner.ask_pairs(5)
    assert one.recommend("ann", 5) == learner.recommend("ann", 5) != learner.recommend("bob", 5)
    assert one.profile("ann") == learner.profile("ann")
    two.tell(rate("ann", "i02", 1.0))
    assert len(learner.told["ann"]) == 1 and len(one.learner.told["ann"]) == 2  # the value stays as it was


def test_another_process_sees_and_is_seen(one: Recommender, folder: Path, child: Child) -> None:
    assert child(f"open_({str(folder)!r})") == "open"
    tell_of_all_kinds(one)
    assert child("view(recommender)") == json.loads(json.dumps(view(one)))
    assert child("len(recommender.tell([rate('bob', 'i01', 2, key='c1'), rate('bob', 'i02', 5)]))") == 2
    assert child("len(recommender.see(events('u01', 'i09', kind='view')) + recommender.know('u01', age=50))") == 2
    assert [answer.value for answer in one.learner.told["bob"]] == [2.0, 5.0]
    assert child("recommender.undo('bob', 'c1').retracts") == "c1"
    assert [answer.value for answer in one.learner.told["bob"]] == [5.0]
    assert child("recommender.refit()") is None
    assert view(one) == child("view(recommender)") and one.learner.model.rows["bob"] >= 0
    one.refit()
    one.tell(rate("ann", "i11", 4))
    assert child("view(recommender)") == json.loads(json.dumps(view(one)))
    assert_reopens_as(one.learner, folder)


def test_both_add_items_and_both_stay(one: Recommender, two: Recommender) -> None:
    one.add_items(pl.DataFrame({"item_id": ["n1"]}))
    two.add_items(pl.DataFrame({"item_id": ["n2"]}))
    assert {"n1", "n2"} <= set(one.learner.model.catalogue.ids) == set(two.learner.model.catalogue.ids)
    with pytest.raises(DataError, match=r"^item 'n1' is in the model already\. Leave it out"):
        two.add_items(pl.DataFrame({"item_id": ["n3", "n1"]}))
    assert "n3" not in two.learner.model.catalogue.ids


class Meddling:
    """An encoder that does something in between, once."""

    modality, name, revision, dim = "text", "meddling", "1", 3
    act: Callable[[], object] | None = None

    def encode(self, texts: list[str]) -> np.ndarray:
        act, self.act = self.act, None
        if act is not None:
            act()
        return np.array([[len(text), text.count("a"), 1.0] for text in texts], dtype=np.float32)


def test_a_model_that_another_process_changes_meanwhile_is_not_overwritten(data: Dataset, tmp_path: Path) -> None:
    meddling = Meddling()
    place = tmp_path / "m"
    with (
        Recommender.create(place, data, encoder=meddling, dim=2) as one,
        Recommender.open(place, encoders=[Meddling()]) as two,
    ):
        for act in (
            lambda: one.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["mine"]})),
            lambda: one.refit(replace(data, items=data.items.with_columns(text=pl.lit("other")))),
        ):
            new = f"m{len(two.learner.model.catalogue)}"
            meddling.act = lambda new=new: two.add_items(pl.DataFrame({"item_id": [new], "title": ["other"]}))
            with pytest.raises(StoreError, match=r"^another process changed the model in .* meanwhile\. Call again"):
                act()
            assert meddling.act is None
            ids = one.learner.model.catalogue.ids
            assert new in ids and "n1" not in ids and ids == two.learner.model.catalogue.ids
        assert one.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["mine"]})) == 1
        one.refit(encoder="none")  # what the other has open needs its encoder no more
        assert view(two) == view(one) and two.learner.model.given_encoders == {}


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_a_list_with_one_wrong_answer_is_not_kept_at_all(one: Recommender, folder: Path) -> None:
    good = rate("ann", "i01", 5.0)
    for bad, error in (
        (rate("ann", "i99", 4.0), UnknownItem),
        (rate("ann", "i02", 9.0), AnswerError),
        ("ann", AnswerError),
    ):
        with pytest.raises(error):
            one.tell([good, bad, rate("bob", "i03", 2.0)])  # type: ignore[list-item]
    with pytest.raises(UnknownItem):
        one.see(events("ann", ["i01", "i99"]))
    with pytest.raises(OptionError, match=r"^the attribute 'aeg' was not fitted\. Did you mean 'age'\?"):
        one.know("ann", town="north", aeg=3)
    assert one.last_seq == 0 and dict(one.learner.told) == {} and not one.learner.knows("ann")
    assert reopened(folder).memory.users == []


def test_a_key_twice_is_the_same_answer_or_refused(one: Recommender, two: Recommender) -> None:
    (first,) = one.tell(rate("ann", "i01", 5.0, key="k"))
    before = view(one)
    assert two.tell(rate("ann", "i01", 5.0, key="k")) == [first]
    for other in (rate("ann", "i01", 4.0, key="k"), rate("bob", "i01", 5.0, key="k"), rate("ann", "i02", 5.0, key="k")):
        with pytest.raises(
            AnswerError, match=r"^the label key 'k' is taken: the log holds .*\. Send a different answer"
        ):
            two.tell([rate("ann", "i07", 1.0), other])
    assert view(one) == view(two) == before and one.last_seq == two.last_seq == 1
    (clicked,) = one.see(events("ann", "i04", kind="click", key="e"))
    assert two.see(events("ann", "i04", kind="click", key="e", at=5.0)) == [clicked]  # stamped anew
    known = one.know("ann", key="a", age=31, town="north")
    assert two.know("ann", key="a", age=31, town="north") == known
    for act in (
        lambda: two.see(events("ann", "i05", kind="click", key="e")),
        lambda: two.know("ann", key="a", age=32),
        lambda: two.tell(rate("ann", "i05", 1.0, key="e")),
    ):
        with pytest.raises(AnswerError, match=r"^the (event|attribute|label) key '(e|a:age)' is taken"):
            act()
    assert one.last_seq == two.last_seq == 4
    one.undo("ann", "k")
    assert two.tell(rate("ann", "i01", 5.0, key="k")) == [first]  # a late repeat brings nothing back
    assert "ann" not in two.learner.told


def test_an_undo_is_of_one_answer_and_once(one: Recommender, two: Recommender, folder: Path) -> None:
    one.tell([rate("ann", "i01", 5.0, key="k1"), rate("ann", "i02", 1.0, key="k2")])
    without = Learner.load(folder).undo("ann")
    row = two.undo(" ann ")
    assert (row.retracts, row.answer.item_id) == ("k2", "i02")
    assert_same_state(one.learner.state("ann"), without.state("ann"))
    with pytest.raises(
        AnswerError, match=r"^the answer 'k2' has already been undone\. There is nothing left to undo\.$"
    ):
        one.undo("ann", "k2")
    with pytest.raises(AnswerError, match=r"^user 'bob' has told nothing that could be undone\."):
        one.undo("bob")
    assert_reopens_as(one.learner, folder)


def test_threads_lose_nothing(one: Recommender, two: Recommender, folder: Path) -> None:
    threads, each, errors = 8, 50, list[Exception]()

    def tell(number: int) -> None:
        recommender = one if number % 2 else two
        try:
            for turn in range(each):
                recommender.tell(rate(f"user {number}", f"i{1 + turn % 12:02d}", 1 + turn % 5, key=f"{number}-{turn}"))
        except Exception as error:  # noqa: BLE001 - a thread's errors are the test's
            errors.append(error)

    running = [threading.Thread(target=tell, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not errors
    for learner in (one.learner, two.learner, reopened(folder)):
        told = {user: [answer.key for answer in answers] for user, answers in learner.told.items()}
        assert told == {f"user {n}": [f"{n}-{turn}" for turn in range(each)] for n in range(threads)}


def test_a_process_that_is_killed_has_kept_what_it_was_told(folder: Path) -> None:
    other = Child()
    other(f"open_({str(folder)!r})")
    assert other("[row.seq for row in recommender.tell([rate('ann', 'i01', 5, key='k1'), rate('ann', 'i02', 1)])]") == [
        1,
        2,
    ]
    assert other("len(recommender.see(events('ann', 'i03')) + recommender.know('ann', age=40))") == 2
    other.end(signal.SIGKILL)
    learner = reopened(folder)
    assert learner.told["ann"][0].key == "k1" and len(learner.told["ann"]) == 2
    assert len(learner.memory.seen["ann"]) == len(learner.memory.known["ann"]) == 1


def test_a_crash_right_after_the_row_is_written_loses_nothing(
    one: Recommender, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.tell(rate("ann", "i01", 5.0))
    append = type(one._live.log).append

    def then_crash(log: Any, contents: Any) -> Any:
        append(log, contents)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(one._live.log), "append", then_crash)
    for act in (
        lambda: one.tell(rate("ann", "i02", 1.0, key="k")),
        lambda: one.see(events("ann", "i03")),
        lambda: one.know("ann", age=40),
    ):
        with pytest.raises(KeyboardInterrupt):
            act()
    monkeypatch.undo()
    assert view(one)["told"]["ann"][-1] == ["i02", 1.0, "k"]  # it goes on
    assert_reopens_as(one.learner, folder)
    assert one.last_seq == 4


# ---- refit ----------------------------------------------------------------------------------------------------------


def test_a_refit_counts_what_was_told_and_counts_it_once(one: Recommender, folder: Path) -> None:
    tell_of_all_kinds(one)
    before = one.learner
    one.refit()
    after = one.learner
    for user in ("ann", "bob"):
        was, now = before.memory.history(user), after.memory.history(user)
        assert was is not None and now is not None and user not in before.model.rows and user in after.model.rows
        for part in ("items", "liking", "kinds", "timestamps"):
            assert sorted(map(str, getattr(now, part))) == sorted(map(str, getattr(was, part))), part
    assert not after.memory.seen and not after.memory.known  # they are in the fit
    assert after.model.described("ann") == {"age": 60.0, "town": "north"}
    assert after.model.described("bob") == {"age": 20.0}
    row = after.model.answers[after.model.rows["ann"]]
    assert [after.model.catalogue.ids[item] for item in row.indices] == [] and len(after.told["ann"]) == 1
    assert after.state("ann").rated == (after.model.catalogue.position("i01"),)
    assert_reopens_as(after, folder)
    with Recommender.open(folder) as again:
        again.refit()
        second = again.learner
    for user in USERS:
        assert_same_state(second.state(user), after.state(user))
        assert second.recommend(user, 50) == after.recommend(user, 50)


def test_an_answer_that_was_taken_back_stays_so(one: Recommender, two: Recommender, folder: Path) -> None:
    one.tell([rate("ann", "i01", 5.0, key="k1"), rate("ann", "i02", 1.0, key="k2")])
    one.undo("ann", "k2")
    one.refit()
    for recommender in (one, two):
        recommender.tell(rate("ann", "i02", 1.0, key="k2"))  # a late repeat
        assert [answer.key for answer in recommender.learner.told["ann"]] == ["k1"]
        with pytest.raises(AnswerError, match="has already been undone"):
            recommender.undo("ann", "k2")
    two.undo("ann", "k1")
    two.refit()
    assert_same_state(one.learner.state("ann"), one.learner.state("stranger"))
    assert reopened(folder).memory.users == []


def test_an_answer_told_before_a_refit_can_be_taken_back_after_it(one: Recommender, folder: Path) -> None:
    one.tell([rate("ann", "i01", 5.0, key="k1"), rate("ann", "i02", 1.0, key="k2")])
    one.refit()
    one.undo("ann", "k2")
    assert [answer.key for answer in one.learner.told["ann"]] == ["k1"]
    assert_reopens_as(one.learner, folder)


def test_a_refit_learns_of_attributes_that_the_data_has_nothing_of(data: Dataset, tmp_path: Path) -> None:
    with Recommender.create(tmp_path / "m", replace(data, users=data.users.select("user_id")), **OPTIONS) as one:
        for row in data.users.iter_rows(named=True):
            one.know(row["user_id"], age=row["age"], town=row["town"])
        one.know("ann", age=23)
        assert one.learner.model.attributes is None
        one.refit()
        fitted = one.learner.model.attributes
        assert fitted is not None and set(fitted.coding.names) == {"age", "town"}
        assert one.learner.model.described("ann") == {"age": 23.0}
        with pytest.raises(OptionError, match=r"the attribute 'twon' was not fitted\. Did you mean 'town'\?"):
            one.know("ann", twon="north")
        assert_reopens_as(one.learner, tmp_path / "m")


def test_a_folder_that_is_gone_says_so(one: Recommender, folder: Path) -> None:
    (folder / "config.json").rename(folder / "elsewhere")
    with pytest.raises(
        StoreError, match=r"^the model in .* is gone \(No such file or directory\)\. Restore the folder"
    ):
        one.recommend("ann")
    (folder / "elsewhere").rename(folder / "config.json")
    assert one.recommend("ann")


def test_what_is_told_during_a_refit_is_not_lost(one: Recommender, two: Recommender, folder: Path) -> None:
    one.tell(rate("ann", "i01", 5.0))
    told = []

    def progress(what: str, done: int, of: int) -> None:
        if not told:
            told.extend(two.tell(rate("ann", "i02", 1.0)) + two.see(events("ann", "i03")) + two.know("ann", age=60))

    one.refit(progress=progress)
    assert [record.seq for record in told] == [2, 3, 4]
    assert view(one) == view(two)
    assert [answer.item_id for answer in one.learner.told["ann"]] == ["i01", "i02"]
    assert len(one.learner.memory.seen["ann"]) == len(one.learner.memory.known["ann"]) == 1
    assert_reopens_as(one.learner, folder)


def test_a_refit_takes_other_data_and_options_and_keeps_them(one: Recommender, data: Dataset, folder: Path) -> None:
    fewer = data.filter(pl.col("user_id") != "u01")
    one.refit(fewer, dim=1)
    for learner in (one.learner, reopened(folder)):
        assert "u01" not in learner.model.user_ids and learner.model.taste.items.dim <= 1
    with Recommender.open(folder) as again:
        again.refit()  # of what the last one kept
        assert "u01" not in again.learner.model.user_ids and again.learner.model.taste.items.dim <= 1


def test_a_refit_that_fails_changes_nothing(one: Recommender, two: Recommender, data: Dataset, folder: Path) -> None:
    one.tell(rate("ann", "i12", 5.0))
    before = view(two), (folder / "config.json").read_bytes()
    without = replace(data.filter(pl.col("item_id") != "i12"), items=data.items.filter(pl.col("item_id") != "i12"))
    with pytest.raises(OptionError, match=r"keeps answers that this data does not fit: item 'i12' is not in the model"):
        one.refit(without)
    with pytest.raises(OptionError, match="dim is 0"):
        one.refit(dim=0)
    assert (view(one), (folder / "config.json").read_bytes()) == before
    one.refit()
    assert view(one) == view(two)


def test_new_items_outlive_a_refit(one: Recommender, folder: Path) -> None:
    assert one.add_items(pl.DataFrame({"item_id": ["n1", "n2"], "title": ["One", "Two"]})) == 2
    one.tell(rate("ann", "n1", 5.0))
    one.refit()
    assert {"n1", "n2"} <= set(one.learner.model.catalogue.ids)
    assert one.learner.state("ann").values == (5.0,)
    assert_reopens_as(one.learner, folder)


# ---- folders --------------------------------------------------------------------------------------------------------


def test_a_model_is_replaced_only_if_that_is_said(one: Recommender, data: Dataset, folder: Path) -> None:
    one.tell(rate("ann", "i01", 5.0))
    with pytest.raises(OptionError, match=r"holds a model\. Open it with Recommender\.open, or give again=True\.$"):
        Recommender.create(folder, data, **OPTIONS)
    with Recommender.create(folder, data, again=True, **OPTIONS) as again:
        assert [answer.item_id for answer in again.learner.told["ann"]] == ["i01"]
        assert view(one) == view(again)


def test_of_a_fit_that_fails_nothing_is_left(data: Dataset, tmp_path: Path) -> None:
    nothing = data.filter(pl.lit(value=False))
    for bad, options, error in ((nothing, {}, DataError), (data, {"encoder": "nonsense"}, OptionError)):
        with pytest.raises(error):
            Recommender.create(tmp_path / "m", bad, **{**OPTIONS, **options})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_data_is_refused_and_left_alone(data: Dataset, tmp_path: Path) -> None:
    folder = write_folder(data, tmp_path / "data")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(OptionError, match=r"data"):
        Recommender.create(folder, data, **OPTIONS)
    with pytest.raises(ModelFolderError, match=r"is not a model folder: it has no config\.json\."):
        Recommender.open(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("place", ["postgresql://localhost/palate", "s3://bucket/model"])
def test_a_place_that_is_no_folder_is_refused(place: str, data: Dataset, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[Callable[[], object]] = [
        lambda: Recommender.create(place, data, **OPTIONS),
        lambda: Recommender.open(place),
        lambda: Learner.load(place),
    ]
    for call in calls:
        with pytest.raises(OptionError, match=r"^the model folder is '.*', which is no path\. Give the path"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_recommender_says_so_and_its_learner_stays(one: Recommender, folder: Path) -> None:
    one.tell(rate("ann", "i01", 5.0))
    last = one.learner
    one.close()
    one.close()
    calls: list[Callable[[], object]] = [
        lambda: one.ask("ann"),
        lambda: one.recommend("ann"),
        lambda: one.tell(rate("ann", "i02", 5.0)),
        lambda: one.see(events("ann", "i02")),
        lambda: one.know("ann", age=30),
        lambda: one.undo("ann"),
        lambda: one.add_items(pl.DataFrame({"item_id": ["n1"]})),
        lambda: one.refit(),
    ]
    for call in calls:
        with pytest.raises(OptionError, match=r"^the recommender on .* is closed\. Open it again with"):
            call()
    assert one.learner.recommend("ann") == last.recommend("ann")
    assert len(reopened(folder).told["ann"]) == 1


def test_a_folder_of_an_older_version_is_read_once_with_a_warning(tmp_path: Path) -> None:
    """Its log has the table of version 2; its events are a table of the model, its attributes a file."""
    folder = Path(shutil.copytree(OLD, tmp_path / "model"))
    lists = json.loads(OLD_LISTS.read_text(encoding="utf-8"))
    with pytest.warns(UserWarning, match=r"^6 events and attributes of .* are in an older format\.") as caught:
        opened = Recommender.open(folder)
    assert len(caught) == 1 and not (folder / "attributes.json").exists()
    with opened as first, Recommender.open(folder) as second:  # without a warning
        for user, listed in lists.items():
            for recommender in (first, second):
                memory = recommender.learner.memory
                items = memory.fitted.catalogue.positions([item for item, _ in listed])
                held = memory.held(user, memory.parts(user))  # items learnt nothing between fits then
                scores, _ = expectations(memory.fitted, held.fitted)
                np.testing.assert_allclose(scores[items], [score for _, score in listed], rtol=1e-9)
        memory = second.learner.memory
        assert [answer.key for answer in memory.told["ann"]] == ["k1", "k3", "k5"] and "k2" in memory.undone
        rows = list(second._live.log.records())
        kinds = [type(row.content) for row in rows if not row.retracts]
        assert kinds.count(Event) == kinds.count(Attribute) == 3 and len(rows) == len(kinds) + 1 == 12
        with pytest.raises(
            OptionError, match=r"keeps no data to refit it from\. Fit its data into it: .* or refit\(data\)\.$"
        ):
            second.refit()


def test_an_older_folder_is_read_by_a_learner_as_often_as_it_is_asked(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "model"))
    for _ in range(2):
        with pytest.warns(UserWarning, match="6 events and attributes"):
            learner = Learner.load(folder)
        assert len(learner.memory.seen["ann"]) == 2
    learner.save(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dict(Learner.load(folder).memory.seen) == dict(learner.memory.seen)
