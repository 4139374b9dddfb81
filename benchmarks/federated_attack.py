"""What the published items of a model line tell of who took part, by the claimed ε: an attack on memberships.

MovieLens-100K in random halves, each learnt as a model line without text. The attacker has the public model at the
line's end, knows what each person rated, and has run the line on other halves of the people. What is measured is how
well the items predict a person's ratings, given that belief of the person which they make themselves. Two attacks
follow, LiRA (:mod:`benchmarks._membership`) and a shift: above the middle of the two means of the shadow lines. AUC of
the people who took part against those who did not; .5 is chance. (ε, δ) bounds the AUC of any attack, also of one who
sees every opening and all other answers: at Φ(μ/√2).

Factors are published whatever round 0 says; levels alone are a row of their own, as is the clip without noise. Without
privacy there is neither.

A person who is erased deletes the answers on the device; the sums that were opened before stay. So the attack on who
took part is also the attack on who is erased: nothing is removed, and ε bounds what is left.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.special import ndtr

from benchmarks._data import load, main
from benchmarks._membership import auc, random_half, rated, ratios, shifts
from palate.evaluation.intervals import bootstrap_mean
from palate.federated.accounting import mu_of
from palate.federated.device import DeviceAnswers, belief
from palate.federated.fixed_point import MAX_BOUND
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.rounds import private_fit
from palate.random import derive_rng

SHADOWS = 11
DELTA = 1e-5
LINES: dict[str, dict[str, Any]] = {
    "no privacy": {"epsilon": math.inf, "clip": MAX_BOUND},
    "clip alone": {"epsilon": math.inf},
    **{f"epsilon {epsilon:g}": {"epsilon": epsilon} for epsilon in (10.0, 3.0, 1.0)},
    "epsilon 3, levels alone": {"epsilon": 3.0, "form": "means"},
}


def run(seeds: int) -> dict[str, Any]:
    """AUC of the attacks on each line, over the target halves."""
    return {"shadows": SHADOWS, "delta": DELTA, "lines": {name: attack(seeds, **LINES[name]) for name in LINES}}


def attack(seeds: int, *, form: str = "factors", **settings: float) -> dict[str, Any]:
    """AUC of the attacks on a line with these options."""
    begun = time.perf_counter()
    options = FederatedOptions(delta=DELTA, form=form, **settings)  # type: ignore[arg-type]
    told = rated(load("movielens-100k"))
    users, items = sorted(told), sorted({item for rows, _ in told.values() for item in rows})
    place = {item: number for number, item in enumerate(items)}
    everybody = [
        DeviceAnswers(np.array([place[item] for item in rows]), stars) for rows, stars in (told[user] for user in users)
    ]
    known = np.array([_is_in(users, "shadow", number) for number in range(SHADOWS)])
    losses = np.array([_fits(everybody, len(items), of, options, f"shadow {n}") for n, of in enumerate(known)])
    aucs: dict[str, list[float]] = {"likelihood ratio": [], "shift": []}
    for seed in range(seeds):
        is_in = _is_in(users, "target", seed)
        seen = _fits(everybody, len(items), is_in, options, f"target {seed}")
        for name, score in (("likelihood ratio", ratios), ("shift", shifts)):
            found = score(seen, known, losses)
            aucs[name].append(auc(found[is_in], found[~is_in]))
    bound = 1.0 if math.isinf(options.epsilon) else float(ndtr(mu_of(options.epsilon, DELTA) / math.sqrt(2)))
    return {
        **{name: bootstrap_mean(of, rng=np.random.default_rng(0)).as_dict() for name, of in aucs.items()},
        "any attack at most": bound,
        "by seed": aucs,
        "seconds a line": (time.perf_counter() - begun) / (SHADOWS + seeds),
    }


def _is_in(users: list[str], name: str, number: int) -> np.ndarray:
    members = random_half(users, name, number)
    return np.array([user in members for user in users])


def _fits(
    everybody: list[DeviceAnswers], n_items: int, is_in: np.ndarray, options: FederatedOptions, name: str
) -> np.ndarray:
    """How well what a line of some of the people published predicts the ratings of each, (U,)."""
    taken = [answers for answers, there in zip(everybody, is_in, strict=True) if there]
    ends = np.cumsum([0, *(len(answers.items) for answers in taken)])
    items, stars = (np.concatenate([getattr(answers, of) for answers in taken]) for of in ("items", "values"))
    rows = sparse.csr_matrix((stars, items.astype(np.int32), ends), (len(taken), n_items))
    public = private_fit(rows, None, options, rng=derive_rng(0, "attack", f"{name} {options.epsilon}"))
    return np.array([_fit(public, answers) for answers in everybody])


def _fit(public: PublicModel, answers: DeviceAnswers) -> float:
    mean, _ = belief(public, answers)
    factors = public.factors[answers.items]
    left = (answers.values - public.centre) / public.size - factors @ np.append(1.0, mean)
    return -float(left @ left) / len(left)


if __name__ == "__main__":
    main("federated_attack", run, seeds=8)
