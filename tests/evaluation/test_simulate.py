from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.acquisition import STRATEGIES
from palate.datasets import Dataset, planted_world
from palate.entities import RATING
from palate.errors import DataError, OptionError
from palate.evaluation.judge import Judge
from palate.evaluation.play import Played, average, ceiling, play
from palate.evaluation.shown_list import FOUND, HITS, LIST, ListJudge, list_scores
from palate.evaluation.simulate import SimulationOptions, labels_saved, questions_needed, simulate
from palate.evaluation.world import World, items_world, users_world
from tests.registry import EVERY

LISTS = (LIST, FOUND)
METRICS = ("rmse", "accuracy", "ndcg@10", "recall@10", "precision@10", "f1@10")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=160, items=60, rng=np.random.default_rng(0)).dataset


@pytest.fixture(scope="module")
def world(data: Dataset) -> World:
    return users_world(data, encoder="none", seed=0, max_users=2000)


def options(**changes: object) -> SimulationOptions:
    given = {"strategies": ("a-optimal",), "budget": 6, "seeds": (0,), "encoder": "none", **changes}
    return SimulationOptions(**given)  # type: ignore[arg-type]


def recorded(world: World, name: str, pool: str, budget: int) -> list[np.ndarray]:
    """Every score that a strategy gave while it played."""
    kept: list[np.ndarray] = []

    def score(belief, candidates, *, rng):
        kept.append(np.array(STRATEGIES[name].score(belief, candidates, rng=rng)))
        return kept[-1]

    play(world, replace(STRATEGIES[name], score=score), pool=pool, budget=budget, rng=np.random.default_rng(0))
    return kept


@pytest.mark.parametrize("pool", ["open", "answered"])
@pytest.mark.parametrize("name", [one for one in EVERY if one.id != "random"])
def test_no_answer_leaks_into_the_first_question(world: World, name: str, pool: str) -> None:
    """The answerable ratings are shuffled: no score of the first question may change."""
    scores, others = (recorded(one, name, pool, 1) for one in (world, world.shuffled(np.random.default_rng(1))))
    assert len(scores) == len(others) > 0
    for score, other in zip(scores, others, strict=True):
        np.testing.assert_array_equal(score, other)


@pytest.mark.parametrize("name", ["a-optimal", "bald", "epig", "variance"])
def test_the_second_question_about_ratings_hangs_on_what_was_asked_only(world: World, name: str) -> None:
    """The covariance of a Gaussian belief does not hang on the answers."""
    scores, others = (recorded(one, name, "answered", 2) for one in (world, world.shuffled(np.random.default_rng(1))))
    np.testing.assert_allclose(scores[1], others[1])


def test_the_answers_do_reach_the_belief(world: World) -> None:
    plays = [
        play(one, STRATEGIES["a-optimal"], pool="answered", budget=3, rng=np.random.default_rng(0)).sums["rmse"]
        for one in (world, world.shuffled(np.random.default_rng(1)))
    ]
    np.testing.assert_array_equal(plays[0][:, 0], plays[1][:, 0])
    assert plays[0][:, 3].sum() < plays[1][:, 3].sum()


def test_new_users_are_not_among_the_fitted(world: World) -> None:
    assert world.learner is not None
    assert not set(world.subjects) & set(world.learner.model.user_ids)
    assert len(world.subjects) == 40 and world.fitted_users == 120


def test_the_catalogue_is_halved_for_each_subject_anew_with_every_seed(data: Dataset) -> None:
    """What can be asked is in no list and no test, and what is answered is what was rated of it."""
    halves: dict[str, list[bytes]] = {}
    for seed in (0, 0, 1):
        one = users_world(data, encoder="none", seed=seed, max_users=2000)
        np.testing.assert_array_equal(one.answerable, one.askable & ~np.isnan(one.ratings))
        assert 0.45 < one.askable.mean() < 0.55
        held = np.zeros_like(one.askable)
        np.put_along_axis(held, one.held_out.columns, one.held_out.present, 1)
        np.testing.assert_array_equal(held, ~one.askable & ~np.isnan(one.ratings))
        for subject, half in zip(one.subjects, one.askable, strict=True):
            halves.setdefault(subject, []).append(half.tobytes())
    twice = [half for half in halves.values() if len(half) == 3]
    assert twice and all(half[0] == half[1] != half[2] for half in twice)


