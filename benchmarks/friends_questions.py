"""Whether friends tell what somebody can be asked about: questions to new people whose friends are known.

Of Last.fm (HetRec 2011) at most 2,000 people and the 1,000 items that most of them met are taken. A fifth of the
people is new: everything is fitted on the others, friendships included. Of each new person with a friend in the fit one
half of the items may be asked about, five of them one by one: what they met is liked, of the rest they say "don't know
it". The list is made of the other half, by friends' choices too, and judged by what they met there.

Both ways the score of the default strategy chooses, out of all items that may be asked. ``without`` leaves it as it is;
``with`` gives it another chance that the person knows an item: the odds are multiplied by c (1 + the friends who met
it) ** b, where b and c are fitted by maximum likelihood on the people of the fit. Intervals are over people, paired.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit, logit

from benchmarks._data import folder_of, main
from palate import Dataset, Learner
from palate.acquisition import DEFAULT, get_strategy
from palate.acquisition.candidates import Candidates
from palate.entities import Answer, AnswerKind
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.product import cut
from palate.posteriors.belief import Belief
from palate.random import derive_rng

USERS, ITEMS, SHARE, TESTED = 2000, 1000, 0.2, 200
ASKED = (0, 2, 5)
DISCOUNT = 1.0 / np.log2(np.arange(2, 12))
Met = dict[str, set[str]]


def row(seed: int) -> dict[str, Any]:
    """One split and fit."""
    rng, data = derive_rng(seed, "friends"), cut(Dataset.load(folder_of("lastfm-hetrec")), users=USERS, items=ITEMS)
    met = {user: set(items) for user, items in data.interactions.group_by("user_id").agg("item_id").iter_rows()}
    names = sorted(met)
    new = {names[place] for place in rng.permutation(len(names))[: round(SHARE * len(names))]}
    learner = Learner.fit(data.filter(~pl.col("user_id").is_in(sorted(new))), encoder="none", seed=seed)
    assert data.friends is not None
    friends: dict[str, list[str]] = {}
    for user, friend in data.friends.iter_rows():
        if friend in met and friend not in new:
            friends.setdefault(user, []).append(friend)
    odds = fitted_odds(
        learner, met, {user: of for user, of in friends.items() if user in met and user not in new}, len(met) - len(new)
    )
    tested = [user for user in sorted(new) if user in friends and len(met[user]) >= 10]
    tested = [tested[place] for place in np.sort(rng.permutation(len(tested))[:TESTED])]
    print(seed, f"{len(tested)} people, odds {odds}", file=sys.stderr)
    found: dict[str, list[list[tuple[float, int]]]] = {"without": [], "with": []}
    for user in tested:
        for way, given in (("without", (0.0, 0.0)), ("with", odds)):
            found[way].append(told(learner, user, met, friends[user], given, derive_rng(seed, "ask", user)))
    return {"seed": seed, "people": len(tested), "odds": odds, "questions": dict(compared(found))}


def counts_of(learner: Learner, met: Met, friends: list[str]) -> np.ndarray:
    """Of each item of the catalogue how many of these met it."""
    return np.array([sum(item in met[friend] for friend in friends) for item in learner.model.catalogue.ids], float)


def fitted_odds(learner: Learner, met: Met, friends: dict[str, list[str]], n_people: int) -> tuple[float, float]:
    """The power b and the logarithm of the factor, by maximum likelihood on some people of the fit."""
    ids, people = list(learner.model.catalogue.ids), sorted(friends)[:500]
    share = learner.model.catalogue.counts / n_people
    base = logit(np.clip(share, 1e-4, 1.0 - 1e-4))
    know = np.array([[item in met[user] for item in ids] for user in people])
    more = np.log1p(np.array([counts_of(learner, met, friends[user]) for user in people]))

    def cost(given: np.ndarray) -> float:
        score = base + given[0] * more + given[1]
        return float(np.logaddexp(0.0, np.where(know, -score, score)).sum())

    power, level = minimize(cost, [0.5, 0.0]).x
    return float(power), float(level)


def asks(odds: tuple[float, float], more: np.ndarray) -> Callable[..., np.ndarray]:
    """The default strategy with other chances that an item is known."""
    score, factor = get_strategy(DEFAULT).score, odds[0] * more + odds[1]

    def with_friends(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> np.ndarray:
        known = expit(logit(np.clip(candidates.known, 1e-6, 1.0 - 1e-6)) + factor)
        return score(
            belief, replace(candidates, known=known, reach=candidates.reach * known / candidates.known), rng=rng
        )

    return with_friends


def told(
    learner: Learner,
    user: str,
    met: Met,
    friends: list[str],
    odds: tuple[float, float],
    rng: np.random.Generator,
) -> list[tuple[float, int]]:
    """After each number of questions NDCG@10 of the list, and how many were of items that the person met."""
    ids = list(learner.model.catalogue.ids)
    askable = set(np.array(ids)[rng.permutation(len(ids))[: len(ids) // 2]].tolist())
    rest = [item for item in ids if item not in askable]
    wanted = met[user] & set(rest)
    strategy = asks(odds, np.log1p(counts_of(learner, met, friends)))
    of, yes, found = learner.know(user, friends=friends), 0, []
    for n in range(max(ASKED) + 1):
        if n in ASKED:
            shown = [item.item_id for item in of.recommend(user, 10, allow=rest)]
            gain = float(np.isin(shown, sorted(wanted)) @ DISCOUNT[: len(shown)])
            found.append((gain / float(DISCOUNT[: min(10, max(len(wanted), 1))].sum()), yes))
        if n == max(ASKED):
            break
        (question,) = of.ask(user, strategy=strategy, candidates=sorted(askable), random_share=0.0, rng=rng)
        item = question.item_id
        knows = item in met[user]
        yes += knows
        kind, value = (AnswerKind.RATING, 1.0) if knows else (AnswerKind.UNKNOWN, None)
        of = of.tell(Answer(user, item, kind, value))
    return found


def compared(found: dict[str, list[list[tuple[float, int]]]]) -> Any:
    """By questions asked NDCG@10 both ways and the difference; and answers that were no "don't know it"."""
    for place, n in enumerate(ASKED):
        values = {way: np.array([one[place] for one in each], float) for way, each in found.items()}
        figures = {
            way: bootstrap_mean(of[:, 0], rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict()
            for way, of in values.items()
        }
        less = paired_bootstrap(values["with"][:, 0], values["without"][:, 0], rng=derive_rng(0, "bootstrap"))
        known = {way: float(of[:, 1].mean()) for way, of in values.items()}
        yield str(n), {**figures, "with_minus_without": less.as_dict(), "known": known}


def run(seeds: int) -> dict[str, Any]:
    """One row a seed."""
    return {"rows": [row(seed) for seed in range(seeds)]}


if __name__ == "__main__":
    main("friends_questions", run, 2)
