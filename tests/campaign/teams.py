"""A small world in which several simulated annotators label at once, each in an order of their own."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from palate import Recommender
from palate.campaign import Campaign, Campaigns, Lease, Submission
from palate.datasets import planted_world

Pairs = list[tuple[str, str]]
USERS = [f"new-{n}" for n in range(3)]  # of whom nothing is known, so that most is to be learnt


@cache
def fitted() -> Path:
    """A model folder, fitted once a process; to be copied."""
    folder = Path(tempfile.mkdtemp(prefix="palate-team-")) / "model"
    data = planted_world(users=80, items=60, rng=np.random.default_rng(0)).dataset
    Recommender.create(folder, data, encoder="none").close()
    return folder


def copied(place: Path) -> Path:
    """The fitted model in a place of its own."""
    return Path(shutil.copytree(fitted(), place))


def value_of(pair: tuple[str, str]) -> int:
    """An answer from 1 to 5 that hangs on the pair alone."""
    return 1 + hashlib.sha256("/".join(pair).encode()).digest()[0] % 5


def asked(annotators: int, n: int, *, ahead: int = 1, users: list[str] = USERS, seed: int = 0) -> Pairs:
    """The first pairs that a team is given, in order. Who answers next is drawn: some are slow."""
    rng, given = np.random.default_rng(seed), Pairs()
    with (
        tempfile.TemporaryDirectory(prefix="palate-team-") as place,
        Recommender.open(copied(Path(place) / "model")) as recommender,
    ):
        campaigns = Campaigns(recommender)
        id = campaigns.make(Campaign("team", "How?", users=users)).id
        seen: set[str] = set()
        held: dict[int, list[Lease]] = {}
        while len(given) < n:
            one = len(held) if len(held) < annotators else int(rng.integers(annotators))
            for lease in held.get(one, [])[:1]:
                key = f"k-{lease.id}"
                campaigns.submit([Submission(key, lease.id, lease.source, value=value_of(lease.pair))])
            unseen = [lease.id for lease in held.get(one, [])[1:]]
            found = campaigns.next(id, f"annotator-{one}", ahead, held=unseen, rng=rng)
            held[one] = found.leases
            given += [lease.pair for lease in found.leases if lease.id not in seen]
            seen |= {lease.id for lease in found.leases}
            if found.done:
                break
    return given[:n]


def correlation(team: Pairs, one: Pairs) -> float:
    """Spearman's, of the places of a team's pairs; in the other order what is not there comes last."""
    place = {pair: at for at, pair in enumerate(one)}
    first = list(dict.fromkeys(team))
    return float(spearmanr(range(len(first)), [place.get(pair, len(one)) for pair in first]).statistic)
