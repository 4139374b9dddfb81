import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.stats import norm

from palate.entities import Answer, AnswerKind, Question
from palate.errors import AnswerError, DataError, OptionError
from palate.oracles.pseudo_labels import (
    Believed,
    Prediction,
    PseudoLabels,
    PseudoOracle,
    counts,
    is_pseudo,
    weight_of,
)
from palate.posteriors import likelihoods
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.taste import Taste

IDS = ["a", "b", "c", "d", "e", "f"]


class Fixed:
    """Says the same of everybody: the item's number, the surer the higher."""

    name = "fixed"

    def __init__(self):
        self.seen = []

    def predict(self, items, answers):
        self.seen.append((items.tolist(), answers.tolist()))
        return Prediction(np.arange(6.0), np.array([0, 1, 2, 3, 4, 5.0]))


def labels(**options) -> PseudoLabels:
    defaults = {"view": Fixed(), "threshold": 2.0, "scale": (1.0, 4.0), "error": 0.1}
    return PseudoLabels(**{**defaults, **options})


def said(answers) -> list[tuple[str, float]]:
    return [(answer.item_id, answer.value) for answer in answers]


def taste(kind="gaussian", n=40, dim=3, rng=None) -> Taste:
    rng = rng or np.random.default_rng(0)
    items = Items(
        rng.normal(size=n), rng.normal(size=(n, dim)), Spread("isotropic", np.zeros((n, 1))), np.linspace(0.2, 2.0, n)
    )
    return Taste.build(items, likelihoods.named(kind))


@pytest.mark.parametrize(
    ("items", "answers", "options", "held", "expected"),
    [
        ([0, 1], [3, 3], {}, (), [("f", 4.0), ("e", 4.0)]),  # two real ones, so two; none above the scale
        ([0, 5], [3, 3], {}, (), [("e", 4.0), ("d", 3.0)]),  # never what was answered
        ([0, 1], [3, 3], {"share": 10.0}, (), [("f", 4.0), ("e", 4.0), ("d", 3.0), ("c", 2.0)]),  # c is the least sure
        ([0, 1], [3, 3], {"share": 0.5}, (), [("f", 4.0)]),
        ([0, 1], [3, 3], {"share": 0.4}, (), []),
        ([0, 1], [3, 3], {}, (5,), [("e", 4.0)]),  # what is there already counts
        ([0, 1], [3, 3], {}, (5, 4), []),
        ([0, 5], [3, np.nan], {}, (), [("e", 4.0)]),  # no rating: gives no room, but is not spoken over
        ([0, 1], [3, 3], {"threshold": np.inf}, (), []),
        ([], [], {}, (), []),
    ],
)
def test_what_is_proposed(items, answers, options, held, expected):
    made = labels(**options).propose("ann", IDS, np.array(items, dtype=int), np.array(answers, dtype=float), held=held)
    assert said(made) == expected
    assert all(is_pseudo(one) and one.user_id == "ann" and one.is_rating for one in made)


def test_the_view_sees_ratings_only():
    made = labels()
    made.propose("ann", IDS, np.array([0, 3]), np.array([2.0, np.nan]))
    assert made.view.seen == [([0], [2.0])]


def test_the_mark_names_the_view_and_the_weight():
    (made,) = labels(weight=0.125).propose("ann", IDS, np.array([0]), np.array([3.0]))
    assert (made.source, weight_of(made)) == ("pseudo:fixed@0.125", 0.125)


def rating(source: str, item: str = "a", user: str = "ann") -> Answer:
    return Answer(user, item, AnswerKind.RATING, 3.0, source=source)


def test_a_real_answer_has_all_the_weight():
    assert weight_of(rating("person")) == 1.0 and not is_pseudo(rating("simulated"))


@pytest.mark.parametrize("source", ["pseudo:x", "pseudo:x@", "pseudo:x@1", "pseudo:x@0", "pseudo:x@nan", "pseudo:x@2"])
def test_a_pseudo_label_cannot_weigh_as_much_as_an_answer(source):
    with pytest.raises(AnswerError) as caught:
        weight_of(rating(source))
    assert str(caught.value) == (
        f"the source {source!r} names no weight between 0 and 1. Mark pseudo-labels as in pseudo:name@0.25."
    )


def test_they_are_counted_apart():
    assert counts([rating("person"), rating("pseudo:x@0.5"), rating("simulated")]) == (2, 1)
    assert counts([]) == (0, 0)


# --- calibration ----------------------------------------------------------------------------------


class Truthful:
    """Right on the items from 10 on, and sure of it; wrong on the others."""

    name = "truthful"

    def predict(self, items, answers):
        here = np.arange(20)
        return Prediction(np.where(here < 10, 0.0, 5.0), here.astype(float))


def everybody(users=30) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.full((users, 20), 5.0))


def test_the_threshold_is_where_the_stated_error_holds(rng):
    fitted = PseudoLabels.fit(Truthful(), everybody(), tolerance=0.5, given=2, error=0.05, rng=rng)
    assert 9 < fitted.threshold <= 15 and fitted.scale == (5.0, 5.0) and fitted.reliability == 0.95


