"""Draws docs/images/watch-share.png, how far videos are watched: ``python docs/draw_watch_share.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from palate.datasets.samples import video_sample

PATH = Path(__file__).resolve().parent / "images" / "watch-share.png"
GROUPS = 8  # of videos, by their length


def draw(path: Path) -> None:
    """Share and minutes watched, by length."""
    data = video_sample(rng=np.random.default_rng(0))
    group = (pl.col("duration").rank("ordinal") * GROUPS / (pl.len() + 1)).cast(pl.Int64).alias("group")
    shown = data.interactions.drop_nulls("share").join(data.items.with_columns(group), on="item_id")
    mean = shown.group_by("group").agg(pl.col("share", "seconds", "duration").mean()).sort("group")
    names = [f"{seconds / 60.0:.1f}" for seconds in mean["duration"]]
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    left, right = FigureCanvasAgg(figure).figure.subplots(1, 2)
    for axes, values, title in (
        (left, mean["share"], "Share watched: short videos look best"),
        (right, mean["seconds"] / 60.0, "Minutes watched: long ones do"),
    ):
        axes.bar(names, values, color="#0072b2")
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("length of the video, minutes")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    draw(PATH)
