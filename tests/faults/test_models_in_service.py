"""Faults of the models that serve: a wrong or sick one, one that is damaged, going back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate import Learner, Recommender, rate
from palate.datasets import planted_world
from palate.errors import ModelFolderError, OptionError
from palate.loop import checkpoint
from palate.loop.memory import Memory
from palate.model.model import Model
from tests.faults.test_updates import assert_same


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Recommender]:
    """With two versions kept beside the one that serves."""
    data = planted_world(users=99, items=30, rng=np.random.default_rng(0)).dataset
    with Recommender.create(tmp_path / "model", data, encoder="none", dim=2) as recommender:
        recommender.refit(dim=1)
        yield recommender


def shown(of: Recommender) -> list[Any]:
    return [of.recommend(user, 12, include_seen=True) for user in ("u01", "ann", "stranger")]


def test_MF_07_going_back_gives_the_same_to_the_bit_and_loses_no_label(tmp_path: Path) -> None:
    data = planted_world(users=99, items=30, rng=np.random.default_rng(0)).dataset
    with Recommender.create(tmp_path / "model", data, encoder="none", dim=2) as of:
        of.tell(rate("ann", "i01", 5.0))
        before, model = shown(of), of.learner.memory.fitted
        of.refit(dim=1)
        assert shown(of) != before
        with Recommender.open(tmp_path / "model") as other:
            other.recommend("ann")
            started = time.monotonic()
            back = of.rollback()
            assert time.monotonic() - started < 5.0
            assert shown(of) == shown(other) == before
        assert back.is_live and np.array_equal(of.learner.memory.fitted.taste.items.factors, model.taste.items.factors)
        of.promote(next(version.id for version in of.versions() if not version.is_live))
        of.tell(rate("ann", "i02", 1.0))  # under the second
        of.rollback()
        assert [answer.item_id for answer in of.learner.told["ann"]] == ["i01", "i02"]
        assert_same(of.learner, Learner.load(tmp_path / "model"))
    with pytest.raises(OptionError, match="is closed"):
        of.rollback()


def _items(change: Callable[[Any], Any]) -> Callable[[Model], Model]:
    return lambda model: replace(model, taste=replace(model.taste, items=change(model.taste.items)))


WRONG: list[tuple[str, Callable[[Model], Model], str]] = [
    ("large weights", _items(lambda items: replace(items, noise=items.noise * 1e9)), "its noise goes up to"),
    ("a shift", _items(lambda items: replace(items, level=items.level + 1e8)), "its level goes up to"),
    (
        "another scale",
        lambda model: replace(model, scale=replace(model.scale, levels=(0.0, 1.0))),
        r"the lowest answer of the model is 0\.0, that of the one that serves 1\.0",
    ),
    ("another encoder", lambda model: replace(model, encoder=("minilm", "2")), "the encoder of the model is"),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_MF_05_a_wrong_or_sick_version_does_not_serve(
    one: Recommender, change: Callable[[Model], Model], message: str
) -> None:
    before, version = shown(one), one.versions()[1]
    place = one._live.folder / "versions" / version.id
    found = checkpoint.read_model(place)
    checkpoint.save_model(place, replace(found, memory=Memory(change(found.memory.fitted))))
    with pytest.raises(ModelFolderError, match=message):
        one.promote(version.id)
    assert shown(one) == before and one.versions()[0].is_live


def test_MF_03_a_damaged_version_does_not_serve(one: Recommender) -> None:
    before, version = shown(one), one.versions()[1]
    place = one._live.folder / "versions" / version.id
    path = next(path for path in place.iterdir() if path.name.startswith("taste-"))
    good = path.read_bytes()
    path.unlink()  # the file is shared with the folder
    path.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    with pytest.raises(ModelFolderError, match="holds no whole checkpoint"):
        one.promote(version.id)
    assert shown(one) == before
    with pytest.raises(OptionError, match=r"^version '\.\./\.\.' is not kept in"):
        one.promote("../..")


def test_items_are_changed_and_withdrawn_for_every_recommender_and_come_back_so(one: Recommender) -> None:
    folder = one._live.folder
    first = one.recommend("ann", 1)[0].item_id
    one.tell(rate("bob", first, 5.0))
    with Recommender.open(folder) as other:
        assert one.withdraw_items(first) == 1
        for of in (one, other):
            assert first not in [item.item_id for item in of.recommend("ann", 12)]
            assert first not in [question.item_id for question in of.ask("ann", k=12)]
            assert first not in [item.item_id for item in of.recommend("ann", 12, include_seen=True, allow=[first])]
        assert other.learner.told["bob"][0].item_id == first  # what was said of it counts as before
        assert one.change_items(pl.DataFrame({"item_id": ["i03"], "title": ["Another title"]})) == 1
        assert other.learner.search("Another title", 1)[0].id == "i03"
        one.refit()
        one.rollback()
        assert first not in [item.item_id for item in other.recommend("ann", 12)]
        one.withdraw_items([first], again=True)
        assert first in [item.item_id for item in other.recommend("ann", 12)]
