"""A hundred million events, out of core, within 12 GB: minutes to make, to shard and to fit."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from benchmarks import scale as benchmark


@pytest.mark.long
@pytest.mark.parametrize("millions", [100.0])
def test_a_hundred_million_events_are_fitted_within_12_gb(tmp_path: Path, millions: float) -> None:
    with mock.patch.object(benchmark, "MILLIONS", (millions,)):
        (found,) = benchmark.large(1.0, tmp_path)["rows"]
    assert found["events"] == pytest.approx(1e6 * millions, rel=0.001)
    assert found["sweeps"] == 4
    assert 1_000 < found["mib"] < 12_000 * 1e6 / 2**20
