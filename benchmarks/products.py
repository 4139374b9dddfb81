"""The honest table of each kind of product, on logs of that kind: what `palate demo PRODUCT --data PATH` says, for more
people.

Lists for somebody new after 0, 1, 3 and 10 events beside rivals tuned inside the training part; lists after so many
questions, Palate's and about popular items; items nobody has acted on (:mod:`palate.evaluation.product`). The samples
are generated; of a log at most 2,000 people, drawn, and the 1,000 items that most of them met, as the command has it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks._data import folder_of, load, main
from palate import Dataset
from palate.cli.products import PRODUCTS
from palate.evaluation.product import asked, cut, product_table
from palate.random import derive_rng

SETS = {
    "news sample": "news",
    "mind-cut": "news",
    "shop sample": "shop",
    "online-retail": "shop",
    "amazon-gift-cards": "shop",
    "video sample": "video",
    "kuairand-pure-cut": "video",
    "movielens-latest-small": "video",
    "social sample": "social",
    "lastfm-hetrec": "social",
    "movietweetings": "social",
    "polis/canadian-electoral-reform": "social",
}
ORIGINAL = ("mind-cut", "amazon-gift-cards")  # what lies in a folder of that name inside
MOST = {"users": 2000, "items": 1000}


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set; the seeds are those of the questions, lists are of the first."""
    return {"rows": [_row(name, seeds) for name in names]}


def _row(name: str, seeds: int) -> dict[str, Any]:
    print(name, file=sys.stderr)
    data = cut(_data(name), **MOST)
    found = product_table(data, seeds=seeds, progress=lambda what, *_: print("  ", what, file=sys.stderr))
    questions = found["questions"]
    return {
        "product": SETS[name],
        "set": name,
        "size": {key: found["dataset"][key] for key in ("users", "items", "interactions")},
        "lists": found["lists"],
        "questions": questions and {str(n): one for n, one in asked(questions).items()},
        "asked": questions and questions["protocol"]["test_users"],
        "new_items": found["new_items"],
        "left_out": found["left_out"],
    }


def _data(name: str) -> Dataset:
    if name.endswith(" sample"):
        kind = PRODUCTS[SETS[name]]
        return replace(kind.generate(derive_rng(0, "demo", kind.name)), name=name)
    if name in ORIGINAL:
        return replace(Dataset.load(folder_of(name) / "original"), name=name)
    return load(name)


if __name__ == "__main__":
    main("products", run, seeds=1, sets=tuple(SETS))
