"""Which labels count: the replay of a user and the fit see the same rows, with the same values and weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate import Learner, rate
from palate.acquisition.oracle_choice import Action
from palate.entities import Answer, AnswerKind
from palate.entities.provenance import Provenance
from palate.errors import DataError
from palate.model.counted import UNWEIGHED, Weights
from palate.model.labels import Joined, joined
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.records import Calibration
from tests.worlds import data, learner

PSEUDO = "pseudo:model@0.25"
ITEMS = 4  # of the user's own and of others, so that answers meet


def user_and_items(of: Learner) -> tuple[str, list[str]]:
    """A user of the data; items that they have rated, and others."""
    rated = of.model.answers[7].indices.tolist()
    others = [item for item in range(len(of.model.catalogue)) if item not in rated]
    return of.model.user_ids[7], [of.model.catalogue.ids[item] for item in rated[: ITEMS // 2] + others[: ITEMS // 2]]


def heard(of: Learner, answers: list[Answer], weights: Weights = UNWEIGHED) -> Joined:
    model = of.model
    return joined(Answers(model.answers), answers, model.taste.likelihood, model.user_ids, model.catalogue.ids, weights)


def rows_of(found: Joined, row: int) -> list[tuple[int, float, float]]:
    part = slice(*found.answers.values.indptr[row : row + 2])
    entries = found.answers.values
    weights = np.ones(entries.nnz) if found.answers.weights is None else found.answers.weights
    return list(zip(entries.indices[part].tolist(), entries.data[part], weights[part], strict=True))


def believed(of: Learner, user: str, rows: list[tuple[int, float, float]]) -> Belief:
    """One row after another, as the model hears them: what is not known of the item stays in a mean of several."""
    taste, belief, of_user = of.model.taste, of.model.taste.start, of.state(user).noise
    for item, value, weight in rows:
        noise, own = taste.answer_noise(item, of_user), of_user * taste.items.noise[item]
        times = noise / (noise - own + own / weight) if weight > 1.0 else weight
        belief = taste.observe(belief, item, value, times, of_user=of_user)
    return belief


@st.composite
def told(draw: st.DrawFn, high: float) -> tuple[int, AnswerKind, float | None, str, str, str]:
    kind = draw(st.sampled_from(list(AnswerKind)))
    value = draw(st.sampled_from([high, high - 1.0])) if kind is AnswerKind.RATING else None
    asked = [("", "person"), (str(Action.AGAIN), "person"), ("", PSEUDO), ("", "lea"), (str(Action.AGAIN), "lea")]
    question, source = draw(st.sampled_from(asked))
    return draw(st.integers(0, ITEMS - 1)), kind, value, question, source, draw(st.sampled_from(["", "", "", "k"]))


@pytest.mark.parametrize(("kind", "high"), [("ratings", 5.0), ("likes", 1.0)])
@pytest.mark.parametrize("stranger", [False, True])
@given(drawn=st.data())
@settings(max_examples=60, deadline=None)
def test_replay_and_fit_see_the_same_rows(kind: str, high: float, stranger: bool, drawn: st.DataObject) -> None:
    of = learner(kind)
    user, items = user_and_items(of)
    user = "stranger" if stranger else user
    given = drawn.draw(st.lists(told(high), max_size=8))
    answers = [
        Answer(user, items[item], how, value, source, key=key, question=question)
        for item, how, value, question, source, key in given
    ]
    lea = drawn.draw(st.sampled_from([None, 0.0, 0.5, 1.0]))
    of = of if lea is None else Learner(of.memory.calibrated([Calibration("lea", lea)]))
    state, found = of.tell(answers).state(user), heard(of, answers, of.memory.weights)
    one_by_one = of
    for answer in answers:
        one_by_one.state(user)  # so that the next answer moves it
        one_by_one = one_by_one.tell(answer)
    np.testing.assert_allclose(one_by_one.state(user).belief.mean, state.belief.mean, atol=1e-9)
    np.testing.assert_allclose(one_by_one.state(user).exposure.mean, state.exposure.mean, atol=1e-9)
    row = found.answers.values.shape[0] - 1 if stranger else 7
    rows = rows_of(found, row) if not stranger or found.answers.values.shape[0] > len(of.model.user_ids) else []
    expected = believed(of, user, rows)
    np.testing.assert_allclose(state.belief.mean, expected.mean, atol=1e-9)
    np.testing.assert_allclose(state.belief.covariance, expected.covariance, atol=1e-9)
    rated = found.rated[row] if rows and row < found.rated.shape[0] else found.rated[:0]
    assert dict(zip(state.rated, state.values, strict=True)) == dict(zip(rated.indices, rated.data, strict=True))


def test_the_rules_one_by_one() -> None:
    of = learner("ratings")
    user, (mine, *_, other) = user_and_items(of)
    position, again = of.model.catalogue.position, {"question": str(Action.AGAIN)}
    (first,) = (value for item, value, _ in rows_of(heard(of, []), 7) if item == position(mine))

    def now(*answers: Answer, **weights: float) -> dict[int, tuple[float, float]]:
        found = rows_of(heard(of, list(answers), weights), 7)
        return {item: row for item, *row in found if item in map(position, (mine, other))}

    nothing = Answer(user, mine, AnswerKind.UNKNOWN)
    assert now() == {position(mine): [first, 1.0]}
    assert now(rate(user, mine, 1.0)) == {position(mine): [1.0, 1.0]}
    assert now(nothing) == {} == now(rate(user, mine, 1.0), nothing)
    assert now(Answer(user, mine, AnswerKind.RATING, 1.0, **again)) == {position(mine): [(first + 1.0) / 2, 2.0]}
    assert now(Answer(user, mine, AnswerKind.SKIPPED, **again)) == now()
    assert now(rate(user, mine, 1.0, source=PSEUDO)) == now()
    pseudo, real = rate(user, other, 1.0, source=PSEUDO), rate(user, other, 4.0)
    assert now(pseudo)[position(other)] == [1.0, 0.25]
    assert now(pseudo, real) == now(real, pseudo) == now(real)
    lea = rate(user, other, 2.0, source="lea")
    assert now(real, lea)[position(other)] == [2.0, 1.0]
    assert now(real, lea, lea=0.5) == now(lea, real, lea=0.5) == now(real)
    assert now(pseudo, lea, lea=0.5)[position(other)] == [2.0, 0.5] == now(lea, pseudo, lea=0.5)[position(other)]
    assert now(lea, lea=0.0) == now() == now(replace(real, provenance=Provenance(subject="topic")))
    assert now(rate(user, other, 2.0, source=user), **{user: 0.0})[position(other)] == [2.0, 1.0]
    assert now(pseudo, **{PSEUDO: 0.5})[position(other)] == [1.0, 0.125]


def test_pseudo_labels_move_a_fit_by_their_weight_and_are_nobodys_ratings() -> None:
    of = learner("ratings")
    item = of.model.catalogue.ids[5]
    strangers = [f"s{number}" for number in range(60)]

    def level(source: str) -> tuple[float, float]:
        labels = [rate(user, item, 1.0, source=source) for user in strangers]
        after = Learner.fit(data("ratings"), encoder="none", dim=4, labels=labels, likelihood="gaussian").model
        return float(after.taste.items.level[5]), float(after.catalogue.counts[5])

    before = Learner.fit(data("ratings"), encoder="none", dim=4, likelihood="gaussian").model
    (real, n), (light, m) = level("person"), level("pseudo:model@0.05")
    start = float(before.taste.items.level[5])
    assert (n, m) == (before.catalogue.counts[5] + 60, before.catalogue.counts[5])
    assert start - real > 0.5 > 0.3 * (start - real) > start - light > 0.0


def test_labels_that_take_back_everything_leave_nothing_to_fit() -> None:
    of = learner("ratings")
    answers = Answers.build(np.array([0], np.int32), np.array([0], np.int32), np.array([4.0]), (1, 1))
    label = Answer("ann", "i", AnswerKind.UNKNOWN)
    with pytest.raises(DataError, match=r"^there is no answer to fit: labels take back every rating of the data\."):
        joined(answers, [label], of.model.taste.likelihood, ["ann"], ["i"])
