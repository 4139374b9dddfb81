from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from palate.evaluation.new_item_lists import new_item_lists
from tests.worlds import data, words


@pytest.mark.slow
def test_only_hidden_items_are_put_in_order_and_their_words_tell_more_than_chance() -> None:
    log = data("events")
    log = log.filter(pl.col("user_id") < "u150")
    with words():
        found = new_item_lists(log)
    assert found is not None
    assert found["items"] == 24 and found["people"] <= 149  # a fifth of the catalogue
    means = {name: figures["mean"] for name, figures in found["ndcg@10"].items()}
    assert means["palate"] > means["random"] and means["tf-idf"] > means["random"] > 0.0
    assert found["palate_minus"]["random"]["low"] > 0.0


def test_items_without_words_are_left_out() -> None:
    log = data("events")
    assert new_item_lists(replace(log, items=log.items.clear())) is None
