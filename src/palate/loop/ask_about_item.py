"""The sides exchanged: whom to ask about an item.

A user's taste is learnt by asking about items with known factors. An item's level and factors are learnt by asking
users with known tastes: the same belief, the same update and the same strategies, with ``(1, z_u)`` in the place of
``w_i`` (Anava, Golan, Golbandi, Karnin, Lempel, Rokhlenko, Somekh, *Budget-constrained item cold-start handling in
collaborative filtering recommenders via optimal design*, WWW 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.acquisition import ABOUT_ITEM, Candidates, Given, Population, get_strategy, select
from palate.acquisition.strategy import Score, Strategy
from palate.entities import USER, Question
from palate.errors import OptionError
from palate.errors.checks import count, normalise_id, several, share
from palate.loop.memory import Memory
from palate.loop.state import UserState
from palate.loop.wording import worded
from palate.model.item_prior import promised
from palate.model.model import Model
from palate.model.scale import level_shares
from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.taste import Taste


def users_as_items(model: Model, belief: Belief) -> Items:
    """Users, as what an item is asked about: factors (1, mean taste), (n, A); what is not known of the taste is noise.

    Args:
        belief: About n users.
    """
    items = model.taste.items
    factors = np.concatenate([np.ones((len(belief.mean), 1)), belief.mean], 1)
    second = items.factors.T @ items.factors / len(items)
    noise = np.median(items.noise) + np.einsum("nde,ed->n", belief.covariance, second)
    return Items(np.zeros(len(factors)), factors, Spread("isotropic", np.zeros((len(factors), 1))), noise)


def items_as_users(model: Model, items: NDArray[np.intp]) -> Belief:
    """What content says of these items before anybody rates them: beliefs about (level, factors), (n, A)."""
    return Belief(*promised(model.prior, model.catalogue.encodings(items), model.catalogue.encodings))


def exchanged(model: Model, belief: Belief, answers: sparse.csr_matrix) -> Candidates:
    """The users, as they are on offer to an item about which nothing is known.

    Args:
        belief: About them, (n, D).
        answers: Their ratings, (n, I).
    """
    by_item = answers.T.tocsr()
    levels = level_shares(by_item, model.scale)
    taste = Taste.build(users_as_items(model, belief), model.taste.likelihood)
    population = Population(by_item, model.scale.edges(levels.shape[1]), taste)
    return Candidates.of_all(
        population, levels, targets=np.full(len(levels), 1.0 / len(levels)), like_cut=model.like_cut
    )


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody a memory knows of, with what was told since the fit.

    Attributes:
        user_ids: n of them, those of the data first.
        belief: About their tastes.
        since: What is held now about those who did or told something since the fit, by place in ``user_ids``.
    """

    user_ids: list[str]
    belief: Belief
    since: dict[int, UserState]

    @classmethod
    def of(cls, memory: Memory) -> Crowd:
        model = memory.model
        rows = dict(model.rows)
        told = memory.users
        for user in told:
            rows.setdefault(user, len(rows))
        since = {rows[user]: memory.state(user) for user in told}
        belief = with_room(model.population.beliefs, len(rows))
        for row, state in since.items():
            belief.mean[row], belief.covariance[row] = state.belief.mean, state.belief.covariance
        return cls(list(rows), belief, since)

    def ratings(self, model: Model, item: int) -> sparse.csr_matrix:
        """Their ratings of an item, (1, n) CSR."""
        of_data = model.population.by_item[item]
        rated = dict(zip(of_data.indices.tolist(), of_data.data.tolist(), strict=True))
        for row, state in self.since.items():
            rated.pop(row, None)
            if item in state.rated:
                rated[row] = state.values[state.rated.index(item)]
        users = np.array(sorted(rated), dtype=np.int32)
        values = np.array([rated[user] for user in users.tolist()])
        return sparse.csr_matrix((values, (np.zeros_like(users), users)), shape=(1, len(self.user_ids)))

    def unable(self, item: int) -> NDArray[np.intp]:
        """Those who were asked about an item and gave no rating."""
        rows = [row for row, state in self.since.items() if item in state.asked and item not in state.rated]
        return np.array(rows, dtype=np.intp)


