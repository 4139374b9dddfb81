from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset, planted_world
from palate.datasets.splits import Split, random_split
from palate.errors import DataError, MissingExtra, OptionError
from palate.evaluation.evaluate import evaluate
from palate.integrations import recbole as adapter
from palate.integrations.recbole import write_atomic

pytestmark = pytest.mark.filterwarnings("ignore")  # what RecBole and its libraries warn of is theirs
HERE = {"metrics": ["NDCG", "Recall", "MRR", "Hit", "Precision", "MAP"], "topk": [10], "metric_decimal_place": 17}
QUIET = {"show_progress": False, "state": "ERROR", "use_gpu": False}


def test_without_the_library_the_line_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("recbole.config", "recbole.model.abstract_recommender"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(vars(adapter), "PalateRecommender", raising=False)
    for use in (lambda: adapter.recbole_config("Pop", "x", {}), lambda: adapter.PalateRecommender):
        with pytest.raises(MissingExtra, match=r"palate\.integrations\.recbole needs .* pip install '\.\[recbole\]'$"):
            use()


def test_a_data_set_goes_to_atomic_files_and_back(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        [("a", "x", 4.0, 10.0), ("a", "y", 2.0, 20.0), ("b", "x", 5.0, 30.5)],
        schema=["user_id", "item_id", "rating", "timestamp"],
        orient="row",
    )
    items = {
        "item_id": ["x", "y", "z"],
        "title": ['The "X"', "Y\tand more", ""],
        "category": ["hard rock|pop", "pop", ""],
    }
    data = Dataset.from_tables(rows, pl.DataFrame(items), name="small")
    settings = write_atomic(data, tmp_path)
    assert settings["data_path"] == str(tmp_path) and "benchmark_filename" not in settings
    back = Dataset.load(tmp_path / "small")
    assert back.interactions.equals(data.interactions)
    assert back.items["title"].to_list() == ["The 'X'", "Y and more", ""]
    assert back.items["category"].to_list() == ["hard_rock|pop", "pop", ""]


def test_what_speaks_against_an_item_is_not_written(tmp_path: Path) -> None:
    rows = [("a", "x", "like"), ("a", "y", "dislike"), ("b", "z", "impression")]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "event"], orient="row")
    write_atomic(Dataset.from_tables(table, name="votes"), tmp_path)
    assert (tmp_path / "votes" / "votes.inter").read_text() == "user_id:token\titem_id:token\na\tx\n"


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    table = Dataset.from_tables(pl.DataFrame({"user_id": ["a", 'say "b"'], "item_id": ["x", "y"]}))
    with pytest.raises(DataError, match="Take its tab, line break or quote out"):
        write_atomic(table, tmp_path)
    with pytest.raises(DataError, match="no validation part"):
        write_atomic(Split(table, table), tmp_path)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=120, items=60, rng=np.random.default_rng(0)).dataset


