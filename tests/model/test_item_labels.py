"""Attributes of items in a fit, in lists, in a folder, and over refits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate import Answer, Dataset, Learner, Recommender, rate
from palate.campaign import Campaign, Campaigns, Submission
from palate.datasets import planted_world
from palate.datasets.planted import TOPICS, PlantedWorld
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.errors import AnswerError, ModelFolderError, OptionError
from palate.oracles.item_labels import ItemLabels
from palate.store.model_folder.folder import load_folder, save_folder

TOPIC = ItemAttribute("topic", "What is it about?", tuple(topic.name for topic in TOPICS))
SAFE = ItemAttribute("safe", "Is it fit for children?", ("no", "yes"), only="yes", at_least=0.6)
WORKERS = ("w1", "w2", "w3", "w4", "w5")


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_world(users=50, items=40, rng=np.random.default_rng(3))


def topic_votes(world: PlantedWorld, items: list[str], workers: tuple[str, ...] = WORKERS) -> list[Answer]:
    """Each right in four of five."""
    rng, rows = np.random.default_rng(1), {item: row for row, item in enumerate(world.item_ids)}
    return [
        AttributeQuestion(TOPIC, item).answer(
            int(world.topics[rows[item]]) if rng.random() < 0.8 else int(rng.integers(len(TOPICS))),
            source=worker,
            key=f"{item}-{worker}",
        )
        for item in items
        for worker in workers
    ]


def safe_votes(items: list[str], option: int = 1) -> list[Answer]:
    return [AttributeQuestion(SAFE, item).answer(option, source=worker) for item in items for worker in WORKERS]


def bits(of: Learner, users: tuple[str, ...]) -> list[np.ndarray]:
    """Every belief, about users and items."""
    items, states = of.model.taste.items, [of.state(user).belief for user in users]
    return [
        items.level,
        items.factors,
        items.spread.whole,
        *(part for one in states for part in (one.mean, one.covariance)),
    ]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def same(one: ItemLabels, other: ItemLabels) -> bool:
    plain = [(of.attribute, of.items, of.temperature, of.gold, of.is_calibrated) for of in (one, other)]
    return plain[0] == plain[1] and equal(*([of.probabilities, of.votes, of.known, of.lower] for of in (one, other)))


@pytest.fixture(scope="module")
def kept(world: PlantedWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    """A model that knows its attribute, and labels of half the items."""
    folder = tmp_path_factory.mktemp("labelled") / "model"
    Recommender.create(folder, world.dataset, encoder="none", dim=3, item_attributes=[TOPIC]).close()
    with Recommender.open(folder) as recommender:
        recommender.tell(topic_votes(world, world.item_ids[:20]))
        recommender.tell([rate("ann", world.item_ids[0], 5.0), rate("bob", world.item_ids[1], 1.0)])
        recommender.refit()
        yield recommender


@settings(max_examples=20)
@given(
    said=st.lists(
        st.tuples(st.integers(0, 39), st.sampled_from([*WORKERS, "ann", "u01"]), st.integers(0, 7)),
        min_size=1,
        max_size=6,
    ),
    weight=st.floats(0.0, 1.0),
)
def test_votes_and_calibrations_leave_every_belief_equal_to_the_bit(kept, world, said, weight):
    users = ("ann", "bob", "u01", "u02", "stranger")
    before, fitted = bits(kept.learner, users), kept.fitted.item_labels[0]
    asked = kept.ask("ann", k=2), [one.item_id for one in kept.recommend("ann", 5)]
    rows = kept.tell([AttributeQuestion(TOPIC, world.item_ids[n]).answer(o, source=who) for n, who, o in said])
    kept.calibrate("w1", weight, subject="topic")
    assert equal(bits(kept.learner, users), before) and kept.fitted.item_labels[0] is fitted
    assert (kept.ask("ann", k=2), [one.item_id for one in kept.recommend("ann", 5)]) == asked
    with Recommender.open(kept.folder) as again:
        assert equal(bits(again.learner, users), before)
        assert same(again.item_labels("topic"), kept.item_labels("topic"))
        assert same(again.fitted.item_labels[0], fitted)
    for row in rows:
        kept.log.retract(row.content.key)


def test_ratings_move_no_posterior_and_a_refit_from_the_same_log_gives_the_same(world, tmp_path) -> None:
    found = []
    for name, ratings in {"few": 0, "many": 12}.items():
        with Recommender.create(tmp_path / name, world.dataset, encoder="none", dim=2) as recommender:
            for n, answer in enumerate(topic_votes(world, world.item_ids[:6])):
                recommender.tell(answer)
                if n < ratings:
                    recommender.tell(rate(WORKERS[n % 5], answer.item_id, float(1 + n % 5)))
            recommender.refit(item_attributes=[TOPIC])
            first = recommender.fitted.item_labels
            recommender.refit()
            assert same(recommender.fitted.item_labels[0], first[0]), "replay"
            found.append(first[0])
    assert same(*found)


def test_a_calibration_that_is_revised_changes_the_next_fit_and_not_the_past(world, tmp_path) -> None:
    with Recommender.create(tmp_path / "m", world.dataset, encoder="none", dim=2, item_attributes=[TOPIC]) as made:
        made.tell(topic_votes(world, world.item_ids))
        made.refit()
        before, beliefs, version = made.fitted.item_labels[0], bits(made.learner, ("u01",)), made.versions()[0].id
        made.calibrate("w1", 0.2, subject="topic")
        assert same(made.fitted.item_labels[0], before) and equal(bits(made.learner, ("u01",)), beliefs)
        assert not same(made.item_labels("topic"), before), "what all labels say now"
        made.refit()
        assert not same(made.fitted.item_labels[0], before) and not equal(bits(made.learner, ("u01",)), beliefs)
        made.promote(version)
        assert same(made.fitted.item_labels[0], before) and equal(bits(made.learner, ("u01",)), beliefs)


def test_a_feature_tells_what_is_expected_of_items_nobody_rated(world, tmp_path) -> None:
    """Of a fifth of the items there are labels alone."""
    new = world.item_ids[::5]
    seen = world.dataset.filter(~pl.col("item_id").is_in(new))
    data = Dataset.from_tables(seen.interactions, pl.DataFrame({"item_id": world.item_ids}))
    votes, places = topic_votes(world, world.item_ids), [world.item_ids.index(item) for item in new]
    truth = np.clip(world.expected()[:, places], 1, 5)
    errors = {}
    for name, attributes in {"without": (), "with": (TOPIC,)}.items():
        learner = Learner.fit(
            data, encoder="none", likelihood="gaussian", dim=4, item_attributes=attributes, labels=votes
        )
        rows = learner.model.catalogue.positions(new)
        state = [learner.state(user).belief.mean for user in world.user_ids]
        items = learner.model.taste.items
        expected = items.level[rows] + np.array(state) @ items.factors[rows].T
        errors[name] = float(np.sqrt(((expected - truth) ** 2).mean()))
    assert errors["with"] < 0.95 * errors["without"], errors
    report = learner.explain_item(new[0])
    assert (
        report.answers == 0 and report.modalities[0].modality == "attribute:topic" and report.modalities[0].share == 1.0
    )


def test_items_keep_their_labels_when_they_change_and_new_ones_have_none(kept, world) -> None:
    learner = kept.learner
    renamed = learner.memory.under(learner.model).fitted
    from palate.model.new_items import change

    labelled, unlabelled = world.item_ids[0], world.item_ids[30]
    changed, n = change(renamed, pl.DataFrame({"item_id": [labelled, unlabelled], "title": ["A", "B"]}))
    assert n == 2 and np.array_equal(changed.catalogue.encodings(), learner.model.catalogue.encodings(), equal_nan=True)
    more = learner.with_items(pl.DataFrame({"item_id": ["new"], "title": ["New"]})).model
    assert np.isnan(more.catalogue.encodings(more.catalogue.positions(["new"]))).all()


@pytest.mark.filterwarnings("ignore:0 of 40 items are surely")
def test_a_filter_shows_and_asks_only_what_is_sure(world, tmp_path) -> None:
    ids, folder = world.item_ids, tmp_path / "m"
    with pytest.warns(UserWarning, match=r"0 of 40 items are surely 'yes' of 'safe' at 0.6: lists are empty"):
        made = Recommender.create(folder, world.dataset, encoder="none", dim=2, item_attributes=[SAFE])
    with made:
        assert made.recommend("ann", 10) == [] and made.ask("ann") == ()
        made.tell([*safe_votes(ids[:8]), *safe_votes(ids[8:16], 0)])
        made.tell(AttributeQuestion(SAFE, ids[20]).answer(1, source="w1"))
        assert made.recommend("ann", 10) == [], "until the next fit"
        made.refit()
        shown = {one.item_id for one in made.recommend("ann", 40)}
        assert shown == set(ids[:8]), "not what is unsafe, has one vote, or none"
        everything = {"allow": ids, "include_seen": True}
        assert {one.item_id for one in made.recommend("u01", 40, **everything)} <= shown
        assert {one.item_id for one in made.ask("ann", k=40)} <= shown
        made.add_items(pl.DataFrame({"item_id": ["new"], "title": ["New"]}))
        assert "new" not in {one.item_id for one in made.recommend("ann", 40)}
        made.withdraw_items(ids[0])
        assert {one.item_id for one in made.recommend("ann", 40)} == set(ids[1:8])
        campaigns = Campaigns(made)
        campaign = campaigns.make(Campaign("safety", SAFE.question, "safe", options=SAFE.options))
        asked = campaigns.next(campaign.id, "w9", 20, rng=np.random.default_rng(0)).leases
        assert {one.item_id for one in asked} - shown, "what lists leave out is to be labelled"
    with Recommender.open(folder) as again:
        assert {one.item_id for one in again.recommend("ann", 40)} == set(ids[1:8])
        health = again.refit_apart(hold_back=0.0)
        assert health.faults == () and {one.item_id for one in again.recommend("ann", 40)} == set(ids[1:8])
        again.refit(item_attributes=[])
        assert len(again.recommend("ann", 60)) > 30 and again.fitted.item_labels == ()


def test_what_campaigns_know_is_gold(world, tmp_path) -> None:
    with Recommender.create(tmp_path / "m", world.dataset, encoder="none", dim=2, item_attributes=[TOPIC]) as made:
        gold = {item: int(world.topics[row]) for row, item in enumerate(world.item_ids[:25])}
        campaigns = Campaigns(made)
        campaign = campaigns.make(
            Campaign("topics", TOPIC.question, "topic", options=TOPIC.options, gold=gold, gold_every=2)
        )
        lease = campaigns.next(campaign.id, "w1", rng=np.random.default_rng(0)).leases[0]
        campaigns.submit([Submission("k1", lease.id, "w1", value=0)])
        other = ("one", *TOPIC.options[1:])
        campaigns.make(Campaign("else", "?", "topic", options=other, gold={world.item_ids[30]: 0}, gold_every=2))
        made.tell(topic_votes(world, world.item_ids))
        made.refit()
        found = made.fitted.item_labels[0]
        assert (found.is_calibrated, found.gold, int(found.known.sum())) == (True, 25, 25)
        assert [int(found.probabilities[n].argmax()) for n in range(25)] == list(gold.values())


def test_a_folder_holds_them_exactly_and_refuses_what_does_not_fit(kept, tmp_path) -> None:
    kept.learner.save(tmp_path / "m")
    assert same(Learner.load(tmp_path / "m").model.item_labels[0], kept.fitted.item_labels[0])
    loaded = load_folder(tmp_path / "m")
    table = loaded.tables["item_labels"]
    for sick in (
        table.with_columns(probability=pl.lit(0.9)),
        table.with_columns(attribute=pl.lit(3, dtype=pl.Int64)),
        table.head(len(table) - 1),
        table.reverse(),
        table.drop("known"),
        table.with_columns(votes=pl.lit(-1.0)),
    ):
        place = tmp_path / "sick"
        save_folder(place, config=loaded.config, arrays=loaded.arrays, tables={**loaded.tables, "item_labels": sick})
        with pytest.raises(ModelFolderError, match="labels"):
            Learner.load(place)
    config = json.loads(json.dumps(loaded.config))
    config["item_labels"][0]["attribute"]["name"] = "taste"
    save_folder(tmp_path / "sick", config=config, arrays=loaded.arrays, tables=loaded.tables)
    with pytest.raises(ModelFolderError):
        Learner.load(tmp_path / "sick")


def test_wrong_attributes_and_labels_are_refused(kept, world, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'topic' 2 times. Give each attribute once"):
        Learner.fit(world.dataset, encoder="none", item_attributes=[TOPIC, TOPIC])
    with pytest.raises(OptionError, match="ItemAttribute"):
        Learner.fit(world.dataset, encoder="none", item_attributes=["topic"])
    with pytest.raises(OptionError, match=r"do not go together. Give both, or neither"):
        ItemAttribute("safe", "?", ("no", "yes"), only="yes")
    with pytest.raises(OptionError, match=r"only 'yse' is unknown. Did you mean 'yes'"):
        ItemAttribute("safe", "?", ("no", "yes"), only="yse", at_least=0.9)
    with pytest.raises(OptionError, match="at_least is 0"):
        ItemAttribute("safe", "?", ("no", "yes"), only="yes", at_least=0.0)
    eight = ItemAttribute("topic", "?", tuple("abcdefghi"))
    with pytest.raises(AnswerError, match=r"the value 8 is no option of 'topic'. Give a whole number from 0 to 7"):
        kept.tell(AttributeQuestion(eight, world.item_ids[0]).answer(8, source="w1"))
    with pytest.raises(OptionError, match="Did you mean 'topic'"):
        kept.item_labels("topics")
    assert kept.item_labels(eight).attribute is eight
