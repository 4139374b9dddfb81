"""SASRec by RecTools, in an environment of its own that need not hold palate.

    PYTHON benchmarks/_peers_sequences.py INPUT.npz OUTPUT.json

reads arrays (``allow_pickle=False``): ``users``, ``items``, ``times`` to train on, ``seen_users``, ``seen_items``,
``seen_times`` of those who are to get lists, ``ask`` (whom), ``k`` and ``seed``; writes the lists, -1 where one is
short.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402  # after the warnings are off
from pytorch_lightning import Callback, Trainer, seed_everything  # noqa: E402
from rectools import Columns  # noqa: E402
from rectools.dataset import Dataset  # noqa: E402
from rectools.models import SASRecModel  # noqa: E402

SETTINGS = {
    "n_blocks": 2, "n_heads": 2, "n_factors": 64, "session_max_len": 64, "dropout_rate": 0.2, "lr": 2e-3,
    "batch_size": 32,  # by the default, 128, MovieLens-100K has seven steps a pass
}  # fmt: skip
EPOCHS, PATIENCE, HELD_OUT = 100, 4, 0.1  # stop by the last item of a tenth of the users
SECONDS = 2400.0  # of training, at most, of the processor: more than palate's Transformer takes on any of the sets


def main() -> None:
    source, target = sys.argv[1:]
    with np.load(source, allow_pickle=False) as file:
        arrays = dict(file)
    begun = time.process_time()
    lists = recommend(arrays)
    result = {
        "lists": lists.tolist(),
        "epochs": _best.epochs,
        "stopped_by_clock": _best.stopped_by_clock,
        "seconds": time.process_time() - begun,
        "settings": SETTINGS,
        "versions": {name: version(name) for name in ("rectools", "torch")},
    }
    with open(target, "w", encoding="utf-8") as file:
        json.dump(result, file, allow_nan=False)


class _Best(Callback):
    """Keeps the weights with the lowest validation loss and stops when it has not fallen for a while."""

    def __init__(self) -> None:
        self.loss, self.since, self.epochs, self.weights = float("inf"), 0, 0, None
        self.begun, self.stopped_by_clock = time.process_time(), False

    def __deepcopy__(self, memo: dict[int, Any]) -> _Best:
        return self  # the trainer is copied, and this must be told

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        if trainer.sanity_checking:
            return
        loss = float(trainer.callback_metrics["val_loss"])
        self.epochs += 1
        if loss < self.loss:
            self.loss, self.since, self.weights = loss, 0, copy.deepcopy(module.state_dict())
        else:
            self.since += 1
        self.stopped_by_clock = time.process_time() - self.begun > SECONDS
        trainer.should_stop = self.since >= PATIENCE or self.stopped_by_clock


_best = _Best()  # not passed on: RecTools takes only arguments that it can write down


def recommend(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Lists of those asked for, (n, k)."""
    seed_everything(int(arrays["seed"]))
    model = SASRecModel(
        **SETTINGS,
        loss="softmax",
        epochs=EPOCHS,
        get_val_mask_func=_held_out,
        get_val_mask_func_kwargs={"seed": int(arrays["seed"])},
        get_trainer_func=_trainer,
    )
    model.fit(Dataset.construct(_frame(arrays["users"], arrays["items"], arrays["times"])))
    model.lightning_model.load_state_dict(_best.weights)
    seen = Dataset.construct(_frame(arrays["seen_users"], arrays["seen_items"], arrays["seen_times"]))
    found = model.recommend(
        arrays["ask"], seen, k=int(arrays["k"]), filter_viewed=True, on_unsupported_targets="ignore"
    )
    lists = np.full((len(arrays["ask"]), int(arrays["k"])), -1)
    rows = {user: row for row, user in enumerate(arrays["ask"].tolist())}
    lists[found[Columns.User].map(rows), found[Columns.Rank] - 1] = found[Columns.Item]
    return lists


def _trainer() -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(max_epochs=EPOCHS, logger=False, accelerator="cpu", devices=1, callbacks=[_best], **quiet)


def _held_out(interactions: pd.DataFrame, seed: int) -> np.ndarray:
    """The last item of a tenth of the users."""
    users = np.unique(interactions[Columns.User])
    chosen = np.random.default_rng(seed).permutation(users)[: max(1, round(HELD_OUT * len(users)))]
    last = ~interactions.sort_values(Columns.Datetime, kind="stable")[Columns.User].duplicated(keep="last")
    return (last.sort_index() & interactions[Columns.User].isin(chosen)).to_numpy()


def _frame(users: np.ndarray, items: np.ndarray, times: np.ndarray) -> pd.DataFrame:
    """Rows in time, equal times in their order: ranks stand for the times, since RecTools sorts by them alone."""
    order = np.lexsort((np.arange(len(times)), np.nan_to_num(times, nan=-1e18)))
    moments = pd.to_datetime(np.arange(len(order)), unit="s")
    return pd.DataFrame(
        {Columns.User: users[order], Columns.Item: items[order], Columns.Weight: 1.0, Columns.Datetime: moments}
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
