"""What a federated, private fit gives on known ratings, beside the central fit and private means of items.

Devices are simulated: a user's training ratings are what one device holds, and what is believed of the user is worked
out from them and the public model alone. A fifth of each user's ratings is held out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.tables import Dataset
from palate.datasets.views import as_likes, item_table
from palate.encoders.blocks import fuse
from palate.encoders.items import encode_all
from palate.encoders.protocol import Encoder
from palate.entities import RATING
from palate.errors import DataError, OptionError
from palate.evaluation import metrics
from palate.federated.devices import Devices
from palate.federated.options import FederatedOptions, Kind
from palate.federated.public import PublicModel
from palate.federated.rounds import private_fit
from palate.model.fit import fit_taste
from palate.model.scale import Scale
from palate.posteriors.answers import Answers
from palate.posteriors.likelihoods import named
from palate.random import derive_rng

HELD_OUT = 0.2
PLACES = 10  # of a list that are judged


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Ratings of U users on I items, in two parts, and what is public of the items.

    Attributes:
        train, test: (U, I) CSR, as given.
        content: Encodings of the items' text, (I, E), 0 for an item without; None: none.
        low, high: Ends of the scale.
        kind: "rating" or "like".
    """

    train: sparse.csr_matrix
    test: sparse.csr_matrix
    content: Array | None
    low: float = 1.0
    high: float = 5.0
    kind: Kind = "rating"

    @property
    def cells(self) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """User and item of each rating held out, those of 0 too, (N,) each."""
        found = self.test.tocoo()
        return found.row.astype(np.int32), found.col.astype(np.intp)

    @property
    def like(self) -> float:
        """What counts as liked: the mean of the training ratings, and more; of likes 1."""
        return 1.0 if self.kind == "like" else float(self.train.data.mean())


def simulate(
    data: Dataset,
    *,
    epsilon: float,
    delta: float = 1e-5,
    rounds: int = 12,
    clients: int | None = None,
    encoder: str | Encoder = "default",
    seed: int = 0,
) -> dict[str, Any]:
    """The federated fit of a data set, as if each user were a device, judged on ratings held out.

    Args:
        epsilon, delta: Of user-level differential privacy over all rounds; ε infinite: no noise.
        rounds: Rounds of gradients.
        clients: So many users, drawn; None: all.
        encoder: Of the items' text; ``none``: no text.
    Returns:
        ``rmse`` and ``ndcg@10`` of the federated fit, the same under ``central`` and ``private_means``, and what they
        were measured on.
    Raises:
        DataError: If there are no ratings, or too few to hold any out.
        OptionError: If an option is out of its range.
    """
    options = FederatedOptions(epsilon=epsilon, delta=delta, rounds=rounds)  # what is wrong is said before the work
    parts = parts_of(data, clients=clients, encoder=encoder, seed=seed)
    options = replace(options, kind=parts.kind, low=parts.low, high=parts.high)
    noise = derive_rng(seed, "federated noise")
    public = private_fit(parts.train, parts.content, options, rng=noise)
    means = private_fit(parts.train, parts.content, replace(options, form="means"), rng=noise)
    return {
        "data": data.name,
        "clients": parts.train.shape[0],
        "items": parts.train.shape[1],
        "held_out": parts.test.nnz,
        "kind": parts.kind,
        "seeds": [seed],
        "epsilon": None if np.isinf(epsilon) else epsilon,
        "delta": delta,
        "rounds": rounds,
        "form": public.form,
        **judge(public, parts),
        "central": judge_central(parts, seed=seed),
        "private_means": judge(means, parts),
    }


