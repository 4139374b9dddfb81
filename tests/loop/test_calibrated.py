"""What a source counts: revised by a later row, for what it said before too, and alike wherever beliefs are made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate import Answer, Learner, Recommender, rate
from palate.datasets import planted_world
from palate.entities import AnswerKind, Form
from palate.entities.provenance import Provenance
from palate.errors import AnswerError, OptionError
from palate.loop import checkpoint
from palate.recommender import live, versions
from palate.records import Calibration
from tests.worlds import learner

SOURCES = ("person", "lea", "max", "u007")  # users themselves, two annotators, and one user under their own name
TOLD = ("ann", "bob", "u001", "u007")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "model"
    data = planted_world(users=150, items=30, rng=np.random.default_rng(0)).dataset
    Recommender.create(folder, data, encoder="none", likelihood="gaussian", dim=3).close()
    return folder


@pytest.fixture
def one(made: Path, tmp_path: Path) -> Iterator[Recommender]:
    shutil.copytree(made, tmp_path / "model")
    with Recommender.open(tmp_path / "model") as recommender:
        yield recommender


def answers(source: str, n: int = 8, seed: int = 0) -> list[Answer]:
    rng, of = np.random.default_rng(seed), {"source": source}
    said = [(str(rng.choice(TOLD)), f"i{rng.integers(1, 20):02d}", float(rng.integers(1, 6))) for _ in range(n)]
    return [rate(*one, **of, key=f"{source}{place}") for place, one in enumerate(said)]


def assert_same(mine: Learner, other: Learner) -> None:
    """All that is believed of users and of items, to the bit."""
    one, two = mine.model, other.model
    for name in ("level", "factors", "noise"):
        assert np.array_equal(getattr(one.taste.items, name), getattr(two.taste.items, name)), name
    assert np.array_equal(one.catalogue.counts, two.catalogue.counts)
    sums, others = mine.memory.learnt.sums, other.memory.learnt.sums
    assert set(sums) == set(others) and all(np.array_equal(sums[item], others[item]) for item in sums)
    for user in TOLD:
        for part in ("belief", "exposure"):
            first, second = getattr(mine.state(user), part), getattr(other.state(user), part)
            assert np.array_equal(first.mean, second.mean), (user, part)
            assert np.array_equal(first.covariance, second.covariance), (user, part)
        assert mine.recommend(user, 12) == other.recommend(user, 12)


def replayed(recommender: Recommender) -> Learner:
    """Everything anew: the model of the folder and all rows of its log."""
    found = checkpoint.load(recommender.folder)
    return Learner(found.memory, found.seed)


def test_the_last_calibration_counts_for_what_was_said_before_and_is_taken_back_by_a_later_one(
    one: Recommender,
) -> None:
    nothing = one.learner
    one.tell(answers("lea"))
    whole = one.learner
    assert len(whole.memory.learnt.sums) > 0
    one.calibrate("lea", 0.0)
    assert_same(one.learner, nothing)  # as if it had never said anything
    one.calibrate("lea", 0.5, key="half")
    half = one.learner
    means = [[of.state(user).belief.mean for user in TOLD] for of in (nothing, half, whole)]
    assert not np.allclose(means[0], means[1]) and not np.allclose(means[1], means[2])
    one.calibrate("lea", 0.25, subject="topic")  # another matter
    assert_same(one.learner, half)
    one.calibrate("lea", 0.1, key="tenth")
    one.log.retract("tenth")
    assert_same(one.learner, half)
    one.calibrate("lea", 1.0)
    assert_same(one.learner, whole)
    one.calibrate("lea", 1.0)
    assert [row.content for row in one.log.records()][:8] == [row.content for row in one.log.records(0)][:8]
    assert len(list(one.log.records())) == 8 + 7  # nothing was deleted


def test_what_users_say_of_themselves_always_counts_in_whole(one: Recommender) -> None:
    one.tell([*answers("person"), rate("u007", "i03", 5.0, source="u007")])
    before = one.learner
    one.calibrate("u007", 0.0)
    assert_same(one.learner, before)
    with pytest.raises(OptionError, match=r"^the source 'person' is users who speak of themselves"):
        one.calibrate("person", 0.5)
    one.log.append([Calibration("person", 0.0)])  # as an import might
    assert_same(one.learner, before)


def test_an_answer_that_counts_less_does_not_take_the_place_of_one_that_counts_more(one: Recommender) -> None:
    one.tell([rate("ann", "i03", 5.0), rate("ann", "i04", 5.0, source="max"), rate("ann", "i05", 5.0, source="lea")])
    before = one.learner
    one.tell([rate("ann", f"i{item:02d}", 1.0, source="lea") for item in (3, 4)])
    assert not np.allclose(one.learner.state("ann").belief.mean, before.state("ann").belief.mean)
    one.calibrate("lea", 0.5)
    light = one.learner
    assert light.state("ann").rated == before.state("ann").rated[:2]
    assert "i05" in [question.item_id for question in one.ask("ann", k=20, random_share=0.0)]  # its question is open
    one.tell(rate("ann", "i05", 5.0))
    assert one.learner.state("ann").rated[-1] == one.learner.model.catalogue.position("i05")


@pytest.mark.parametrize(
    "answer",
    [
        Answer("ann", "i001", AnswerKind.RATING, 1.0, "lea", form=Form.PAIR, others=("i002",)),
        Answer("ann", "i001", AnswerKind.RATING, None, "lea", form=Form.GROUP, others=("i002",), tapped=("i002",)),
        Answer("ann", "i001", AnswerKind.RATING, None, "lea", form=Form.PICK, others=("i002",), tapped=("i002",)),
        Answer("ann", "i003", AnswerKind.RATING, 5.0, "lea"),
    ],
    ids=["pair", "group", "pick", "rate"],
)
def test_every_form_moves_as_much_less_as_it_counts(answer: Answer) -> None:
    of = learner("ratings")
    memory = of.tell(replace(answer, key="k")).memory

    def precision(weight: float) -> Any:
        after = Learner(memory.calibrated([Calibration("lea", weight)])).state("ann")
        return np.linalg.inv(after.belief.covariance), after.belief.natural

    (none, start), (some, moved), (all_, whole) = (precision(weight) for weight in (0.0, 0.5, 1.0))
    fresh = of.state("ann").belief
    np.testing.assert_array_equal(none, np.linalg.inv(fresh.covariance))
    share = 0.5
    if answer.form is Form.RATE:  # what is not known of the item is no less for it
        item = of.model.catalogue.position("i003")
        noise, factors = of.model.taste.answer_noise(item), of.model.taste.items.factors[item]
        expected = none + share / float(noise) * factors[:, None] * factors
    else:
        expected = none + share * (all_ - none)
        np.testing.assert_allclose(moved, start + share * (whole - start), atol=1e-8)
    np.testing.assert_allclose(some, expected, atol=1e-7)
    assert not np.allclose(none, all_)


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_and_the_rows_since_equal_a_replay_of_all(
    one: Recommender, few: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With calibrations and their retractions anywhere among the rows, in recommenders that read at other times."""
    rng, calibrated = np.random.default_rng(seed), list[str]()
    for module in (checkpoint, live):
        monkeypatch.setattr(module, "TAIL", 4 if few else 10_000)
    with Recommender.open(one.folder) as two:
        for number in range(60):
            what = rng.choice(
                ["tell", "calibrate", "retract", "read", "keep", "open"], p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]
            )
            if what == "tell":
                user, source = str(rng.choice(TOLD)), str(rng.choice(SOURCES))
                item, value = f"i{rng.integers(1, 10):02d}", float(rng.integers(1, 6))
                one.tell(rate(user, item, value, source=source, key=f"k{number}"))
            elif what == "calibrate":
                one.calibrate(str(rng.choice(SOURCES[1:3])), float(rng.choice([0.0, 0.3, 1.0])), key=f"c{number}")
                calibrated.append(f"c{number}")
            elif what == "retract" and calibrated:
                one.log.retract(calibrated.pop())
            elif what == "read":
                two.learner.model  # noqa: B018 - reads what there is
            elif what == "keep":
                one.learner.model  # noqa: B018
                one._live.keep_beliefs(one._live.checkpoint)
            elif what == "open":
                Recommender.open(one.folder).close()
        expected = replayed(one)
        assert_same(one.learner, expected)
        assert_same(two.learner, expected)
        with Recommender.open(one.folder) as three:
            assert_same(three.learner, expected)