def test_a_wide_tolerance_forgives_all(rng):
    assert PseudoLabels.fit(Truthful(), everybody(), tolerance=5.0, given=2, rng=rng).threshold == 0.0


def test_nothing_is_said_where_nothing_can_be_shown(rng):
    fitted = PseudoLabels.fit(Truthful(), everybody(1), tolerance=0.5, given=2, error=0.05, rng=rng)
    assert fitted.threshold == np.inf
    assert fitted.propose("ann", [str(i) for i in range(20)], np.arange(5), np.ones(5)) == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda rng: PseudoLabels.fit(Truthful(), everybody(), tolerance=0.5, given=20, rng=rng),
            DataError,
            "no user has more than 20 answers to check predictions on. Give fewer, or more answers.",
        ),
        (
            lambda rng: PseudoLabels.fit(Truthful(), everybody(), tolerance=-1.0, rng=rng),
            OptionError,
            "given is 5 and tolerance -1.0. Give at least 1 answer, and 0 or more.",
        ),
        (
            lambda rng: labels(weight=1.0),
            OptionError,
            "the weight 1.0 is out of range: below that of a real answer, between 0 and 1.",
        ),
        (
            lambda rng: labels(share=-1.0),
            OptionError,
            "the share of pseudo-labels is -1.0. Give 0 or more to one real answer.",
        ),
        (
            lambda rng: Believed(taste("implicit")).predict(np.array([0]), np.array([1.0])),
            OptionError,
            "pseudo-labels stand for ratings or likes, and this model was fitted on events alone.",
        ),
    ],
)
def test_bad_input(call, error, message, rng):
    with pytest.raises(error) as caught:
        call(rng)
    assert str(caught.value) == message


# --- the model's own prediction -------------------------------------------------------------------


def test_own_prediction_is_the_predictive_mean_and_as_sure_as_narrow():
    model, items, answers = taste(), np.array([3, 7]), np.array([1.0, -2.0])
    belief = model.start
    for item, answer in zip(items, answers, strict=True):
        belief = model.observe(belief, item, answer)
    mean, variance = model.items.predict(belief)
    made = Believed(model).predict(items, answers)
    np.testing.assert_allclose(made.values, mean)
    np.testing.assert_allclose(made.certainty, -np.sqrt(variance))


def test_likes_are_said_as_the_likelier_answer():
    model, items, answers = taste("probit"), np.array([3, 7]), np.array([1.0, 0.0])
    made = Believed(model).predict(items, answers)
    belief = model.observe(model.observe(model.start, 3, 1.0), 7, 0.0)
    mean, variance = model.items.predict(belief)
    chance = norm.cdf(mean / np.sqrt(variance))
    assert made.values.tolist() == (chance >= 0.5).tolist()
    assert np.argsort(made.certainty).tolist() == np.argsort(np.abs(chance - 0.5)).tolist()


def test_own_means_as_answers_move_no_mean_and_lower_every_variance():
    """Why a model cannot teach itself: the same list, falsely certain."""
    model = taste()
    before = model.observe(model.observe(model.start, 3, 1.0), 7, -2.0)
    values, after = model.items.predict(before)[0], before
    for item in range(20):
        factors, level = model.items.factors[item], model.items.level[item]
        error = values[item] - level - factors @ after.mean
        after = after.update(factors, error, model.items.answer_noise[item] / 0.25)
    np.testing.assert_allclose(after.mean, before.mean, atol=1e-9)
    assert (model.items.predict(after)[1] < model.items.predict(before)[1]).all()


def test_a_weight_of_a_quarter_is_a_quarter_of_an_answer():
    """Four pseudo-labels of weight ¼ that say the same are one real answer."""
    model = taste()
    factors, noise = model.items.factors[0], model.items.answer_noise[0]
    once, often = model.start.update(factors, 1.0, noise), model.start
    for _ in range(4):
        often = often.update(factors, 1.0 - factors @ (often.mean - model.start.mean), noise / 0.25)
    np.testing.assert_allclose(often.mean, once.mean)
    np.testing.assert_allclose(often.covariance, once.covariance)
    assert isinstance(often, Belief)


# --- as an oracle ---------------------------------------------------------------------------------


def question(item: str, user: str = "ann") -> Question:
    return Question(user, item, "epig", value=0.2, answerable=0.5, propensity=0.25)


def test_answers_what_it_is_sure_of_and_skips_the_rest():
    oracle = PseudoOracle(labels(), IDS, {"ann": {"a": 3.0, "f": 2.0}})
    made = oracle.answer([question("d"), question("f"), question("e"), question("e", "bob")])
    assert [(one.item_id, one.kind, one.value) for one in made] == [
        ("d", AnswerKind.RATING, 3.0),
        ("f", AnswerKind.SKIPPED, None),  # has a real answer
        ("e", AnswerKind.RATING, 4.0),
        ("e", AnswerKind.SKIPPED, None),  # nothing real, so nothing pseudo
    ]
    assert {(one.source, one.propensity, one.question) for one in made} == {("pseudo:fixed@0.25", 0.25, "epig")}