def test_hits_are_the_liked_items_of_the_other_half_among_the_first_ten(world: World) -> None:
    exposure = world.answerability.start(len(world.subjects))
    scores = np.where(world.askable, -np.inf, list_scores(world, world.start, exposure))
    liked = (np.nan_to_num(world.ratings) >= world.scale.like) & ~world.askable
    first = np.argsort(-scores, axis=1)[:, :10]
    hits = ListJudge(world)(world.start, exposure)[HITS]
    np.testing.assert_allclose(hits, np.take_along_axis(liked, first, 1).sum(1))
    assert 0 < hits.mean() < 10


def test_new_items_had_no_rating_in_the_fit(data: Dataset) -> None:
    one = items_world(data, encoder="none", seed=0, max_users=2000)
    rated = data.interactions.filter(pl.col("item_id").is_in(one.subjects))
    assert len(one.subjects) == 12
    assert int((~np.isnan(one.ratings)).sum()) == rated.select("user_id", "item_id").n_unique()
    assert one.start.mean.shape == (12, one.taste.items.dim)


@pytest.mark.parametrize("pool", ["open", "answered"])
def test_who_answers_and_who_does_not(world: World, pool: str) -> None:
    played = play(world, STRATEGIES["random"], pool=pool, budget=8, rng=np.random.default_rng(0))
    gained = np.diff(played.answered, axis=1)
    assert set(np.unique(gained)) <= {0.0, 1.0}
    could = world.answerable.sum(1)
    if pool == "answered":
        np.testing.assert_array_equal(played.answered[:, -1], np.minimum(could, 8))
    else:
        assert played.answered[:, -1].sum() < np.minimum(could, 8).sum()


def test_a_whole_budget_brings_everybody_to_the_ceiling(world: World) -> None:
    everything = play(world, STRATEGIES["random"], pool="open", budget=60, rng=np.random.default_rng(0))
    best = ceiling(world, 60)
    np.testing.assert_allclose(everything.sums["rmse"][:, -1], best.sums["rmse"][:, -1], rtol=1e-6)
    np.testing.assert_array_equal(everything.answered[:, -1], best.answered[:, -1])


def test_the_average_of_plays() -> None:
    one = Played({"rmse": np.array([[2.0, 4.0]])}, {"rmse": np.ones(1)}, np.array([[0.0, 1.0]]), np.ones(1))
    other = replace(one, sums={"rmse": np.array([[4.0, 0.0]])}, answered=np.array([[0.0, 0.0]]))
    mean = average([one, other])
    assert mean.sums["rmse"].tolist() == [[3.0, 2.0]] and mean.answered.tolist() == [[0.0, 0.5]]
    assert mean.weights is one.weights and mean.plays.tolist() == [1.0]


@pytest.mark.parametrize(
    ("curve", "target", "needed"),
    [
        ([1.0, 0.8, 0.6, 0.5], 0.7, 1.5),
        ([1.0, 0.8, 0.6, 0.5], 0.8, 1.0),
        ([1.0, 0.8, 0.6, 0.5], 0.5, 3.0),
        ([1.0, 0.8, 0.6, 0.5], 0.4, np.inf),
        ([1.0, 0.8, 0.6, 0.5], 1.1, 0.0),
        ([1.0, 0.7, 0.9, 0.5], 0.75, 1.0 - 0.05 / 0.3),
    ],
)
def test_questions_needed(curve: list[float], target: float, needed: float) -> None:
    assert questions_needed(np.array([curve]), np.array([target]))[0] == pytest.approx(needed)


