from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.errors import IdError, UnknownItem
from palate.model.catalogue import Catalogue


def catalogue(ids: list[str] | None = None) -> Catalogue:
    ids = ["a1", "b2", "10"] if ids is None else ids
    table = pl.DataFrame(
        {
            "item_id": ids,
            "title": ["Alpha", "", "Ten"][: len(ids)] + [""] * max(0, len(ids) - 3),
            "text": [""] * len(ids),
            "category": ["jazz|blues", "", "blues"][: len(ids)] + [""] * max(0, len(ids) - 3),
        },
        schema=dict.fromkeys(("item_id", "title", "text", "category"), pl.String),
    )
    counts = np.arange(len(ids), dtype=float)
    return Catalogue(table, None, counts, np.zeros((len(ids), 1)))


def test_positions_of_ids() -> None:
    of = catalogue()
    assert len(of) == 3 and of.ids == ["a1", "b2", "10"]
    assert of.positions(["10", "a1", "10"]).tolist() == [2, 0, 2]
    assert of.positions([]).tolist() == [] and of.positions([]).dtype == np.intp


def test_an_id_is_normalised_like_everywhere() -> None:
    of = catalogue()
    assert of.position(" 10\n") == of.position(10) == of.position(10.0) == 2  # type: ignore[arg-type]
    assert 10 in of and " a1" in of and "zz" not in of
    with pytest.raises(IdError, match=r"^item_id \['a1'\] is a list\. Ids are text or whole numbers\.$"):
        of.position(["a1"])  # type: ignore[arg-type]


def test_an_unknown_item_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownItem, match=r"^item 'a1x' is not in the model \(3 items\)\. Did you mean 'a1'\?$"):
        catalogue().position("a1x")
    with pytest.raises(
        UnknownItem, match=r"^item 999 is not in the model \(3 items\)\. Add it with `palate item add` or"
    ):
        catalogue().position(999)  # type: ignore[arg-type]


def test_in_a_large_catalogue_nobody_waits_for_a_hint() -> None:
    of = catalogue([f"i{n}" for n in range(20_001)])
    with pytest.raises(UnknownItem, match=r"^item 'i20001x' is not in the model \(20,001 items\)\. Add it"):
        of.position("i20001x")


def test_categories() -> None:
    of = catalogue()
    assert {name: rows.tolist() for name, rows in of.categories.items()} == {"blues": [0, 2], "jazz": [0]}
    assert of.members("blues").tolist() == [0, 2]
    with pytest.raises(UnknownItem, match=r"^category 'rock' has no item\. The categories are: blues, jazz\.$"):
        of.members("rock")
    with pytest.raises(UnknownItem, match=r"has no item\. Did you mean 'jazz'\? The categories are: blues, jazz\.$"):
        of.members("JAZ")
    with pytest.raises(UnknownItem, match=r"has no item\. The categories are: none\.$"):
        catalogue([]).members("rock")


def test_an_item_without_a_title_is_called_by_the_start_of_its_text_or_its_id() -> None:
    assert catalogue().names == ["Alpha", "b2", "Ten"]
    table = catalogue().table.with_columns(text=pl.Series(["first", "word " * 20, "short"]), title=pl.lit(""))
    assert Catalogue(table, None, np.zeros(3), np.zeros((3, 1))).names == ["first", "word " * 11 + "word…", "short"]


def test_a_catalogue_of_nothing() -> None:
    of = catalogue([])
    assert len(of) == 0 and of.categories == {} and "a" not in of
    with pytest.raises(UnknownItem, match=r"\(0 items\)"):
        of.position("a")
