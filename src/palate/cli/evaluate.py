"""`palate simulate` and `palate evaluate`: proof, offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from palate.cli.console import json_text, line, output, print_json, progress, sentence, table
from palate.cli.files import load_data, write_files
from palate.cli.options import (
    Address,
    Columns,
    Data,
    Encoder,
    Events,
    Here,
    Json,
    Out,
    Scale,
    Seed,
    Strict,
    Targets,
    Workers,
    listed,
    opened_runner,
    writable,
)
from palate.errors import OptionError

STAGES = (0, 2, 5, 10, 20, 40)
MOST_STAGES = 4  # columns of the table that fit a terminal; the report has all
DASH = "–"


def simulate(
    path: Data,
    out: Out,
    strategies: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Which play, besides the references; six if not given.")
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Questions to each user.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="How many splits; 20 for a claim, 3 for a look.")] = 3,
    protocol: Annotated[str, typer.Option(metavar="NAME", help="new-users, new-items or cold-system.")] = "new-users",
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="open: anything may be asked; answered: what can be answered.")
    ] = "open",
    encoder: Encoder = "default",
    targets: Targets = "known",
    forms: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Not strategies but forms of question: rate, mixed, recall.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="With --forms: of each user's time; 60 if not given.")] = None,
    naming: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With recall, what comes to mind: favourite, popular, liked, recent, top-100 or known.",
        ),
    ] = None,
    columns: Columns = None,
    scale: Scale = None,
    event: Events = None,
    strict: Strict = False,
    runner: Here = None,
    workers: Workers = None,
    address: Address = None,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """How many questions each strategy saves, or what several forms of question tell in equal time, offline.

    Every strategy plays against the same known answers. Writes simulate.json, report.html and curves as PNG; with
    --forms simulate.json alone.
    """
    from palate.evaluation.headline import certainty, headline, proposed
    from palate.evaluation.simulate import SimulationOptions
    from palate.evaluation.simulate import simulate as play

    if forms is not None or seconds is not None or naming is not None:
        given = {
            "--strategies": strategies,
            "--protocol": protocol != "new-users",
            "--pool": pool != "open",
            "--runner": runner or workers or address,
        }
        _only_forms(forms, [name for name, value in given.items() if value])
        asked = {"seconds": seconds, "naming": naming}
        chosen = {name: value for name, value in asked.items() if value is not None}
        rest = {"seeds": tuple(range(seed, seed + seeds)), "encoder": encoder} | chosen
        return _forms(path, out, listed(forms), columns=columns, strict=strict, as_json=as_json, **rest)
    named = tuple(listed(strategies)) or SimulationOptions().strategies
    seed_list = tuple(range(seed, seed + seeds))
    options = SimulationOptions(
        named, budget, seed_list, protocol=protocol, pool=pool, encoder=encoder, targets=targets
    )
    writable(out)
    data = load_data(path, columns=columns, events=event, strict=strict, scale=scale)
    with progress() as report, opened_runner(runner, workers, address) as where:
        document = play(data, options, runner=where, progress=lambda done, of: report("simulating", done, of))
    ours = proposed(document)
    write_files(out, simulation_files(document, ours))
    if as_json:
        return print_json(document)
    sentence(output(), headline(document, ours), style="bold")
    sentence(output(), certainty(document, ours))
    output().print(strategy_table(document, ours))
    line(output(), f"{'People, curves' if document['people'] else 'Curves'} and tables: {out / 'report.html'}")


def _only_forms(forms: list[str] | None, others: list[str]) -> None:
    if forms is None:
        raise OptionError(
            "--seconds and --naming are of questions of several forms, of which none is given. Give --forms."
        )
    if others:
        raise OptionError(f"--forms plays new users in the open pool by their time. Leave {others[0]} out.")


def _forms(
    path: Path, out: Path, forms: list[str], *, columns: list[str] | None, strict: bool, as_json: bool, **options: Any
) -> None:
    from palate.evaluation.simulate_forms import PLAYS, FormsOptions, simulate_forms

    chosen = FormsOptions(tuple(forms) or tuple(PLAYS), **options)
    writable(out)
    data = load_data(path, columns=columns, strict=strict)
    with progress() as report:
        document = simulate_forms(data, chosen, progress=lambda done, of: report("simulating", done, of))
    write_files(out, {"simulate.json": json_text(document)})
    if as_json:
        return print_json(document)
    output().print(forms_table(document))
    line(output(), f"Intervals and questions asked: {out / 'simulate.json'}")


def forms_table(document: Mapping[str, Any]) -> Table:
    """RMSE after so many seconds and NDCG at the end, a row a play."""
    stages = document["seconds"]
    rows = [
        [
            name,
            *map(_number, figures["rmse"]["mean"]),
            *(_number(figures[metric]["mean"][-1]) for metric in ("ndcg@10", "list-ndcg@10")),
        ]
        for name, figures in document["forms"].items()
    ]
    columns = ["!Asked", *(f">{stage:g} s" for stage in stages), ">NDCG@10", ">Whole list"]
    return table(columns, rows, title="RMSE of held-out ratings after so many seconds")


def simulation_files(document: Mapping[str, Any], ours: str, **more: Any) -> dict[str, bytes | str]:
    """What a simulation leaves in its folder, by file name.

    Args:
        more: Further parts of the report (:func:`palate.evaluation.report.render_report`).
    """
    from palate.evaluation.curves import draw_curves
    from palate.evaluation.headline import certainty, headline
    from palate.evaluation.report import render_report

    parts = {"title": f"What questions bring: {document['dataset']['name']}", "commands": [document["command"]]} | more
    parts |= {"headline": headline(document, ours), "certainty": certainty(document, ours)}
    page = render_report(proposed=ours, simulation=document, **parts)
    return {"simulate.json": json_text(document), "report.html": page, **draw_curves(document, proposed=ours)}


def strategy_table(document: Mapping[str, Any], ours: str) -> Table:
    """Liked items on the list at some stages, RMSE at the end, share answered and labels saved, a row a strategy."""
    from palate.evaluation.headline import counted
    from palate.evaluation.shown_list import HITS

    budgets = document["budgets"]
    stages = [budget for budget in sorted({*STAGES, budgets[-1]}) if budget in budgets]
    stages = [stages[0], *stages[1:][1 - MOST_STAGES :]]
    of_lists = document["metric"] != "rmse"
    metric, digits = (HITS, 2) if of_lists else ("rmse", 3)
    what = counted(document)
    error = of_lists and not document["left_out"]  # of events there is none
    rows = [
        [
            name,
            *(_number(figures[metric]["mean"][stage], digits) for stage in stages),
            *([_number(figures["rmse"]["mean"][-1])] if error else []),
            *_costs(name, figures),
        ]
        for name, figures in document["strategies"].items()
    ]
    columns = ["!Strategy", *(f">{stage}" for stage in stages), *([">RMSE"] if error else []), ">Answered", ">Saved"]
    return table(columns, rows, title=f"{what}, after n questions", strong=ours)


def _costs(name: str, figures: Mapping[str, Any]) -> list[str]:
    if name == "ceiling":  # knows all answers without asking
        return [DASH, DASH]
    ratio = figures["labels_saved"]["ratio"]
    return [f"{figures['answered'][-1]:.0%}", DASH if ratio is None else f"{ratio:.1f}×"]


def _number(value: float | None, digits: int = 3) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def evaluate(
    path: Data,
    out: Out,
    split: Annotated[
        str,
        typer.Option(metavar="NAME", help="global-time, leave-last-out, random, stratified-user or stratified-item."),
    ] = "global-time",
    models: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Which are judged beside each other; all if not given.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Length of the lists.")] = 10,
    encoder: Encoder = "none",
    columns: Columns = None,
    scale: Scale = None,
    event: Events = None,
    strict: Strict = False,
    runner: Here = None,
    workers: Workers = None,
    address: Address = None,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """How good the lists are, beside other recommenders, offline.

    All are tuned, fitted and judged on the same rows in one run. Writes evaluate.json and report.html.
    """
    from palate.evaluation.evaluate import evaluate as judge
    from palate.evaluation.headline import judged

    writable(out)
    data = load_data(path, columns=columns, events=event, strict=strict, scale=scale)
    named = listed(models) or None
    with progress() as report, opened_runner(runner, workers, address) as where:

        def said(name: str) -> None:
            report(name, 0, None)

        document = judge(data, split=split, models=named, k=k, seed=seed, encoder=encoder, runner=where, progress=said)
    write_files(out, _evaluation_files(document))
    if as_json:
        return print_json(document)
    sentence(output(), judged(document), style="bold")
    sentence(output(), _verdict(document))
    for shown in model_tables(document):
        output().print(shown)
    if "ratings" in document:
        line(output(), _predictions(document["ratings"]))
    for name, reason in document["left_out"].items():
        line(output(), f"Left out: {name} ({reason}).")
    for note in [*document["notes"], *edges(document)]:
        line(output(), note)
    line(output(), f"Intervals and settings: {out / 'report.html'}")


def _evaluation_files(document: Mapping[str, Any]) -> dict[str, bytes | str]:
    from palate.evaluation.headline import judged
    from palate.evaluation.report import render_report

    page = render_report(
        title=f"Recommendation quality: {document['dataset']}",
        headline=judged(document),
        certainty=_verdict(document),
        proposed="palate",
        evaluation=document,
        commands=[document["command"]] if "command" in document else [],
    )
    return {"evaluate.json": json_text(document), "report.html": page}


def _verdict(document: Mapping[str, Any]) -> str:
    """Who is best, over those with a history if there are any, and whether Palate can be told from them."""
    k, of_history = document["k"], document["with_history"]
    group = of_history or document["without_history"]
    best, models, whom = group["best"], group["models"], "with" if of_history else "without"
    value = models[best]["metrics"][f"ndcg@{k}"]["mean"]
    said = (
        f"Best of {len(models)} by NDCG@{k}: {best} with {value:.3f}, over {group['users']:,} users {whom} a history."
    )
    if best == "palate" or "palate" not in models:
        return said
    behind = models["palate"]["behind_best"][f"ndcg@{k}"]
    sure = "it is behind" if behind["high"] < 0 else "the interval holds 0"
    return f"{said} Palate: {behind['mean']:+.3f} ({behind['low']:+.3f} to {behind['high']:+.3f}): {sure}."


def edges(document: Mapping[str, Any]) -> list[str]:
    """Settings that ended at the end of what could be tried: a wider range might be better."""
    return [
        f"{name}: {field}={value:g} is the end of what was tried; a wider range might be better."
        for name, model in document["models"].items()
        for field, value in model["at_edge"].items()
    ]


def _predictions(ratings: Mapping[str, Any]) -> str:
    if "calibration_error" in ratings:
        return (
            f"Likes held out: accuracy {ratings['accuracy']:.3f}, calibration error {ratings['calibration_error']:.3f}."
        )
    return (
        f"Ratings held out: RMSE {ratings['rmse']:.3f}, item means {ratings['item_means']:.3f}; "
        f"95 % intervals hold {ratings['coverage_95']:.1%}."
    )


def model_tables(document: Mapping[str, Any]) -> list[Table]:
    """Quality of the lists, a row a model: of users with a history, and of those without."""
    k = document["k"]
    metrics = {f"NDCG@{k}": f"ndcg@{k}", f"Recall@{2 * k}": f"recall@{2 * k}"}
    metrics |= {"Precision": f"precision@{k}", "Hits": f"hit_rate@{k}", "MRR": f"mrr@{k}"}
    tables = []
    for whom in ("with", "without"):
        group = document[f"{whom}_history"]
        if group is None:
            continue
        rows = [
            [
                name,
                *(_number(model["metrics"][metric]["mean"]) for metric in metrics.values()),
                f"{model[f'coverage@{k}']:.0%}",
                *([document["models"][name]["fallback"] or "itself"] if whom == "without" else []),
            ]
            for name, model in group["models"].items()
        ]
        columns = [
            "!Model",
            *(f">{name}" for name in metrics),
            ">Coverage",
            *(["Ordered by"] if whom == "without" else []),
        ]
        title = f"Lists of {k} for {group['users']:,} users {whom} a history"
        tables.append(table(columns, rows, title=title, strong=group["best"]))
    return tables
