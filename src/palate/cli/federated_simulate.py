"""palate federated simulate: what a federated, private fit would give, on ratings that are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from palate.cli.console import line, output, print_json, table
from palate.cli.files import load_data
from palate.cli.options import Columns, Data, Encoder, Json, Scale, Seed, Strict


def simulate(
    path: Data,
    epsilon: Annotated[
        float, typer.Option(metavar="E", help="ε of all that a user ever answers, in all rounds; inf: no noise.")
    ],
    rounds: Annotated[int, typer.Option(metavar="N", min=1, max=1_000, help="Rounds, after the one of counts.")] = 12,
    clients: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="So many users, drawn; all if not given.")
    ] = None,
    delta: Annotated[float, typer.Option(metavar="D", help="δ of the same: far below one over the users.")] = 1e-5,
    encoder: Encoder = "default",
    columns: Columns = None,
    scale: Scale = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Say what a federated, private fit would be worth: each user of known ratings is a device here, in one process.

    A fifth of each user's ratings is held out. The noise is drawn from the seed: publish nothing of this.
    """
    from palate.evaluation.federated import simulate as play

    data = load_data(path, columns=columns, strict=strict, scale=scale)
    document = play(data, epsilon=epsilon, delta=delta, rounds=rounds, clients=clients, encoder=encoder, seed=seed)
    if as_json:
        return print_json(document)
    rows = {
        f"federated, ε = {epsilon:g}" if math.isfinite(epsilon) else "federated, no noise": document,
        "central": document["central"],
        "private means": document["private_means"],
    }
    output().print(table(["!Fit", ">RMSE", ">NDCG@10"], [[name, *_figures(one)] for name, one in rows.items()]))
    if document["form"] == "means":
        line(output(), "Too few answers an item for tastes: the line would publish private means alone, as above.")


def _figures(document: Mapping[str, Any]) -> list[str]:
    return [f"{document[name]:.4f}" for name in ("rmse", "ndcg@10")]
