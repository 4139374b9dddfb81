"""Gold drawn at random: what it says of a source, and how the source's answers are read then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from palate.arrays import Array
from palate.entities.provenance import TASTE
from palate.errors import DataError, OptionError
from palate.oracles.calibration import certain_from
from palate.oracles.language_model import LanguageModel, Said, calibrate, draw_gold
from tests.oracles.language_model.recorded_server import (
    LETTERED,
    TITLES,
    Body,
    Reply,
    completion,
    honest,
    listed,
    prompt,
    questions,
    recorded_server,
    right,
)

SOURCE = "lm:tiny@000000000000"


def said(logp: Array, *, agrees: Array | None = None) -> list[Said]:
    agreed = np.ones(len(logp), dtype=bool) if agrees is None else agrees
    return [Said(SOURCE, row, 1.0, bool(one)) for row, one in zip(logp, agreed, strict=True)]


def planted(
    n: int, rng: np.random.Generator, *, bias: tuple[float, ...] = (0.0, 0.0), shares: tuple[float, ...] = (0.5, 0.5)
) -> tuple[Array, Array]:
    """Truths by their shares, and what a model says that likes some options whatever the item, (n, K) and (n,)."""
    truth = rng.choice(len(shares), n, p=shares)
    seen = 2.0 * np.eye(len(shares))[truth] + rng.normal(size=(n, len(shares)))
    return log_softmax(seen + np.array(bias), axis=1), truth


def accuracy(by: Any, logp: Array, truth: Array) -> float:
    return float((by.probabilities(logp).argmax(1) == truth).mean())


def test_a_taste_for_one_label_is_unlearnt_and_the_reliability_holds_on_fresh_items(rng: np.random.Generator) -> None:
    within, gains = 0, []
    for _ in range(12):
        logp, truth = planted(60, rng, bias=(3.0, 0.0, 0.0), shares=(0.4, 0.3, 0.3))
        fresh, answers = planted(4_000, rng, bias=(3.0, 0.0, 0.0), shares=(0.4, 0.3, 0.3))
        by = calibrate(said(logp), truth, propensities=[0.1] * 60)
        found = accuracy(by, fresh, answers)
        gains.append(found - float((fresh.argmax(1) == answers).mean()))
        within += by.low <= (found - 1 / 3) / (2 / 3)
    assert min(gains) > 0.05, "the offsets do not help"
    assert within >= 9, "the low reliability is too high more often than one time in ten"


def test_the_mean_is_taken_off_where_it_helps_and_not_where_it_destroys(rng: np.random.Generator) -> None:
    """Of a skewed set the mean says what is common: with few answers, taking it off blindly costs."""
    logp, truth = planted(40, rng, shares=(0.9, 0.1))
    fresh, answers = planted(4_000, rng, shares=(0.9, 0.1))
    raw = float((fresh.argmax(1) == answers).mean())
    blind = float(((fresh - fresh.mean(0)).argmax(1) == answers).mean())
    by = calibrate(said(logp), truth, propensities=[0.1] * 40, batch=said(fresh))
    assert blind < raw - 0.03 and accuracy(by, fresh, answers) >= raw - 0.01


def test_gold_that_was_not_drawn_evenly_counts_by_its_propensity(rng: np.random.Generator) -> None:
    logp, truth = planted(4_000, rng)
    unsure = np.abs(logp[:, 0] - logp[:, 1]) < 1.0
    chances = np.where(unsure, 0.4, 0.02)
    drawn = rng.random(len(truth)) < chances
    even = np.flatnonzero(rng.random(len(truth)) < 0.1)
    weighed = calibrate(said(logp[drawn]), truth[drawn], propensities=list(chances[drawn]))
    blind = calibrate(said(logp[drawn]), truth[drawn], propensities=[0.1] * int(drawn.sum()))
    fair = calibrate(said(logp[even]), truth[even], propensities=[0.1] * len(even))
    assert abs(weighed.accuracy - fair.accuracy) < 0.05 < abs(blind.accuracy - fair.accuracy)
    assert fair.low < fair.reliability and weighed.low < weighed.reliability


def test_one_answer_in_five_that_hangs_on_the_order_is_one_too_many(rng: np.random.Generator) -> None:
    logp, truth = planted(50, rng)
    for agreeing, refused in ((40, False), (39, True)):
        by = calibrate(said(logp, agrees=np.arange(50) < agreeing), truth, propensities=[0.1] * 50)
        assert bool(by.refused) is refused
        assert (by.record().reliability == 0.0) is refused
    with recorded_server() as server:
        model = LanguageModel(server.url, "tiny")
        with pytest.raises(OptionError, match="78% of gold"):
            model.calibrated(by)


def test_a_model_that_takes_the_first_option_is_refused_by_its_gold() -> None:
    def first(body: Body) -> Reply:
        is_soup = "soup" in prompt(body).lower()
        label = right(body) if is_soup or "fruit" in prompt(body) else next(iter(listed(body)))
        return Reply(completion(body, label, 0.8 if is_soup else 0.7))

    titles = {f"i{n}": TITLES[f"i{n % 5}"] + f" {n}" for n in range(25)}
    with recorded_server(first) as server:
        replies = LanguageModel(server.url, "tiny").said(questions(LETTERED, titles))
        by = calibrate(replies, [0, 1, 2, 0, 1] * 5, propensities=[1.0] * 25)
    assert by.refused == "the two orders of the options have the same answer to 40% of gold"


def test_ratings_count_by_their_noise_over_that_of_the_users_own(rng: np.random.Generator) -> None:
    levels = np.arange(1.0, 6.0)
    truth = rng.integers(5, size=400)
    told = np.clip(truth + rng.choice([-1, 0, 0, 1], size=400), 0, 4)
    logp = log_softmax(6.0 * np.eye(5)[told], axis=1)
    by = calibrate(said(logp), truth, propensities=[0.1] * 400, levels=list(levels), noise=0.2)
    square = float(((levels[by.probabilities(logp).argmax(1)] - levels[truth]) ** 2).mean())
    assert by.reliability == pytest.approx(0.2 / (square - 0.2), rel=0.15)
    assert by.low < by.reliability < 1.0
    with pytest.raises(OptionError, match="noise is None"):
        calibrate(said(logp), truth, propensities=[0.1] * 400, levels=list(levels))


def test_a_calibrated_model_is_a_source_of_its_own_with_a_record_for_the_log() -> None:
    def biased(body: Body) -> Reply:
        """Nearly always the first option, and a little more of the right one."""
        if "fruit" in prompt(body):
            return honest(body)
        document = completion(body, right(body))
        options = listed(body)
        liked = next(label for label, option in options.items() if option == "sports")
        chances = dict.fromkeys(options, 0.02) | {right(body): 0.3} | {liked: 0.6 if right(body) != liked else 0.9}
        top = [{"token": label, "logprob": float(np.log(chance))} for label, chance in chances.items()]
        document["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = top
        return Reply(document)

    titles = {f"i{n}": TITLES[f"i{n % 3}"] + f" {n}" for n in range(60)}
    truth = [n % 3 for n in range(60)]
    asked = questions(titles=titles)
    with recorded_server(biased) as server:
        model = LanguageModel(server.url, "tiny")
        before = model.answer(asked)
        gold, chance = draw_gold(60, least=30, rng=np.random.default_rng(0))
        replies = model.said(asked)
        by = calibrate(
            [replies[one] for one in gold], [truth[one] for one in gold], propensities=[chance] * 30, batch=replies
        )
        calls = len(server.bodies)
        after = model.calibrated(by).answer(asked)
        assert len(server.bodies) == calls, "reading anew what was said costs nothing"
    assert [one.value for one in before] == [0.0] * 60
    assert [one.value for one in after] == [float(one) for one in truth]
    assert {one.source for one in after} == {by.source} and by.source != by.raw == before[0].source
    record = by.record("topic")
    assert (record.source, record.subject, record.reliability) == (by.source, "topic", by.reliability)
    assert by.record().subject == TASTE and 0.8 < by.reliability < 1.0 and by.accuracy == 1.0


def test_from_held_out_gold_it_is_known_from_which_certainty_on_labels_are_right(rng: np.random.Generator) -> None:
    logp, truth = planted(300, rng)
    by = calibrate(said(logp), truth, propensities=[0.1] * 300)
    least = certain_from(by.certainty, by.right, error=0.05)
    fresh, answers = planted(4_000, rng)
    chances = by.probabilities(fresh)
    sure = chances.max(1) >= least
    assert 0.05 < sure.mean() < 0.95
    assert (chances.argmax(1) == answers)[sure].mean() >= 0.95


def test_gold_is_drawn_at_random_with_a_known_probability(rng: np.random.Generator) -> None:
    counts = np.zeros(50)
    for _ in range(400):
        drawn, chance = draw_gold(50, rng=rng)
        assert len(drawn) == 20 and chance == 0.4
        counts[drawn] += 1
    assert np.abs(counts / 400 - 0.4).max() < 0.12
    assert draw_gold(1_000, rng=rng)[1] == 0.1 and draw_gold(5, rng=rng)[1] == 1.0


def test_gold_that_is_too_little_mixed_or_not_random_is_refused(rng: np.random.Generator) -> None:
    logp, truth = planted(20, rng)
    one, chances = said(logp), [0.1] * 20
    mixed = [*one[1:], Said("lm:other@0", logp[0], 1.0, True)]
    for call, fault in (
        (lambda: calibrate(one[:19], truth[:19], propensities=chances[:19]), "there are 19"),
        (lambda: calibrate(one, truth, propensities=chances[:3]), "3 propensities"),
        (lambda: calibrate(one, truth, propensities=[0.0] * 20), "propensity of a gold question is 0"),
        (lambda: calibrate(mixed, truth, propensities=chances), "answered by 2 sources"),
    ):
        with pytest.raises(OptionError, match=fault):
            call()
    with pytest.raises(DataError, match="option 7 of 2"):
        calibrate(one, [7] * 20, propensities=chances)
    silent = calibrate([*one[:10], *[Said(SOURCE)] * 10], truth, propensities=chances)
    assert silent.refused == "it answered 10 of 20 gold questions" and silent.record().reliability == 0.0
