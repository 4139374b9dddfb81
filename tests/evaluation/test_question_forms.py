"""All users side by side hear and say what each does alone, through the learner and the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from palate.acquisition import get_strategy
from palate.costs import Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.evaluation.play import play as by_question
from palate.evaluation.question_forms import play_kinds, play_rounds
from palate.evaluation.shown_list import FOUND, LIST, ListJudge
from palate.evaluation.talk import Talk, user_views
from palate.evaluation.world import World, items_world, users_world
from palate.loop.memory import Memory
from palate.oracles import Simulated
from palate.oracles.naming import Naming
from palate.posteriors.belief import Belief
from tests.worlds import data


@pytest.fixture(scope="module")
def new_users() -> World:
    world = users_world(data(), encoder="none", seed=0, max_users=300)
    rng = np.random.default_rng(0)
    apart = rng.permuted(np.linspace(0.0, 1e-6, world.ratings.size)).reshape(world.ratings.shape)
    inside = np.where(world.ratings > 1.0, world.ratings - apart, world.ratings + apart)  # so that none are equal
    return replace(world, times=rng.random(world.ratings.shape), ratings=inside)


PLAYED = tuple(form for form in Form if form is not Form.SLATE)


def play(world: World, forms: tuple[Form, ...], budget: float, **seconds: float):
    rng = np.random.default_rng(0)
    return play_kinds(world, forms, seconds=Seconds(**seconds), budget=budget, naming=Naming.RECENT, rng=rng)


@pytest.mark.long
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
    for row in (5, 7, 40):
        ratings = {ids[i]: new_users.ratings[row, i] for i in np.flatnonzero(new_users.answerable[row])}
        categories = {name: [ids[i] for i in members] for name, members in model.catalogue.categories.items()}
        times = {ids[i]: new_users.times[row, i] for i in np.flatnonzero(new_users.answerable[row])}
        oracle = Simulated(
            {"somebody": ratings},
            like=model.scale.like,
            cut=model.scale.cut,
            categories=categories,
            naming=Naming.RECENT,
            times={"somebody": times},
            rng=np.random.default_rng(0),
        )
        shared = type(learner)(Memory(model))
        askable = [ids[i] for i in np.flatnonzero(new_users.askable[row])]
        spent, questions = 0.0, 0
        while True:
            asked = shared.ask(
                "somebody",
                forms=[form, "concept"] if form is Form.RATE else [form],
                concepts=[] if form is Form.RATE else None,
                candidates=askable,
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
        belief = Belief(state.belief.mean[None], state.belief.covariance[None])
        expected, here = model.taste.expected(belief, held.columns[[row]])[0], held.present[row]
        squares = ((expected[here] - held.values[row][here]) ** 2).sum()
        assert timed.sums["rmse"][row, -1] == pytest.approx(squares, rel=1e-9)


def test_nobody_is_asked_beyond_the_budget(new_users: World) -> None:
    timed = play(new_users, PLAYED, 20.0)
    assert (timed.clock[:, -1] <= 20.0 + 15 * Seconds().tap).all()  # more taps than expected take longer
    assert (np.diff(timed.clock, axis=1) >= 0).all()
    single = [place for place, form in enumerate(PLAYED) if form is not Form.PAGE]
    assert (timed.asked >= timed.answered)[:, single].all()
    start = timed.at([0.0])["rmse"][:, 0]
    assert np.array_equal(start, timed.sums["rmse"][:, 0])
    assert np.array_equal(timed.at([1e9])["rmse"][:, 0], timed.sums["rmse"][:, -1])


def test_judged_at_some_times_it_is_what_it_is_after_each_answer(new_users: World) -> None:
    forms, rest = (Form.PAGE, Form.RATE, Form.RECALL), {"naming": Naming.RECENT, "seconds": Seconds(), "budget": 30.0}
    stages, rng = [0.0, 9.0, 30.0], np.random.default_rng
    whole, some = (play_kinds(new_users, forms, **rest, stages=at, rng=rng(0)) for at in (None, stages))
    assert some.sums["rmse"].shape[1] == 3 < whole.sums["rmse"].shape[1]
    for metric, sums in whole.at(stages).items():
        assert np.array_equal(some.at(stages)[metric], sums), metric
    assert np.array_equal(some.asked, whole.asked)


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


def test_to_name_one_comes_first_and_at_most_so_often(new_users: World) -> None:
    rng = np.random.default_rng(0)
    timed = play_kinds(new_users, (Form.RATE, Form.RECALL), seconds=Seconds(), budget=30.0, most_namings=2, rng=rng)
    liked = (np.where(new_users.answerable, new_users.ratings, -np.inf) >= new_users.scale.like).sum(1)
    assert np.array_equal(timed.answered[:, 1], np.minimum(liked, 2))
    assert np.array_equal(timed.asked[:, 1], np.minimum(liked + 1, 2))
    first = np.diff(timed.clock, axis=1)[:, 0]
    assert (first == Seconds().recall).all()


def test_a_slate_is_heard_as_a_choice_out_of_what_may_be_known(new_users: World) -> None:
    learner, world = new_users.learner, new_users
    assert learner is not None
    model, talk = learner.model, Talk.begin(new_users, learner.model, np.random.default_rng(0))
    shown = talk.slate()
    timed = play_rounds(world, [Form.SLATE] * 2, seconds=Seconds(), rng=np.random.default_rng(0))
    rows = np.arange(len(shown))[:, None]
    liked = np.where(world.answerable[rows, shown], world.ratings[rows, shown], -np.inf) >= world.scale.like
    assert 0 < liked.any(1).sum() < len(shown)
    row = int(np.flatnonzero(liked.any(1))[0])
    best = shown[row][np.where(liked[row], world.ratings[row, shown[row]], -np.inf).argmax()]
    known = world.answerability.probability(world.answerability.start())[shown[row]]
    belief = model.taste.observe_choice(world.start.of(row), model.taste.shown_options(shown[row], known=known), best)
    held = world.held_out
    here = held.present[row]
    expected = model.taste.expected(Belief(belief.mean[None], belief.covariance[None]), held.columns[[row]])[0]
    squares = ((expected[here] - held.values[row][here]) ** 2).sum()
    assert timed.sums["rmse"][row, 1] == pytest.approx(squares, rel=1e-9)
    assert timed.clock[0].tolist() == [0.0, Seconds().pick(10), 2 * Seconds().pick(10)]
    still = timed.answered[:, 0] == 0
    assert still.any()
    assert np.array_equal(timed.sums["rmse"][still, 0], timed.sums["rmse"][still, 2])


def test_an_answer_can_be_heard_another_way(new_users: World) -> None:
    rng, heard = np.random.default_rng, []

    def hear(talk: Talk, rows: np.ndarray, items: np.ndarray, chosen: np.ndarray) -> None:
        heard.append((len(rows), chosen.sum()))

    for form in (Form.GROUP, Form.PICK, Form.SLATE):
        timed = play_rounds(new_users, [form], seconds=Seconds(), hear={form: hear}, rng=rng(0))
        assert np.array_equal(timed.sums["rmse"][:, 0], timed.sums["rmse"][:, 1])
    assert heard[1][0] == heard[1][1] > 0
    assert heard[2][0] == heard[2][1] > 0


def test_the_list_judge_ranks_everything_by_what_is_known_and_liked(new_users: World) -> None:
    learner = new_users.learner
    assert learner is not None
    taste, exposure = new_users.taste, new_users.answerability.start(len(new_users.subjects))
    row, items = 3, taste.items
    mean = items.level + items.factors @ new_users.start.mean[row] - learner.model.like_cut
    spread = np.einsum("id,de,ie->i", items.factors, new_users.start.covariance[row], items.factors)
    score = np.log(new_users.answerability.rate) + np.log(ndtr(mean / np.sqrt(spread + items.answer_noise)))
    score[new_users.askable[row]] = -np.inf
    held = new_users.held_out
    liked = set(held.columns[row][held.present[row] & (held.values[row] >= new_users.scale.like)].tolist())
    found = [float(item in liked) for item in np.argsort(-score)[:20]]
    hits = found[:10]
    discounts = 1 / np.log2(np.arange(2, 12))
    expected = (hits @ discounts) / discounts[: len(liked)].sum()
    assert 0 < expected < 1
    judged = ListJudge(new_users)(new_users.start, exposure)
    assert judged[LIST][row] == pytest.approx(expected, rel=1e-9)
    assert judged[FOUND][row] == pytest.approx(sum(found) / len(liked), rel=1e-9)
