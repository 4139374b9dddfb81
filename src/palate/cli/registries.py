"""`palate strategies` and `palate encoders`: what there is."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from palate.cli.console import facts, output, print_json, progress, table
from palate.cli.files import load_data
from palate.cli.options import Columns, Json, Seed, Strict, UnusedSeed, local_path
from palate.errors import OptionError, install_line

if TYPE_CHECKING:
    from palate.acquisition.strategy import Strategy
    from palate.datasets.tables import Dataset

_STANDING = {
    "recommended": "The default and what to weigh it against, all measured.",
    "measured": "What their questions, or their labels, are worth stands in benchmarks/results.",
    "reference": "As published, and correct by their tests; what they are worth is not measured.",
}


def strategies(as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """The ways to choose a question, by how well their worth is known and by idea."""
    from palate.acquisition.registry import DEFAULT, STRATEGIES, grouped

    if as_json:
        found = [_described(one) | {"default": name == DEFAULT} for name, one in STRATEGIES.items()]
        return print_json({"strategies": found})
    for status, ideas in grouped().items():
        output().print(Text.assemble((status.capitalize(), "bold underline"), f"\n{_STANDING[status]}\n"))
        for idea, group in ideas.items():
            output().print(Text(idea, style="bold underline"))
            output().print(facts((one.name, _says(one)) for one in group), "")
    output().print(f"The default is {DEFAULT}. Cost, unit and source of each: --json.")


def _described(strategy: Strategy) -> dict[str, object]:
    parts = {part.name: getattr(strategy, part.name) for part in fields(strategy) if part.name not in ("score", "pool")}
    return parts | {"description": strategy.description}


def _says(strategy: Strategy) -> str:
    notes = [f"also {alias}" for alias in strategy.aliases]
    notes += [f"extra {strategy.extra}"] if strategy.extra else []
    return strategy.description + (f" ({'; '.join(notes)})" if notes else "")


def encoders(
    measure: Annotated[
        Path | None,
        typer.Option("--measure", metavar="PATH", parser=local_path, help="Measure those for text on this data set."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="For encoding all its texts; with --measure.")
    ] = None,
    columns: Columns = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """The encoders, with what each needs; or what those for text cost and are worth on your data."""
    from palate.encoders.registry import available

    if measure is not None:
        return _measured(measure, load_data(measure, columns=columns, strict=strict), budget, as_json, seed)
    if budget is not None:
        raise OptionError("--budget is for --measure. Give --measure PATH with it.")
    found = available()
    if as_json:
        return print_json({"encoders": found})
    rows = [
        [
            _with_source(encoder),
            _or_dash(encoder["dimension"]),
            str(encoder["languages"]),
            _or_dash(encoder["megabytes"]),
            "yes" if encoder["installed"] else "no",
        ]
        for encoder in found
    ]
    default = next(str(encoder["name"]) for encoder in found if encoder["default"])
    output().print(table(["!Encoder", ">Dim", "Languages", ">MB", "!Installed"], rows))
    output().print(f"The default is {default}.")


def _with_source(encoder: dict[str, object]) -> Text:
    """The name, and below it, so that neither is broken on a narrow terminal, whence it comes or how to get it."""
    install = "" if encoder["installed"] else f"\n{install_line(str(encoder['extra']))}"
    name = (str(encoder["name"]), "bold" if encoder["default"] else "")
    return Text.assemble(name, (f"\n{encoder['source']}{install}", "dim"))


def _measured(path: Path, data: Dataset, budget: float | None, as_json: bool, seed: int) -> None:
    from palate.evaluation.encoder_cost import measure_encoders, recommend

    with progress() as report:
        found = measure_encoders(data, seed=seed, progress=report)
    best = recommend(found, budget)
    if as_json:
        rows = [asdict(row) for row in found]
        return print_json({"encoders": rows, "budget_seconds": budget, "recommended": best.name})
    columns = ["Encoder", ">Dim", ">Texts/s", ">All texts", ">MB", ">RMSE", "Note"]
    cells = [
        [
            row.name,
            _or_dash(row.dimension),
            _number(row.texts_per_second, ",.0f"),
            _number(row.seconds, ",.1f", " s"),
            _number(row.megabytes, ",.0f"),
            _number(row.rmse, ".4f"),
            row.failed,
        ]
        for row in found
    ]
    output().print(table(columns, cells, strong=best.name))
    output().print("RMSE: on ratings of items that the fit had none of. MB: peak of a process that encodes.")
    within = "" if budget is None else f" within {budget:g} s"
    output().print(f"Recommended{within}: {best.name} (palate fit {path} --encoder {best.name} --out MODEL).")


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)
