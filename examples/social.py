"""A community: a newcomer with friends, a question on content kinds, votes, a new post, and a post that is taken down.

Run it with ``python examples/social.py``; it takes some seconds and works in a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from palate import Recommender, events
from palate.datasets.samples import social_sample

POST = {
    "item_id": "new",
    "title": "A short guide to slugs",
    "text": "Beer traps, copper tape and patience, tested in the school garden.",
    "category": "gardening|guide",
}


def main() -> None:
    data = social_sample(users=150, items=80, rng=np.random.default_rng(0))  # yours: Dataset.load("my-community")
    with tempfile.TemporaryDirectory() as folder, Recommender.create(Path(folder) / "model", data) as site:
        show(site, "Somebody new")
        friends = data.friends.filter(pl.col("user_id") == data.friends["user_id"].mode().sort()[0])["friend_id"]
        site.know("ann", friends=friends.to_list())
        show(site, f"After they follow {len(friends)} members")

        (question,) = site.ask("ann", forms=["group"], rng=np.random.default_rng(0))
        print("Which of these would you open?", *question.titles, sep="\n  ")
        site.tell(question.answer(question.items[:1]))

        liked, other = (one.item_id for one in site.recommend("ann", 2))
        site.see(events("ann", [liked], kind="like"))
        site.see(events("ann", [other], kind="dislike"))
        show(site, "After a vote up and a vote down")

        site.add_items(pl.DataFrame(POST))
        first = [question.user_id for question in site.ask_about("new", k=3, rng=np.random.default_rng(0))]
        print(f"Nobody has seen {POST['title']!r}; most is learnt of it from {', '.join(first)}")
        site.withdraw_items([other])  # reported: it is shown and asked about no more


def show(site: Recommender, when: str) -> None:
    print(when)
    for item in site.recommend("ann", 3):
        print(f"  {item.title}: {item.reason}")


if __name__ == "__main__":
    main()
