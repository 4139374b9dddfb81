"""A report in one HTML file: opens offline, asks nothing of anyone, reads on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from palate.evaluation.curves import draw_curves
from palate.evaluation.html import Cell, Markup, facts, page, picture, table, tag
from palate.evaluation.shown_list import FOUND, LIST

STAGES = (0, 2, 5, 10, 20, 40)
DASH = "–"
CAPTIONS = {
    "list.png": "How well the ten items that a user would be shown, out of the whole catalogue, match what they "
    "liked of what was held out, against questions asked.",
    "found.png": "How much of what a user liked of it is among the first twenty, against questions asked.",
    "rmse.png": "Error of predicted ratings, over ratings that were held out, against questions asked.",
    "share-of-gain.png": "How much has been learned of what all answers together would teach, against questions asked.",
}
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
    LIST: "NDCG@10 of the list out of the whole catalogue after so many questions, higher is better",
    FOUND: "Recall@20 of that list, higher is better",
    "rmse": "RMSE of held-out ratings after so many questions, lower is better",
}
OF_EVENTS = (
    "Answers are what users did later: like where that is for an item, dislike where it is against, don't know it "
    "where there is nothing."
)
METRICS = ("ndcg", "precision", "recall", "f1", "hit_rate", "mrr")


def render_report(
    *,
    title: str,
    headline: str,
    proposed: str,
    simulation: Mapping[str, Any] | None = None,
    recommendations: Sequence[Mapping[str, Any]] = (),
    conversation: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
) -> str:
    """The report as HTML. What is not given has no section. All text is escaped.

    Args:
        title, headline: The heading, and the one sentence that a reader should take away.
        proposed: The strategy (or model) to emphasise in curves and tables.
        simulation: As ``palate simulate --json`` prints it.
        recommendations: For each user ``user``, ``items`` (each ``title``, ``score``, ``std``, ``reason``) and, if
            known, ``liked`` (titles) and ``profile`` (each ``category``, ``mean``, ``low``, ``high``).
        conversation: ``user``, ``before`` (titles, best first) and ``turns``: each ``question`` (title), ``why``,
            ``answer`` (in words) and ``after`` (titles).
        evaluation: As :func:`palate.evaluation.ranking.evaluate_ranking` returns it and, if known, ``dataset`` and
            ``split`` (names) and ``left_out`` (reasons by model).
        commands: What to type to have the same again.
    """
    parts: list[tuple[str, str, list[Markup]]] = []
    if simulation is not None:
        parts.append(("done", "What was done", [*_done(simulation)]))
        parts.append(("curves", "Curves", [*_curves(simulation, proposed)]))
        parts.append(("strategies", "Strategies", [*_strategies(simulation, proposed)]))
    if recommendations:
        parts.append(("recommendations", "Recommendations", [part for user in recommendations for part in _user(user)]))
    if conversation is not None:
        parts.append(("loop", "Asking, answering, updating", [*_conversation(conversation)]))
    if evaluation is not None:
        parts.append(("evaluation", "Recommendation quality", [*_evaluation(evaluation, proposed)]))
    if commands:
        parts.append(("again", "The same again", [tag("pre", "\n".join(commands))]))
    return page(title, headline, parts)


# --- simulation --------------------------------------------------------------------------------------


def _done(simulation: Mapping[str, Any]) -> Iterator[Markup]:
    data, protocol = simulation["dataset"], simulation["protocol"]
    seeds = protocol["seeds"]
    size = f"{data['users']:,} users, {data['items']:,} items, {data['interactions']:,} interactions"
    yield facts(
        [
            ("Data", f"{data['name']}: {size}"),
            ("SHA-256 of the data", data["sha256"]),
            ("Protocol", f"{protocol['name']}, pool {protocol['pool']}"),
            ("Users", f"{protocol['fit_users']:,} to fit, {protocol['test_users']:,} to test"),
            ("Questions", f"up to {protocol['budget']} for each user; one that a user cannot answer is spent"),
            ("Seeds", f"{len(seeds)}: {', '.join(map(str, seeds))}"),
            ("Palate", str(simulation["palate"])),
        ]
    )
    yield tag("p", PROTOCOLS[protocol["name"]], " Intervals are 95 %, from resampling users.", cls="soft")
    for reason in dict.fromkeys(simulation.get("left_out", {}).values()):
        yield tag("p", f"{OF_EVENTS} {', '.join(simulation['left_out'])} are left out: {reason}.", cls="soft")


def _curves(simulation: Mapping[str, Any], proposed: str) -> Iterator[Markup]:
    for name, png in draw_curves(simulation, proposed=proposed).items():
        yield picture(png, CAPTIONS[name])


def _strategies(simulation: Mapping[str, Any], proposed: str) -> Iterator[Markup]:
    budgets = list(simulation["budgets"])
    stages = [budget for budget in STAGES if budget in budgets]
    places = [budgets.index(stage) for stage in stages]
    strategies = simulation["strategies"]
    for metric in MEASURES:
        if all(metric in figures for figures in strategies.values()):
            yield table(
                f"{MEASURES[metric]}; 95 % interval below",
                ["Strategy", *(str(stage) for stage in stages)],
                [[name, *(_at(figures[metric], at, 4) for at in places)] for name, figures in strategies.items()],
                strong=proposed,
            )
    yield table(
        f"What the questions cost, over {budgets[-1]} questions",
        ["Strategy", "Answered", "Labels saved", "Median ms a question", "99th percentile"],
        ([name, *_costs(figures)] for name, figures in strategies.items()),
        strong=proposed,
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


# --- users -------------------------------------------------------------------------------------------


def _user(user: Mapping[str, Any]) -> Iterator[Markup]:
    yield tag("h3", f"User {user['user']}")
    if user.get("liked"):
        yield tag("p", "Liked before: " + ", ".join(user["liked"]), cls="soft")
    yield table(
        f"Recommended to user {user['user']}: expected rating ± standard deviation",
        ["Item", "Score", "Why"],
        (
            [item["title"], Cell(f"{_number(item['score'], 2)} ± {_number(item['std'], 2)}"), item["reason"]]
            for item in user["items"]
        ),
    )
    if user.get("profile"):
        yield tag("p", "Interest by category, against the average person: 95 % interval in brackets", cls="soft")
        yield facts((entry["category"], _interest(entry)) for entry in user["profile"])


def _interest(entry: Mapping[str, Any]) -> str:
    return f"{_number(entry['mean'], 2)} ({_band(entry['low'], entry['high'], 2)})"


def _conversation(conversation: Mapping[str, Any]) -> Iterator[Markup]:
    before = list(conversation["before"])
    yield tag("p", f"User {conversation['user']} is new: nothing is known, so this is the list that any newcomer gets.")
    yield tag("div", tag("p", tag("strong", "Before any question")), _list(before, before), cls="turn")
    for number, turn in enumerate(conversation["turns"], start=1):
        after = list(turn["after"])
        yield tag(
            "div",
            tag("p", tag("strong", f"{number}. {turn['question']}"), " → ", tag("em", turn["answer"])),
            tag("p", f"Asked because: {turn['why']}", cls="soft"),
            _list(after, before),
            cls="turn",
        )
        before = after


def _list(titles: Sequence[str], before: Sequence[str]) -> Markup:
    places = {title: place for place, title in enumerate(before)}
    return tag("ol", *(tag("li", title, _moved(place, places.get(title))) for place, title in enumerate(titles)))


def _moved(place: int, before: int | None) -> Markup:
    """How an entry moved, in words and not by colour alone."""
    if before is None:
        return tag("span", " ▲ new", cls="moved up")
    if before > place:
        return tag("span", f" ▲ up {before - place}", cls="moved up")
    if before < place:
        return tag("span", f" ▼ down {place - before}", cls="moved down")
    return Markup("")


# --- evaluation --------------------------------------------------------------------------------------


def _evaluation(evaluation: Mapping[str, Any], proposed: str) -> Iterator[Markup]:
    k, models = evaluation["k"], evaluation["models"]
    named = [(what.capitalize(), str(evaluation[what])) for what in ("dataset", "split") if what in evaluation]
    judged = f"{evaluation['users']:,} judged, {evaluation['users_without_positives']:,} without a test interaction"
    groups = [(whom, evaluation[f"{whom}_history"]) for whom in ("with", "without") if evaluation[f"{whom}_history"]]
    best = [(f"Best by NDCG, {whom} a history", group["best"]) for whom, group in groups]
    yield facts([*named, ("Users", judged), *best])
    metrics = {f"{metric.replace('_', ' ')}@{k}": f"{metric}@{k}" for metric in METRICS}
    metrics[f"recall@{2 * k}"] = f"recall@{2 * k}"
    for whom, group in groups:
        yield table(
            f"Lists of {k} for {group['users']:,} users {whom} a history, higher is better; mean over users, 95 % "
            "interval below",
            ["Model", *metrics, f"coverage@{k}", "NDCG against best", *(["Ordered by"] if whom == "without" else [])],
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
            strong=proposed,
        )
    yield table(
        "Settings, chosen on rows held back only",
        ["Model", "Settings", "At the end of what was tried", "Fit (s)"],
        (
            [name, model["settings"], _edges(model["at_edge"]), Cell(_number(model["fit_seconds"], 2))]
            for name, model in models.items()
        ),
    )
    for note in evaluation.get("notes", []):
        yield tag("p", note, cls="soft")
    for name, reason in evaluation.get("left_out", {}).items():
        yield tag("p", f"Left out: {name} ({reason}).", cls="soft")


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
