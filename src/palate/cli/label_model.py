"""A language model that helps the machine of `palate label`: what it says of each item is a feature, and no label.

So nobody has to believe it. The machine learns from people's labels how much it is worth, and the promise is shown by
people's labels alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from palate.cli.label_file import Served
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.arrays import Array
    from palate.entities.item_attributes import AttributeQuestion

AT_ONCE = 20  # questions between two writes
_FAR = 3.0  # nats from the mean option, beyond which nothing more is told


def told_by_model(
    served: Served, questions: Sequence[AttributeQuestion], path: Path, budget: float
) -> tuple[Array, float]:
    """What a model says of each item, (N, K), and what it was paid in all, in the unit of the budgets.

    A row holds log-probabilities less their mean, in [-1, 1]; zeros where the model says nothing, or the budget ended.
    What was paid for is on the disk, and asked for once.

    Args:
        path: The file that keeps it.
        budget: Most that it may be paid.
    Raises:
        OptionError: If what the file keeps is of another model, build or wording.
        OracleError: If the server is not there.
    """
    from palate.oracles.journal import opened
    from palate.oracles.language_model import LanguageModel
    from palate.oracles.protocol import question_key

    keys = [question_key(one) for one in questions]
    with opened(path) as journal:
        paid = sum(row["cost"] for row in journal.rows)
        known = {row["question"]: row["logp"] for row in journal.rows if row["logp"] is not None}
        most = budget / served.worth if served.worth else math.inf
        model = LanguageModel(
            served.base_url, served.model, key_env=served.key_env, price=served.price, budget=most, spent=paid
        )
        try:
            open_ = [pair for pair in zip(keys, questions, strict=True) if pair[0] not in known]
            for first in range(0, len(open_), AT_ONCE):
                part = open_[first : first + AT_ONCE]
                for (key, _), said in zip(part, model.said([one for _, one in part]), strict=True):
                    logp = None if said.logp is None else said.logp.tolist()
                    if logp is not None:
                        _check_source(path, said.source, (row["source"] for row in journal.rows if row["logp"]))
                        known[key] = logp
                    if logp is not None or said.cost:
                        row = {"question": key, "source": said.source, "logp": logp}
                        journal.append({**row, "cost": said.cost, "tokens": said.tokens})
        finally:
            model.close()
        paid = sum(row["cost"] for row in journal.rows)
    nothing = np.zeros(len(questions[0].attribute.options))
    rows = np.array([np.array(known[key]) if key in known else nothing for key in keys])
    return np.clip(rows - rows.mean(1, keepdims=True), -_FAR, _FAR) / _FAR, paid * served.worth


def _check_source(path: Path, source: str, before: Iterable[str]) -> None:
    other = next((one for one in before if one != source), None)
    if other is not None:
        raise OptionError(
            f"{path} keeps answers of {other}, and the server answers as {source}: another build or wording. "
            "Start the server as it was, or move the file away to ask anew."
        )
