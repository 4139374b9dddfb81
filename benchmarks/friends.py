"""What friends' choices add to the list of people who are new, by how much is known of them.

A fifth of the people of Last.fm (HetRec 2011: 12,717 friendships) are drawn. Everything is fitted on the others, over
the 3,000 items that most of these met, of at least five. Tested are the drawn by what they did after the first n, in an
order drawn, since there are no times. Of their friends those count who are in the fit. ``with`` and ``without`` are
the one list with and without friendships, both of one fit's arguments and seed; ``friends alone`` is the order by what
their friends met, popularity behind it. Intervals are over
people, paired; a seed draws the people and whatever is drawn in a fit.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse

from benchmarks._data import folder_of, main
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.palate_ranker import Lists
from palate.random import derive_rng
from palate.ranking.experts.friends import Friends
from palate.ranking.fit_list import fit_list
from palate.ranking.held_back import Met
from palate.ranking.histories import Histories, list_ndcg
from palate.ranking.list_model import FRIENDS

STAGES = (0, 1, 3, 10)
MOST_ITEMS, LEAST = 3000, 5


@dataclass(frozen=True, eq=False)
class World:
    """What the people of the fit met, whom everybody follows, and what new people did in an order drawn."""

    met: Met
    graph: sparse.csr_array
    people: np.ndarray
    items: list[np.ndarray]

    def at(self, n: int) -> tuple[Histories, np.ndarray, np.ndarray]:
        """Of those who did more than n: the first n, what came later, (m, I), and whom they follow that is counted."""
        some = [place for place, items in enumerate(self.items) if len(items) > n]
        histories = Histories.of([self.items[place][:n] for place in some], self.met.n_items)
        later = Histories.of([self.items[place][n:] for place in some], self.met.n_items).matrix().toarray() > 0
        friends = self.graph[self.people[some]]
        return replace(histories, friends=friends), later, friends.sum(1)


def world(seed: int) -> World:
    """Last.fm with a fifth of its people new."""
    rng, folder = derive_rng(seed, "friends"), folder_of("lastfm-hetrec")
    plays = pl.read_parquet(folder / "plays.parquet").select("user_id", "item_id").unique(maintain_order=True)
    ids, users = np.unique(plays["user_id"].to_numpy(), return_inverse=True)
    items = plays["item_id"].to_numpy()
    is_new = np.zeros(len(ids), dtype=bool)
    is_new[rng.permutation(len(ids))[: len(ids) // 5]] = True
    counts = np.bincount(items[~is_new[users]])
    kept = np.argsort(-counts, kind="stable")[:MOST_ITEMS]
    kept = np.sort(kept[counts[kept] >= LEAST])
    users, items = users[inside := np.isin(items, kept)], np.searchsorted(kept, items[inside])
    order = rng.permutation(len(users))
    users, items = users[order], items[order]
    train, n = ~is_new[users], int((~is_new[users]).sum())
    met = Met.of(users[train], items[train], np.ones(n, bool), np.ones(n), np.full(n, np.nan), (len(ids), len(kept)))
    edges = pl.read_parquet(folder / "friends.parquet").filter(
        pl.col("user_id").is_in(ids.tolist()) & pl.col("friend_id").is_in(ids.tolist())
    )
    rows, columns = (np.searchsorted(ids, edges[name].to_numpy()) for name in ("user_id", "friend_id"))
    ones = np.ones(len(rows)) * ~is_new[columns]
    graph = sparse.csr_array((ones, (rows, columns)), shape=(len(ids), len(ids)))
    graph.eliminate_zeros()
    people = np.flatnonzero(is_new)
    return World(met, graph, people, [items[users == user] for user in people])


def ndcg(scores: np.ndarray, histories: Histories, later: np.ndarray) -> np.ndarray:
    scores[histories.matrix().toarray() > 0] = -np.inf
    return np.asarray(list_ndcg(scores, later, later.sum(1)))


def row(seed: int) -> dict[str, Any]:
    one = world(seed)
    print(seed, f"{len(one.people)} new people, {one.met.n_items} items, {one.graph.nnz} friends", file=sys.stderr)
    fits = {
        name: Lists(fit_list(met, rng=derive_rng(seed, "list")))
        for name, met in {"without": one.met, "with": replace(one.met, friends=one.graph)}.items()
    }
    stages, new = {}, fits["with"].model.new
    for n in STAGES:
        histories, later, friends = one.at(n)
        found = {name: ndcg(lists.of_new(histories), histories, later) for name, lists in fits.items()}
        popular = np.bincount(one.met.items, minlength=one.met.n_items) / len(one.met)
        alone = Friends(one.met.histories.matrix()).evidence(histories) + popular
        found["friends alone"] = ndcg(alone.astype(np.float64), histories, later)
        stages[str(n)] = {
            "people": len(later),
            "with_friends": int((friends > 0).sum()),
            "weight": round(float(new.of(n)[new.names.index(FRIENDS)]), 4),
            **{name: bootstrap_mean(of, rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict()
               for name, of in found.items()},
            "with_minus_without": paired_bootstrap(
                found["with"], found["without"], rng=derive_rng(0, "bootstrap")
            ).as_dict(),
        }  # fmt: skip
    return {"set": "lastfm-hetrec", "seed": seed, "items": one.met.n_items, "stages": stages}


def run(seeds: int) -> dict[str, Any]:
    """One row a seed."""
    return {"rows": [row(seed) for seed in range(seeds)]}


if __name__ == "__main__":
    main("friends", run, seeds=3)
