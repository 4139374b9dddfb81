"""The sampler that the batch fit is measured against covers the truth as often as it says."""

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.special import ndtr

from benchmarks._gibbs import gibbs

USERS, ITEMS, DIM = 300, 150, 3


def planted(rng, share=0.2):
    """True latent values (U, I), and which of them are answered, (U, I) CSR of ones."""
    truth = rng.normal(0.0, 0.5, ITEMS) + rng.normal(size=(USERS, DIM)) @ rng.normal(0.0, 0.7, (DIM, ITEMS))
    return truth, sparse.csr_matrix((rng.random(truth.shape) < share).astype(float))


def answered(truth, there, likelihood, rng):
    users, items = there.nonzero()
    latent = truth[users, items]
    if likelihood == "probit":
        return (rng.random(len(latent)) < ndtr(latent)).astype(float)
    noise_of_item, noise_of_user = (rng.uniform(0.4, 1.6, n) for n in reversed(truth.shape))
    return 3.0 + 2.0 * (latent + rng.normal(size=len(latent)) * noise_of_item[items] * noise_of_user[users])


@pytest.mark.parametrize("likelihood", ["probit", "gaussian"])
def test_intervals_of_the_sampler_cover_the_truth(likelihood):
    rng = np.random.default_rng(5)
    truth, there = planted(rng)
    there.data = answered(truth, there, likelihood, rng)
    pairs = np.divmod(np.arange(truth.size), ITEMS)
    noise = {"user_noise": likelihood == "gaussian"}
    drawn = gibbs(there, pairs, dim=DIM, likelihood=likelihood, sweeps=200, burn=100, **noise, rng=rng)
    if likelihood == "gaussian":
        truth = 3.0 + 2.0 * truth
        assert np.sqrt(drawn.noise).mean() == pytest.approx(2.0, rel=0.1)
    inside = np.abs(drawn.mean - truth.ravel()) < 1.96 * drawn.std
    assert inside.mean() == pytest.approx(0.95, abs=0.02)
    assert drawn.std.mean() < 0.75 * (truth - truth.mean(0)).std()  # it learns taste, and is not merely unsure
