from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import narwhals as nw
import pytest

from palate import Dataset
from palate.errors import DataError

pytestmark = pytest.mark.hf


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        return pytest.importorskip("datasets", reason="pip install '.[dev-hf]'")


def rows() -> dict[str, list[object]]:
    return {"customer": ["ann", "bob", "cleo"], "sku": ["tea", "milk", "tea"], "event": [1, 0, 1]}


NAMES = {"user_id": "customer", "item_id": "sku"}


def test_rows_are_those_that_were_chosen_in_their_order(datasets: ModuleType) -> None:
    whole = datasets.Dataset.from_dict(
        rows(),
        features=datasets.Features(
            customer=datasets.Value("string"),
            sku=datasets.Value("string"),
            event=datasets.ClassLabel(names=["view", "buy"]),
        ),
    )
    data = Dataset.from_tables(whole.select([2, 1]), columns=NAMES, events={"buy": "purchase"})
    found = data.interactions
    assert found["user_id"].to_list() == ["cleo", "bob"]
    assert found["event"].to_list() == ["buy", "view"]  # the names of the labels, not their numbers
    assert data.kind is nw.Implementation.PYARROW and data.table("items").num_rows == 0


def test_one_split_is_taken_and_of_several_none(datasets: ModuleType) -> None:
    part = datasets.Dataset.from_dict({name: values for name, values in rows().items() if name != "event"})
    one = datasets.DatasetDict(train=part)
    items = datasets.Dataset.from_dict({"item_id": ["tea"], "title": ["Tea"]})
    data = Dataset.from_tables(one, items, columns={"interactions.user_id": "customer", "interactions.item_id": "sku"})
    assert data.interactions.height == 3 and data.items["title"].to_list() == ["Tea"]
    with pytest.raises(DataError, match=r"interactions has 2 splits: train, test. Give one of them"):
        Dataset.from_tables(datasets.DatasetDict(train=part, test=part), columns=NAMES)
    with pytest.raises(DataError, match=r"interactions is a IterableDataset, a stream"):
        Dataset.from_tables(part.to_iterable_dataset(), columns=NAMES)


def test_the_library_is_not_imported() -> None:
    source = Path(sys.modules["palate.datasets.hugging_face"].__file__ or "").read_text(encoding="utf-8")
    assert "import datasets" not in source
