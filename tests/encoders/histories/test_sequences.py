from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.encoders.histories.history import KINDS, Log
from palate.encoders.histories.sequences import GAPS, Sequences

NAN = float("nan")


def test_sequences_are_by_user_and_time_with_the_gap_to_the_event_before() -> None:
    log = Log.of([1, 0, 1, 1], [5, 6, 7, 8], [1, -1, 1, 0.5], [100, 0, 40, 101], ["like", "skip", "view", None])
    sequences = Sequences.of(log, 3)
    assert sequences.start.tolist() == [0, 1, 4, 4]
    assert sequences.items.tolist() == [6, 7, 5, 8]
    assert [KINDS[kind] for kind in sequences.kinds] == ["skip", "view", "like", ""]
    # 60 s lie in [2^5, 2^6) - 1, 1 s in [2^1, 2^2) - 1; the first of a user has no event before
    assert sequences.gaps.tolist() == [0, 0, 1 + 5, 1 + 1]


def test_unknown_times_have_no_gap_and_long_ones_the_last_bucket() -> None:
    unknown = Log.of([0, 0], [0, 1], [1, 1], [NAN, 5])
    assert Sequences.of(unknown, 1).gaps.tolist() == [0, 0]
    assert Sequences.of(replace(unknown, timestamps=np.array([0, 1e300])), 1).gaps.tolist() == [0, GAPS - 1]


def test_windows_cover_every_event_once() -> None:
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(3), [0, 5, 23])
    sequences = Sequences.of(Log.of(users, users, np.ones(28), np.arange(28)), 3)
    windows = sequences.windows(np.arange(3), 8, rng)
    assert (np.diff(windows, axis=1) <= 8).all() and (np.diff(windows, axis=1) > 0).all()
    assert sorted(row for first, last in windows for row in range(first, last)) == list(range(28))
    assert sequences.newest(8).tolist() == [[0, 0], [0, 5], [20, 28]]