def test_labels_saved_by_hand() -> None:
    def played(curve: list[float]) -> Played:
        squares = np.tile(np.square(curve), (5, 1))
        return Played({"rmse": squares}, {"rmse": np.ones(5)}, np.zeros((5, len(curve))), np.ones(5))

    random, good, bad = played([1.0, 0.9, 0.8, 0.7]), played([1.0, 0.7, 0.6, 0.5]), played([1.0, 1.0, 1.0, 0.9])
    saved = labels_saved(random, good)
    assert saved["ratio"] == pytest.approx(3.0) and saved["questions"] == pytest.approx(1.0)
    assert saved["low"] == saved["high"] == pytest.approx(3.0)
    assert labels_saved(random, random)["ratio"] == pytest.approx(1.0)
    assert labels_saved(random, bad)["ratio"] is None
    assert labels_saved(random, good, 1)["questions"] == pytest.approx(1.0 / 3.0)
    useless = played([0.9, 1.0, 1.0, 0.95])  # a random asker who never gets better: nothing can be saved
    assert set(labels_saved(useless, good).values()) == {"rmse", None}
    known = labels_saved(random, played([0.7, 0.6, 0.6, 0.6]))  # as good before the first question
    assert known["questions"] == 0.0 and known["ratio"] is known["high"] is None


@pytest.mark.parametrize("protocol", ["new-users", "new-items", "cold-system"])
@pytest.mark.parametrize("pool", ["open", pytest.param("answered", marks=pytest.mark.long)])
def test_the_document(data: Dataset, protocol: str, pool: str) -> None:
    document = simulate(data, options(protocol=protocol, pool=pool, seeds=(0, 1)))
    json.dumps(document, allow_nan=False)
    assert document["budgets"] == list(range(7))
    assert list(document["strategies"]) == ["random", "popularity", "a-optimal", "answerable-random", "ceiling"]
    assert document["protocol"]["name"] == protocol and document["protocol"]["seeds"] == [0, 1]
    for name, summary in document["strategies"].items():
        for metric in METRICS if protocol == "cold-system" else (*LISTS, *METRICS):
            parts = [np.array(summary[metric][end]) for end in ("low", "mean", "high")]
            assert all(part.shape == (7,) for part in parts), (name, metric)
            assert (parts[0] <= parts[1] + 1e-9).all() and (parts[1] <= parts[2] + 1e-9).all(), (name, metric)
        assert summary["answered"][0] >= 0 and len(summary["answered"]) == 7
    assert document["metric"] == ("rmse" if protocol == "cold-system" else LIST)
    assert next(iter(document["strategies"]["random"])) == document["metric"] or protocol == "cold-system"
    best, random = document["strategies"]["ceiling"], document["strategies"]["random"]
    assert best["rmse"]["mean"][-1] < random["rmse"]["mean"][-1]
    assert random["rmse"]["mean"][-1] < random["rmse"]["mean"][0]
    assert best["share_of_gain"][-1] == pytest.approx(1.0)


def test_two_runs_with_one_seed_agree(data: Dataset) -> None:
    def curves() -> list[object]:
        return [summary["rmse"] for summary in simulate(data, options(strategies=("epig",)))["strategies"].values()]

    assert curves() == curves()


def test_asking_well_beats_asking_at_random_on_a_planted_world(data: Dataset) -> None:
    document = simulate(data, options(pool="answered", seeds=(0, 1, 2, 3)))
    difference = document["strategies"]["a-optimal"]["rmse_minus"]["random"]
    assert difference["high"][2] < 0


