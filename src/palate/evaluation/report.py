"""A report in one HTML file: opens offline, asks nothing of anyone, reads on a phone and on paper.

People come first, then what it comes to in one sentence, then a few figures; whatever else there is, is folded away,
and how it was done stands at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from palate.acquisition import DEFAULT
from palate.evaluation.headline import best_other, counted, in_letters, things
from palate.evaluation.html import Cell, Markup, facts, folded, page, table, tag
from palate.evaluation.plot import Line, plot
from palate.evaluation.report_people import people
from palate.evaluation.shown_list import FOUND, HITS, LIST

STAGES = (0, 1, 2, 5, 10, 20, 40)
DASH = "–"
SAME_SPLIT = (
    "The catalogue is halved for each, alike for every strategy: about one half questions may be asked, of the other "
    "the list is made."
)
PROTOCOLS = {
    "new-users": f"The model has never seen the test users. {SAME_SPLIT}",
    "new-items": f"Nobody has rated the test items. {SAME_SPLIT}",
    "cold-system": "Nobody is known at first. In each round every user gets questions, the answers join the data and "
    "the model is fitted again; quality is over all users.",
}
MEASURES = {
    HITS: "Of the ten on the list, how many turn out to be liked, after so many questions",
    LIST: "NDCG@10 of the list out of the whole catalogue after so many questions, higher is better",
    FOUND: "Recall@20 of that list, higher is better",
    "rmse": "RMSE of held-out ratings after so many questions, lower is better",
}
OF_EVENTS = (
    "Answers are what users did later: like where that is for an item, dislike where it is against, don't know it "
    "where there is nothing."
)
METRICS = {"NDCG": "ndcg", "Precision": "precision", "Recall": "recall", "F1": "f1", "Hits": "hit_rate", "MRR": "mrr"}


def render_report(
    *,
    title: str,
    headline: str,
    certainty: str = "",
    proposed: str,
    simulation: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
) -> str:
    """The report as HTML. What is not given has no section. All text is escaped.

    Args:
        title: The heading.
        headline, certainty: The one sentence that a reader should take away, and how sure it is
            (:mod:`palate.evaluation.headline`).
        proposed: The strategy (or model) to emphasise.
        simulation: As ``palate simulate --json`` prints it; its ``people``, if it has any, come first.
        evaluation: As :func:`palate.evaluation.evaluate.evaluate` returns it.
        commands: What to type to have the same again.
    """
    parts: list[tuple[str, str, list[Markup]]] = []
    said = [tag("p", headline, cls="headline"), *([tag("p", certainty, cls="soft")] if certainty else [])]
    if simulation is not None:
        if simulation.get("people"):
            what = things(simulation["dataset"]["name"])
            parts.append(("people", "Three people", [*people(simulation["people"], what)]))
        parts.append(("compared", "Everybody", [*said, *_compared(simulation, proposed)]))
    if evaluation is not None:
        parts.append(("evaluation", "Beside other models", [*said, *_evaluation(evaluation, proposed)]))
    done = [
        *([] if simulation is None else _done(simulation)),
        *([] if evaluation is None else _judged(evaluation)),
        *([tag("p", "The same again:"), tag("pre", "\n".join(commands))] if commands else []),
    ]
    if done:
        parts.append(("done", "How it was done", done))
    if not parts:
        parts.append(("said", title, said))
    return page(title, parts)


# --- simulation --------------------------------------------------------------------------------------


def _compared(simulation: Mapping[str, Any], ours: str) -> Iterator[Markup]:
    """At most three strategies, drawn and in numbers; all of them, and every measure, folded away."""
    metric, digits = ("rmse", 3) if simulation["metric"] == "rmse" else (HITS, 2)
    popular = "who rate most" if simulation["protocol"]["name"] == "new-items" else "popular"
    names = {ours: "Palate" if ours == DEFAULT else ours, "popularity": popular, "random": "random"}
    axis = counted(simulation)
    lines = [_line(said, simulation["strategies"][name][metric]) for name, said in names.items()]
    yield tag("h3", axis)
    yield plot(lines, simulation["budgets"], along="questions asked", says=f"{axis}, by questions asked", digits=digits)
    yield tag(
        "p",
        "Bands: 95 % intervals. They are wide because people differ; a difference is taken within each person, and is "
        "surer than two bands show. The table has the same numbers.",
        cls="soft",
    )
    places = _places(simulation)
    yield table(
        f"{axis}, after so many questions; 95 % interval below",
        ["Asked", *names.values()],
        (
            [str(stage), *(_at(simulation["strategies"][name][metric], at, digits) for name in names)]
            for stage, at in places.items()
        ),
        stacked=False,
    )
    yield folded("All strategies and measures", *_strategies(simulation, ours))


def _line(said: str, figures: Mapping[str, Sequence[float | None]]) -> Line:
    return Line(said, *(np.array(figures[part], dtype=np.float64) for part in ("mean", "low", "high")))


def _places(simulation: Mapping[str, Any]) -> dict[int, int]:
    """The stages of the tables, and where they stand."""
    budgets = list(simulation["budgets"])
    return {stage: budgets.index(stage) for stage in sorted({*STAGES, budgets[-1]}) if stage in budgets}


def _strategies(simulation: Mapping[str, Any], ours: str) -> Iterator[Markup]:
    places, strategies = _places(simulation), simulation["strategies"]
    for metric, what in MEASURES.items():
        if all(metric in figures for figures in strategies.values()):
            digits = 2 if metric == HITS else 3
            yield table(
                f"{what}; 95 % interval below",
                ["Strategy", *(str(stage) for stage in places)],
                (
                    [name, *(_at(figures[metric], at, digits) for at in places.values())]
                    for name, figures in strategies.items()
                ),
                strong=ours,
            )
    yield table(
        f"What the questions cost, over {simulation['budgets'][-1]} questions",
        ["Strategy", "Answered", "Labels saved", "Median ms a question", "99th percentile"],
        ([name, *_costs(figures)] for name, figures in strategies.items()),
        strong=ours,
    )
    yield tag(
        "p",
        "Labels saved: questions that random needs for the quality it has in the end, divided by the questions this "
        f"strategy needs for the same. {DASH} means that it never got there, or that random never got better.",
        cls="soft",
    )


def _costs(figures: Mapping[str, Any]) -> list[Cell]:
    saved, spent = figures.get("labels_saved"), figures.get("ask_milliseconds", {})
    answered = figures.get("answered") or [None]
    return [
        Cell(_number(answered[-1], 0, share=True)) if saved else Cell(DASH),  # the ceiling was never asked
        _ratio(saved) if saved else Cell(DASH),
        Cell(_number(spent.get("median"), 2)),
        Cell(_number(spent.get("p99"), 2)),
    ]


def _ratio(saved: Mapping[str, Any]) -> Cell:
    if saved["ratio"] is None:
        return Cell(DASH)
    return Cell(f"{saved['ratio']:.1f} ×", _band(saved["low"], saved["high"], 1))


def _done(simulation: Mapping[str, Any]) -> Iterator[Markup]:
    data, protocol = simulation["dataset"], simulation["protocol"]
    seeds, whom = protocol["seeds"], "items" if protocol["name"] == "new-items" else "users"
    size = f"{data['users']:,} users, {data['items']:,} items, {data['interactions']:,} interactions"
    liked = [("Liked", f"{protocol['like']:g} and above")] if "like" in protocol else []
    yield tag("p", PROTOCOLS[protocol["name"]], f" Intervals are 95 %, from resampling {whom}.")
    for reason in dict.fromkeys(simulation.get("left_out", {}).values()):
        yield tag("p", f"{OF_EVENTS} {', '.join(simulation['left_out'])} are left out: {reason}.", cls="soft")
    yield facts(
        [
            ("Data", f"{data['name']}: {size}"),
            ("Protocol", f"{protocol['name']}, pool {protocol['pool']}"),
            *liked,
            ("Fitted, tested", f"{protocol['fit_users']:,} users, {protocol['test_users']:,} {whom}"),
            ("Questions", f"up to {protocol['budget']} for each; one that somebody cannot answer is spent"),
            ("Seeds", ", ".join(map(str, seeds))),
            ("Palate", str(simulation["palate"])),
            ("SHA-256 of the data", data["sha256"]),
        ]
    )


# --- evaluation --------------------------------------------------------------------------------------


def _evaluation(evaluation: Mapping[str, Any], ours: str) -> Iterator[Markup]:
    k, models = evaluation["k"], evaluation["models"]
    groups = [(whom, evaluation[f"{whom}_history"]) for whom in ("with", "without") if evaluation[f"{whom}_history"]]
    for whom, group in groups:
        named = dict.fromkeys((ours, best_other(group, k, ours), "popularity"))
        first = [name for name in named if name is not None and name in group["models"]]
        yield table(
            f"{group['users']:,} users {whom} a history; 95 % interval below",
            ["Model", f"Taken up of the {in_letters(k)}", f"NDCG@{k}", "NDCG against best"],
            ([name, *_short(group["models"][name], k, name == group["best"])] for name in first),
            strong=ours,
        )
    for whom, group in groups:
        yield folded(f"All models and measures: users {whom} a history", _models(evaluation, whom, group, ours))
    yield folded(
        "Settings",
        table(
            "Settings, chosen on rows held back only",
            ["Model", "Settings", "At the end of what was tried", "Fit (s)"],
            (
                [name, model["settings"], _edges(model["at_edge"]), Cell(_number(model["fit_seconds"], 2))]
                for name, model in models.items()
            ),
        ),
    )
    for note in evaluation.get("notes", []):
        yield tag("p", note, cls="soft")
    for name, reason in evaluation.get("left_out", {}).items():
        yield tag("p", f"Left out: {name} ({reason}).", cls="soft")


def _short(model: Mapping[str, Any], k: int, is_best: bool) -> list[Cell]:
    precision = {end: value and k * value for end, value in model["metrics"][f"precision@{k}"].items()}
    behind = Cell("best") if is_best else _interval(model["behind_best"][f"ndcg@{k}"], 3)
    return [_interval(precision, 2), _interval(model["metrics"][f"ndcg@{k}"], 3), behind]


def _models(evaluation: Mapping[str, Any], whom: str, group: Mapping[str, Any], ours: str) -> Markup:
    k, models = evaluation["k"], evaluation["models"]
    metrics = {name: f"{metric}@{k}" for name, metric in METRICS.items()} | {f"Recall@{2 * k}": f"recall@{2 * k}"}
    return table(
        f"Lists of {k} for {group['users']:,} users {whom} a history, higher is better; mean over users, 95 % "
        "interval below",
        ["Model", *metrics, "Coverage", "NDCG against best", *(["Ordered by"] if whom == "without" else [])],
        (
            [
                name,
                *(_interval(model["metrics"][metric], 3) for metric in metrics.values()),
                Cell(_number(model[f"coverage@{k}"], 1, share=True)),
                _interval(model["behind_best"][f"ndcg@{k}"], 3),
                *([models[name]["fallback"] or "itself"] if whom == "without" else []),
            ]
            for name, model in group["models"].items()
        ),
        strong=ours,
    )


def _judged(evaluation: Mapping[str, Any]) -> Iterator[Markup]:
    named = [(what.capitalize(), str(evaluation[what])) for what in ("dataset", "split") if what in evaluation]
    judged = f"{evaluation['users']:,} judged, {evaluation['users_without_positives']:,} without a test interaction"
    best = [
        (f"Best by NDCG, {whom} a history", evaluation[f"{whom}_history"]["best"])
        for whom in ("with", "without")
        if evaluation[f"{whom}_history"]
    ]
    sums = [("SHA-256 of the data", evaluation["sha256"])] if "sha256" in evaluation else []
    yield facts([*named, ("Users", judged), *best, *sums])


def _edges(edges: Mapping[str, float]) -> str:
    return ", ".join(f"{field}={value:g}" for field, value in edges.items()) or DASH


# --- numbers -----------------------------------------------------------------------------------------


def _at(figures: Mapping[str, Sequence[float | None]], place: int, digits: int) -> Cell:
    return _interval({part: figures[part][place] for part in ("mean", "low", "high")}, digits)


def _interval(figures: Mapping[str, float | None], digits: int) -> Cell:
    return Cell(_number(figures["mean"], digits), _band(figures["low"], figures["high"], digits))


def _band(low: float | None, high: float | None, digits: int) -> str:
    return f"{_number(low, digits)} to {_number(high, digits)}"


def _number(value: float | None, digits: int, *, share: bool = False) -> str:
    if value is None:
        return DASH
    shown = f"{100.0 * value:.{digits}f} %" if share else f"{value:.{digits}f}"
    return shown.replace("-", "−")
