"""What a log of lists that were drawn says of another policy is what that policy earns."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from palate import Recommender, rate
from palate.datasets import planted_world
from palate.errors import DataError
from palate.evaluation.logged_slates import Policy, by_popularity, logged_slates
from palate.evaluation.off_policy import estimate
from palate.records import Slate, events

PLACES, READERS = 2, 200
SHOWN_AT, OTHER = 2.0, 0.7  # temperatures
WORLD = planted_world(users=80, items=24, rng=np.random.default_rng(2))
CLICK = dict(zip(WORLD.item_ids, 1.0 / (1.0 + np.exp(-3.0 * WORLD.levels)), strict=True))  # by somebody new


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slates") / "model"
    Recommender.create(folder, WORLD.dataset, encoder="none", likelihood="gaussian").close()
    return folder


@pytest.fixture(scope="module")
def served(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    """Lists were drawn for new people, who clicked what they clicked."""
    folder = shutil.copytree(fitted, tmp_path_factory.mktemp("served") / "model")
    with Recommender.open(folder) as recommender:
        show(recommender, SHOWN_AT, np.random.default_rng(0))
        yield recommender


def show(to: Recommender, explore: float, rng: np.random.Generator, *, keep: bool = True) -> list[int]:
    """One list each; how many items were clicked in it."""
    found = []
    for reader in range(READERS):
        if keep:
            shown = to.show(f"r{reader}", PLACES, explore=explore, rng=rng)
            ids, slate = [one.item_id for one in shown.items], shown.id
        else:
            ids, slate = [one.item_id for one in to.recommend(f"r{reader}", PLACES, explore=explore, rng=rng)], None
        clicked = [item for item in ids if rng.random() < CLICK[item]]
        found.append(len(clicked))
        if slate is not None:
            to.see(events(f"r{reader}", clicked, kind="click", slate=slate))
    return found


def policy(of: Recommender, explore: float | None = None, **options: object) -> Policy:
    return Policy(of.learner.memory.fitted, of.versions()[0].fitted_seq, explore=explore, **options)  # type: ignore[arg-type]


def test_the_policy_that_drew_them_is_found_to_the_bit_and_every_list_counts_once(served: Recommender) -> None:
    logged = logged_slates(served.log, policy(served)).logged
    np.testing.assert_allclose(logged.targets, logged.propensities, rtol=1e-9)
    found = estimate(logged, rng=np.random.default_rng(0))
    assert found.effective == pytest.approx(READERS)
    assert found.values["ips"].mean == pytest.approx(found.shown.mean)


@pytest.mark.long
def test_the_value_of_another_temperature_is_estimated(served: Recommender, fitted: Path, tmp_path: Path) -> None:
    found = estimate(logged_slates(served.log, policy(served, OTHER)).logged, rng=np.random.default_rng(0))
    with Recommender.open(shutil.copytree(fitted, tmp_path / "other")) as other:
        earned = show(other, OTHER, np.random.default_rng(1), keep=False)
    truth, error = float(np.mean(earned)), 2.0 * float(np.std(earned)) / READERS**0.5
    assert truth > float(found.shown.mean) + 0.1
    for name, value in found.values.items():
        assert value.low - error < truth < value.high + error, name


def test_popular_items_are_the_same_for_everybody_and_a_place_out_of_reach_ends_the_list(served: Recommender) -> None:
    logged = logged_slates(served.log, policy(served, 0.0, scores=by_popularity)).logged
    assert set(np.unique(logged.targets)) <= {0.0, 1.0}
    counts = served.learner.memory.fitted.catalogue.counts
    best = served.learner.memory.fitted.catalogue.ids[int(counts.argmax())]
    slates = [row.content for row in served.log.records() if isinstance(row.content, Slate)]
    assert [one.items[0] == best for one in slates] == (np.asarray(logged.targets)[:, 0] == 1.0).tolist()


def test_who_does_not_allow_research_is_left_out_and_drawn_no_list(fitted: Path, tmp_path: Path) -> None:
    with Recommender.open(shutil.copytree(fitted, tmp_path / "model")) as recommender:
        rng = np.random.default_rng(3)
        recommender.show("bob", 3, explore=1.0, rng=rng)
        recommender.see(
            events("ann", [recommender.show("ann", 3, explore=1.0, rng=rng).items[0].item_id], kind="click")
        )
        before = logged_slates(recommender.log, policy(recommender))
        recommender.consent("ann", ["serve", "ask"], version="v1")
        after = logged_slates(recommender.log, policy(recommender))
        assert len(before.logged.users) - len(after.logged.users) == 1 == after.left_out - before.left_out  # type: ignore[arg-type]
        shown = recommender.show("ann", 3, explore=1.0, rng=rng)
        assert shown.id is None and shown.items == recommender.recommend("ann", 3)
        recommender.consent("ann", ["serve", "ask", "research"], version="v2")
        assert recommender.show("ann", 3, explore=1.0, rng=rng).id is not None
        fitted_seq = recommender.last_seq
        with pytest.raises(DataError, match=r"0 slates can be judged: \d+ slates are of before the fit"):
            logged_slates(recommender.log, Policy(recommender.learner.memory.fitted, fitted_seq))


def test_a_slate_is_kept_before_it_is_shown_place_by_place(fitted: Path, tmp_path: Path) -> None:
    with Recommender.open(shutil.copytree(fitted, tmp_path / "model")) as recommender:
        recommender.tell(rate("bob", WORLD.item_ids[0], 5.0))
        shown = recommender.show("bob", 4, explore=0.5, exclude=[WORLD.item_ids[3]], rng=np.random.default_rng(4))
        *_, row = recommender.log.records()
        assert isinstance(row.content, Slate) and row.content == shown.slate and row.content.key == shown.id
        assert row.content.propensities == tuple(one.propensity for one in shown.items)
        assert row.content.exclude == (WORLD.item_ids[3],) and row.content.model == recommender.versions()[0].id
        again = recommender.show("bob", 4, explore=0.5, rng=np.random.default_rng(5))
        assert again.id != shown.id