def test_likes_are_simulated_too(data: Dataset) -> None:
    liked = (pl.col(RATING) >= 4).cast(pl.Float64).alias(RATING)
    likes = replace(data, interactions=data.interactions.with_columns(liked))
    document = simulate(likes, options(strategies=("bald", "epig"), pool="answered"))
    assert document["strategies"]["ceiling"]["accuracy"]["mean"][-1] > 0.55
    assert document["strategies"]["ceiling"]["rmse"]["mean"][-1] < document["strategies"]["random"]["rmse"]["mean"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ("epic",)}, r"^strategy 'epic' is unknown\. Did you mean 'epig'"),
        ({"budget": 0}, r"^budget 0 and 1 seeds: both must be at least 1\.$"),
        ({"seeds": ()}, r"^budget 6 and 0 seeds: both must be at least 1\.$"),
        ({"strategies": ("system",)}, r"^strategy 'system' is unknown\."),
        ({"targets": "all"}, r"^targets 'all' are unknown\. Use one of known, slate, popularity, uniform\.$"),
        ({"targets": "slate", "protocol": "cold-system"}, r"^a cold system knows nothing of what anybody knows\."),
        ({"protocol": "old-users"}, r"^protocol 'old-users' is unknown\. Use new-users, new-items or cold-system\.$"),
        ({"pool": "closed"}, r"^pool 'closed' is unknown\. Use answered or open\.$"),
    ],
)
def test_wrong_options(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        options(**changes)


def events_of(data: Dataset) -> Dataset:
    """The ratings as events for and against."""
    word = pl.when(pl.col(RATING) >= 4).then(pl.lit("like")).when(pl.col(RATING) <= 2).then(pl.lit("dislike"))
    rows = data.interactions.with_columns(event=word, rating=pl.lit(None, pl.Float64))
    return replace(data, interactions=rows.drop_nulls("event"))


def test_what_was_done_later_is_the_answer_and_lists_are_of_the_whole_catalogue(data: Dataset) -> None:
    world = users_world(events_of(data), encoder="none", seed=0, max_users=2000)
    assert set(np.unique(world.ratings[world.answerable])) == {-1.0, 1.0}
    of_all = world.held_out.open
    assert of_all is not None
    np.testing.assert_array_equal(of_all, ~world.askable)
    judged = Judge(world.taste, world.held_out, world.scale)(world.start)
    assert set(judged) == set(METRICS) - {"rmse", "accuracy"}
    score = (
        world.taste.items.level + world.start.mean @ world.taste.items.factors.T
    )  # the same for all: nothing is known
    row = int(np.flatnonzero(judged["recall@10"])[0])
    first = [item for item in np.argsort(-score[row], kind="stable") if of_all[row, item]][:10]
    wanted = of_all[row] & (world.ratings[row] > 0)
    assert judged["precision@10"][row] == pytest.approx(wanted[first].mean())
    assert judged["recall@10"][row] == pytest.approx(wanted[first].sum() / wanted.sum())


def test_asking_well_beats_asking_at_random_of_events_too(data: Dataset) -> None:
    document = simulate(events_of(data), options(strategies=("lookahead",), pool="answered", seeds=(0, 1), budget=8))
    best, random = document["strategies"]["ceiling"], document["strategies"]["random"]
    for metric in (LIST, "ndcg@10"):
        assert best[metric]["mean"][-1] - random[metric]["mean"][0] > (0.02 if metric == "ndcg@10" else 0.0)
        assert np.mean(document["strategies"]["lookahead"][f"{metric}_minus"]["random"]["mean"][1:]) > 0
    assert document["strategies"]["lookahead"]["share_of_gain"][-1] > 0.0


def test_new_items_are_played_from_events(data: Dataset) -> None:
    document = simulate(events_of(data), options(protocol="new-items"))
    assert document["metric"] == LIST and "rmse" not in document["strategies"]["a-optimal"]


def test_data_without_ratings_and_events_cannot_answer(data: Dataset) -> None:
    shown = data.interactions.with_columns(rating=pl.lit(None, pl.Float64), event=pl.lit("impression"))
    silent = replace(data, interactions=shown)
    with pytest.raises(DataError, match=r"^data set 'planted' has no ratings and no events to simulate answers from\."):
        simulate(silent, options())


@pytest.mark.long
@pytest.mark.parametrize("pool", ["open", pytest.param("answered", marks=pytest.mark.long)])
def test_a_cold_system_can_be_asked_pair_by_pair(data: Dataset, pool: str) -> None:
    document = simulate(data, options(protocol="cold-system", strategies=("system",), pool=pool, budget=15))
    system = document["strategies"]["system"]
    assert 0 < system["answered"][-1] <= 1
    assert system["rmse"]["mean"][-1] < system["rmse"]["mean"][0]
    assert len(set(system["rmse"]["mean"])) == 4  # known anew after each of three rounds


def test_what_strategies_aim_at_is_played_and_recorded(data: Dataset) -> None:
    usual, uniform = (simulate(data, options(targets=targets, pool="open")) for targets in ("known", "uniform"))
    assert uniform["protocol"]["targets"] == "uniform" and uniform["command"].endswith(" --targets uniform")
    curves = [document["strategies"]["a-optimal"]["rmse"]["mean"] for document in (usual, uniform)]
    assert curves[0] != curves[1]