def parts_of(data: Dataset, *, clients: int | None, encoder: str | Encoder, seed: int) -> Parts:
    """A data set as devices hold it, some of it held out.

    Raises:
        DataError: If there are no ratings, or too few to hold any out.
    """
    levels = set(data.interactions[RATING].drop_nulls().unique())
    if not levels:
        raise DataError(f"data set {data.name!r} has no ratings, which a federated fit needs. Give ratings or likes.")
    is_like = levels == {0.0, 1.0}
    coded = (as_likes(data) if is_like else data).coded("rating")
    answers = Answers.build(coded.users, coded.items, coded.values, (len(coded.user_ids), len(coded.item_ids))).values
    if clients is not None:
        if clients > answers.shape[0]:
            raise OptionError(f"there are {answers.shape[0]} users, not {clients}. Ask for as many clients at most.")
        answers = answers[np.sort(derive_rng(seed, "clients").choice(answers.shape[0], clients, replace=False))]
    train, test = split(answers, derive_rng(seed, "federated split"))
    if not test.nnz or not train.nnz:
        raise DataError(f"of {answers.nnz} ratings none can be held out. Give users with five ratings and more.")
    scale = Scale.of(coded.values, data.scale)
    if scale.low == scale.high:
        raise DataError(f"all {answers.nnz} ratings are {scale.low:g}. Give ratings that differ.")
    ends: tuple[float, float, Kind] = (0.0, 1.0, "like") if is_like else (scale.low, scale.high, "rating")
    table = item_table(data, coded.item_ids)
    raw = encode_all(table, encoder, {}, rng=np.random.default_rng(seed))
    fused = fuse([one for one in raw if one[0].name == "text"])
    return Parts(train, test, None if fused is None else fused.vectors.astype(np.float64), *ends)


def split(answers: sparse.csr_matrix, rng: np.random.Generator) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Of each user four fifths and one fifth, the latter rounded down, drawn."""
    counts = np.diff(answers.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((rng.random(len(rows)), rows))
    place = np.empty(len(rows))
    place[order] = np.arange(len(rows)) - answers.indptr[:-1][rows]
    held = place < np.floor(HELD_OUT * counts)[rows]

    def part(some: Array) -> sparse.csr_matrix:
        found = (answers.data[some], (rows[some], answers.indices[some]))
        return sparse.csr_matrix(found, shape=answers.shape)

    return part(~held), part(held)


def judge(public: PublicModel, parts: Parts) -> dict[str, float]:
    """What devices predict of the ratings held out, from their own and a public model."""
    means, _ = Devices.of(parts.train).beliefs(public)
    return scored(parts, public.factors, means, size=public.size, centre=public.centre)


def judge_central(parts: Parts, *, seed: int, dim: int = 8) -> dict[str, float]:
    """The same of Palate's own fit of all training ratings in one place."""
    likelihood = named("probit" if parts.kind == "like" else "gaussian")
    content = None if parts.content is None else parts.content.astype(np.float32)
    taste, _, noise = fit_taste(Answers(parts.train), likelihood, content, dim=dim, seed=seed)
    belief = taste.believe(parts.train, of_users=noise)
    items = taste.items
    if parts.kind == "rating":
        return scored(parts, np.column_stack([items.level, items.factors]), belief.mean)
    rows, columns = parts.cells
    mean, variance = items.predict_pairs(belief, rows, columns)
    chances = taste.likelihood.expected(mean, variance, items.noise[columns])
    return _scores(parts, np.asarray(chances), rows)


def scored(parts: Parts, factors: Array, tastes: Array, *, size: float = 1.0, centre: float = 0.0) -> dict[str, float]:
    """RMSE of the ratings held out, and NDCG@10 of each user's own, by level and factors (I, A) and tastes (U, D).

    Args:
        size, centre: What predictions are multiplied by, and what is added then.
    """
    rows, columns = parts.cells
    found = factors[columns, 0] + np.einsum("nd,nd->n", tastes[rows], factors[columns, 1:])
    return _scores(parts, centre + size * found, rows)


def _scores(parts: Parts, predicted: Array, rows: NDArray[np.int32]) -> dict[str, float]:
    observed = parts.test.data
    liked = (observed >= parts.like).astype(float)
    found = metrics.graded_ndcg(predicted, liked, rows, n_rows=parts.test.shape[0], k=PLACES)
    return {"rmse": metrics.rmse(predicted, observed), f"ndcg@{PLACES}": float(np.nanmean(found))}
