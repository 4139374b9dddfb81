from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.errors import OptionError
from palate.posteriors.attribute_coding import Category, Coding, Number
from palate.posteriors.attributes import Attributes, combined, fit_attributes, no_wider
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste

Array = np.ndarray


class Planted:
    """Users whose taste hangs on their age and their town, as far as ``strength`` says; 30 items, noise 0.5."""

    def __init__(self, strength: float, users: int = 400, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.age = rng.uniform(20, 60, users)
        self.town = rng.choice(["north", "south", "west"], users)
        explained = np.column_stack([(self.age - 40) / 11.5, self.town == "north"])
        explained = (explained - explained.mean(0)) / explained.std(0)
        own = rng.normal(size=(users, 2))
        tastes = np.sqrt(strength) * explained + np.sqrt(1 - strength) * own
        factors = rng.normal(size=(30, 2))
        self.ratings = 3 + tastes @ factors.T + 0.5 * rng.normal(size=(users, 30))
        means = np.column_stack([np.full(30, 3.0), factors])
        self.taste = Taste.build(Items.build(means, np.zeros((30, 3, 3)), np.full(30, 0.25)), Gaussian())

    def columns(self, rows: slice) -> dict[str, Sequence[object]]:
        return {"age": self.age[rows].tolist(), "town": self.town[rows].tolist()}

    def fitted(self) -> Attributes:
        """On the first 300 users, ten ratings each."""
        answers = sparse.csr_matrix(self.ratings[:300] * (np.arange(30) % 3 == 0))
        found = fit_attributes(self.taste, answers, self.columns(slice(0, 300)))
        assert found is not None
        return found

    def error_of_new_users(self, columns: dict[str, Sequence[object]], attributes: Attributes) -> float:
        """RMSE on all the others rated, before any question."""
        belief = attributes.start(self.taste, columns, 100)
        predicted = 3 + belief.mean @ self.taste.items.factors.T
        return float(np.sqrt(((predicted - self.ratings[300:]) ** 2).mean()))


def test_attributes_that_matter_lower_the_error_before_any_question() -> None:
    world = Planted(0.6)
    attributes = world.fitted()
    nothing = world.error_of_new_users({}, attributes)
    found = world.error_of_new_users(world.columns(slice(300, None)), attributes)
    # of a variance of 2 a user and item, three fifths are explained
    assert found < 0.75 * nothing


def test_attributes_that_say_nothing_change_next_to_nothing() -> None:
    world = Planted(0.0)
    attributes = world.fitted()
    nothing = world.error_of_new_users({}, attributes)
    assert world.error_of_new_users(world.columns(slice(300, None)), attributes) == pytest.approx(nothing, rel=0.02)


def test_a_belief_from_attributes_is_surer_and_covers_the_truth() -> None:
    world = Planted(0.6)
    belief = world.fitted().start(world.taste, world.columns(slice(300, None)), 100)
    variance = np.einsum("id,nde,ie->ni", world.taste.items.factors, belief.covariance, world.taste.items.factors)
    z = (world.ratings[300:] - 3 - belief.mean @ world.taste.items.factors.T) / np.sqrt(variance + 0.25)
    assert (z**2).mean() == pytest.approx(1.0, abs=0.2)
    assert np.trace(belief.covariance.mean(0)) < 0.6 * 2


def test_nothing_known_is_the_population() -> None:
    world = Planted(0.6)
    attributes = world.fitted()
    belief = attributes.start(world.taste, {"age": [None, float("nan"), 30.0], "town": ["", None, None]}, 3)
    assert belief.mean[:2].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert belief.covariance[0].tolist() == np.eye(2).tolist()
    assert belief.mean[2].any()
    one = attributes.start_one(world.taste, {"age": 30.0})
    np.testing.assert_allclose(one.mean, belief.mean[2])
    np.testing.assert_allclose(one.covariance, belief.covariance[2])
    assert attributes.start_one(world.taste, {}).mean.tolist() == [0.0, 0.0]


def test_coding_by_hand() -> None:
    coding = Coding.of({"age": [20, 40, None, 30], "town": ["a", "b", "a", None], "fan": [True, False, True, True]})
    deviation = np.sqrt(200 / 3)
    assert coding.attributes == (
        Number("age", 30.0, pytest.approx(deviation)),
        Category("town", ("a", "b"), (2 / 3, 1 / 3), 0.0),
        Category("fan", ("False", "True"), (0.25, 0.75), 0.0),
    )
    found = coding.encode({"age": [20, None], "town": ["a", None], "fan": [False, None]}, 2)
    assert found[0].tolist() == pytest.approx([-10 / deviation, 1 / 3, -1 / 3, 0.75, -0.75])
    assert found[1].tolist() == [0.0] * 5


def test_a_coding_comes_back_from_json() -> None:
    coding = Coding.of({"age": [20, 40, None], "town": ["a", "b", "a"], "fan": [True, False, True]})
    assert Coding.from_dicts(json.loads(json.dumps(coding.as_dicts()))) == coding


def test_rare_categories_share_one_indicator_with_those_never_seen() -> None:
    (town,) = Coding.of({"town": ["a"] * 98 + ["b"] + ["c"]}).attributes
    assert town == Category("town", ("a",), (0.98,), 0.02)
    found = town.encode(["a", "b", "c", "never seen", None])
    assert found[0].tolist() == pytest.approx([0.02, -0.02])
    assert found[1].tolist() == found[2].tolist() == found[3].tolist() == pytest.approx([-0.98, 0.98])
    assert found[4].tolist() == [0.0, 0.0]


def test_a_category_never_seen_is_missing_where_there_was_no_rare_one() -> None:
    (town,) = Coding.of({"town": ["a", "b", "a"]}).attributes
    assert town.encode(["c"]).tolist() == [[0.0, 0.0]]


def test_the_mean_of_the_fitted_codes_is_zero() -> None:
    world = Planted(0.5)
    found = Coding.of(world.columns(slice(None))).encode(world.columns(slice(None)), 400)
    np.testing.assert_allclose(found.mean(0), 0.0, atol=1e-12)
    assert found[:, 0].std() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "values", [[5, 5], ["a", "a"], [None, None], [], [[1], [2]], [1, "a"], [f"name {i}" for i in range(100)]]
)
def test_what_tells_nobody_apart_is_left_out(values: list[object]) -> None:
    assert Coding.of({"column": values}).attributes == ()


