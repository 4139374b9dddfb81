"""Runs and models in MLflow: what ``palate fit``, ``simulate`` and ``evaluate`` measured, and a model flavour.

The flavour is a model folder as :meth:`palate.Learner.save` writes it, and the name of this module, which loads it.
Nothing is pickled: loading a model runs no code out of it.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from palate._version import __version__
from palate.errors import DataError, MissingExtra
from palate.errors.checks import count, instance, mapping, number_of, path_of
from palate.learner import Learner
from palate.loop.all_lists import COLUMNS

try:
    import mlflow
    import pandas as pd
    from mlflow import pyfunc
    from mlflow.entities import Metric, Param
    from mlflow.models import Model, ModelSignature
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
except ImportError as error:
    raise MissingExtra(str(error.name), "mlflow", "palate.integrations.mlflow") from None

FLAVOUR = "palate"
FOLDER = "model"  # within the folder of an MLflow model
_MEASURED = ("with_history", "without_history", "ratings", "strategies", "forms", "seconds", "models")
_LEFT_OUT = ("people", "budgets")  # stories, and the steps of the curves
_INTERVAL = {"mean", "low", "high"}
_AT_ONCE = 100  # params and metrics a call: MLflow takes no more params
_LONGEST = 6000  # letters of a param
_TYPES = {"rank": DataType.integer, "score": DataType.double, "std": DataType.double, "chance": DataType.double}


def log_document(document: Mapping[str, Any], *, report: str | Path | None = None) -> None:
    """Log what a command measured to the active run, or to a new one where there is none.

    Settings become params. Figures become metrics, each with the ends of its 95 % interval as ``.low`` and ``.high``;
    a curve is one metric, with the number of questions as its step. MLflow takes no ``@``, so ``ndcg@10`` is
    ``ndcg_at_10``. The document itself is kept as the artifact ``palate.json``.

    Args:
        document: As of ``palate fit --json``, or out of ``simulate.json`` or ``evaluate.json``.
        report: The page beside it, ``report.html``, kept as an artifact too.
    Raises:
        OptionError: If the document is no mapping, or the path is none.
        DataError: If there is no such report.
    """
    given = mapping(document, "the document", "json.loads(path.read_text())")
    page = None if report is None else path_of(report, "report")
    if page is not None and not page.is_file():
        raise DataError(f"there is no report {str(page)!r}. Give the report.html that the command wrote.")
    run = mlflow.active_run() or mlflow.start_run()
    client, now = mlflow.MlflowClient(), int(1000 * time.time())
    settings = {key: value for key, value in given.items() if key not in (*_MEASURED, *_LEFT_OUT)}
    params = [Param(_name(path), str(value)[:_LONGEST]) for path, value in _leaves(settings)]
    measured = {key: value for key, value in given.items() if key in _MEASURED}
    metrics = [Metric(_name(path), value, now, step) for path, value, step in _figures(measured)]
    for start in range(0, max(len(params), len(metrics)), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        client.log_batch(run.info.run_id, metrics=metrics[some], params=params[some])
    mlflow.log_dict(dict(given), "palate.json")
    if page is not None:
        mlflow.log_artifact(str(page))


def save_model(learner: Learner, path: str | Path, *, mlflow_model: Any = None, k: int = 10) -> None:
    """Write an MLflow model: a folder with the model folder in it, and what MLflow has to know.

    Args:
        learner: With what it was told since its fit: answers of people are in the folder.
        path: Of a new folder.
        mlflow_model: What :func:`log_model` has begun; None: a new one.
        k: Length of the lists of the pyfunc model, unless the call gives another.
    Raises:
        DataError: If something is there already.
    """
    instance(learner, Learner, "the learner", "palate.Learner.load(folder)")
    folder, length = path_of(path, "path"), count(k, "k", least=1)
    if folder.exists():
        raise DataError(f"{str(folder)!r} is there already. Give a new folder.")
    folder.mkdir(parents=True)
    learner.save(folder / FOLDER)
    model = Model() if mlflow_model is None else mlflow_model
    model.signature = _signature(length)
    pyfunc.add_to_model(model, loader_module=__name__, data=FOLDER)
    model.add_flavor(FLAVOUR, palate_version=__version__, data=FOLDER)
    model.save(str(folder / MLMODEL_FILE_NAME))


def log_model(learner: Learner, name: str = "palate", *, k: int = 10, **options: Any) -> Any:
    """Log a learner as a model of the active run; arguments as of :func:`save_model`.

    Args:
        name: Of the logged model.
        options: Of ``mlflow.models.Model.log``, such as ``registered_model_name``.
    Returns:
        MLflow's ``ModelInfo``, whose ``model_uri`` :func:`load_model` takes.
    """
    return Model.log(None, sys.modules[__name__], name=name, learner=learner, k=k, **options)


def load_model(model_uri: str) -> Learner:
    """The learner of a model that :func:`save_model` or :func:`log_model` kept.

    Args:
        model_uri: As MLflow takes it: a path, ``models:/name/1``, ``runs:/id/palate``.
    Raises:
        ModelFolderError: If the folder cannot be trusted or read.
    """
    return Learner.load(Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri)) / FOLDER)


class Lists:
    """A learner as MLflow's pyfunc: a table of users in, a table of their lists out."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Lists, a row an item: user_id, rank from 1, item_id, score, std, chance, reason.

        Args:
            model_input: With a column ``user_id``; each user gets one list, however often they are in it.
            params: ``k``, the length of a list.
        Raises:
            DataError: If there is no such column.
            OptionError: If k is no whole number.
        """
        if "user_id" not in model_input:
            raise DataError(f"the table has the columns {list(model_input)}. Give a column user_id.")
        users = list(dict.fromkeys(model_input["user_id"]))
        tables = self.learner.recommend_all(users, **dict(params or {}))
        rows = [row for table in tables for row in table.iter_rows()]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def _load_pyfunc(path: str) -> Lists:
    """What MLflow calls to load the flavour."""
    return Lists(Learner.load(path))


def _signature(k: int) -> ModelSignature:
    columns = [ColSpec(_TYPES.get(name, DataType.string), name) for name in COLUMNS]
    params = ParamSchema([ParamSpec("k", DataType.long, k)])
    return ModelSignature(Schema([ColSpec(DataType.string, "user_id")]), Schema(columns), params)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a document by its path; a list is one value, and what is None or empty is left out."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    elif value not in (None, "", [], ()):
        yield path, value


def _figures(value: Any, path: str = "") -> Iterator[tuple[str, float, int]]:
    """Numbers of a document by their paths, each with its step: the place in a curve, else 0."""
    if isinstance(value, Mapping):
        is_interval = value.keys() >= _INTERVAL
        for key, part in value.items():
            below = f"{path}.{key}" if path else str(key)
            yield from _figures(part, path if is_interval and key == "mean" else below)
    elif isinstance(value, (list, tuple)):
        numbers = [(step, number_of(one)) for step, one in enumerate(value)]
        yield from ((path, one, step) for step, one in numbers if one == one)
    elif (one := number_of(value)) == one:
        yield path, one, 0


def _name(path: str) -> str:
    """A path as MLflow takes names."""
    return re.sub(r"[^\w\-./ :]", "_", path.replace("@", "_at_"))[:250]
