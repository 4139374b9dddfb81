"""A model folder from shards: what a person is asked and shown, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palate import Dataset, Recommender
from palate.datasets import planted_world
from palate.datasets.convert import write_folder
from palate.errors import OptionError
from palate.recommender.sharded import create_from_shards
from palate.runners import InProcess
from palate.scale.model import ShardOptions
from palate.scale.sharding import shard
from palate.scale.shards import Shards


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = planted_world(users=200, items=60, rng=np.random.default_rng(0))
    folder = tmp_path_factory.mktemp("data") / "data"
    return write_folder(world.dataset, folder)


@pytest.fixture(scope="module")
def shards(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return shard([data], tmp_path_factory.mktemp("shards") / "shards", shards=8).shards


def test_a_model_of_shards_believes_what_one_of_the_data_does(data: Path, shards: Shards, tmp_path: Path) -> None:
    with InProcess() as runner:
        of_shards = create_from_shards(tmp_path / "one", shards, ShardOptions(encoder="lexical"), runner=runner)
    of_data = Recommender.create(tmp_path / "two", Dataset.load(data), encoder="lexical", likelihood="gaussian")
    with of_shards, of_data:
        for user in ("somebody new", *shards.user_ids(0)[:5]):
            found, expected = (one.learner.state(user) for one in (of_shards, of_data))
            models = [one.learner.model for one in (of_shards, of_data)]
            ratings = [
                dict(zip(model.catalogue.ids, model.taste.items.predict(state.belief)[0], strict=True))
                for model, state in zip(models, (found, expected), strict=True)
            ]
            items = sorted(ratings[0])
            one, two = ([of[item] for item in items] for of in ratings)
            assert np.corrcoef(one, two)[0, 1] > 0.99
            assert np.abs(np.subtract(one, two)).mean() < 0.05
            lists = [{one.item_id for one in of.recommend(user, 10)} for of in (of_shards, of_data)]
            assert len(lists[0] & lists[1]) >= 7
        (question,) = of_shards.ask("somebody new")
        before = of_shards.recommend("somebody new", k=5)
        of_shards.tell(question.answer(5.0))
        assert of_shards.recommend("somebody new", k=5) != before
        with pytest.raises(OptionError, match="keeps no data to refit it from"):
            of_shards.refit()


def test_it_opens_again_and_keeps_what_was_told(shards: Shards, tmp_path: Path) -> None:
    options, place = ShardOptions(encoder="none", dim=4), tmp_path / "model"
    with InProcess() as runner:
        with create_from_shards(place, shards, options, runner=runner) as one:
            one.tell(one.ask("ann")[0].answer(4.0))
        with pytest.raises(OptionError, match="holds a model"):
            create_from_shards(place, shards, options, runner=runner)
        with create_from_shards(place, shards, options, runner=runner, again=True) as one:
            assert len(one.learner.told["ann"]) == 1
            one.erase("ann")
            user = shards.user_ids(3)[0]
            one.erase(user)
        with pytest.raises(OptionError, match=f"hold 1 users whom .* has erased, such as {user!r}"):
            create_from_shards(place, shards, options, runner=runner, again=True)