def test_without_attributes_there_is_no_prior() -> None:
    world = Planted(0.5, users=10)
    answers = sparse.csr_matrix(world.ratings)
    assert fit_attributes(world.taste, answers, {}) is None
    assert fit_attributes(world.taste, answers, {"age": [30] * 10}) is None
    assert fit_attributes(world.taste, sparse.csr_matrix((10, 30)), {"age": list(range(10))}) is None


def test_bad_attributes_are_refused() -> None:
    world = Planted(0.5)
    attributes = world.fitted()
    with pytest.raises(OptionError) as error:
        attributes.start_one(world.taste, {"height": 180})
    assert str(error.value) == "the attribute 'height' was not fitted. The attributes are: age, town."
    for value in ("old", True):
        with pytest.raises(OptionError) as error:
            attributes.start_one(world.taste, {"age": value})
        assert str(error.value) == f"the attribute age is {value!r}. Give a number."


def test_numbers_that_are_written_out_are_numbers() -> None:
    (age,) = Coding.of({"age": ["20", "40", "", "30.0", "30"]}).attributes
    assert age == Number("age", 30.0, pytest.approx(np.sqrt(50)))
    assert age.encode([" 30", 30]).tolist() == [[0.0], [0.0]]
    assert (age.read("7"), age.read("unknown"), age.read("")) == (7.0, None, None)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["07030", "10001", "10001"], Category),  # postal codes
        (["ann", "bob", "cleo"], None),
        ([f"{number}" for number in range(50)], None),
        (list(range(50)), None),
        ([number + 0.5 for number in range(50)], Number),
        ([*range(49), 3], Number),
        ([1e31, 1.0, 2.0], None),
    ],
)
def test_a_column_that_names_the_users_is_no_attribute(values: list[object], kind: type | None) -> None:
    found = Coding.of({"column": values}).attributes
    assert [type(one) for one in found] == ([] if kind is None else [kind])


def test_no_more_attributes_than_can_be_fitted(caplog: pytest.LogCaptureFixture) -> None:
    found = Coding.of({f"a{number}": [0.0, 1.0, 1.0] for number in range(1002)})
    assert found.width == 1000 and found.names[-1] == "a999"
    assert "the attribute 'a1000' and those after it are left out" in caplog.text


