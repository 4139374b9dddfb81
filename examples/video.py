"""A video site in forty lines: plays become events, somebody new is asked and watches, new videos are put in order.

Run it with ``python examples/video.py``; it takes some seconds, needs no network and works in a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from palate import Recommender, events
from palate.datasets.samples import video_sample

SKIPPED = 0.15  # share of a video below which it was left
NEW = pl.DataFrame({"item_id": ["n1", "n2"], "title": ["Better derbies", "Inside octopus brains"]})


def main() -> None:
    data = video_sample(users=80, items=40, rng=np.random.default_rng(0))
    science = data.items.filter(pl.col("category") == "science").head(2)
    with tempfile.TemporaryDirectory() as folder, Recommender.create(Path(folder) / "site", data, seed=0) as site:
        (question,) = site.ask("ann", forms=["group"], rng=np.random.default_rng(0))
        print(question.text)
        site.tell(question.answer([question.items[0]]))
        for video, duration in science.select("item_id", "duration").iter_rows():
            watch(site, "ann", video, 0.9 * duration, duration)
        print(*(f"  {video.title}: {video.reason}" for video in site.recommend("ann", 3)), sep="\n")
        site.add_items(NEW)
        new = site.recommend("ann", 2, allow=NEW["item_id"].to_list())
        print("new today:", ", then ".join(video.title for video in new))


def watch(site: Recommender, user: str, video: str, seconds: float, duration: float) -> None:
    """What a player sends when a video is over, or left."""
    word = "skip" if seconds < SKIPPED * duration else "play"
    site.see(events(user, video, kind=word))
    print(f"{user}: {seconds:.0f} of {duration:.0f} s of {video}, a {word}")


if __name__ == "__main__":
    main()
