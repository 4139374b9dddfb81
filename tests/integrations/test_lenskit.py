from __future__ import annotations

import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset, planted_world
from palate.datasets.splits import Split, random_split
from palate.errors import MissingExtra, OptionError
from palate.evaluation.evaluate import evaluate
from palate.evaluation.palate_ranker import Palate

pytestmark = pytest.mark.filterwarnings("ignore")  # what LensKit and its libraries warn of is theirs


@pytest.mark.parametrize("name", ["PalateScorer", "lenskit_dataset", "lenskit_split", "LensKitRanker"])
def test_without_the_library_the_line_to_install_it_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from palate.integrations import lenskit as adapter

    for module in ("lenskit", "lenskit.data", "lenskit.splitting"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(vars(adapter), "PalateScorer", raising=False)
    table = Dataset.from_tables(pl.DataFrame({"user_id": ["a"], "item_id": ["b"]}))
    with pytest.raises(MissingExtra, match=r"palate\.integrations\.lenskit needs .* pip install '\.\[lenskit\]'$"):
        {
            "PalateScorer": lambda: adapter.PalateScorer,
            "lenskit_dataset": lambda: adapter.lenskit_dataset(table),
            "lenskit_split": lambda: adapter.lenskit_split(Split(table, table)),
            "LensKitRanker": lambda: adapter.LensKitRanker(None).fit(None, rng=np.random.default_rng(0)),
        }[name]()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=120, items=60, rng=np.random.default_rng(0)).dataset


@pytest.fixture(scope="module")
def parts(data: Dataset) -> Any:
    pytest.importorskip("lenskit", reason="LensKit is not installed: make .venv-peers-toolkits/.made")
    from lenskit.splitting import SampleFrac, crossfold_users

    from palate.integrations.lenskit import lenskit_dataset

    rng = np.random.default_rng(0)
    [one] = crossfold_users(lenskit_dataset(data), 1, SampleFrac(0.25, rng=rng), rng=rng)
    return one


@pytest.fixture(scope="module")
def pipeline(parts: Any) -> Any:
    from lenskit.pipeline import topn_pipeline
    from lenskit.training import TrainingOptions

    from palate.integrations.lenskit import PalateScorer

    made = topn_pipeline(PalateScorer())
    made.train(parts.train, TrainingOptions(rng=0))
    return made


def test_a_data_set_goes_there_and_back(data: Dataset) -> None:
    pytest.importorskip("lenskit", reason="LensKit is not installed: make .venv-peers-toolkits/.made")
    from palate.integrations.lenskit import dataset_of, lenskit_dataset

    back = dataset_of(lenskit_dataset(data), name=data.name)
    columns = ["user_id", "item_id", "rating", "timestamp"]
    assert back.interactions.select(columns).sort(columns).equals(data.interactions.select(columns).sort(columns))
    assert set(back.items["item_id"]) == set(data.items["item_id"])
    assert set(back.users["user_id"]) == set(data.users["user_id"])


def test_what_speaks_against_an_item_stays_here() -> None:
    pytest.importorskip("lenskit", reason="LensKit is not installed: make .venv-peers-toolkits/.made")
    from palate.integrations.lenskit import lenskit_dataset

    rows = [("a", "x", "like"), ("a", "x", "like"), ("a", "y", "dislike"), ("b", "z", "impression")]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "event"], orient="row")
    theirs = lenskit_dataset(Dataset.from_tables(table))
    assert theirs.interaction_table(format="pandas", original_ids=True).to_dict("list") == {
        "user_id": ["a", "a"],
        "item_id": ["x", "x"],
    }
    assert list(theirs.items.ids()) == ["x", "y", "z"]


def test_a_split_has_the_same_rows_either_way(data: Dataset, parts: Any) -> None:
    from palate.integrations.lenskit import lenskit_split, split_of

    ours = split_of(parts)
    assert ours.train.interactions.height == parts.train.interaction_count
    assert ours.test.interactions.height == parts.test_size
    pairs = ours.whole.interactions.select("user_id", "item_id", "rating").sort(pl.all())
    assert pairs.equals(data.interactions.select("user_id", "item_id", "rating").sort(pl.all()))
    again = lenskit_split(ours)
    assert {key.user_id: sorted(items.ids()) for key, items in again.test} == {
        key.user_id: sorted(items.ids()) for key, items in parts.test
    }
    drawn = random_split(data, rng=np.random.default_rng(0))
    assert drawn.validation is not None
    trained = drawn.train.interactions.height + drawn.validation.interactions.height
    assert lenskit_split(drawn).train.interaction_count == trained


def test_the_pipeline_scores_as_our_ranker_does(parts: Any, pipeline: Any) -> None:
    from lenskit import recommend, score

    from palate.integrations.lenskit import _pairs

    rows = _pairs(parts.train, parts.train.user_count, parts.train.item_count)
    lists = pipeline.component("scorer").lists
    user = parts.train.users.id(5)
    items = list(parts.train.items.ids())
    found = score(pipeline, user, [*items, "nowhere"]).scores()
    assert found[:-1] == pytest.approx(lists.score(np.array([5]))[0], rel=1e-6)
    assert np.isnan(found[-1])
    shown = recommend(pipeline, user, n=10)
    met = set(rows.items[rows.users == 5])
    assert len(shown) == 10 and not met & set(parts.train.items.numbers(shown.ids()))


def test_a_history_is_scored_as_that_of_somebody_new(parts: Any, pipeline: Any) -> None:
    from lenskit import score
    from lenskit.data import ItemList, RecQuery

    from palate.ranking.histories import Histories

    vocabulary = parts.train.items
    items = list(vocabulary.ids())
    times = np.array([3.0, 1.0, 2.0])
    query = RecQuery(user_id="a stranger", history_items=ItemList(item_ids=items[:3], timestamp=times))
    lists = pipeline.component("scorer").lists
    expected = lists.of_new(Histories.of([np.array([1, 2, 0])], len(items)))[0]
    assert score(pipeline, query, items).scores() == pytest.approx(expected, rel=1e-6)
    unknown = lists.of_new(Histories.of([np.array([], dtype=np.intp)], len(items)))[0]
    assert score(pipeline, RecQuery(user_id="a stranger"), items).scores() == pytest.approx(unknown, rel=1e-6)
    strange = RecQuery(history_items=ItemList(item_ids=["nowhere"]))
    assert score(pipeline, strange, items).scores() == pytest.approx(unknown, rel=1e-6)


def test_their_scorer_is_judged_here(parts: Any) -> None:
    from lenskit.basic import PopScorer
    from lenskit.knn import EASEScorer

    from palate.integrations.lenskit import LensKitRanker, split_of

    others = {
        "pop": [LensKitRanker(PopScorer(score="count"))],
        "their ease": [LensKitRanker(EASEScorer(regularization=200.0))],
    }
    document = evaluate(split_of(parts), models=("popularity",), others=others)
    models = document["with_history"]["models"]
    assert models["pop"]["metrics"] == models["popularity"]["metrics"]
    assert models["their ease"]["metrics"]["ndcg@10"]["mean"] > models["pop"]["metrics"]["ndcg@10"]["mean"]
    assert "EASEScorer" in document["models"]["their ease"]["settings"]


def test_what_is_no_scorer_is_refused() -> None:
    pytest.importorskip("lenskit", reason="LensKit is not installed: make .venv-peers-toolkits/.made")
    from palate.integrations.lenskit import LensKitRanker

    with pytest.raises(OptionError, match="the scorer is a Palate"):
        LensKitRanker(Palate()).fit(None, rng=np.random.default_rng(0))