@pytest.mark.parametrize(
    "one",
    [
        {"name": 3, "mean": 1.0, "deviation": 1.0},
        {"name": "age", "mean": "1", "deviation": 1.0},
        {"name": "age", "mean": 1.0, "deviation": 0.0},
        {"name": "age", "mean": 1.0},
        {"name": "town", "levels": ["a"], "shares": [0.5, 0.5], "pooled": 0.0},
        {"name": "town", "levels": [1], "shares": [0.5], "pooled": 0.0},
        {"levels": ["a"]},
    ],
)
def test_what_is_no_coding_is_refused(one: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Coding.from_dicts([one])


CODING = Coding((Number("age", 30.0, 10.0), Category("town", ("a", "b"), (0.5, 0.5), 0.0)))


def test_what_is_told_is_kept_in_one_form() -> None:
    assert CODING.check({"age": np.int64(23), "town": "a"}) == {"age": 23.0, "town": "a"}
    assert CODING.check({"age": " 23", "town": ""}) == {"age": 23.0, "town": None}
    assert CODING.check({"age": float("nan"), "town": None}) == {"age": None, "town": None}
    assert Coding((Category("fan", ("False", "True"), (0.5, 0.5), 0.0),)).check({"fan": True}) == {"fan": "True"}
    rare = Coding((Category("town", ("a",), (0.9,), 0.1),))
    assert rare.check({"town": "never seen"}) == {"town": "never seen"}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"height": 1}, "the attribute 'height' was not fitted. The attributes are: age, town."),
        ({"age": "old"}, "the attribute age is 'old'. Give a number."),
        ({"age": [23]}, "the attribute age is [23]. Give a number."),
        ({"age": float("inf")}, "the attribute age is inf. Give a number."),
        ({"age": 10**5000}, "the attribute age is of more than 40 digits. Give a number."),
        ({"age": 2300}, "the attribute age is 2300, of the fitted users 30 ± 10. Give another."),
        ({"town": "c"}, "the attribute town is 'c', which no user had. Give one of a, b."),
        ({"town": ["a"]}, "the attribute town is ['a']. Give text."),
        ({"town": 1.5}, "the attribute town is 1.5. Give text."),
    ],
)
def test_what_cannot_be_taken_is_refused(told: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as error:
        CODING.check(told)
    assert str(error.value) == message


def test_nobody_is_less_sure_for_being_known() -> None:
    covariance = np.array([[4.0, 0.0], [0.0, 0.25]])
    np.testing.assert_allclose(no_wider(covariance), np.diag([1.0, 0.25]))
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    np.testing.assert_allclose(
        no_wider(np.stack([turn @ covariance @ turn.T, np.eye(2)])),
        [turn @ np.diag([1.0, 0.25]) @ turn.T, np.eye(2)],
        atol=1e-12,
    )
    world = Planted(0.0)
    belief = world.fitted().start(world.taste, {"age": [1000.0], "town": ["north"]}, 1)
    assert np.linalg.eigvalsh(belief.covariance[0]).max() <= 1.0 + 1e-12


def test_two_sources_combined_by_hand() -> None:
    """Precisions 4 + 2 - 1 = 5 in the first direction, where the pulls are 4 · 1 and 2 · 2; the second says nothing."""
    one = Belief(np.array([1.0, 0.0]), np.diag([0.25, 1.0]))
    other = Belief(np.array([2.0, 3.0]), np.diag([0.5, 1.0]))
    both = combined(one, other)
    np.testing.assert_allclose(both.mean, [8 / 5, 3.0])
    np.testing.assert_allclose(both.covariance, np.diag([0.2, 1.0]))
    nothing = Belief(np.zeros(2), np.eye(2))
    for belief in (combined(one, nothing), combined(nothing, one)):
        np.testing.assert_allclose(belief.mean, one.mean)
        np.testing.assert_allclose(belief.covariance, one.covariance)


def test_two_sources_are_better_than_one() -> None:
    """Each tells the taste with noise of its own: the conditional mean of both is what least squares would find."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(4000, 1))
    seen = [taste + noise * rng.normal(size=taste.shape) for noise in (1.0, 0.5)]
    beliefs = [
        (values / (1 + noise**2), np.array([[noise**2 / (1 + noise**2)]]))
        for values, noise in zip(seen, (1.0, 0.5), strict=True)
    ]
    both = [combined(*(Belief(mean[row], covariance) for mean, covariance in beliefs)) for row in range(4000)]
    errors = [float(((mean - taste) ** 2).mean()) for mean, _ in beliefs]
    error = float(((np.array([belief.mean for belief in both]) - taste) ** 2).mean())
    assert error < 0.95 * min(errors)
    assert error == pytest.approx(both[0].covariance[0, 0], rel=0.1)  # 1 / (1 + 1 + 4)