def with_room(belief: Belief, n: int) -> Belief:
    """A copy with room for n users."""
    more = n - len(belief.mean)
    mean = np.concatenate([belief.mean, np.zeros((more, belief.dim))])
    return Belief(mean, np.concatenate([belief.covariance, np.zeros((more, belief.dim, belief.dim))]))


def whom_to_ask(
    memory: Memory,
    item_id: str,
    *,
    k: int = 1,
    strategy: str | Strategy | Score = ABOUT_ITEM,
    users: Sequence[str] | None = None,
    random_share: float = 0.0,
    rng: np.random.Generator,
) -> tuple[Question, ...]:
    """Up to ``k`` users whose answer tells most about what everybody will think of an item, best first.

    Args:
        users: Who may be asked; everybody known if None. Who has rated it or been asked about it is left out.
    Raises:
        UnknownItem: If the model does not hold the item.
        OptionError: If a user is unknown.
    """
    count(k, "k", least=1)
    model = memory.model
    item = model.catalogue.position(item_id)
    crowd = Crowd.of(memory)
    ratings, unable = crowd.ratings(model, item), crowd.unable(item)
    offered = exchanged(model, crowd.belief, _padded(model.answers, len(crowd.user_ids)))
    belief = offered.population.taste.believe(ratings, items_as_users(model, np.array([item])).of(0))
    known_to = item_exposure(model, item, len(crowd.user_ids) - len(model.user_ids))
    exposure = known_to.start()
    for user, answered in [*((user, True) for user in ratings.indices), *((user, False) for user in unable)]:
        exposure = known_to.observe(exposure, int(user), answered)
    given = Given(np.concatenate([ratings.indices, unable]), np.append(ratings.data, np.full(len(unable), np.nan)))
    offered = replace(offered.aimed(known_to, exposure, given), targets=offered.targets)
    allowed = _among(crowd.user_ids, users)
    allowed[given.columns] = False
    chosen = get_strategy(strategy)
    random = share(random_share, "random_share")
    choices = select(chosen, belief.of(0), offered, k=k, allowed=allowed, random_share=random, rng=rng)
    before = float(belief.of(0).variance(offered.items.factors).mean())
    questions = [
        Question(
            user_id=crowd.user_ids[choice.item],
            item_id=model.catalogue.ids[item],
            strategy=chosen.name,
            value=choice.value,
            answerable=float(offered.known[choice.item]),
            propensity=choice.propensity,
            why=_why(offered, belief.of(0), choice.item, before),
        )
        for choice in choices
    ]
    return tuple(worded(model, question) for question in questions)


def item_exposure(model: Model, item: int, newcomers: int = 0) -> Answerability:
    """Who can answer about an item, as a factor model whose "users" are the items.

    Args:
        newcomers: Users without ratings in the data: as active as the median one.
    """
    fitted = model.population.once(
        "exchanged answerability", lambda own: Answerability.fit(own.by_item, rng=np.random.default_rng(0))
    )
    return fitted.extended(newcomers) if newcomers else fitted


def _why(offered: Candidates, belief: Belief, user: int, before: float) -> str:
    after = float(offered.condition(belief, user).variance(offered.items.factors).mean())
    share = 1.0 - after / before if before > 0 else 0.0
    return f"an answer lowers the uncertainty about what everybody thinks of it by {share:.0%}"


def _padded(answers: sparse.csr_matrix, n_users: int) -> sparse.csr_matrix:
    indptr = np.append(answers.indptr, np.full(n_users - answers.shape[0], answers.indptr[-1]))
    return sparse.csr_matrix((answers.data, answers.indices, indptr), shape=(n_users, answers.shape[1]))


def _among(user_ids: list[str], users: Sequence[str] | None) -> NDArray[np.bool_]:
    if users is None:
        return np.ones(len(user_ids), dtype=bool)
    place = {user: row for row, user in enumerate(user_ids)}
    allowed = np.zeros(len(user_ids), dtype=bool)
    for user in several(users, "users"):
        user = normalise_id(user, USER)
        if user not in place:
            raise OptionError(f"user {user!r} is unknown. Ask users of the data, or tell something of them first.")
        allowed[place[user]] = True
    return allowed
