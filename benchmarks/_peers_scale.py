"""One choice of 10 from a large pool by scikit-activeml or modAL, in an environment of theirs, without palate.

    PYTHON benchmarks/_peers_scale.py JOB N

prints the seconds of the choice and the memory it took beyond the data, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

DIM, LABELLED, K = 64, 100, 10
Job = Callable[[], Any]


def data(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled rows and then a pool, (LABELLED + n, DIM), the rows' labels (0 or 1), and the weights that gave them.

    One array, of which the parts are views: a freed copy would hide as much of what a choice takes.
    """
    rng = np.random.default_rng(0)
    weights = rng.normal(size=DIM) / np.sqrt(DIM)
    features = np.empty((LABELLED + n, DIM))
    rng.standard_normal(out=features)
    labels = (features[:LABELLED] @ weights + rng.logistic(0, 0.2, LABELLED) > 0).astype(int)
    return features, labels, weights


def measured(job: Job) -> dict[str, float]:
    """Seconds of a call, and MiB by which it raised the peak."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    job()
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def uncertainty(n: int) -> Job:
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling
    from sklearn.linear_model import LogisticRegression

    features, labels, _ = data(n)
    truth = np.concatenate([labels, np.full(n, np.nan)])
    model = SklearnClassifier(LogisticRegression(), classes=[0, 1]).fit(features[:LABELLED], labels)
    strategy = UncertaintySampling("margin_sampling", random_state=0)
    return lambda: strategy.query(features, truth, clf=model, fit_clf=False, batch_size=K)


def core_set(n: int) -> Job:
    from skactiveml.pool import CoreSet

    features, labels, _ = data(n)
    truth = np.concatenate([labels, np.full(n, np.nan)])
    return lambda: CoreSet(random_state=0).query(features, truth, batch_size=K)


def ranked_batch(n: int) -> Job:
    from modAL.batch import uncertainty_batch_sampling
    from modAL.models import ActiveLearner
    from sklearn.linear_model import LogisticRegression

    features, labels, _ = data(n)
    learner = ActiveLearner(LogisticRegression(), uncertainty_batch_sampling, features[:LABELLED], labels)
    return lambda: learner.query(features[LABELLED:], n_instances=K)


JOBS = {
    "uncertainty": ("scikit-activeml", uncertainty),
    "k-centre": ("scikit-activeml", core_set),
    "ranked-batch": ("modAL", ranked_batch),
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    json.dump(measured(JOBS[sys.argv[1]][1](int(sys.argv[2]))), sys.stdout)
