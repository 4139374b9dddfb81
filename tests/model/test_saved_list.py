from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.model.saved_list import list_arrays, list_config, list_of
from palate.ranking.experts.company import Company
from palate.ranking.experts.walks import walk
from palate.ranking.histories import Histories
from palate.ranking.weights import KNOWN, NEW, Weights
from tests.worlds import learner


def test_a_walk_that_counts_is_saved_and_says_the_same_of_everybody() -> None:
    of = learner("events").model
    assert of.list_model is not None
    ones = np.ones(len(of.list_model.met.items))
    shape = (len(of.user_ids), of.list_model.n_items)
    met = sparse.csr_array((ones, of.list_model.met.items, of.list_model.met.start), shape=shape)
    new, known = (Weights(("walk",), at, np.ones((len(at), 1))) for at in (NEW, KNOWN))
    given = replace(of.list_model, experts={"walk": Company(walk(met).astype(np.float32))}, new=new, known=known)
    again = list_of(list_config(given), list_arrays(given), shape)
    history = of.list_model.met.of_person(3)
    assert given.parts(history).total.any()
    assert np.array_equal(again.parts(history).total, given.parts(history).total)
    assert np.array_equal(again.shares("walk", history, np.arange(5)), given.shares("walk", history, np.arange(5)))
    rows = Histories.of([history], given.n_items)
    assert given.parts(history).total == pytest.approx(given.experts["walk"].evidence(rows)[0], rel=1e-5)