@pytest.mark.parametrize("apart", [False, True])
def test_a_refit_takes_answers_by_what_they_count_at_its_cut(one: Recommender, apart: bool) -> None:
    one.tell(answers("lea", 30))
    one.tell(answers("max", 30, seed=1))
    one.calibrate("lea", 0.0)
    one.calibrate("max", 0.5)
    if apart:
        assert not one.refit_apart(hold_back=0.0).faults
    else:
        one.refit()
    model = one.learner.memory.fitted
    weights = {weight for of_user in model.labels.values() for rows in of_user.values() for _, weight in rows}
    assert 0.5 in weights and weights <= {0.5, 1.0}
    assert not one.learner.memory.learnt.sums  # the replay says what the fit was told
    assert_same(one.learner, replayed(one))
    one.calibrate("max", 0.0)  # what is in the fit is taken out of its items
    assert one.learner.memory.learnt.sums
    assert_same(one.learner, replayed(one))
    one.calibrate("max", 0.5)
    assert not one.learner.memory.learnt.sums


def test_a_new_model_is_compared_by_what_sources_count(one: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    one.tell([*answers("person", 60, seed=2), *answers("lea", 60)])
    one.calibrate("lea", 0.0)
    compared: list[Any] = []

    def healthy(memory: Any, before: Any, held_back: Any, **_more: Any) -> versions.Health:
        compared[:] = [memory.weights, before.weights, {label.source for label in held_back}]
        return versions.Health(())

    monkeypatch.setattr(versions, "check_health", healthy)
    one.refit_apart(hold_back=0.5)
    assert compared == [{"lea": 0.0}, {"lea": 0.0}, {"person"}]


def test_a_source_that_lies_harms_a_fit_no_more_once_its_answers_count_nothing(one: Recommender) -> None:
    item = one.learner.model.catalogue.position("i05")
    before = float(one.learner.model.taste.items.level[item])
    one.tell([rate(f"s{n}", "i05", 1.0, source="lea") for n in range(60)])
    one.refit()
    lied = float(one.learner.model.taste.items.level[item])
    one.calibrate("lea", 0.0)
    one.refit()
    after = one.learner.model
    assert before - lied > 0.5 and abs(float(after.taste.items.level[item]) - before) < 1e-6
    assert after.catalogue.counts[item] == len(after.answers.T.tocsr()[item].indices)


def test_what_is_said_of_an_attribute_is_nobodys_taste(one: Recommender) -> None:
    one.tell(answers("lea"))
    before, seq = one.learner, one.last_seq
    of_topic = {"provenance": Provenance(subject="topic")}
    told = [
        Answer(user, f"i{item:02d}", AnswerKind.RATING, 17.0, "lea", key=f"t{user}{item}", **of_topic)
        for user in TOLD
        for item in (1, 2, 3)
    ]
    one.tell(told)
    assert one.last_seq == seq + len(told)
    assert_same(one.learner, before)
    one.calibrate("lea", 0.0, subject="topic")
    assert_same(one.learner, before)
    one.log.retract("tann1")
    assert_same(one.learner, before)
    one.refit()
    taught = one.learner.memory.fitted.labels
    assert sum(map(len, taught.values())) == len({(answer.user_id, answer.item_id) for answer in answers("lea")})
    assert_same(one.learner, replayed(one))
    with pytest.raises(AnswerError, match=r"^an answer about an attribute has the form pair\. Give the form rate\.$"):
        one.tell(Answer("ann", "i01", AnswerKind.RATING, 1.0, "lea", form=Form.PAIR, others=("i02",), **of_topic))


def test_a_saved_learner_takes_its_calibrations_along(one: Recommender, tmp_path: Path) -> None:
    one.tell(answers("lea"))
    one.calibrate("lea", 0.5)
    one.learner.save(tmp_path / "other")
    assert_same(Learner.load(tmp_path / "other"), one.learner)
