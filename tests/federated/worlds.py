"""Small worlds for the tests of federated rounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from palate.federated.public import PublicModel


def public_model(n_items: int = 30, dim: int = 3, seed: int = 0) -> PublicModel:
    """A model in the middle of its rounds."""
    rng = np.random.default_rng(seed)
    return PublicModel(
        line="test",
        round=3,
        form="factors",
        item_ids=tuple(f"i{n}" for n in range(n_items)),
        factors=0.4 * rng.normal(size=(n_items, dim + 1)),
        variances=0.05 * rng.random((n_items, dim + 1)),
        noise=0.7,
        item_weights=rng.uniform(0.5, 3.0, n_items),
        counts=rng.uniform(1.0, 100.0, n_items),
        answer_rate=rng.uniform(0.1, 1.0, n_items),
        centre=3.5,
        size=1.0,
        kind="rating",
        clip=8.0,
        item_clip=2.0,
    )


def asking_counts(public: PublicModel) -> PublicModel:
    """The same items before the first round."""
    return replace(public, round=0, form="means")


def stars(n_users: int = 40, n_items: int = 30, seed: int = 0) -> sparse.csr_matrix:
    """Answers of users, 1 to 5, (U, I); the first user has none."""
    rng = np.random.default_rng(seed)
    there = rng.random((n_users, n_items)) < 0.4
    there[0] = False
    rows, columns = np.nonzero(there)
    return sparse.csr_matrix((rng.integers(1, 6, len(rows)).astype(float), (rows, columns)), shape=there.shape)
