from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from palate import Learner, rate
from palate.errors import DataError, MissingExtra, OptionError
from tests.worlds import world

pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own

DOCUMENT = {
    "command": "palate simulate films --budget 2",
    "dataset": {"name": "films", "users": 30},
    "protocol": {"seeds": [0, 1], "targets": None},
    "people": {"ann": "a story"},
    "budgets": [0, 1, 2],
    "strategies": {
        "epig": {
            "list-ndcg@10": {"mean": [0.1, 0.2, 0.3], "low": [0.0, 0.1, 0.2], "high": [0.2, 0.3, 0.4]},
            "labels_saved": {"metric": "x", "ratio": 2.5, "low": 1.5, "high": None},
        }
    },
}


@pytest.fixture(scope="module")
def flavour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module, with MLflow's runs in a folder of their own and without a word to anybody."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes longer to make than all the rest
        mlflow = pytest.importorskip("mlflow", reason="pip install '.[mlflow]'")
        mlflow.set_tracking_uri((folder / "runs").as_uri())
        import palate.integrations.mlflow as module

        yield module
        mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def learner() -> Learner:
    return fitted().tell(rate("ann", "i01", 5.0, key="a"))


@cache
def fitted() -> Learner:
    return Learner.fit(world(users=60, items=30).dataset, encoder="none", dim=3, likelihood="gaussian")


def test_what_was_measured_is_logged_with_its_intervals(flavour: ModuleType, tmp_path: Path) -> None:
    mlflow, report = flavour.mlflow, tmp_path / "report.html"
    report.write_text("<p>page</p>")
    with mlflow.start_run() as run:
        flavour.log_document(DOCUMENT, report=report)
    client = mlflow.MlflowClient()
    found = client.get_run(run.info.run_id).data
    assert found.params == {
        "command": "palate simulate films --budget 2",
        "dataset.name": "films",
        "dataset.users": "30",
        "protocol.seeds": "[0, 1]",
    }
    curve = client.get_metric_history(run.info.run_id, "strategies.epig.list-ndcg_at_10")
    assert [(one.step, one.value) for one in curve] == [(0, 0.1), (1, 0.2), (2, 0.3)]
    assert found.metrics["strategies.epig.list-ndcg_at_10.high"] == 0.4
    assert found.metrics["strategies.epig.labels_saved.ratio"] == 2.5
    kept = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert kept == {"palate.json", "report.html"}
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/palate.json") == DOCUMENT


def test_a_logged_model_gives_the_same_lists_and_holds_no_pickle(
    flavour: ModuleType, learner: Learner, tmp_path: Path
) -> None:
    mlflow = flavour.mlflow
    with mlflow.start_run():
        info = flavour.log_model(learner, k=4)
    assert flavour.load_model(info.model_uri).recommend("ann", 4) == learner.recommend("ann", 4)
    model = mlflow.pyfunc.load_model(info.model_uri, dst_path=str(tmp_path))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle")]
    table = flavour.pd.DataFrame({"user_id": ["ann", "u01", "ann"]})
    found = model.predict(table)
    wanted = [
        (user, place, one.item_id) for user in ("ann", "u01") for place, one in enumerate(learner.recommend(user, 4), 1)
    ]
    assert list(zip(found["user_id"], found["rank"], found["item_id"], strict=True)) == wanted
    assert len(model.predict(table, params={"k": 2})) == 4


@pytest.mark.parametrize(
    ("call", "fault", "said"),
    [
        (lambda on, _: on.log_document([1]), OptionError, "the document is [1]"),
        (lambda on, _: on.log_document({}, report="none.html"), DataError, "no report 'none.html'"),
        (lambda on, at: on.save_model("x", at / "m"), OptionError, "the learner is 'x'"),
        (lambda on, at: on.save_model(fitted(), at), DataError, "is there already"),
        (lambda on, at: on.save_model(fitted(), at / "m", k=0), OptionError, "k is 0"),
        (lambda on, _: on.Lists(fitted()).predict(on.pd.DataFrame({"x": []})), DataError, "user_id"),
    ],
)
def test_what_cannot_be_logged_is_refused(
    flavour: ModuleType, tmp_path: Path, call: Any, fault: Any, said: str
) -> None:
    with pytest.raises(fault) as found:
        call(flavour, tmp_path)
    assert said in str(found.value) and "\n" not in str(found.value)
    assert flavour.mlflow.active_run() is None


def test_without_the_extra_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "palate.integrations.mlflow", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[mlflow\]'"):
        importlib.import_module("palate.integrations.mlflow")
