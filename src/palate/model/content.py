"""What the content of items says beyond level and factors: how much of it is believed."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.machine import blas_threads
from palate.model.catalogue import Catalogue
from palate.model.item_prior import promised
from palate.model.model import Model
from palate.posteriors.content_part import learn_variances
from palate.posteriors.items import Items
from palate.random import derive_rng
from palate.ranking.experts.content import ContentExpert, fit_content, weights_of_new_items
from palate.ranking.fit_list import Contents
from palate.ranking.held_back import Met


def contents_of(catalogue: Catalogue) -> Contents | None:
    """The experts of the list by content, those that fade as an item becomes known; None without content."""
    words, vectors = catalogue.words, catalogue.columns("text")
    if words is None and vectors is None:
        return None

    def contents(counts: Array) -> tuple[ContentExpert, ...]:
        found = fit_content(counts, rows=None if words is None else words.rows, vectors=vectors)
        return tuple(one for one in found if one.fading is not None)

    return contents


@blas_threads(1)
def with_content(model: Model, answers: sparse.csr_matrix, of_users: Array, met: Met, seed: int) -> Model:
    """The model with what is believed of content: in answers, and of who meets items that are new.

    Args:
        answers: The fitted ones, (U, I).
        of_users: Noise of each user, (U,).
        met: Who met what.
    """
    if model.content_rows is None:
        return model
    rng = derive_rng(seed, "content")
    weights = weights_of_new_items(met, model.likenesses, rng=rng)
    return model.believing(_variances(model, answers, of_users, rng), weights)


def _variances(
    model: Model, answers: sparse.csr_matrix, of_users: Array, rng: np.random.Generator
) -> tuple[float, float]:
    rows, taste = model.content_rows, model.taste
    if rows is None or taste.likelihood.events_only:
        return 0.0, 0.0
    means, covariances = promised(model.prior, model.catalogue.encodings(), model.catalogue.encodings)
    unseen = Items.build(means, covariances, taste.items.noise, "isotropic")
    return learn_variances(rows, taste, unseen, answers, of_users, rng=rng)
