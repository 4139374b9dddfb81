"""palate fit --shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from palate.scale.sharding import shard
from tests.cli.conftest import Cli


@pytest.fixture(scope="module")
def shards(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "shards"
    shard([planted], folder, shards=4)
    return folder


def arrays(model: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(model.glob("taste-*.safetensors"))]


def test_it_fits_and_goes_on_from_a_checkpoint(shards: Path, tmp_path: Path, cli: Cli) -> None:
    more = ["--shards", shards, "--encoder", "none", "--checkpoint", tmp_path / "kept", "--every", 2]
    done = cli("fit", *more, "--out", tmp_path / "model", "--runner", "in-process", "--json")
    assert done.json["likelihood"] == "gaussian" and done.json["users"] == 60
    again = cli("fit", *more, "--out", tmp_path / "again")
    assert again.code == 2 and "is a checkpoint already" in again.err
    assert cli("fit", *more, "--resume", "--out", tmp_path / "again", "--workers", 2).code == 0
    assert arrays(tmp_path / "again") == arrays(tmp_path / "model") != []
    other = cli("fit", *more, "--resume", "--dim", 3, "--out", tmp_path / "other")
    assert other.code == 2 and "of another fit: its dim is 16, here it is 3" in other.err
    assert not (tmp_path / "other").exists()
    assert cli("recommend", tmp_path / "again", "--user", "u05").code == 0


def test_a_fit_that_may_not_have_the_memory_is_noted(
    shards: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = ["fit", "--shards", shards, "--encoder", "none", "--runner", "in-process", "--out"]
    assert "Note" not in cli(*fit, tmp_path / "model").err
    monkeypatch.setattr("palate.cli.fit.memory_here", lambda: 1e8)
    found = cli(*fit, tmp_path / "again")
    assert found.code == 0 and "Note: by estimate a node would hold 0.4 GB and has 0.1" in " ".join(found.err.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--shards", "{shards}", "--image", "default"], "--image does not go with --shards"),
        (["--shards", "{shards}", "--history", "text"], "--history does not go with --shards"),
        (["{data}", "--shards", "{shards}"], "PATH does not go with --shards"),
        (["--shards", "{shards}", "--resume"], "--resume and --every need the folder of checkpoints"),
        (["--shards", "{shards}", "--likelihood", "ordered"], "'ordered' cannot be fitted on shards"),
        (["--shards", "{shards}", "--likelihood", "implicit"], "'implicit' does not fit ratings"),
        (["--shards", "{shards}", "--exchange", "float16"], "exchange"),
        (["--shards", "{shards}", "--runner", "cluster"], "runner"),
        (["--shards", "{data}"], "no shards"),
        (["{data}", "--runner", "threads"], "--runner goes with --shards"),
        ([], "there is no data to fit"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    given: list[str], said: str, planted: Path, shards: Path, tmp_path: Path, cli: Cli
) -> None:
    words = [word.format(shards=shards, data=planted) for word in given]
    found = cli("fit", *words, "--out", tmp_path / "model")
    assert found.code == 2 and said in " ".join(found.err.split())
    assert not (tmp_path / "model").exists()
