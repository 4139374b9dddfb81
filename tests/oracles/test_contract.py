"""Both oracles of the package keep the contract."""

from __future__ import annotations

import numpy as np

from palate.entities import Form
from palate.oracles.pseudo_labels import Prediction, PseudoLabels, PseudoOracle
from palate.oracles.simulated import Simulated
from palate.testing import OracleContract

RATINGS = {"ann": {"i0": 4.0, "i1": 2.0, "i2": 4.0, "i4": 3.0}, "bob": {"i1": 3.5, "i3": 4.5, "i5": 1.0}}


class TestSimulated(OracleContract):
    def make(self, seed: int) -> Simulated:
        rng = np.random.default_rng(seed)
        return Simulated(RATINGS, like=4.0, categories={"comedy": ["i0", "i2", "i3"]}, preview_noise=1.0, rng=rng)


class Fixed:
    name = "fixed"

    def predict(self, items, answers):
        return Prediction(np.full(6, answers.mean() if len(answers) else 3.0), np.arange(6.0))


class TestPseudoOracle(OracleContract):
    forms = frozenset({Form.RATE, Form.PAGE})

    def make(self, seed: int) -> PseudoOracle:
        return PseudoOracle(PseudoLabels(Fixed(), 1.0, (1.0, 5.0), 0.1), self.items, RATINGS)
