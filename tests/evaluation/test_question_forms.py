"""All users side by side hear and say what each does alone, through the learner and the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palate.acquisition import get_strategy
from palate.costs import Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.evaluation.play import play as by_question
from palate.evaluation.question_forms import play_kinds, user_views
from palate.evaluation.world import World, items_world, users_world
from palate.loop.memory import Memory
from palate.oracles import Simulated
from tests.worlds import data


@pytest.fixture(scope="module")
def new_users() -> World:
    return users_world(data(), encoder="none", seed=0, max_users=300)


PLAYED = (Form.RATE, Form.PAIR, Form.GROUP, Form.PAGE, Form.CONCEPT, Form.PREVIEW)


def play(world: World, forms: tuple[Form, ...], budget: float, **seconds: float):
    return play_kinds(world, forms, seconds=Seconds(**seconds), budget=budget, rng=np.random.default_rng(0))


def test_to_rate_alone_is_the_play_of_the_strategy(new_users: World) -> None:
    timed = play(new_users, (Form.RATE,), 5 * Seconds().rate)
    asked = by_question(new_users, get_strategy("a-optimal"), pool="open", budget=5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(timed.sums["rmse"], asked.sums["rmse"], rtol=1e-9)
    assert timed.asked.tolist() == [[5.0]] * len(new_users.subjects)


@pytest.mark.parametrize("form", [form for form in PLAYED if form is not Form.PREVIEW])  # its answers are drawn
def test_the_learner_and_the_oracle_do_the_same(new_users: World, form: Form) -> None:
    learner = new_users.learner
    assert learner is not None
    model, ids = learner.model, learner.model.catalogue.ids
    timed = play(new_users, (form,), 30.0)
    for row in (0, 7, 40):
        ratings = {ids[i]: new_users.ratings[row, i] for i in np.flatnonzero(new_users.answerable[row])}
        categories = {name: [ids[i] for i in members] for name, members in model.catalogue.categories.items()}
        oracle = Simulated({"somebody": ratings}, like=model.scale.like, cut=model.scale.cut, categories=categories)
        shared = type(learner)(Memory(_with_exposure(model, new_users)))
        spent, questions = 0.0, 0
        while True:
            asked = shared.ask(
                "somebody",
                forms=[form, "concept"] if form is Form.RATE else [form],
                concepts=[] if form is Form.RATE else None,
                rng=np.random.default_rng(0),
            )
            least = Seconds().look + Seconds().tap if form is Form.PAGE else asked[0].seconds if asked else 0.0
            if not asked or spent + least > 30.0:
                break
            questions += 1
            for answer in oracle.answer(asked):
                if spent < 30.0:  # a page is left when the time is over
                    assert answer.answered_at is not None and answer.asked_at is not None
                    spent, shared = spent + answer.answered_at - answer.asked_at, shared.tell(answer)
        assert timed.clock[row, -1] == pytest.approx(spent)
        assert timed.asked[row].tolist() == [questions]
        state, held = shared.state("somebody"), new_users.held_out
        mean = model.taste.items.level + state.belief.score(model.taste.items.factors)
        here = held.present[row]
        squares = ((mean[held.columns[row]][here] - held.values[row][here]) ** 2).sum()
        assert timed.sums["rmse"][row, -1] == pytest.approx(squares, rel=1e-9)


def _with_exposure(model, world: World):
    """A world that hides half of the answers knows so; the learner must too."""
    return replace(model, answerability=world.answerability)


def test_nobody_is_asked_beyond_the_budget(new_users: World) -> None:
    timed = play(new_users, PLAYED, 20.0)
    assert (timed.clock[:, -1] <= 20.0 + 15 * Seconds().tap).all()  # more taps than expected take longer
    assert (np.diff(timed.clock, axis=1) >= 0).all()
    single = [place for place, form in enumerate(PLAYED) if form is not Form.PAGE]
    assert (timed.asked >= timed.answered)[:, single].all()
    start = timed.at([0.0])["rmse"][:, 0]
    assert np.array_equal(start, timed.sums["rmse"][:, 0])
    assert np.array_equal(timed.at([1e9])["rmse"][:, 0], timed.sums["rmse"][:, -1])


def test_a_page_counts_up_to_the_item_that_the_time_allows(new_users: World) -> None:
    long, short = play(new_users, (Form.PAGE,), 40.0), play(new_users, (Form.PAGE,), 6.0)
    assert np.array_equal(long.at([6.0])["rmse"], short.at([6.0])["rmse"])
    steps = np.diff(long.clock, axis=1)
    clock = Seconds()
    allowed = [0.0, clock.look, clock.look + clock.tap, clock.look + 2 * clock.tap]  # the last ends a page
    assert np.isclose(steps[:, :, None], allowed).any(2).all()
    assert (long.answered > long.asked).any()


def test_what_the_test_holds_changes_no_answer(new_users: World) -> None:
    hidden = np.where(new_users.answerable, new_users.ratings, np.nan)
    blind = replace(new_users, ratings=hidden)
    for form in PLAYED:
        one, two = play(new_users, (form,), 25.0), play(blind, (form,), 25.0)
        assert np.array_equal(one.sums["rmse"], two.sums["rmse"]), form


def test_views_are_of_two_answerable_ratings() -> None:
    ratings = np.array([[5.0, 3.0, 1.0, 4.0]])
    inside = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=float)
    views = user_views(ratings, np.array([[True, True, True, False]]), inside)
    assert views[0, 0] == pytest.approx(4.0 - 3.0)
    assert np.isnan(views[0, 1])


def test_people_are_asked_not_items() -> None:
    with pytest.raises(OptionError, match=r"^the kinds of question are for new users, this world has new items\."):
        play(items_world(data(), encoder="none", seed=0, max_users=300), (Form.RATE,), 10.0)
