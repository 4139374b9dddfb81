"""Questions of all forms under one measure: each against the definition, and where nothing can be asked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from palate.acquisition import Candidates, Given
from palate.acquisition.questions.choices import PICK_SHORTLIST
from palate.acquisition.questions.context import Offers, QuestionContext
from palate.acquisition.questions.forms import FORMS, best_offer, offers, view_chance
from palate.acquisition.questions.groups import LARGEST_GROUP
from palate.costs import LISTS, Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.loop.offered import candidates_of, context_of
from palate.model.model import Model
from palate.posteriors.belief import Belief
from palate.posteriors.choices import expected_fall
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.population import Population
from palate.posteriors.probit import assumed_density
from tests.worlds import learner, words


def model(kind: str = "ratings") -> Model:
    with words():
        return learner(kind).model


def setting(kind: str = "ratings", users: int = 1, **changes: object) -> QuestionContext:
    """Some users who differ, and everything open."""
    of, draw = model(kind), np.random.default_rng(1)
    start, exposure = of.taste.start, of.answerability.start(users)
    candidates = candidates_of(of).aimed(of.answerability, exposure, Given.nothing(users))
    mean = start.mean + 0.3 * draw.normal(size=(users, start.dim))
    made = context_of(
        of,
        candidates,
        Belief(mean, np.tile(start.covariance, (users, 1, 1))),
        np.ones((users, len(candidates)), dtype=bool),
        seconds=Seconds(),
        concepts=of.concepts,
        open_concepts=np.ones((users, len(of.concepts)), dtype=bool),
        preview_reach=np.ones((users, len(candidates))),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ask(form: Form, of: QuestionContext, seed: int = 0) -> Offers:
    return FORMS[form](of, rng=np.random.default_rng(seed))


def fall(of: QuestionContext, factors: np.ndarray, curvature: float, user: int = 0) -> float:
    """Fall of the mean variance of what may be shown, by the definition: tr(Q S) before less after."""
    covariance = of.belief.covariance[user]
    along = covariance @ factors
    after = covariance - curvature * np.outer(along, along)
    return float(np.trace(of.moment[user] @ (covariance - after)))


def curvature_of(level: float, factors: np.ndarray, noise: float, belief: Belief, known: float = 1.0) -> float:
    """−E[second derivative] over both answers."""
    mean, variance = level + factors @ belief.mean[0], factors @ belief.covariance[0] @ factors
    unit = np.array(mean / np.sqrt(noise)), np.array(variance / noise)
    yes = known * norm.cdf(mean / np.sqrt(noise + variance))
    _, up = assumed_density(*unit, np.array(1.0), known=known)
    _, down = assumed_density(*unit, np.array(0.0), known=known)
    return float(-(yes * up + (1 - yes) * down) / noise)


@pytest.mark.long
def test_a_rating_is_worth_what_it_says_per_second() -> None:
    of = setting()
    offer = ask(Form.RATE, of)
    items, reach = of.candidates.items, of.candidates.reach[0]
    variance = of.belief.variance(items.factors)[0]
    worth = [
        fall(of, items.factors[i], 1.0 / (variance[i] + of.candidates.noise[i])) * reach[i] for i in range(len(items))
    ]
    assert offer.items.tolist() == [[int(np.argmax(worth))]]
    assert offer.gain[0] == pytest.approx(max(worth))
    assert offer.value[0] == pytest.approx(max(worth) / Seconds().rate)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_a_preview_is_worth_a_noisy_like_that_everybody_can_give(kind: str) -> None:
    of = setting(kind)
    offer = ask(Form.PREVIEW, of)
    item = int(offer.items[0, 0])
    items = of.candidates.items
    noise = of.candidates.noise[item] + of.preview_noise
    curvature = curvature_of(items.level[item] - of.cut, items.factors[item], noise, of.belief)
    assert offer.gain[0] == pytest.approx(fall(of, items.factors[item], curvature))
    assert offer.chance[0] == 1.0


def test_a_concept_is_worth_what_its_direction_says() -> None:
    of = setting()
    offer = ask(Form.CONCEPT, of)
    place, concepts = int(offer.concept[0]), of.concepts
    curvature = curvature_of(concepts.level[place], concepts.directions[place], concepts.noise[place], of.belief)
    chance = view_chance(concepts, of.candidates.known)[0, place]
    assert offer.gain[0] == pytest.approx(fall(of, concepts.directions[place], curvature) * chance)
    assert offer.items.tolist() == [[-1]]


def test_chance_of_a_view_is_that_of_two_known_items() -> None:
    of = setting()
    expected = of.concepts.inside.T @ of.candidates.known[0]
    np.testing.assert_allclose(view_chance(of.concepts, of.candidates.known)[0], 1 - np.exp(-expected) * (1 + expected))


@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_a_pair_is_worth_what_the_difference_says(kind: str) -> None:
    of = setting(kind)
    offer = ask(Form.PAIR, of)
    first, second = offer.items[0]
    items, noise = of.candidates.items, of.candidates.noise
    between, level = items.factors[first] - items.factors[second], items.level[first] - items.level[second]
    curvature = curvature_of(level, between, noise[first] + noise[second], of.belief)
    worth = np.sqrt(of.worth[0, first] * of.worth[0, second])
    assert offer.gain[0] == pytest.approx(fall(of, between, curvature) * offer.chance[0] * worth)
    known = of.candidates.known[0]
    assert 0 < offer.chance[0] < known[first] * known[second]  # some pairs are rated the same


def test_on_a_continuous_scale_no_two_ratings_are_equal() -> None:
    of = setting(step=0.0)
    offer = ask(Form.PAIR, of)
    first, second = offer.items[0]
    assert offer.chance[0] == pytest.approx(of.candidates.known[0, first] * of.candidates.known[0, second])


def test_each_item_of_a_group_is_worth_what_it_adds() -> None:
    of = setting()
    offer = ask(Form.GROUP, of)
    items, chosen = of.candidates.items, offer.items[0][offer.items[0] >= 0]
    assert 2 <= len(chosen) <= LARGEST_GROUP and len(set(chosen)) == len(chosen)
    gain, taps, now = 0.0, 0.0, of
    for item in chosen:
        known = of.candidates.known[0, item]
        level, factors, noise = items.level[item] - of.cut, items.factors[item], of.candidates.noise[item]
        curvature = curvature_of(level, factors, noise, now.belief, known)
        gain += fall(now, factors, curvature) * of.worth[0, item]
        variance = factors @ now.belief.covariance[0] @ factors
        taps += known * norm.cdf((level + factors @ now.belief.mean[0]) / np.sqrt(variance + noise))
        along = now.belief.covariance[0] @ factors
        after = now.belief.covariance - curvature * np.outer(along, along)
        now = replace(of, belief=Belief(of.belief.mean, after))
    assert offer.gain[0] == pytest.approx(gain)
    assert offer.seconds[0] == pytest.approx(float(Seconds().group(len(chosen), taps)))
    np.testing.assert_allclose(offer.after[0], now.belief.covariance[0], atol=1e-12)


@pytest.mark.parametrize("kind", ["ratings", "likes", "events"])
def test_each_item_of_a_page_is_worth_what_its_rating_adds(kind: str) -> None:
    of = setting(kind)
    offer = ask(Form.PAGE, of)
    chosen = offer.items[0][offer.items[0] >= 0]
    known = of.candidates.known[0, chosen]
    gain, now = 0.0, of.belief
    for item, chance in zip(chosen, known, strict=True):
        alone = replace(of, belief=now)
        curvature = chance * alone.of_rating[0, item]
        factors = of.candidates.items.factors[item]
        gain += fall(alone, factors, curvature) * of.worth[0, item]
        along = now.covariance[0] @ factors
        now = Belief(now.mean, now.covariance - curvature * np.outer(along, along))
    assert offer.gain[0] == pytest.approx(gain)
    assert offer.chance[0] == pytest.approx(1 - np.prod(1 - known))  # one rating is an answer
    assert offer.seconds[0] == pytest.approx(len(chosen) * Seconds().look + (1 + known.sum()) * Seconds().tap)
    np.testing.assert_allclose(offer.after, now.covariance, atol=1e-12)


@pytest.mark.parametrize(("form", "least"), [(Form.GROUP, 1.0), (Form.PAGE, 0.5)])
def test_a_list_ends_before_the_item_that_tells_too_little(form: Form, least: float) -> None:
    """Of one size, two and so on: an item more per second of its own against all before it."""
    clock = Seconds(look=1.0, tap=0.8)
    of = setting(seconds=clock)
    items = ask(form, of).items[0]
    size = int((items >= 0).sum())
    assert 2 <= size < LARGEST_GROUP
    shorter = replace(of, allowed=np.isin(np.arange(len(of.candidates)), items[: size - 1])[None])
    without, whole = ask(form, shorter), ask(form, of)
    added = (whole.gain - without.gain) / (whole.seconds - without.seconds)
    assert added[0] > least * without.value[0]


def test_a_page_is_longer_than_its_best_value_per_second() -> None:
    sizes = [int((ask(form, setting(seconds=Seconds(look=1.0, tap=0.1))).items >= 0).sum()) for form in LISTS]
    assert sizes[0] < sizes[1]


def test_a_group_grows_while_its_seconds_pay() -> None:
    sizes = [
        (ask(Form.GROUP, setting(seconds=Seconds(look=look, tap=tap))).items >= 0).sum()
        for look, tap in ((100.0, 0.1), (0.1, 100.0))
    ]
    assert sizes[0] == 2 < sizes[1] <= LARGEST_GROUP


def test_several_users_at_once_get_what_each_gets_alone() -> None:
    together = setting(users=3)
    for form in FORMS:
        offer = ask(form, together)
        for user in range(3):
            alone = replace(
                together,
                candidates=replace(
                    together.candidates,
                    targets=together.candidates.targets[user : user + 1],
                    known=together.candidates.known[user : user + 1],
                    reach=together.candidates.reach[user : user + 1],
                ),
                belief=Belief(together.belief.mean[user : user + 1], together.belief.covariance[user : user + 1]),
                allowed=together.allowed[:1],
                open_concepts=together.open_concepts[:1],
                preview_reach=together.preview_reach[:1],
            )
            one = ask(form, alone)
            assert one.items.tolist() == offer.items[user : user + 1].tolist(), form
            assert one.gain[0] == pytest.approx(offer.gain[user], rel=1e-9), form


def test_the_best_value_per_second_is_asked() -> None:
    of = setting(users=2)
    found = offers(of, list(FORMS), rng=np.random.default_rng(0))
    values = np.stack([offer.gain / offer.seconds for offer in found], 1)
    assert best_offer(found).tolist() == values.argmax(1).tolist()
    cheap = setting(users=2, seconds=Seconds(concept=1e-6))
    found = offers(cheap, [Form.RATE, Form.CONCEPT], rng=np.random.default_rng(0))
    assert best_offer(found).tolist() == [1, 1]
    shut = np.array([[True, False], [False, False]])
    assert best_offer(found, open_to=shut).tolist() == [0, -1]


@pytest.mark.parametrize("open_items", [0, 1])
def test_where_too_little_is_left_nothing_is_offered(open_items: int) -> None:
    of = setting()
    allowed = np.zeros_like(of.allowed)
    allowed[:, :open_items] = True
    of = replace(of, allowed=allowed, open_concepts=np.zeros_like(of.open_concepts))
    finite = {form for form in FORMS if np.isfinite(ask(form, of).gain[0])}
    assert finite == ({Form.RATE, Form.PREVIEW} if open_items else set())
    assert best_offer([ask(form, of) for form in FORMS])[0] == (0 if open_items else -1)


def test_of_no_items_nothing_is_asked() -> None:
    of = setting()
    nothing = np.array([], dtype=np.intp)
    of = replace(
        of,
        candidates=of.candidates.take(nothing),
        allowed=of.allowed[:, nothing],
        preview_reach=of.preview_reach[:, nothing],
        concepts=of.concepts.named({}),
        open_concepts=of.open_concepts[:, nothing],
    )
    assert [ask(form, of).gain[0] for form in FORMS] == [-np.inf] * len(FORMS)


def test_equal_questions_are_drawn_and_their_chance_is_told() -> None:
    taste = model().taste
    population = Population(model().answers, np.arange(1.0, 6.0), taste)
    of = setting()
    same = replace(
        Candidates.of_all(population, np.zeros((120, 5)), targets=np.full((1, 120), 1 / 120)),
        known=np.ones((1, 120)),
        reach=np.ones((1, 120)),
    ).take(np.zeros(4, dtype=np.intp))
    of = replace(of, candidates=same, allowed=np.ones((1, 4), dtype=bool), preview_reach=np.ones((1, 4)))
    drawn = [ask(Form.RATE, of, seed) for seed in range(20)]
    assert {int(offer.items[0, 0]) for offer in drawn} == {0, 1, 2, 3}
    assert {float(offer.propensity[0]) for offer in drawn} == {0.25}


def test_a_model_of_events_asks_what_events_can_answer() -> None:
    of = setting("events")
    found = offers(of, [Form.RATE, Form.GROUP], rng=np.random.default_rng(0))
    assert all(np.isfinite(offer.gain).all() for offer in found)
    with pytest.raises(
        OptionError, match=r"^a model of events has no level of liking: a pair cannot be asked\. Fit ratings"
    ):
        Implicit(20.0, 5.0).check_forms([Form.RATE, Form.PAIR])


# ---- choices --------------------------------------------------------------------------------------------------------


def test_a_naming_is_worth_what_a_choice_out_of_everything_tells() -> None:
    of = setting(users=2)
    assert not np.isfinite(ask(Form.RECALL, of).gain).any()  # nobody may be asked
    options = model("ratings").recall_options
    offer = ask(Form.RECALL, replace(of, recall=options))
    for user in range(2):
        covariance = of.belief.covariance[user]
        after = np.linalg.inv(np.linalg.inv(covariance) + options.moments(of.belief.mean[user])[2])
        assert offer.gain[user] == pytest.approx(np.trace(of.moment[user] @ (covariance - after)))
        np.testing.assert_allclose(offer.after[user], after)
    assert offer.seconds.tolist() == [Seconds().recall] * 2 and (offer.items == -1).all()


def test_the_best_pick_is_the_best_of_all_pairs_and_grows_while_it_pays() -> None:
    of = setting(users=2)
    known = np.random.default_rng(3).uniform(0.9, 0.99, of.candidates.known.shape)
    of = replace(of, candidates=replace(of.candidates, known=known, reach=known), seconds=Seconds(look=0.01))
    dear = replace(of, seconds=Seconds(look=100.0, tap=1.0))
    two, four, taste = ask(Form.PICK, dear), ask(Form.PICK, of), model("ratings").taste
    assert (two.items >= 0).sum(1).tolist() == [2, 2] and ((four.items >= 0).sum(1) > 2).all()
    for user, (offer, seconds) in itertools.product(range(2), ((two, dear.seconds), (four, of.seconds))):
        items = offer.items[user][offer.items[user] >= 0]
        fall, after = expected_fall(of.belief.of(user), taste.shown_options(items), of.moment[user])
        chances = known[user, items]
        none = np.prod(1 - chances)
        chance = 1 - none - sum(chance * none / (1 - chance) for chance in chances)
        assert offer.chance[user] == pytest.approx(chance)
        assert offer.gain[user] == pytest.approx(float(fall) * chance)
        np.testing.assert_allclose(offer.after[user], after, rtol=1e-9, atol=1e-12)
        assert offer.seconds[user] == pytest.approx(seconds.pick(len(items)))
    alone = of.fall * of.of_rating * of.candidates.reach
    for pair in itertools.combinations(np.argsort(-alone[0])[:PICK_SHORTLIST].tolist(), 2):
        fall, _ = expected_fall(of.belief.of(0), taste.shown_options(np.array(pair)), of.moment[0])
        assert float(fall) * known[0, list(pair)].prod() <= two.gain[0] * (1 + 1e-9)
