"""palate scale check."""

from __future__ import annotations

from pathlib import Path

from palate.scale.sharding import shard
from tests.cli.conftest import Cli


def test_the_command_says_what_it_takes_and_refuses_what_cannot_do(planted: Path, tmp_path: Path, cli: Cli) -> None:
    shard([planted], tmp_path / "shards", shards=4)
    given = ["scale", "check", "--shards", tmp_path / "shards"]
    found = cli(*given, "--nodes", 4, "--cores", 2, "--json").json
    assert found["users"] == 60 and found["path"] == str(tmp_path / "shards") and found["on"]["nodes"] == 4
    assert found["dim"] == 16 and found["fit"] > 300 and found["disk"] > found["disk_bytes"] > 0
    shown = cli(*given, "--nodes", 4)
    assert shown.code == 0 and "Traffic a node" in shown.out and "40 sweeps" in shown.out
    refused = cli(*given, "--memory", 0.1)
    assert refused.code == 2 and "a node would hold 0.4 GB and has 0.1" in " ".join(refused.err.split())
    full = cli(*given, "--memory", 100, "--disk", 0.1, "--dim", 256)
    assert full.code == 0
    missing = cli(*given, "--exchange", "float16")
    assert missing.code == 2 and "--exchange" in missing.err
    assert cli("scale", "check", "--shards", planted).code == 2
