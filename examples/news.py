"""A news site: a newcomer clicks three articles, taps what they like, and new articles enter without a refit.

Run it with ``python examples/news.py``; it takes some seconds, needs no network and works in a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from palate import Recommender, events
from palate.datasets.samples import news_sample
from palate.loop.lists import Recommendation

NEW = pl.DataFrame(
    [
        ("new-1", "Young handball star from Ghent wins the cup", "The handball team leads the table.", "sport"),
        ("new-2", "Volcanoes: what a new instrument measures", "A discovery about volcanoes.", "science"),
        ("new-3", "The best noodles in Porto, tested", "Noodles with five ingredients only.", "food"),
    ],
    schema=["item_id", "title", "text", "category"],
    orient="row",
)


def main() -> None:
    data = news_sample(users=200, items=80, rng=np.random.default_rng(0))  # yours: Dataset.load("my-news")
    with tempfile.TemporaryDirectory() as folder, Recommender.create(Path(folder) / "model", data) as site:
        show("A newcomer", site.recommend("ann", 3))

        read = [item.item_id for item in site.recommend("ann", 3, category="sport")]
        site.see(events("ann", read, kind="click"))  # in the log on disk before this returns
        show("After three clicks on sport", site.recommend("ann", 3))

        (question,) = site.ask("ann", forms=["group"], rng=np.random.default_rng(0))
        print(f"\n{question.text}")
        site.tell(question.answer(question.items[:1]))  # the first is tapped

        site.add_items(NEW)
        show("What is new, the best for her first", site.recommend("ann", 3, allow=NEW["item_id"].to_list()))
        site.withdraw_items(read)  # out of date: in no list or question any more, and still what she has read


def show(when: str, items: Iterable[Recommendation]) -> None:
    print(f"\n{when}")
    for item in items:
        print(f"  {item.title}: {item.reason}")


if __name__ == "__main__":
    main()
