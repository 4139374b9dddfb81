from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from palate import Learner, rate
from palate.errors import OptionError
from palate.integrations import arrow
from tests.worlds import world


@pytest.fixture(scope="module")
def learner() -> Learner:
    fitted = Learner.fit(world(users=60, items=30).dataset, encoder="none", dim=3, likelihood="gaussian")
    return fitted.tell([rate("ann", "i01", 5.0, key="a"), rate("ann", "i02", 1.0, key="b")])


def test_lists_are_those_of_recommend_all(learner: Learner) -> None:
    stream = arrow.lists(learner, ["ann", "u01"], 3, exclude=["i01"])
    assert stream.schema == arrow.LISTS
    wanted = pl.concat(learner.recommend_all(["ann", "u01"], 3, exclude=["i01"]))
    assert pl.DataFrame(stream).equals(wanted) and len(wanted) == 6


def test_the_inner_product_is_the_rating_that_is_expected(learner: Learner) -> None:
    items = pl.DataFrame(arrow.item_vectors(learner))
    users = pl.DataFrame(arrow.user_vectors(learner, ["ann", "u01", "new"]))
    assert items["item_id"].to_list() == list(learner.model.catalogue.ids)
    products = users["vector"].to_numpy() @ items["vector"].to_numpy().T
    for row, user in enumerate(users["user_id"]):
        wanted = learner.model.taste.items.predict(learner.state(user).belief)[0]
        assert np.allclose(products[row], wanted, atol=1e-5)


def test_how_unsure_each_number_is_stands_beside_it(learner: Learner) -> None:
    users = pl.DataFrame(arrow.user_vectors(learner, ["ann"]))
    std = users["std"].to_numpy()[0]
    assert np.allclose(std, [0.0, *np.sqrt(np.diagonal(learner.state("ann").belief.covariance))], atol=1e-6)
    items, dim = learner.model.taste.items, learner.model.taste.items.dim
    wanted = np.sqrt(np.einsum("iaa->ia", items.spread.covariances(dim + 1)))
    assert np.allclose(pl.DataFrame(arrow.item_vectors(learner))["std"].to_numpy(), wanted, atol=1e-6)


def test_everybody_who_is_known_has_a_vector(learner: Learner) -> None:
    users = arrow.user_vectors(learner).read_all()["user_id"].to_pylist()
    assert users == [*learner.model.user_ids, "ann"]


@pytest.mark.parametrize("name", ["items.parquet", "items.arrow", "items.feather"])
def test_a_file_holds_what_the_stream_gave(learner: Learner, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert arrow.write(arrow.item_vectors(learner), path) == len(learner.model.catalogue)
    read = pl.read_parquet if path.suffix == ".parquet" else pl.read_ipc
    found = pl.DataFrame(arrow.item_vectors(learner))
    assert read(path).equals(found) and isinstance(found.schema["vector"], pl.Array)


def test_a_file_that_cannot_be_written_is_refused(learner: Learner, tmp_path: Path) -> None:
    stream = arrow.item_vectors(learner)
    with pytest.raises(OptionError, match=r"items.csv'. Give a file whose name ends with .parquet"):
        arrow.write(stream, tmp_path / "items.csv")
    with pytest.raises(OptionError, match=r"cannot be written: No such file"):
        arrow.write(stream, tmp_path / "none" / "items.parquet")
    with pytest.raises(OptionError, match="the stream is 3"):
        arrow.write(3, tmp_path / "items.parquet")  # type: ignore[arg-type]
    assert isinstance(stream, pa.RecordBatchReader)
