"""What many devices work out, as sums, in one process: for simulations and tests, equal to each one's own.

Beliefs and sums come from the compiled loops of the batch fit; no gradient of an answer is made for itself. Its length
is  ω² |r t − M w̃|² = ω² (r² tᵀt − 2 r tᵀM w̃ + w̃ᵀM² w̃)  with t = E[t], M = E[t tᵀ], of which t is the first column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.arrays import TINY, Array
from palate.errors import OptionError
from palate.federated.device import COUNTED, centred
from palate.federated.public import MASS_UNIT, MAX_MASS, PublicModel
from palate.machine import on_threads
from palate.posteriors.answers import Answers
from palate.posteriors.compiled import Beliefs, Chunk, add_answers
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.statistics import Block, outer_products, pack, unpack
from palate.posteriors.symmetric import sound

_USERS = 4_096  # at a time


@dataclass(frozen=True, slots=True)
class Devices:
    """Users and their answers, in chunks.

    Attributes:
        users: How many.
        chunks: Of them, answers as given.
    """

    users: int
    chunks: tuple[Chunk, ...]

    @classmethod
    def of(cls, answers: sparse.csr_matrix) -> Devices:
        """From answers as given, such as stars, (U, I) CSR, an entry an answer.

        Raises:
            OptionError: If one is no number.
        """
        if np.isnan(answers.data).any():
            raise OptionError(f"{int(np.isnan(answers.data).sum())} answers are NaN. Leave them out.")
        parts = Answers(answers).chunks(_USERS)
        return cls(answers.shape[0], tuple(Chunk.build(rows, part) for rows, part in parts))

    def beliefs(self, public: PublicModel) -> tuple[Array, Array]:
        """:func:`palate.federated.device.belief` of each: means (U, D) and covariances (U, D, D)."""
        moments = np.concatenate([found.moments for _, found in self._believed(public)])
        second, size = unpack(moments), public.dim + 1
        means = moments[:, 1:size]
        return means, second[:, 1:, 1:] - means[:, :, None] * means[:, None, :]

    def round_zeros(self, public: PublicModel) -> Array:
        """The sum of :func:`palate.federated.device.round_zero` over all, (2 I,)."""
        total = np.zeros((2, len(public)))
        for chunk in self.chunks:
            items, per_user = chunk.answers.values.indices, np.diff(chunk.answers.values.indptr)
            each = (1.0 / np.sqrt(np.maximum(per_user, 1)))[chunk.answers.rows]
            levels = np.clip(centred(public, chunk.answers.values.data) / COUNTED, -1.0, 1.0)
            total[0] += np.bincount(items, each, len(public))
            total[1] += np.bincount(items, each * levels, len(public))
        return total.ravel()

    def contributions(self, public: PublicModel) -> Array:
        """The sum of :func:`palate.federated.device.contribution` over all, (I A + 1,)."""
        sums, mass = Block.zero(len(public), public.dim), 0.0
        for chunk, found in self._believed(public):
            shares = _shares(public, chunk.answers, found)
            clipped = Beliefs(found.moments, found.precision, shares, found.targets)
            add_answers(sums, chunk.by_item, chunk.item_parts, None, clipped, Gaussian())
            weights = shares * public.item_weights[chunk.answers.values.indices]
            of_user = np.bincount(chunk.answers.rows, weights, len(found.moments))
            mass += float(np.minimum(of_user / MASS_UNIT, MAX_MASS).sum())
        pulls = sums.cross - np.einsum("iab,ib->ia", unpack(sums.moment), public.factors)
        return np.append((public.item_weights[:, None] * pulls).ravel(), mass)

    def _believed(self, public: PublicModel) -> Iterator[tuple[Chunk, Beliefs]]:
        """Of each chunk, what is believed of its users."""
        from palate.posteriors import sweep_kernels

        noise = public.noise + public.variances.sum(1)
        table, pulls = outer_products(public.factors) / noise[:, None], public.factors / noise[:, None]
        shared = np.zeros(table.shape[1])
        for chunk in self.chunks:
            values, n = chunk.answers.values, chunk.answers.values.shape[0]
            targets = centred(public, values.data)
            found = Beliefs(np.empty((n, table.shape[1])), np.ones(n), np.ones(len(targets)), targets)
            determinants, squares = np.empty(n), np.empty(n)

            def part(
                first: int,
                last: int,
                values: sparse.csr_matrix = values,
                found: Beliefs = found,
                determinants: Array = determinants,
                squares: Array = squares,
            ) -> None:
                sweep_kernels.user_beliefs(
                    values.indptr,
                    values.indices,
                    found.weights,
                    found.targets,
                    found.precision,
                    table,
                    pulls,
                    1.0 / noise,
                    shared,
                    1.0,
                    0.0,
                    first,
                    last,
                    found.moments,
                    determinants,
                    squares,
                )

            on_threads(part, chunk.user_parts[:-1], chunk.user_parts[1:])
            sound(determinants)
            yield chunk, found


def _shares(public: PublicModel, answers: Answers, found: Beliefs) -> Array:
    """What the clips leave of the gradient of each answer, (N,)."""
    from palate.posteriors import sweep_kernels

    values, moment = answers.values, unpack(found.moments)
    twice = pack(moment @ moment)
    nothing, spread = np.empty(values.nnz), np.empty(values.nnz)
    zeros, ones, table = np.zeros_like(public.factors), np.ones(len(public)), outer_products(public.factors)
    sweep_kernels.predictions(
        values.indptr, values.indices, table, zeros, ones, twice, 0, len(twice), nothing, spread
    )  # w̃ᵀM² w̃ of each
    along = np.einsum("na,na->n", twice[answers.rows, : public.dim + 1], public.factors[values.indices])
    squares = found.targets**2 * twice[answers.rows, 0] - 2.0 * found.targets * along + spread
    squares = np.maximum(squares * public.item_weights[values.indices] ** 2, TINY)
    of_user = public.clip / np.sqrt(np.maximum(np.bincount(answers.rows, squares, len(twice)), TINY))
    return np.asarray(np.minimum(np.minimum(1.0, of_user)[answers.rows], public.item_clip / np.sqrt(squares)))
