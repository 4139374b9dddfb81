"""Our metrics beside what LensKit and RecBole said of the same small lists: kept figures, so that neither is needed.

``python -m benchmarks.toolkit_metrics`` asks the libraries anew, of many more lists.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from benchmarks.toolkit_metrics import Lists, compared

KEPT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "benchmarks" / "results" / "toolkit_metrics.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def tiny() -> Lists:
    kept = KEPT["tiny"]
    starts = np.cumsum([0, *map(len, kept["relevant"])])
    shape = (len(kept["relevant"]), kept["items"])
    relevant = sparse.csr_array(
        (np.ones(starts[-1]), np.concatenate(kept["relevant"]).astype(int), starts), shape=shape
    )
    ratings = (np.array(kept[name]) for name in ("predicted", "observed", "rows"))
    return Lists(np.array(kept["ranked"]), relevant, *ratings)


def test_every_figure_is_that_of_both_libraries(tiny: Lists) -> None:
    rows = {(row["library"], row["metric"]): row for row in compared(tiny, KEPT["tiny"])}
    assert {("lenskit", "ndcg"), ("lenskit", "map"), ("recbole", "map"), ("recbole", "rmse")} < rows.keys()
    assert {key: row for key, row in rows.items() if row.get("gap_by_formula", row["gap"]) > 1e-9} == {}
    differ = {key for key, row in rows.items() if row["gap"] > 1e-3}
    assert differ == {("lenskit", name) for name in ("ndcg, as it comes", "precision", "recall", "map")}


def test_who_has_no_positive_counts_in_no_mean_there_either(tiny: Lists) -> None:
    [nobody] = np.flatnonzero(np.diff(tiny.relevant.indptr) == 0)
    said = {
        name: values[nobody]
        for name, values in KEPT["tiny"]["lenskit"].items()
        if len(values) == len(tiny.ranked) and name != "graded_ndcg"
    }
    assert said.pop("precision") == 0.0  # LensKit's one exception
    assert set(said.values()) == {None}
    assert KEPT["tiny"]["recbole"]["ndcg"][nobody] is None


def test_the_kept_gaps_are_what_the_page_says() -> None:
    """docs/measuring.md: to 1e-9, where a definition differs by the formula that it gives."""
    rows = KEPT["rows"]
    assert {row["library"] for row in rows} == {"lenskit", "recbole"}
    assert [row for row in rows if row.get("gap_by_formula", row["gap"]) > 1e-9] == []
