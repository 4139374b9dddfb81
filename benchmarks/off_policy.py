"""What another policy would have earned, from a log: beside obp on the same arrays, and beside what it did earn.

Open Bandit (ZOZO): clicks on single items shown by a uniform-random policy and by Bernoulli Thompson sampling, in three
campaigns, 10,000 rows each. From the log of one policy the click rate of the other is estimated, which its own log
tells. ``apart`` is the largest difference between an estimate here and that of obp from the same numbers. The doubly
robust estimate takes its expected rewards from obp's regression model. Intervals over rows.

Runs where obp is (requirements/peers-off-policy.txt): ``--python PATH`` names the Python of that environment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import folder_of
from palate.evaluation.intervals import bootstrap_mean
from palate.evaluation.off_policy import Logged, estimate
from palate.random import derive_rng

PEERS = Path(__file__).resolve().parents[1] / ".venv-peers-off-policy" / "bin" / "python"
SCRIPT = Path(__file__).with_name("_peers_off_policy.py")
CAMPAIGNS = ("all", "men", "women")
PLACES = 3
FEATURES = [f"user_feature_{number}" for number in range(4)]


def run(python: str) -> dict[str, Any]:
    """One row a campaign and direction."""
    log = pl.read_parquet(folder_of("open-bandit") / "log.parquet")
    rows = [
        row(log.filter(pl.col("campaign") == campaign), campaign, *policies, python)
        for campaign in CAMPAIGNS
        for policies in (("random", "bts"), ("bts", "random"))
    ]
    return {"rows": rows}


def row(log: pl.DataFrame, campaign: str, shown_by: str, target: str, python: str) -> dict[str, Any]:
    logged, own = (log.filter(pl.col("policy") == name) for name in (shown_by, target))
    n_actions = int(log["item_id"].max()) + 1  # type: ignore[arg-type]
    position = logged["position"].to_numpy().astype(np.int64)
    arrays = {
        "action": logged["item_id"].to_numpy().astype(np.int64),
        "position": position - position.min(),
        "reward": logged["click"].to_numpy().astype(np.int64),
        "pscore": logged["propensity_score"].to_numpy().astype(np.float64),
        "context": logged.select(FEATURES).cast(pl.String).to_dummies().to_numpy().astype(np.float64),
        "n_actions": np.array(n_actions),
        "places": np.array(PLACES),
        "campaign": np.array(campaign),
        "target": np.array(target),
    }
    theirs, chances, expected = _ask(python, arrays)
    at = np.arange(len(logged))
    columns = chances[:, arrays["position"]].T  # (n, actions)
    guesses = expected[at, :, arrays["position"]]
    ours = estimate(
        Logged(
            arrays["reward"],
            arrays["pscore"],
            columns[at, arrays["action"]],
            expected=guesses[at, arrays["action"]],
            expected_target=(columns * guesses).sum(1),
        ),
        rng=derive_rng(0, "off-policy", campaign, shown_by),
    )
    truth = bootstrap_mean(own["click"].to_numpy().astype(np.float64), rng=derive_rng(0, "off-policy", "truth"))
    return {
        "campaign": campaign,
        "shown by": shown_by,
        "estimated": target,
        "lists": ours.lists,
        "clicks": int(arrays["reward"].sum()),
        "effective": round(ours.effective, 1),
        "earned in its own log": truth.as_dict(),
        "shown earned": ours.shown.as_dict(),
        "palate": {name: found.as_dict() for name, found in ours.values.items()},
        "obp": {name: [theirs["values"][name], *theirs["intervals"][name]] for name in theirs["values"]},
        "apart": max(abs(float(ours.values[name].mean) - theirs["values"][name]) for name in theirs["values"]),
        "versions": theirs["versions"],
    }


def _ask(python: str, arrays: dict[str, np.ndarray]) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        log, back, document = (str(Path(folder) / name) for name in ("log.npz", "back.npz", "values.json"))
        np.savez(log, **arrays)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([python, str(SCRIPT), log, back, document], check=True, env=environment)
        with np.load(back, allow_pickle=False) as file:
            return json.loads(Path(document).read_text(encoding="utf-8")), file["chances"], file["expected"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.off_policy")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--python", default=str(PEERS), help="of the environment that holds obp")
    options = parser.parse_args()
    found = {"command": "python -m benchmarks.off_policy --json", "seeds": [0], **run(options.python)}
    json.dump(found, sys.stdout, indent=None if options.json else 1, allow_nan=False)
    print()
