"""Conversations as Polis publishes them, and several in tables, with the votes that odd logs have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from palate.datasets import Dataset
from palate.errors import DataError

VOTES = """timestamp,datetime,comment-id,voter-id,vote
1530000000,Tue Jun 26 2018,0,5,1
1530000001,Tue Jun 26 2018,1,5,-1
1530000002,Tue Jun 26 2018,2,6,0
1530000003,Tue Jun 26 2018,9,6,1
1530000004,Tue Jun 26 2018,0,5,-1
"""
COMMENTS = """timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
1530000000,x,0,5,1,0,1,"Roads, first"
1530000000,x,1,6,0,1,-1,Buy my book
1530000000,x,2,6,0,0,0,Trees
"""


def test_an_export(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text(VOTES)
    (tmp_path / "comments.csv").write_text(COMMENTS)
    data = Dataset.load(tmp_path, strict=True)
    # the vote on what was rejected is gone; those of an author on their own, and on what is not known, stay
    assert data.interactions.select("user_id", "item_id", "rating").rows() == [
        ("5", "0", 1.0), ("6", "2", 0.0), ("6", "9", 1.0), ("5", "0", -1.0),
    ]  # fmt: skip
    assert data.items.select("item_id", "text", "author_user_id").rows() == [
        ("0", "Roads, first", "5"),
        ("2", "Trees", "6"),
    ]
    assert data.notes == ("1 votes on 1 statements that were rejected are left out",)
    coded = data.coded()
    assert dict(zip(coded.items.tolist(), coded.values.tolist(), strict=True))[0] == -1.0  # a vote that was changed


def test_an_export_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text(VOTES.replace("voter-id", "who"))
    (tmp_path / "comments.csv").write_text(COMMENTS)
    with pytest.raises(
        DataError, match=r"votes.csv has no column 'voter-id', which an export of Polis has. Is it one\?"
    ):
        Dataset.load(tmp_path)


def test_conversations_do_not_share_people_or_statements(tmp_path: Path) -> None:
    both = ["parks", "roads"]
    pl.DataFrame({"conversation": both, "user_id": [0, 0], "item_id": [1, 1], "vote": [1, -1]}).write_parquet(
        tmp_path / "votes.parquet"
    )
    pl.DataFrame({"conversation": both, "item_id": [1, 1], "text": ["Benches", "Lanes"]}).write_parquet(
        tmp_path / "items.parquet"
    )
    pl.DataFrame({"conversation": both, "topic": ["Our parks", "Our roads"]}).write_parquet(
        tmp_path / "conversations.parquet"
    )
    data = Dataset.load(tmp_path, strict=True)
    assert data.interactions.select("user_id", "item_id", "rating").rows() == [
        ("parks/0", "parks/1", 1.0), ("roads/0", "roads/1", -1.0),
    ]  # fmt: skip
    assert data.items["category"].to_list() == ["Our parks", "Our roads"]


def test_real_conversations(shared_data: Callable[[str], Path]) -> None:
    data = Dataset.load(shared_data("polis"), strict=True)
    assert data.notes == ("12,255 votes on 1,385 statements that were rejected are left out",)
    assert (data.interactions.height, data.items.height) == (506_139, 2_100)
    assert data.items["category"].n_unique() == 10
