"""`palate strategies` and `palate encoders`: what there is."""

from __future__ import annotations

from dataclasses import fields

from palate.cli.console import output, print_json, table
from palate.cli.options import Json, UnusedSeed


def strategies(as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """The ways to choose a question, with their cost and source."""
    from palate.acquisition import DEFAULT, STRATEGIES

    found = [
        {part.name: getattr(strategy, part.name) for part in fields(strategy) if part.name not in ("score", "pool")}
        | {"default": name == DEFAULT}
        for name, strategy in STRATEGIES.items()
    ]
    if as_json:
        return print_json({"strategies": found})
    rows = [
        [
            str(strategy["name"]),
            str(strategy["cost"]),
            str(strategy["unit"]),
            "yes" if strategy["weighs_answerability"] else "no",
            str(strategy["source"]),
        ]
        for strategy in found
    ]
    output().print(table(["!Strategy", "!Cost an item", "Unit", "× P(answer)", "Source"], rows, strong=DEFAULT))
    output().print(f"D taste dimensions, R rating levels, J targets. The default is {DEFAULT}.")


def encoders(as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """The text encoders, with what each needs."""
    from palate.encoders.registry import available

    found = available()
    if as_json:
        return print_json({"encoders": found})
    rows = [
        [
            str(encoder["name"]),
            _or_dash(encoder["dimension"]),
            str(encoder["languages"]),
            _or_dash(encoder["megabytes"]),
            "yes" if encoder["installed"] else f"pip install 'palate[{encoder['extra']}]'",
            str(encoder["source"]),
        ]
        for encoder in found
    ]
    default = next(str(encoder["name"]) for encoder in found if encoder["default"])
    output().print(table(["Encoder", ">Dim", "Languages", ">MB", "Installed", "Source"], rows, strong=default))
    output().print(f"The default is {default}.")


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)