@pytest.fixture
def there(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("recbole", reason="RecBole is not installed: make .venv-peers-toolkits/.made")
    monkeypatch.chdir(tmp_path)  # it writes logs where it stands
    return tmp_path


def loaded(model: Any, data: Dataset, settings: dict[str, Any], **more: Any) -> tuple[Any, Any, Any]:
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    config = adapter.recbole_config(model, data.name, {**settings, **HERE, **QUIET, "epochs": 2, **more})
    init_seed(config["seed"], reproducibility=True)  # a split by chance is the same each time
    dataset = create_dataset(config)
    return config, dataset, data_preparation(config, dataset)


def test_numpy_is_as_it_was_after_the_settings_are_read(there: Path, data: Dataset) -> None:
    adapter.recbole_config("Pop", data.name, {**write_atomic(data, there), **QUIET})
    assert [name for name in ("float_", "complex_", "unicode_") if hasattr(np, name)] == []


RATIO = {"RS": [0.8, 0.1, 0.1]}


@pytest.mark.parametrize(
    ("split", "has_newcomers"),
    [
        ({"split": RATIO, "group_by": "user", "order": "RO", "mode": "full"}, False),
        ({"split": RATIO, "group_by": None, "order": "TO", "mode": "full"}, True),
        ({"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"}, False),
    ],
    ids=["ratio", "time", "leave-one-out"],
)
def test_its_split_and_its_figures_are_ours(
    there: Path, data: Dataset, split: dict[str, Any], has_newcomers: bool
) -> None:
    """Of the same rows RecBole's evaluator and our judge say the same of Palate's list and of a model of RecBole."""
    from recbole.utils import get_model, get_trainer

    settings = write_atomic(data, there)
    figures, rankers = {}, {}
    for model in (adapter.PalateRecommender, "EASE"):
        config, dataset, loaders = loaded(model, data, settings, eval_args=split)
        made = (get_model(model) if isinstance(model, str) else model)(config, loaders[0].dataset)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, made)
        trainer.fit(loaders[0], saved=False, show_progress=False, verbose=False)
        name = model if isinstance(model, str) else "palate there"
        figures[name] = trainer.evaluate(loaders[2], load_best_model=False)
        rankers[name] = [adapter.RecBoleRanker(made, dataset)]
    ours = adapter.split_of(*(one.dataset for one in loaders), items=data.items, name=data.name)
    assert ours.validation is not None
    heights = [part.interactions.height for part in (ours.train, ours.validation, ours.test)]
    assert heights == [len(one.dataset) for one in loaders] and sum(heights) == data.interactions.height
    assert (
        ours.whole.interactions.select("user_id", "item_id", "rating")
        .sort(pl.all())
        .equals(data.interactions.select("user_id", "item_id", "rating").sort(pl.all()))
    )
    judged = evaluate(ours, models=("popularity",), others=rankers)
    known = judged["with_history"]["models"]
    theirs = {
        "ndcg": "ndcg",
        "recall": "recall",
        "mrr": "mrr",
        "hit_rate": "hit",
        "precision": "precision",
        "map": "map",
    }
    assert (judged["without_history"] is not None) == has_newcomers  # whose scores are equal, in no order
    if not has_newcomers:
        for name, said in figures.items():
            assert {metric: known[name]["metrics"][f"{metric}@10"]["mean"] for metric in theirs} == pytest.approx(
                {metric: said[f"{other}@10"] for metric, other in theirs.items()}, abs=1e-9
            )


def test_it_keeps_to_the_rows_of_our_split(there: Path, data: Dataset) -> None:
    drawn = random_split(data, rng=np.random.default_rng(0))
    _, _, loaders = loaded("Pop", data, write_atomic(drawn, there))
    back = adapter.split_of(*(one.dataset for one in loaders), name=data.name)
    for part in ("train", "validation", "test"):
        pairs = [getattr(one, part).interactions.select("user_id", "item_id").sort(pl.all()) for one in (drawn, back)]
        assert pairs[0].equals(pairs[1])


def test_pairs_are_scored_as_whole_rows_are(there: Path, data: Dataset) -> None:
    config, _, loaders = loaded(adapter.PalateRecommender, data, write_atomic(data, there))
    model = adapter.PalateRecommender(config, loaders[0].dataset)
    from recbole.data.interaction import Interaction

    users, items = np.array([3, 1, 3]), np.array([2, 5, 7])
    whole = model.full_sort_predict(Interaction({"user_id": users})).numpy()
    found = model.predict(Interaction({"user_id": users, "item_id": items})).numpy()
    assert found == pytest.approx(whole[np.arange(3), items])
    assert np.isneginf(whole[:, 0]).all()


def test_a_ranker_of_other_data_is_refused(there: Path, data: Dataset) -> None:
    config, dataset, loaders = loaded(adapter.PalateRecommender, data, write_atomic(data, there))
    model = adapter.PalateRecommender(config, loaders[0].dataset)
    ranker = adapter.RecBoleRanker(model, dataset)
    fewer = data.filter(pl.col("user_id") != data.interactions["user_id"][0])
    with pytest.raises(DataError, match="RecBole's data has 120 users"):
        evaluate(random_split(fewer, rng=np.random.default_rng(0)), models=("popularity",), others={"there": [ranker]})
    with pytest.raises(OptionError, match="needs more than a user's number"):
        replace(ranker, model=type("Sequential", (), {"type": None})()).fit(None, rng=np.random.default_rng(0))
