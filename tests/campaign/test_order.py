"""What is asked next: as one annotator would be asked it, however many there are; by votes, where votes count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate import Recommender, rate
from palate.acquisition.oracle_choice import Action
from palate.campaign import Campaign, Campaigns, Submission
from palate.campaign.consensus import consensus
from palate.campaign.taste_order import TasteOrder
from palate.errors import OptionError
from palate.loop import others
from palate.oracles.crowd import LEAST_GOLD
from tests.campaign.teams import Pairs, asked, copied, correlation, value_of

PAIRS = 90  # of 180
LEAST = 0.9


@cache
def alone() -> Pairs:
    return asked(1, PAIRS)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(2, 20), st.integers(1, 3), st.integers(0, 10**6))
def test_a_team_is_asked_in_the_order_of_one_annotator(annotators: int, ahead: int, seed: int) -> None:
    team = asked(annotators, PAIRS, ahead=ahead, seed=seed)
    assert len(set(team)) == len(team) == PAIRS
    assert correlation(team, alone()) >= LEAST


@pytest.mark.long
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(2, 20), st.integers(1, 3), st.integers(0, 10**6))
def test_a_team_is_asked_in_the_order_of_one_annotator_at_length(annotators: int, ahead: int, seed: int) -> None:
    assert correlation(asked(annotators, PAIRS, ahead=ahead, seed=seed), alone()) >= LEAST


def test_without_counting_what_is_leased_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    alone()
    monkeypatch.setattr(TasteOrder, "_held", lambda _self, _pairs: [])
    assert max(correlation(asked(20, PAIRS, ahead=ahead, seed=ahead), alone()) for ahead in (1, 3)) < LEAST


@pytest.fixture
def recommender(tmp_path: Path) -> Iterator[Recommender]:
    with Recommender.open(copied(tmp_path / "model")) as found:
        yield found


RNG = np.random.default_rng(0)


def test_a_large_catalogue_is_asked_in_nearly_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """All items are valued now and then, those of most value each time."""
    one = alone()
    monkeypatch.setattr("palate.campaign.taste_order.FEW", 10)
    monkeypatch.setattr("palate.campaign.taste_order.SHORT", 20)
    monkeypatch.setattr("palate.campaign.taste_order.RENEWED", 8)
    assert correlation(asked(10, 60, seed=1), one) >= LEAST


def test_what_nobody_has_seen_yet_is_replaced_once_it_is_worth_less(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    id = campaigns.make(Campaign("a", "How?", users=["new"])).id
    first, *others = campaigns.next(id, "ann", 6, rng=RNG).leases
    recommender.tell([rate("new", item, 4) for item in recommender.fitted.catalogue.ids[::2]])  # by another way
    held = [lease.id for lease in others]
    found = campaigns.next(id, "ann", 6, held=held, rng=RNG)
    assert found.leases[0].id == first.id  # it is being looked at
    assert found.stale and set(found.stale) <= set(held) and not {lease.id for lease in found.leases} & set(found.stale)
    told = set(recommender.fitted.catalogue.ids[::2])
    assert {lease.id for lease in others if lease.item_id in told} <= set(found.stale)
    again = campaigns.next(id, "ann", 6, held=[lease.id for lease in found.leases[1:]], rng=RNG)
    assert again.stale == []


def test_a_user_who_does_not_want_to_be_asked_about_is_not(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    id = campaigns.make(Campaign("a", "How?", users=["shy", "new"])).id
    recommender.consent("shy", ["serve"], version="1")
    assert {lease.user_id for lease in campaigns.next(id, "ann", 20, rng=RNG).leases} == {"new"}


def test_what_an_annotator_counts_for_moves_the_order_too(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    id = campaigns.make(Campaign("a", "How?", users=["new"])).id
    before = campaigns.progress(id).gain_left
    for n in range(10):
        (lease,) = campaigns.next(id, "ann", rng=RNG).leases
        campaigns.submit([Submission(f"k{n}", lease.id, "ann", value=3)])
    told = campaigns.progress(id).gain_left
    recommender.calibrate("ann", 0.0)
    after = campaigns.progress(id).gain_left
    assert told < before / 4 < after and after == Campaigns(recommender).progress(id).gain_left


def test_what_is_least_sure_comes_first_and_what_is_given_is_surer(recommender: Recommender) -> None:
    items = recommender.fitted.catalogue.ids[:4]
    campaigns, votes = Campaigns(recommender), dict[str, list[int]]()
    made = Campaign("kids", "For children?", subject="kids", options=["no", "yes"], items=items, overlap=5)
    id = campaigns.make(made).id
    told = {items[0]: (1, 1), items[1]: (0, 1), items[2]: (1, 1, 1), items[3]: (0, 1, 1)}
    for n in range(3):
        for lease in campaigns.next(id, f"a-{n}", 4, rng=RNG).leases:
            if n < len(told[lease.item_id]):
                campaigns.submit([Submission(f"{n}{lease.item_id}", lease.id, f"a-{n}", value=told[lease.item_id][n])])
                votes.setdefault(lease.item_id, []).append(told[lease.item_id][n])
            else:
                campaigns.release(lease.id, f"a-{n}")
    assert {item: tuple(given) for item, given in votes.items()} == told
    order = [lease.item_id for lease in campaigns.next(id, "last", 4, rng=RNG).leases]
    assert order == [items[1], items[3], items[0], items[2]]
    first = campaigns.next(id, "last", 1, rng=RNG).leases[0]
    more = campaigns.next(id, "other", 1, rng=RNG).leases[0]  # what is given counts as a vote to come
    assert more.item_id == items[1] and 0.8 * first.gain < more.gain < 0.95 * first.gain


OPTIONS = ["no", "yes"]


def labelled(campaigns: Campaigns, id: str, source: str, says: Callable[[str], int], n: int, family: str = "") -> None:
    """So many answers of an annotator."""
    for number in range(n):
        (lease,) = campaigns.next(id, source, rng=RNG).leases
        value = says(lease.item_id)
        campaigns.submit([Submission(f"{id}{source}{number}", lease.id, source, value=value, family=family)])


def is_odd(item: str) -> int:
    return int(item[1:]) % 2


def test_an_annotator_is_asked_what_their_own_vote_tells(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    made = Campaign("odd", "Odd?", subject="odd", options=OPTIONS, overlap=4)
    id = campaigns.make(made).id
    for source in ("ann", "bob", "cem"):
        labelled(campaigns, id, source, is_odd, 40)
    labelled(campaigns, id, "dice", lambda item: int(item[1:]) // 2 % 2, 40)
    gains = {source: campaigns.next(id, source, rng=RNG).leases[0].gain for source in ("ann", "dice", "new")}
    assert gains["ann"] > 2 * gains["new"] > 8 * gains["dice"] > 0.0
    assert campaigns.progress(id).gain_left == pytest.approx(gains["new"], rel=0.3)


def test_whose_family_has_voted_on_an_item_is_asked_about_others(recommender: Recommender) -> None:
    campaigns, items = Campaigns(recommender), recommender.fitted.catalogue.ids[:6]
    id = campaigns.make(Campaign("odd", "Odd?", subject="odd", options=OPTIONS, items=items, overlap=9)).id
    labelled(campaigns, id, "large", is_odd, 6, family="model")
    labelled(campaigns, id, "small", is_odd, 1, family="model")
    assert recommender.log.find(f"{id}small0").content.provenance.family == "model"
    asked = {lease.item_id for lease in campaigns.next(id, "small", 6, rng=RNG).leases}
    assert asked == set() and campaigns.next(id, "small", 6, rng=RNG).done == "asked"
    assert len(campaigns.next(id, "ann", 6, rng=RNG).leases) == 6


def test_of_many_items_some_are_valued_each_time_and_all_now_and_then(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_of(name: str) -> list[str]:
        campaigns, found = Campaigns(recommender), list[str]()
        id = campaigns.make(Campaign(name, "Odd?", subject=name, options=OPTIONS, overlap=3)).id
        for turn in range(150):
            source = f"a-{turn % 5}"
            leases = campaigns.next(id, source, rng=RNG).leases
            value = is_odd(leases[0].item_id) if turn % 7 else 1 - is_odd(leases[0].item_id)
            campaigns.submit([Submission(f"{name}{turn}", leases[0].id, source, value=value)])
            found.append(leases[0].item_id)
        return found

    whole = asked_of("whole")
    for name, value in (("FEW", 20), ("SHORT", 15), ("RENEWED", 8), ("MOVED", 30)):
        monkeypatch.setattr(f"palate.campaign.votes_order.{name}", value)
    short = asked_of("short")
    assert sum(one == two for one, two in zip(whole, short, strict=True)) > 100


def test_a_label_that_is_taken_back_is_no_vote_and_another_service_reads_the_same(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    id = campaigns.make(Campaign("odd", "Odd?", subject="odd", options=OPTIONS, overlap=3)).id
    for source in ("ann", "bob"):
        labelled(campaigns, id, source, is_odd, 30)
    before = consensus(campaigns, id)
    labelled(campaigns, id, "cem", lambda item: 1 - is_odd(item), 2)
    for number in range(2):
        recommender.log.retract(f"{id}cem{number}")
    after = consensus(campaigns, id)
    assert before.items == after.items and (before.probabilities == after.probabilities).all()
    other = Campaigns(recommender)
    assert [one.progress(id).gain_left for one in (campaigns, other)] == [
        pytest.approx(other.progress(id).gain_left, rel=0.1)
    ] * 2


def test_a_consensus_is_tempered_by_gold_with_one_vote_a_family(recommender: Recommender) -> None:
    campaigns, ids = Campaigns(recommender), recommender.fitted.catalogue.ids
    gold = {item: is_odd(item) for item in ids[:30]}
    made = Campaign("odd", "Odd?", subject="odd", options=OPTIONS, overlap=9, gold=gold, gold_every=2)
    id = campaigns.make(made).id
    for source in ("ann", "bob", "cem"):
        labelled(campaigns, id, source, lambda item: is_odd(item) if int(item[1:]) % 5 else 1 - is_odd(item), 50)
    copies = {f"copy-{number}": campaigns.next(id, f"copy-{number}", 20, rng=RNG).leases for number in range(4)}
    for source, leases in copies.items():  # of a model that says yes of everything
        said = [Submission(one.id, one.id, source, value=1, family="model") for one in leases]
        campaigns.submit(said)
    found = consensus(campaigns, id)
    assert found.temperature.is_calibrated and found.temperature.gold > LEAST_GOLD and found.temperature.value < 0.8
    voted = [place for place, n in enumerate(found.votes) if n >= 3]
    right = [found.labels[place] == is_odd(found.items[place]) for place in voted]
    assert len(right) > 20 and 0.7 < np.mean(right) < 0.9 and abs(found.probabilities[voted].max(1).mean() - 0.8) < 0.12
    with pytest.raises(OptionError, match="taste"):
        consensus(campaigns, campaigns.make(Campaign("films", "How?", users=["new"])).id)


def test_questions_whose_answer_is_known_and_repeats_come_now_and_then(recommender: Recommender) -> None:
    campaigns, ids = Campaigns(recommender), recommender.fitted.catalogue.ids
    gold = dict.fromkeys(ids[:20], 0)
    made = Campaign("kids", "For children?", subject="kids", options=["no", "yes"], gold=gold, gold_every=4)
    votes = campaigns.make(made).id
    taste = campaigns.make(Campaign("films", "How?", users=["new", "newer"], repeat_every=4)).id
    for id, other in ((votes, "gold"), (taste, "repeat")):
        seen = list[tuple[str, tuple[str, str]]]()
        for n in range(48):
            (lease,) = campaigns.next(id, "ann", rng=RNG).leases
            seen.append((lease.purpose, lease.pair))
            campaigns.submit([Submission(f"{id}{n}", lease.id, "ann", value=n % 2 + (id == taste))])
        n = sum(purpose == other for purpose, _ in seen)
        assert 4 <= n <= 20, n
        assert len({pair for purpose, pair in seen if purpose == "ask"}) == 48 - n
        if other == "gold":
            assert all((purpose == "gold") == (pair[1] in gold) for purpose, pair in seen)
        else:
            places = {pair: [at for at, (_, one) in enumerate(seen) if one == pair] for _, pair in seen}
            again = [places[pair] for purpose, pair in seen if purpose == "repeat"]
            assert all(len(at) == 2 and at[1] - at[0] > 5 for at in again)  # once, and not at once
    rows = [row.content for row in recommender.log.records()]
    assert sum(row.question == Action.AGAIN for row in rows) == n  # both ratings count


def test_two_annotators_about_one_taste_both_count(recommender: Recommender) -> None:
    campaigns, item = Campaigns(recommender), recommender.fitted.catalogue.ids[0]
    id = campaigns.make(Campaign("a", "How?", users=["new"], items=[item], overlap=2)).id
    for source, value in (("ann", 2), ("bob", 5)):
        (lease,) = campaigns.next(id, source, rng=RNG).leases
        campaigns.submit([Submission(source, lease.id, source, value=value)])
    assert recommender.learner.memory.state("new").values == (3.5,)
    assert campaigns.next(id, "cem", rng=RNG).done == "asked"


def test_stop_ends_it_once_little_is_left_to_learn(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    gain = campaigns.progress(campaigns.make(Campaign("a", "How?", users=["new"])).id).gain_left
    id = campaigns.make(Campaign("b", "How?", users=["new"], stop=gain / 4)).id
    n = 0
    while leases := (found := campaigns.next(id, "ann", rng=RNG)).leases:
        assert leases[0].gain >= gain / 4
        campaigns.submit([Submission(f"k{n}", leases[0].id, "ann", value=3)])
        n += 1
    assert found.done == "gain" and 0 < n < 60 and found.gain_left < gain / 4


def test_a_pair_that_was_skipped_is_offered_to_others(recommender: Recommender) -> None:
    campaigns = Campaigns(recommender)
    id = campaigns.make(Campaign("a", "How?", users=["new"])).id
    (first,) = campaigns.next(id, "ann", rng=RNG).leases
    campaigns.submit([Submission("k", first.id, "ann", kind="skipped")])
    assert campaigns.next(id, "ann", rng=RNG).leases[0].pair != first.pair
    assert campaigns.next(id, "bob", rng=RNG).leases[0].pair == first.pair


def test_an_answer_takes_no_replay_of_all_before_though_others_taught_the_items(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays, whole, users = list[str](), others.replay, ["new", "old"]
    monkeypatch.setattr(others, "replay", lambda model, of: replays.append(of.user_id) or whole(model, of))
    recommender.tell([rate(user, item, 4) for user in users for item in recommender.fitted.catalogue.ids[:20]])
    campaigns = Campaigns(recommender)
    id = campaigns.make(Campaign("a", "How?", users=users)).id
    for n in range(12):
        (lease,) = campaigns.next(id, "ann", rng=RNG).leases
        campaigns.submit([Submission(f"k{n}", lease.id, "ann", value=value_of(lease.pair))])
    assert sorted(replays) == sorted(users)  # once each, at the start
