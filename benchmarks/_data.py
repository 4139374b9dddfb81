"""The data sets of the benchmarks: MovieLens-100K is fetched, the others lie in a folder that ``PALATE_DATA`` names."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate import Dataset
from palate.datasets.fetch import fetch
from palate.datasets.splits import random_split
from palate.errors import DataError

POLIS = (
    "scoop-hivemind.biodiversity",
    "scoop-hivemind.affordable-housing",
    "american-assembly.bowling-green",
    "ssis.land-bank-farmland.2rumnecbeh",
)
ALL_POLIS = (
    *POLIS,
    "canadian-electoral-reform",
    "football-concussions",
    "15-per-hour-seattle",
    "brexit-consensus",
    "vtaiwan.uberx",
    "austria-climate.2vkxcncppn",
)
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def load(name: str, *, attributes: bool = False) -> Dataset:
    """A data set by name; ``polis/NAME`` is one conversation, accepted statements only.

    Args:
        attributes: Whether to keep what it says of its users; ``benchmarks.attributes`` measures what that is worth.
    """
    data = _load(name)
    return data if attributes else replace(data, users=data.users.clear())


def _load(name: str) -> Dataset:
    if name.startswith("polis/"):
        return _polis(name.removeprefix("polis/"))
    folder = folder_of(name)
    if (folder / "ratings.parquet").exists() and name in ("young-people-survey", "dog-aesthetics", "coat"):
        return _rated(name)
    return Dataset.load(folder if folder.exists() else fetch(name))


def folder_of(name: str) -> Path:
    return Path(os.environ.get("PALATE_DATA", _BESIDE)) / name


def _polis(conversation: str) -> Dataset:
    folder = folder_of("polis")
    if not folder.exists():
        raise DataError(f"the folder {folder} is missing. Name the folder of the data sets in PALATE_DATA.")
    here = pl.col("conversation") == conversation
    items = pl.read_parquet(folder / "items.parquet").filter(here & (pl.col("moderated") == 1))
    votes = pl.read_parquet(folder / "votes.parquet").filter(here & pl.col("item_id").is_in(items["item_id"].implode()))
    ratings = votes.select("user_id", "item_id", pl.col("vote").cast(pl.Float64).alias("rating"))
    return Dataset.from_tables(ratings, items.select("item_id", "text"), name=f"polis/{conversation}")


def _rated(name: str) -> Dataset:
    """A folder of ratings, items, users; of a pair rated twice the first (dog-aesthetics) or the random one (coat)."""
    folder = folder_of(name)
    ratings = pl.read_parquet(folder / "ratings.parquet").sort(
        pl.col("block" if name == "dog-aesthetics" else "split" if name == "coat" else "item_id"), maintain_order=True
    )
    ratings = ratings.unique(["user_id", "item_id"], keep="first", maintain_order=True)
    columns = ["user_id", "item_id", pl.col("rating").cast(pl.Float64)]
    users = pl.read_parquet(folder / "users.parquet") if (folder / "users.parquet").exists() else None
    return Dataset.from_tables(ratings.select(columns), pl.read_parquet(folder / "items.parquet"), users, name=name)


def nine_tenths(data: Dataset, *, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """To fit on, and a tenth of the interactions to tell, by chance."""
    parts = random_split(data, rng=rng)
    assert parts.validation is not None
    rows = [parts.train.interactions, parts.validation.interactions]
    return replace(parts.train, interactions=pl.concat(rows)), parts.test


def at_stages(document: dict[str, Any], stages: Sequence[int]) -> dict[str, Any]:
    """Of a simulation, what each strategy came to after so many questions: quality, and RMSE less that of others."""

    def short(values: dict[str, list[float]]) -> dict[str, list[float]]:
        return {end: [round(curve[stage], 5) for stage in stages] for end, curve in values.items()}

    return {
        name: {
            "rmse": short(summary["rmse"]),
            "ndcg@10": short(summary["ndcg@10"]),
            **{f"minus {other}": short(values) for other, values in summary["rmse_minus"].items()},
            "answered": round(summary["answered"][-1], 4),
            "saved": summary.get("labels_saved"),
        }
        for name, summary in document["strategies"].items()
    }


def main(
    name: str, run: Callable[..., dict[str, Any]], seeds: int, *, sets: Sequence[str] = (), fixed: bool = False
) -> None:
    """Run one benchmark: its document on standard output with ``--json``, a short form otherwise.

    Args:
        run: Takes the number of seeds and, if the benchmark has sets, their names.
        sets: What ``--sets`` is if it is not given.
        fixed: Whether it has to be some of these, of which the benchmark knows more than the name.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--seeds", type=int, default=seeds)
    if sets:
        parser.add_argument("--sets", metavar="A,B", default=",".join(sets), help="data sets; %(default)s")
        parser.add_argument("--out", type=Path, help="a file of results, in which the rows of these sets are replaced")
    options = parser.parse_args()
    named = tuple(options.sets.split(",")) if sets else ()
    if fixed and (unknown := [each for each in named if each not in sets]):
        parser.error(f"no set {', '.join(unknown)} here. There are {', '.join(sets)}.")
    chosen = f" --sets {options.sets}" if named != tuple(sets) and options.out is None else ""
    document = {
        "command": f"python -m benchmarks.{name} --json --seeds {options.seeds}{chosen}",
        "seeds": list(range(options.seeds)),
        **(run(options.seeds, named) if sets else run(options.seeds)),
    }
    if sets and options.out is not None:
        _into(options.out, document, sets)
    json.dump(document, sys.stdout, indent=None if options.json else 1, allow_nan=False)
    print()


def _into(path: Path, document: dict[str, Any], order: Sequence[str]) -> None:
    """Rows of other sets that lie in the file already stay; all come in the order of the benchmark."""
    own = {row["set"] for row in document["rows"]}
    kept = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    every = [*(row for row in kept if row.get("set") not in {None, *own}), *document["rows"]]
    places = {name: place for place, name in enumerate(order)}
    document["rows"] = sorted(every, key=lambda row: places.get(row["set"], len(places)))
    path.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
