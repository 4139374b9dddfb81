"""Crowds: one vote at a time comes to what all at once come to, whatever came between; families; honesty; choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._data import folder_of
from benchmarks.crowd import SETS, Votes, batch, crowd_of, names_of, of_choice, of_clones, read
from palate.errors import IdError, OptionError, PalateError, UnknownItem
from palate.oracles.crowd import LEAST_GOLD, Crowd, mean_of


def made(seed: int, *, items: int = 80, workers: int = 9, options: int = 3, each: int = 5) -> Votes:
    """Votes of workers who are right in 45 to 95 %."""
    rng = np.random.default_rng(seed)
    truth, skill = rng.integers(options, size=items), rng.uniform(0.45, 0.95, workers)
    rows = [(item, worker) for item in range(items) for worker in rng.permutation(workers)[:each]]
    where, whose = np.array(rows).T
    wrong = (truth[where] + rng.integers(1, options, len(rows))) % options
    return Votes(where, whose, np.where(rng.random(len(rows)) < skill[whose], truth[where], wrong), truth, options)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_in_any_order_and_swept_it_is_the_batch_answer(seed: int, options: int) -> None:
    votes = made(seed, options=options)
    reference, names, found = batch(votes), names_of(np.arange(80)), []
    for turn in range(2):
        crowd = crowd_of(votes, np.random.default_rng((seed, turn)).permutation(len(votes.items)))
        assert crowd.sweep() < 1_000
        found.append(crowd.posterior(names))
    np.testing.assert_allclose(found[0], reference, atol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])


def test_one_vote_is_one_step_of_incremental_em() -> None:
    crowd = Crowd(2, prior=(4.0, 2.0))
    crowd.vote("a", "ann", 0)
    np.testing.assert_allclose(crowd.posterior(["a"]), [[2 / 3, 1 / 3]])
    crowd.vote("b", "ann", 1)
    counts = np.array([[4.0, 2.0], [2.0, 4.0]])  # of truth by vote, the prior
    counts[:, 0] += [2 / 3, 1 / 3]  # what is believed of a
    classes = np.array([1.0 + 2 / 3, 1.0 + 1 / 3])
    of_b = classes * counts[:, 1] / counts.sum(1)
    np.testing.assert_allclose(crowd.posterior(["b"])[0], of_b / of_b.sum())
    counts[:, 1] += of_b / of_b.sum()
    np.testing.assert_allclose(crowd.confusion("ann"), counts / counts.sum(1, keepdims=True))


WORKERS = {"ann": "", "bob": "", "m": "", "m-1": "m", "m-2": "m", "m-3": "m"}  # one is called as the family of others
Moves = list[tuple[str, str, int | tuple[float, ...] | None, bool]]
EVERYTHING = list("abcde")
MOVES = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(sorted(WORKERS)),
        st.one_of(st.none(), st.integers(0, 2), st.sampled_from([(0.2, 0.3, 0.5), (0.0, 0.4, 0.6), (1.0, 0.0, 0.0)])),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(MOVES)
def test_only_the_votes_that_stand_count_whatever_was_corrected_or_withdrawn(moves: Moves) -> None:
    crowd, stands = Crowd(3), dict[tuple[str, str], tuple[Any, str]]()
    for item, worker, option, is_alone in moves:
        family = "" if is_alone else WORKERS[worker]
        if option is not None:
            crowd.vote(item, worker, option, family=family)
            stands[item, worker] = option, family
        elif (item, worker) in stands:
            crowd.withdraw(item, worker)
            del stands[item, worker]
        else:
            with pytest.raises(PalateError, match="voted"):
                crowd.withdraw(item, worker)
    fresh = Crowd(3)
    for (item, worker), (option, family) in reversed(stands.items()):
        fresh.vote(item, worker, option, family=family)
    assert set(crowd.items) == set(fresh.items) == {item for item, _ in stands}
    assert set(crowd.workers) == set(fresh.workers) == {family or worker for (_, worker), (_, family) in stands.items()}
    for one in (crowd, fresh):
        one.sweep()
    np.testing.assert_array_equal(crowd.posterior(fresh.items), fresh.posterior(fresh.items))
    for worker in fresh.workers:
        np.testing.assert_array_equal(crowd.confusion(worker), fresh.confusion(worker))
        np.testing.assert_array_equal(crowd.information(worker, EVERYTHING), fresh.information(worker, EVERYTHING))


def test_arrays_grow_and_a_slot_that_was_freed_is_used_again() -> None:
    crowd, votes = Crowd(3), made(1, items=300, workers=40)
    for item, worker, label in zip(votes.items, votes.workers, votes.labels, strict=True):
        crowd.vote(f"i{item}", f"w{worker}", label)
        if worker % 3 == 0:
            crowd.vote(f"i{item}", f"w{worker}", np.eye(3)[label] * 0.7 + 0.1)
        if worker % 3 == 1:
            crowd.withdraw(f"i{item}", f"w{worker}")
    kept = votes.workers % 3 != 1
    assert crowd._slots._used <= kept.sum() + 1 and len(crowd.items) > 290
    before = crowd.posterior(crowd.items)
    crowd.sweep()
    assert np.abs(crowd.posterior(crowd.items) - before).mean() < 0.05


def test_a_soft_vote_of_one_option_is_a_plain_one_and_an_even_one_says_nothing() -> None:
    plain, soft = Crowd(3), Crowd(3)
    for place, (item, worker) in enumerate([("a", "ann"), ("a", "bob"), ("b", "ann")]):
        plain.vote(item, worker, place)
        soft.vote(item, worker, np.eye(3)[place])
    np.testing.assert_array_equal(plain.posterior(["a", "b"]), soft.posterior(["a", "b"]))
    soft.vote("c", "new", np.full(3, 1 / 3))
    others = soft._slots.votes.classes - soft._slots.votes.shares[2]
    np.testing.assert_allclose(soft.posterior(["c"])[0], others / others.sum())


def test_votes_of_a_family_are_one_their_geometric_mean() -> None:
    one, many = Crowd(2), Crowd(2)
    rows = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    mean = np.exp(np.log(rows).mean(0))
    for crowd in (one, many):
        crowd.vote("a", "ann", 0)
        crowd.vote("b", "ann", 1)
    one.vote("a", "m", mean / mean.sum())
    for place, row in enumerate(rows):
        many.vote("a", f"prompt-{place}", row, family="m")
    for crowd in (one, many):
        crowd.sweep()
    np.testing.assert_allclose(many.posterior(["a", "b"]), one.posterior(["a", "b"]), atol=1e-12)
    many.withdraw("a", "prompt-1")
    assert many.workers == ("ann", "m")
    for place in (0, 2):
        many.withdraw("a", f"prompt-{place}")
    assert many.workers == ("ann",)


def cloned(votes: Votes, copies: int, family: str) -> float:
    """Accuracy with copies of a model that is right in 75 %."""
    crowd, rng = crowd_of(votes, np.arange(len(votes.items))), np.random.default_rng(0)
    for item, truth in enumerate(votes.truth):
        said = int(truth if rng.random() < 0.75 else rng.integers(votes.classes))
        for copy in range(copies):
            crowd.vote(f"i{item}", f"copy-{copy}", said, family=family)
    crowd.sweep()
    return float((crowd.labels(names_of(np.arange(len(votes.truth)))) == votes.truth).mean())


def test_copies_of_a_model_do_not_take_the_consensus() -> None:
    votes = made(3, items=400, each=3)
    assert cloned(votes, 4, "model") == cloned(votes, 1, "model")
    assert cloned(votes, 4, "") < cloned(votes, 1, "") - 0.02


def test_who_is_right_how_often_is_found() -> None:
    votes = made(5, items=3_000, workers=6, options=2, each=5)
    crowd = crowd_of(votes, np.arange(len(votes.items)))
    crowd.sweep()
    for worker in range(6):
        mine = votes.workers == worker
        for truth in (0, 1):
            labels = votes.labels[mine & (votes.truth[votes.items] == truth)]
            assert crowd.confusion(f"w{worker}")[truth, truth] == pytest.approx((labels == truth).mean(), abs=0.05)


# ---- what leaves it ----


def shared_errors(seed: int) -> Votes:
    """A quarter of the items are hard, and all err on them alike."""
    votes, rng = made(seed, items=1_500, options=2), np.random.default_rng(seed)
    hard = rng.random(1_500) < 0.25
    return votes._replace(labels=np.where(hard[votes.items], 1 - votes.labels, votes.labels))


def loss(shares: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(shares[np.arange(len(truth)), truth]).mean())


def tempered(shares: np.ndarray, value: float) -> np.ndarray:
    return shares**value / (shares**value).sum(1, keepdims=True)


def test_probabilities_are_tempered_by_what_is_known_to_be_true() -> None:
    votes = shared_errors(0)
    crowd, names = crowd_of(votes, np.arange(len(votes.items))), names_of(np.arange(1_500))
    crowd.sweep()
    gold = {name: int(votes.truth[place]) for place, name in enumerate(names[:100])}
    guess = crowd.calibrate(dict(list(gold.items())[: LEAST_GOLD - 1]) | {"nobody-voted": 1})
    assert (guess.value, guess.gold, guess.is_calibrated) == (0.5, 19, False)
    found = crowd.calibrate(gold)
    assert found == crowd.temperature and found.is_calibrated and found.gold == 100
    rest, truth = names[100:], votes.truth[100:]
    sure, honest = crowd.posterior(rest), crowd.probabilities(rest)
    assert loss(honest, truth) < loss(sure, truth) - 0.2 and honest.max(1).mean() < sure.max(1).mean() - 0.1
    np.testing.assert_allclose(honest, tempered(sure, found.value), atol=1e-12)
    assert (honest.argmax(1) == crowd.labels(rest)).all()
    known = crowd.posterior(names[:100])
    best = min(np.linspace(0.01, 1.0, 100), key=lambda value: loss(tempered(known, value), votes.truth[:100]))
    assert found.value == pytest.approx(best, abs=0.03)
    easy = made(0, items=300)
    sure_of = crowd_of(easy, np.arange(len(easy.items)))
    sure_of.sweep()
    assert sure_of.calibrate({f"i{item}": int(easy.truth[item]) for item in range(300)}).value > 2 * found.value


def test_gold_that_contradicts_all_votes_leaves_a_little_of_them() -> None:
    votes = made(2, items=60, options=2)
    crowd = crowd_of(votes, np.arange(len(votes.items)))
    found = crowd.calibrate({f"i{item}": 1 - int(votes.truth[item]) for item in range(40)})
    assert 0.0 < found.value < 0.2 and crowd.probabilities(["i0"]).max() > 0.5


def test_information_is_the_mutual_information_of_truth_and_vote() -> None:
    votes = made(7, items=30)
    crowd = crowd_of(votes, np.arange(len(votes.items)))
    crowd.sweep()
    names, shares = names_of(np.arange(30)), crowd.posterior(names_of(np.arange(30)))
    joint = shares[:, :, None] * crowd.confusion("w4")[None]
    apart = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    expected = (joint * np.log(joint / apart)).sum((1, 2))
    mine = set(votes.items[votes.workers == 4].tolist())
    found = crowd.information("w4", names)
    assert 5 < len(mine) < 25
    for item in range(30):
        assert found[item] == pytest.approx(0.0 if item in mine else expected[item], abs=1e-5)
    assert crowd.information("new", names)[0] > 0.0
    assert (crowd.information("another", names, family="w4") == found).all()
    unseen = crowd.information("w4", ["nobody-voted"])
    assert unseen > found.max() * 0.9 and crowd.items == tuple(names)  # asking adds none


CROWD = crowd_of(made(0), np.arange(400))
WRONG: list[tuple[str, Callable[[], object]]] = [
    ("an option beyond", lambda: CROWD.vote("i0", "w0", 3)),
    ("an option below", lambda: CROWD.vote("i0", "w0", -1)),
    ("half an option", lambda: CROWD.vote("i0", "w0", 0.5)),  # type: ignore[arg-type]
    ("no option", lambda: CROWD.vote("i0", "w0", None)),  # type: ignore[arg-type]
    ("true", lambda: CROWD.vote("i0", "w0", True)),
    ("text", lambda: CROWD.vote("i0", "w0", "yes")),  # type: ignore[arg-type]
    ("NaN shares", lambda: CROWD.vote("i0", "w0", [np.nan, 0.5, 0.5])),
    ("infinite shares", lambda: CROWD.vote("i0", "w0", [np.inf, 0.0, 0.0])),
    ("shares below zero", lambda: CROWD.vote("i0", "w0", [1.5, -0.5, 0.0])),
    ("too few shares", lambda: CROWD.vote("i0", "w0", [0.5, 0.5])),
    ("shares of no sum", lambda: CROWD.vote("i0", "w0", [0.5, 0.5, 0.5])),
    ("ragged shares", lambda: CROWD.vote("i0", "w0", [[0.5], 0.5, 0.5])),
    ("no shares", lambda: CROWD.vote("i0", "w0", [])),
    ("no item", lambda: CROWD.vote("", "w0", 1)),
    ("no worker", lambda: CROWD.vote("i0", "\n", 1)),
    ("a bad family", lambda: CROWD.vote("i0", "w0", 1, family="a\0b")),
    ("an unknown item", lambda: CROWD.posterior(["i0", "never"])),
    ("an unknown item tempered", lambda: CROWD.probabilities(["never"])),
    ("one item that is no list", lambda: CROWD.labels("i0")),
    ("an unknown item withdrawn", lambda: CROWD.withdraw("never", "w0")),
    ("an unknown worker withdrawn", lambda: CROWD.withdraw("i0", "never")),
    ("an unknown worker", lambda: CROWD.confusion("never")),
    ("no options", lambda: Crowd(0)),
    ("one option", lambda: Crowd(1)),
    ("a list of options", lambda: Crowd([])),  # type: ignore[arg-type]
    ("a prior of none", lambda: Crowd(2, prior=(4.0, 0.0))),
    ("half a prior", lambda: Crowd(2, prior=(4.0,))),  # type: ignore[arg-type]
    ("gold beyond", lambda: CROWD.calibrate({"i0": 3})),
    ("gold that is no mapping", lambda: CROWD.calibrate(["i0"])),  # type: ignore[arg-type]
    ("no sweeps", lambda: CROWD.sweep(0)),
    ("a tolerance of NaN", lambda: CROWD.sweep(tolerance=np.nan)),
    ("no numbers", lambda: mean_of({})),
    ("a number that is none", lambda: mean_of({"ann": np.nan})),
]


@pytest.mark.parametrize("call", [call for _, call in WRONG], ids=[name for name, _ in WRONG])
def test_what_is_wrong_is_refused_and_changes_nothing(call: Callable[[], object]) -> None:
    before = CROWD.posterior(CROWD.items), CROWD.items, CROWD.workers
    with pytest.raises((OptionError, IdError, UnknownItem)) as found:
        call()
    assert "\n" not in str(found.value)
    np.testing.assert_array_equal(CROWD.posterior(CROWD.items), before[0])
    assert (CROWD.items, CROWD.workers) == before[1:]


def test_a_crowd_without_votes_says_nothing_and_fails_at_nothing() -> None:
    crowd = Crowd(2)
    assert crowd.sweep() == 1 and crowd.posterior([]).shape == (0, 2) and crowd.items == crowd.workers == ()
    assert crowd.information("ann", ["a"]) == pytest.approx([2 / 3 * np.log(2 / 3 * 2) + 1 / 3 * np.log(1 / 3 * 2)])


def test_numbers_are_their_mean_one_vote_a_family() -> None:
    assert mean_of({"ann": 1.0, "bob": 4.0}) == 2.5
    assert mean_of({"ann": 1.0, "m-1": 4.0, "m-2": 6.0}, {"m-1": "m", "m-2": "m"}) == 3.0


# ---- real crowds ----


@pytest.mark.long
@pytest.mark.parametrize("name", SETS)
def test_real_votes_come_to_the_batch_answer_in_ten_orders(name: str) -> None:
    if not folder_of("crowd-labels").exists():
        pytest.skip("the folder crowd-labels is not there")
    votes = read(name)
    reference, names, rng = batch(votes), names_of(np.arange(len(votes.truth))), np.random.default_rng(0)
    for _ in range(10):
        crowd = crowd_of(votes, rng.permutation(len(votes.items)))
        crowd.sweep()
        assert np.abs(crowd.posterior(names) - reference).max() <= 1e-5


@pytest.mark.long
def test_four_chosen_votes_are_worth_five_and_four_copies_of_a_model_one() -> None:
    if not folder_of("crowd-labels").exists():
        pytest.skip("the folder crowd-labels is not there")
    for name in ("bluebirds", "faces"):
        assert of_choice(name, 5)[-1]["4"]["mean"] >= -0.01
    for row in of_clones(1):
        assert abs(row["gap"]["mean"]) <= (0.002 if not row["slips"] else 0.02)
        assert row["copies"]["mean"] > row["alone"]["mean"]
