"""A draw of the noise that only one true sum can have led to would betray it: so draws lie dense, in the tail too."""

from __future__ import annotations

import os

import numpy as np
import pytest

from palate.federated import noise

UNITS = 1e8  # whole units in a standard deviation of the noise: 100 at the scale of a sum


def test_draws_in_the_tail_lie_closer_than_whole_units(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*words: int) -> float:
        monkeypatch.setattr(os, "urandom", lambda _: np.array(words, dtype=np.uint64).tobytes())
        return float(noise._secure_normal(1)[0]) * UNITS

    largest, middle, step = 2**64 - 1, 2**63, 2**12
    assert draw(largest, middle) > 5.8 * UNITS
    assert draw(largest, middle) - draw(largest - step, middle) > 1e6  # as one word alone would have it
    assert 0.0 < draw(largest, middle + 1_000 * step) - draw(largest, middle) < 0.01
