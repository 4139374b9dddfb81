"""Last.fm of HetRec 2011 in its own files and as tables, with the friendships that odd logs have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from palate.datasets import Dataset

FILES = {
    "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t1\n3\t51\t7\n",
    "artists.dat": 'id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://x\thttp://y\n52\tThe "Other" One\t\t\n',
    "user_friends.dat": "userID\tfriendID\n2\t3\n3\t2\n2\t3\n3\t3\n2\t77\n",
    "tags.dat": "tagID\ttagValue\n1\tpop\n2\tsynthpop\n3\t80s\n",
    "user_taggedartists.dat": (
        "userID\tartistID\ttagID\tday\tmonth\tyear\n"
        "2\t51\t1\t1\t4\t2009\n3\t51\t2\t1\t4\t2009\n2\t51\t2\t1\t4\t2009\n2\t51\t3\t1\t4\t2009\n"
    ),
}


def test_as_it_was_published(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    data = Dataset.load(tmp_path)
    assert data.interactions.select("user_id", "item_id", "event", "play_count").rows() == [
        ("2", "51", "play", "13883"), ("2", "52", "play", "1"), ("3", "51", "play", "7"),
    ]  # fmt: skip
    assert data.items.select("item_id", "title", "category", "text").rows() == [
        ("51", "Duran Duran", "synthpop", "synthpop, 80s, pop"), ("52", 'The "Other" One', "", ""),
    ]  # fmt: skip
    # twice is once, nobody follows themselves, and somebody who did nothing may be a friend
    assert data.friends.rows() == [("2", "3"), ("3", "2"), ("2", "77")]
    assert [str(one) for one in data.rejects.rows] == ["friends:5: column friend_id: user '3' follows themselves"]


def test_without_tags_and_friends(tmp_path: Path) -> None:
    (tmp_path / "user_artists.dat").write_text(FILES["user_artists.dat"])
    data = Dataset.load(tmp_path, strict=True)
    assert (data.interactions.height, data.items.height, data.friends.height) == (3, 0, 0)


def test_real_lastfm(shared_data: Callable[[str], Path]) -> None:
    data = Dataset.load(shared_data("lastfm-hetrec"), strict=True)
    assert (data.interactions.height, data.items.height, data.friends.height) == (92_834, 17_632, 25_434)
    assert data.items.filter(pl.col("title") == "Duran Duran")["category"].item() == "80s"
