"""Labels of which nine tenths are promised to be right: how many of them people give, how often the promise is missed.

Pools of 300. ``mind-topics``: headlines, six topics, at most 50 each; ``product-pairs``: whether two products are the
same, as many as not; ``popquorn-offensiveness``: whether a comment has a mean rating of 2 and more of 5. The machine is
a softmax on 64 principal components of the frozen default encoder; people say the truth, one unit of money a label, and
the machine costs nothing. At equal money: people label random items and the rest gets their commonest option; or the
machine that learnt from as many random labels gives the rest.

``rules`` are ways to have a bound hold at every look, on generated pools, half as many of each. Ours; a part of the
doubt for each look by itself, or the whole for each, which promises too much (Clopper and Pearson's limit without
replacement); and bets (:mod:`palate.oracles.sequential`), on the machine of the time of the draw, or of now, which has
no proof over several looks. In a ``deceitful`` pool the machine is surest of three tenths of the items, whose options
are tossed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import beta, hypergeom
from threadpoolctl import threadpool_limits

from benchmarks._data import folder_of, main
from palate.encoders.cache import Cached
from palate.encoders.registry import load_encoder
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.evaluation.intervals import bootstrap_mean
from palate.oracles.audit import Look, is_shown
from palate.oracles.honest_labels import DRAWN, Labelling, honest_labels
from palate.oracles.pool_pseudo_labels import logistic
from palate.oracles.recorded import Recorded
from palate.oracles.sequential import evidence
from palate.random import derive_rng

POOL, TARGET, DOUBT, COMPONENTS = 300, 0.9, 0.1, 64
TOLERATED = round((1.0 - TARGET) * POOL)
DESIGN = {"mind-topics": 0.65, "product-pairs": 0.62, "popquorn-offensiveness": 0.72}  # human share of the prototype
TOPICS = ("sports", "finance", "foodanddrink", "travel", "health", "autos")
GENERATED = ("easy", "hard", "deceitful")

Array = np.ndarray


class World(NamedTuple):
    """Features, a row an item, and the option of each."""

    features: Array
    truth: Array

    def drawn(self, rng: np.random.Generator) -> World:
        """A pool of them; of several options at most an equal share of each."""
        most = POOL // (int(self.truth.max()) + 1)
        rows = rng.permutation(len(self.truth))
        if most < POOL // 2:
            rows = np.concatenate([rows[self.truth[rows] == one][:most] for one in np.unique(self.truth)])
        rows = rng.permutation(rows[:POOL])
        return World(_leading(self.features[rows]), self.truth[rows])


def _leading(features: Array) -> Array:
    """The 64 principal components of a pool."""
    left, scale, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    return left[:, :COMPONENTS] * scale[:COMPONENTS]


# ---- pools ----


def topics() -> World:
    lines = (folder_of("mind-cut") / "original" / "news.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    kept = [row for row in rows if row[1] in TOPICS]
    return World(_encoded([row[3] for row in kept]), np.array([TOPICS.index(row[1]) for row in kept]))


def pairs() -> World:
    folder = folder_of("crowd-labels")
    rows = pl.read_parquet(folder / "product_pairs_items.parquet").join(
        pl.read_parquet(folder / "product_pairs_truth.parquet"), on="item_id"
    )
    rows = rows.sort("item_id")
    same, others = rows.filter(pl.col("truth") == 1), rows.filter(pl.col("truth") == 0)
    rows = pl.concat([same, others.gather_every(max(others.height // same.height, 1))])
    one, two = (_encoded(rows[f"product_{side}"].to_list()) for side in "ab")
    alike = (one * two).sum(1)
    features = np.column_stack([(alike - alike.mean()) / alike.std(), 10.0 * np.abs(one - two)])
    features /= np.sqrt((features**2).sum(1).mean())  # of a length about 1
    return World(features, rows["truth"].to_numpy().astype(np.intp))


def comments() -> World:
    folder = folder_of("popquorn-offensiveness")
    means = pl.read_parquet(folder / "ratings.parquet").group_by("item_id").agg(pl.col("rating").mean())
    rows = pl.read_parquet(folder / "items.parquet").join(means, on="item_id").sort("item_id")
    return World(_encoded(rows["text"].to_list()), (rows["rating"].to_numpy() >= 2.0).astype(np.intp))


def _encoded(texts: Sequence[str]) -> Array:
    return Cached(load_encoder("default")).encode(list(texts)).astype(np.float64)


SETS: dict[str, Callable[[], World]] = {
    "mind-topics": topics,
    "product-pairs": pairs,
    "popquorn-offensiveness": comments,
}


def generated(kind: str, rng: np.random.Generator) -> World:
    """A pool of a linear world; what can be known of an option is most, little, or nothing where it seems plain."""
    options, noise = (4, 1.0) if kind == "hard" else (2, 0.2)
    features = rng.normal(size=(POOL, 12))
    weights = rng.normal(size=(12, options))
    weights /= np.linalg.norm(weights, axis=0)
    if kind == "deceitful":
        plain = rng.random(POOL) < 0.3
        features[plain] += 4.0 * weights[:, 0] * rng.choice([-1.0, 1.0], plain.sum())[:, None]
    truth = (features @ weights + noise * rng.gumbel(size=(POOL, options))).argmax(1)
    if kind == "deceitful":
        truth[plain] = rng.integers(2, size=plain.sum())
    return World(features, truth)


def _questions(world: World) -> list[AttributeQuestion]:
    options = tuple(f"option {place}" for place in range(int(world.truth.max()) + 1))
    attribute = ItemAttribute("attribute", "Which one?", options)
    return [AttributeQuestion(attribute, f"i{row}") for row in range(len(world.truth))]


def _people(world: World) -> Recorded:
    return Recorded({f"i{row}": int(option) for row, option in enumerate(world.truth)}, cost=1.0)


def _machine(world: World) -> Any:
    return logistic(world.features, options=int(world.truth.max()) + 1)


# ---- campaigns ----


def campaign(world: World, rng: np.random.Generator) -> dict[str, float]:
    """One labelling, and what as much money buys otherwise."""
    found = honest_labels(_questions(world), _people(world), _machine(world), target=TARGET, doubt=DOUBT, rng=rng)
    said = np.array([label.value for label in found.labels])
    n, rows = len(world.truth), rng.permutation(len(world.truth))[: round(found.cost)]
    people = np.full(n, np.bincount(world.truth[rows]).argmax())
    model = _machine(world)(rows, world.truth[rows])[0].copy()
    for labels in (people, model):
        labels[rows] = world.truth[rows]
    accuracy = {"ours": said, "people": people, "machine": model}
    right = {name: float((labels == world.truth).mean()) for name, labels in accuracy.items()}
    return right | {"human": found.human_share, "bound": found.error, "shown": float(found.is_shown)}


def _set(name: str, seeds: int) -> dict[str, Any]:
    world, rows = SETS[name](), []
    for seed in range(seeds):
        rng = derive_rng(seed, "honest labels", name)
        rows.append(campaign(world.drawn(rng), rng))
    table = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    draws = derive_rng(0, "bootstrap")
    better = np.maximum(table["people"], table["machine"])
    return {
        "set": name,
        "items": len(world.truth),
        "options": int(world.truth.max()) + 1,
        "missed": _share(int((table["ours"] < TARGET - 1e-9).sum()), seeds),
        "bound_missed": _share(int((1.0 - table["ours"] > table["bound"] + 1e-9).sum()), seeds),
        "human_share": bootstrap_mean(table["human"], rng=draws).as_dict(),
        "human_share_of_the_design": DESIGN[name],
        "accuracy": bootstrap_mean(table["ours"], rng=draws).as_dict(),
        "worst": float(table["ours"].min()),
        "at_equal_money": {
            "people": bootstrap_mean(table["people"], rng=draws).as_dict(),
            "machine": bootstrap_mean(table["machine"], rng=draws).as_dict(),
            "ours_minus_the_better": bootstrap_mean(table["ours"] - better, rng=draws).as_dict(),
            "below_the_better": _share(int((table["ours"] < better - 1e-9).sum()), seeds),
        },
    }


def _share(n: int, of: int) -> dict[str, float]:
    """A share with its 95 % interval (Clopper and Pearson)."""
    low, high = (beta.ppf(0.025, n, of - n + 1) if n else 0.0), (beta.ppf(0.975, n + 1, of - n) if n < of else 1.0)
    return {"share": n / of, "low": float(low), "high": float(high)}


# ---- rules ----


class Seen(NamedTuple):
    """After a round.

    Attributes:
        standing: Random ones that would still be left.
        fresh: Of all random labels so far, in order, whether the machine of then was wrong.
        right: Share of all labels that is.
    """

    look: Look
    standing: int
    fresh: tuple[float, ...]
    right: float


def played(world: World, rng: np.random.Generator) -> Iterator[Seen]:
    """All rounds of a labelling, as if nothing were ever shown."""
    people, fresh = _people(world), list[float]()
    labelling = Labelling.start(_questions(world), _machine(world), target=1.0 - 1e-9, doubt=DOUBT, rng=rng)
    said = None
    while labelling.open:
        asked = labelling.open
        answers = people.answer(asked)
        if said is not None:
            fresh += [
                float(said[int(one.item_id[1:])] != answer.value)
                for one, answer in zip(asked, answers, strict=True)
                if one.strategy == DRAWN
            ]
        labelling = labelling.tell(answers)
        said = np.array([label.value for label in labelling.result().labels])
        yield Seen(labelling.looks[-1], len(labelling.standing), tuple(fresh), float((said == world.truth).mean()))


Rule = Callable[[Sequence[Seen]], int]


def first(seen: Sequence[Seen], shows: Callable[[Seen], bool]) -> int:
    """The round after which a rule stops: shown, or left so few that all may be wrong."""
    return next((turn for turn, one in enumerate(seen) if one.look.left <= TOLERATED or shows(one)), len(seen) - 1)


def ours(seen: Sequence[Seen]) -> int:
    looks = [one.look for one in seen]
    return first(seen, lambda one: is_shown(TOLERATED, looks[: looks.index(one.look) + 1], of=POOL, doubt=DOUBT))


def each(doubt: float) -> Rule:
    """A look by itself: of those that would still be left the drawn ones are a random part."""

    def shows(one: Seen) -> bool:
        total = np.arange(one.look.wrong + TOLERATED + 1, one.look.wrong + one.look.left + 1)
        return bool((hypergeom.cdf(one.look.wrong, one.standing + one.look.left, total, one.standing) <= doubt).all())

    return lambda seen: first(seen, shows)


def bet_fresh(seen: Sequence[Seen]) -> int:
    """Bets on the machine of each time, as long as it gets no worse."""
    return first(seen, lambda one: _bets(np.array(one.fresh), TOLERATED / one.look.left))


def bet_left(seen: Sequence[Seen]) -> int:
    """Bets on the machine of now, by the random ones that would still be left."""

    def shows(one: Seen) -> bool:
        found = np.zeros(one.standing)
        found[derive_rng(one.look.labelled, "order").permutation(one.standing)[: one.look.wrong]] = 1.0
        return _bets(found, TOLERATED / one.look.left)

    return first(seen, shows)


def _bets(wrong: Array, limit: float) -> bool:
    return len(wrong) > 0 and limit < 1.0 and bool(evidence(wrong, limit)[-1] >= 1.0 / DOUBT)


def at_best(seen: Sequence[Seen]) -> int:
    """Who knew the truth: the least that can be asked."""
    return first(seen, lambda one: one.right >= TARGET)


RULES: dict[str, Rule] = {
    "ours": ours,
    "a twentieth of the doubt at each look": each(DOUBT / 20.0),
    "the whole doubt at each look": each(DOUBT),
    "bets, machine of then": bet_fresh,
    "bets, machine of now": bet_left,
    "who knows the truth": at_best,
}


def _rules(kind: str, seeds: int) -> list[dict[str, Any]]:
    plays = []
    for seed in range(seeds):
        rng = derive_rng(seed, "rules", kind)
        plays.append(list(played(generated(kind, rng), rng)))
    rows = []
    for name, rule in RULES.items():
        ends = [seen[rule(seen)] for seen in plays]
        human = np.array([one.look.labelled / POOL for one in ends])
        rows.append(
            {
                "pool": kind,
                "rule": name,
                "missed": _share(sum(one.right < TARGET - 1e-9 for one in ends), seeds),
                "human_share": bootstrap_mean(human, rng=derive_rng(0, "bootstrap")).as_dict(),
                "accuracy": float(np.mean([one.right for one in ends])),
            }
        )
    return rows


def run(seeds: int) -> dict[str, Any]:
    with threadpool_limits(limits=1):
        rows = [_set(name, seeds) for name in SETS]
        rules = [row for kind in GENERATED for row in _rules(kind, max(seeds // 2, 2))]
    return {"pool": POOL, "target": TARGET, "doubt": DOUBT, "rules": rules, "rows": rows}


if __name__ == "__main__":
    main("honest_labels", run, seeds=100)
