"""What commands work out by tasks is what one process works out, to the bit but for encodings; Ray is started once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.cli.app import run
from palate.datasets import Dataset, planted_world
from palate.encoders.cache import CHUNK, Cached
from palate.encoders.chunk import keep_by_tasks
from palate.encoders.registry import load_encoder
from palate.errors import OptionError
from palate.evaluation.evaluate import evaluate
from palate.evaluation.simulate import SimulationOptions, simulate
from palate.runners import Runner, Threads
from palate.runners.ray_runner import Ray


@pytest.fixture(scope="module")
def started() -> Iterator[Ray]:
    with Ray(workers=2) as opened:
        yield opened


@pytest.fixture(params=["threads", "ray"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "ray":
        yield request.getfixturevalue("started")
    else:
        with Threads(2) as opened:
            yield opened


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=120, items=40, rng=np.random.default_rng(0)).dataset


def without(document: Any, name: str) -> Any:
    """A document without the parts of a name."""
    if isinstance(document, dict):
        return {key: without(value, name) for key, value in document.items() if not key.endswith(name)}
    return [without(part, name) for part in document] if isinstance(document, list) else document


@pytest.fixture(scope="module")
def one_process(data: Dataset) -> Callable[[str], dict[str, Any]]:
    """What each protocol gives without a runner."""
    found: dict[str, dict[str, Any]] = {}

    def document(protocol: str) -> dict[str, Any]:
        if protocol not in found:
            found[protocol] = simulate(data, options(protocol))
        return found[protocol]

    return document


def options(protocol: str) -> SimulationOptions:
    return SimulationOptions(("epig",), 4, (0, 1), protocol=protocol, encoder="none")


@pytest.mark.parametrize(
    "protocol",
    [
        "new-users",
        pytest.param("new-items", marks=pytest.mark.long),
        pytest.param("cold-system", marks=pytest.mark.long),
    ],
)
def test_a_simulation_is_the_same_to_the_bit(
    data: Dataset, one_process: Callable[[str], dict[str, Any]], runner: Runner, protocol: str
) -> None:
    told: list[tuple[int, int]] = []
    document = simulate(data, options(protocol), runner=runner, progress=lambda done, of: told.append((done, of)))
    assert without(document, "milliseconds") == without(one_process(protocol), "milliseconds")
    assert told == [(done, 10) for done in range(1, 11)]
    if protocol == "new-users":  # timed although no learner leaves a task
        assert document["strategies"]["epig"]["ask_milliseconds"]["median"] > 0
        assert document["people"] is not None


def test_an_evaluation_is_the_same_and_its_times_are_taken_alone(data: Dataset, runner: Runner) -> None:
    models, said = ["palate", "popularity", "ease"], list[str]()
    expected = evaluate(data, models=models, seed=1)
    document = evaluate(data, models=models, seed=1, runner=runner, progress=said.append)
    assert without(document, "seconds") == without(expected, "seconds")
    assert set(models) <= set(said)
    for name in models:
        assert document["models"][name]["tune_seconds"] is None
        assert expected["models"][name]["tune_seconds"] >= 0
    assert document["models"]["palate"]["fit_seconds"] > 0


class Sealed:
    """An encoder that may not be called any more."""

    def __init__(self, other: Any) -> None:
        self.name, self.revision, self.dim, self.modality = other.name, other.revision, other.dim, other.modality

    def encode(self, contents: object) -> Any:
        raise AssertionError("everything was kept already")


def test_texts_are_encoded_once_each_and_as_without_a_runner(tmp_path: Path, runner: Runner) -> None:
    texts = [f"a film of the year {1900 + number % 300}" for number in range(CHUNK + 100)]
    encoder = load_encoder("default")
    cached = Cached(encoder, tmp_path / "kept")
    assert keep_by_tasks(cached, texts, "default", runner=runner) == 300
    assert keep_by_tasks(cached, texts, "default", runner=runner) == 0
    vectors = Cached(Sealed(encoder), tmp_path / "kept").encode(texts)
    expected = Cached(encoder, tmp_path / "other").encode(texts)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)  # a task's encoder works on one core: the last bits differ


def test_another_revision_where_a_task_runs_is_an_error(tmp_path: Path, started: Ray) -> None:
    other = Sealed(load_encoder("default"))
    other.revision = "another"
    with pytest.raises(OptionError, match=r"is .* where a task runs, another here\. Install the same on all"):
        keep_by_tasks(Cached(other, tmp_path), ["a text"], "default", runner=started)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    ratings = {"user_id": [f"u{n % 30}" for n in range(600)], "item_id": [f"i{n % 37}" for n in range(600)]}
    pl.DataFrame(ratings | {"rating": rng.integers(1, 6, 600).astype(float)}).write_csv(tmp_path / "ratings.csv")
    table = {"item_id": [f"i{n}" for n in range(37)], "title": [f"film {n % 30}" for n in range(37)]}
    pl.DataFrame(table).write_csv(tmp_path / "items.csv")

    def told(*arguments: str) -> dict[str, Any]:
        assert run([*arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    encode = ["encode", str(tmp_path), "--runner", "threads", "--workers", "2"]
    assert told(*encode)["encoded"] == 30
    assert told(*encode)["encoded"] == 0
    played = ["simulate", str(tmp_path), "--strategies", "epig", "--budget", "2", "--seeds", "1", "--encoder", "none"]
    alone = told(*played, "--out", str(tmp_path / "alone"))
    threads = told(*played, "--out", str(tmp_path / "threads"), "--runner", "threads", "--workers", "2")
    assert without(threads, "milliseconds") == without(alone, "milliseconds")
    judged = ["evaluate", str(tmp_path), "--models", "popularity", "--split", "random", "--out", str(tmp_path / "e")]
    assert told(*judged, "--runner", "threads")["models"]["popularity"]["tune_seconds"] is None
    for wrong in (["--workers", "2"], ["--address", "127.0.0.1:1"], ["--runner", "thread"]):
        assert run([*played, "--out", str(tmp_path / "wrong"), *wrong]) == 2
        assert "runner" in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()
