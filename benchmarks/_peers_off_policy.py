"""Off-policy estimates by obp (Open Bandit Pipeline), in an environment of its own that need not hold palate.

    PYTHON benchmarks/_peers_off_policy.py INPUT.npz OUTPUT.npz OUTPUT.json

reads a log of single actions (``allow_pickle=False``) and writes what obp makes of it: the probabilities of ZOZO's
Bernoulli Thompson sampling, expected rewards by its regression model, and its estimates from both.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from importlib.metadata import version

import numpy as np
from obp.ope import (
    DoublyRobust,
    InverseProbabilityWeighting,
    OffPolicyEvaluation,
    RegressionModel,
    SelfNormalizedInverseProbabilityWeighting,
)
from obp.policy import BernoulliTS
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

SIMULATED = 50_000  # draws of Thompson sampling, from which its probabilities are counted
NAMES = {"ipw": "ips", "snipw": "snips", "dr": "dr"}


def main() -> None:
    source, arrays_to, json_to = sys.argv[1:]
    with np.load(source, allow_pickle=False) as file:
        log = dict(file)
    n_actions, places, n = int(log["n_actions"]), int(log["places"]), len(log["action"])
    if str(log["target"]) == "bts":
        policy = BernoulliTS(
            n_actions=n_actions,
            len_list=places,
            is_zozotown_prior=True,
            campaign=str(log["campaign"]),
            random_state=12345,
        )
        chances = policy.compute_batch_action_dist(n_sim=SIMULATED, n_rounds=1)
    else:
        chances = np.full((1, n_actions, places), 1.0 / n_actions)
    chances = np.ascontiguousarray(np.broadcast_to(chances, (n, n_actions, places)))
    feedback = {
        "n_rounds": n,
        "n_actions": n_actions,
        "action": log["action"],
        "position": log["position"],
        "reward": log["reward"],
        "pscore": log["pscore"],
        "context": log["context"],
    }
    model = RegressionModel(
        n_actions=n_actions,
        len_list=places,
        base_model=LogisticRegression(max_iter=1000, C=0.1),
        fitting_method="normal",
    )
    expected = model.fit_predict(
        context=log["context"],
        action=log["action"],
        reward=log["reward"],
        position=log["position"],
        n_folds=3,
        random_state=12345,
    )
    judge = OffPolicyEvaluation(
        bandit_feedback=feedback,
        ope_estimators=[
            InverseProbabilityWeighting(),
            SelfNormalizedInverseProbabilityWeighting(),
            DoublyRobust(),
        ],
    )
    given = {"action_dist": chances, "estimated_rewards_by_reg_model": expected}
    values = judge.estimate_policy_values(**given)
    intervals = judge.estimate_intervals(**given, n_bootstrap_samples=1000, random_state=12345)
    np.savez(arrays_to, chances=chances[0], expected=expected)
    with open(json_to, "w", encoding="utf-8") as file:
        json.dump(
            {
                "versions": {name: version(name) for name in ("obp", "numpy", "scikit-learn")},
                "values": {NAMES[name]: float(value) for name, value in values.items()},
                "intervals": {
                    NAMES[name]: [float(end) for key, end in found.items() if "CI" in key]
                    for name, found in intervals.items()
                },
            },
            file,
            allow_nan=False,
        )


if __name__ == "__main__":
    main()
