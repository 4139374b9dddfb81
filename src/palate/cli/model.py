"""The commands about one model: fit, recommend, ask, tell, undo, profile."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from palate.cli.answers import given_answer
from palate.cli.console import facts, line, output, print_json, progress, table
from palate.cli.files import kept_answers, load_data, load_model, save_model
from palate.cli.kinds import Kinds, about, kinds_of, said_in_words
from palate.cli.options import (
    Allow,
    Category,
    Data,
    Encoder,
    Exclude,
    Json,
    Model,
    Seed,
    Strategy,
    Strict,
    Targets,
    UnusedSeed,
    User,
    listed,
    local_path,
    writable,
)
from palate.entities import normalise_id

if TYPE_CHECKING:
    import numpy as np

    from palate.adaptation import Adaptation
    from palate.learner import Learner
    from palate.recommender import Recommendation

NOTES = {  # why a list is not what it might be, by the code that --json gives
    "unknown-user": "Nothing is known of this user: this is what people in general like.",
    "fewer-left": "Fewer are left than were asked for.",
    "nothing-left": "Nothing is left to show: everything is seen or left out.",
    "all-asked": "Nothing is left to ask: every item has an answer.",
    "no-categories": "The items have no categories.",
}
MEASURE = "gain-per-second"  # of several kinds of question
Count = Annotated[int, typer.Option("-k", min=0, help="How many.")]


def fit(
    path: Data,
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", parser=local_path, help="Model folder to write.")],
    encoder: Encoder = "default",
    image: Annotated[str | None, typer.Option(metavar="NAME", help="Image encoder, see `palate encoders`.")] = None,
    audio: Annotated[str | None, typer.Option(metavar="NAME", help="Audio encoder, see `palate encoders`.")] = None,
    categories: Annotated[
        bool, typer.Option("--categories", help="Categories count on their own, beside their words in the text.")
    ] = False,
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="An image or sound that cannot be read is left out, not an error.")
    ] = False,
    likelihood: Annotated[
        str, typer.Option(metavar="KIND", help="gaussian ratings, probit likes, implicit events, or auto.")
    ] = "auto",
    dim: Annotated[int, typer.Option(min=1, max=256, help="Taste dimensions to begin with.")] = 16,
    history: Annotated[
        str, typer.Option(metavar="HOW", help="What reads histories: mean, factors, text or behaviour.")
    ] = "mean",
    companions: Annotated[
        bool, typer.Option("--companions", help="Count what comes with what, for `palate companions`.")
    ] = False,
    adapt: Annotated[
        str, typer.Option(metavar="HOW", help="Adapt the text encoder, kept if better: none, linear or lora.")
    ] = "none",
    trust_remote_code: Annotated[
        list[str] | None,
        typer.Option("--trust-remote-code", metavar="NAME", help="Let the Python that this encoder brings run."),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Learn tastes from a data set and write a model folder.

    Answers that the folder keeps from tell and interview count in the fit and stay.
    """
    from palate.encoders.registry import trusting
    from palate.learner import Learner

    writable(out)
    started = time.perf_counter()
    data, labels = load_data(path, strict=strict), kept_answers(out)
    with progress() as report, trusting(*(trust_remote_code or ())):
        learner = Learner.fit(
            data,
            encoder=encoder,
            image=image,
            audio=audio,
            categories=categories,
            on_corrupt="skip" if skip_corrupt else "raise",
            likelihood=likelihood,
            dim=dim,
            history=history,  # type: ignore[arg-type]  # checked there
            companions=companions,
            adapt=adapt,  # type: ignore[arg-type]  # checked there
            labels=labels,
            seed=seed,
            progress=report,
        )
    save_model(learner, out)
    summary = fit_summary(learner) | {"path": str(out), "labels": len(labels)}
    summary["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        return print_json(summary)
    output().print(facts(_fit_facts(summary, learner.model.adaptation)))
    line(output(), f"Next: palate interview {out} --user you")


def fit_summary(learner: Learner) -> dict[str, Any]:
    """What a fit found, for ``--json``."""
    model = learner.model
    return {
        "users": len(model.user_ids),
        "items": len(model.catalogue),
        "answers": int(model.answers.nnz),
        "likelihood": model.taste.likelihood.kind,
        "scale": {"low": model.scale.low, "high": model.scale.high},
        "dim": model.taste.items.dim,
        "encoder": model.encoder[0] or "none",
        "content": {block.name: block.encoder for block in model.catalogue.blocks},
        "adaptation": None if model.adaptation is None else asdict(model.adaptation),
        "sha256": model.fingerprint,
    }


def _fit_facts(summary: dict[str, Any], adaptation: Adaptation | None) -> list[tuple[str, str]]:
    size = f"{summary['answers']:,} answers by {summary['users']:,} users on {summary['items']:,} items"
    return [
        ("Model", summary["path"]),
        ("Learned from", size + (f", and {summary['labels']:,} kept" if summary["labels"] else "")),
        ("Answers", f"{summary['likelihood']}, {summary['scale']['low']:g} to {summary['scale']['high']:g}"),
        ("Taste dimensions", str(summary["dim"])),
        ("Content", ", ".join(f"{name} by {encoder}" for name, encoder in summary["content"].items()) or "none"),
        *([] if adaptation is None else [("Adapted", adaptation.sentence())]),
        ("Time", f"{summary['seconds']:.1f} s"),
    ]


def recommend(
    model: Model,
    user: User,
    k: Count = 10,
    exclude: Exclude = None,
    allow: Allow = None,
    category: Category = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also what the user has answered.")] = False,
    min_certainty: Annotated[float, typer.Option(metavar="0..1", help="Only items this surely known.")] = 0.0,
    diversity: Annotated[float, typer.Option(metavar="0..1", help="0 ranks by score, 1 by difference.")] = 0.0,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """The list to show a user, with scores, how sure they are, and reasons."""
    learner = load_model(model)
    items = learner.recommend(
        user,
        k=k,
        **_filters(exclude, allow, category, include_seen),
        min_certainty=min_certainty,
        diversity=diversity,
    )
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += _shortage(k, len(items), "nothing-left")
    if as_json:
        found = [asdict(item) for item in items]
        return print_json({"user": user, "unit": _score_unit(learner), "notes": notes, "items": found})
    if items:
        output().print(recommendation_table(items))
        output().print(f"Score: {_score_unit(learner)}, ± what more answers could still change.")
    _say(notes)


def _filters(
    exclude: list[str] | None, allow: list[str] | None, category: str | None, include_seen: bool
) -> dict[str, Any]:
    """What may be in a list, as the learner takes it."""
    allowed = None if allow is None else listed(allow)
    return {"exclude": listed(exclude), "allow": allowed, "category": category, "include_seen": include_seen}


def companions(
    model: Model,
    user: User,
    k: Count = 10,
    exclude: Exclude = None,
    allow: Allow = None,
    category: Category = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also what the user has met.")] = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """What others met who met what a user did: the list for somebody who has done little and answered nothing.

    The model must have been fitted with --companions.
    """
    learner = load_model(model)
    items = learner.companions(user, k=k, **_filters(exclude, allow, category, include_seen))
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += _shortage(k, len(items), "nothing-left")
    if as_json:
        return print_json({"user": user, "notes": notes, "items": [asdict(item) for item in items]})
    if items:
        rows = [[str(n), one.item_id, one.title, f"{one.score:.2f}", one.reason] for n, one in enumerate(items, 1)]
        output().print(table([">", "Item", "Title", ">Score", "Why"], rows))
        output().print("Score: how likely it comes, in logarithms; only differences mean something.")
    _say(notes)


def _score_unit(learner: Learner) -> str:
    scale, kind = learner.model.scale, learner.model.taste.likelihood.kind
    if kind == "probit":
        return "chance of a like"
    return "strength of preference" if kind == "implicit" else f"expected rating, {scale.low:g} to {scale.high:g}"


def recommendation_table(items: list[Recommendation]) -> Table:
    """A list to show, best first."""
    rows = [
        [str(place), item.item_id, item.title, f"{item.score:.2f} ± {item.std:.2f}", item.reason]
        for place, item in enumerate(items, start=1)
    ]
    return table([">", "Item", "Title", ">Score", "Why"], rows)


def ask(
    model: Model,
    user: User,
    k: Count = 5,
    strategy: Strategy = "lookahead",
    kinds: Kinds = None,
    targets: Targets = "known",
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """The questions worth asking a user now, each with its value and why.

    With several --kinds they are compared by what an answer tells per second.
    """
    learner, forms = load_model(model), kinds_of(kinds)
    rng = question_rng(learner, user, seed)
    questions = learner.ask(user, k=k, strategy=strategy, kinds=forms, targets=targets, rng=rng)
    titles = [about(learner.model.catalogue, question) for question in questions]
    if forms != ["rate"]:
        strategy = MEASURE
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += _shortage(k, len(questions), "all-asked")
    if as_json:
        found = [asdict(question) | {"title": title} for question, title in zip(questions, titles, strict=True)]
        head = {"user": user, "strategy": strategy, "unit": _value_unit(strategy), "notes": notes}
        return print_json(head | {"questions": found})
    rows = [
        [str(place), question.item_id, title, f"{question.value:.3g}", question.why]
        for place, (question, title) in enumerate(zip(questions, titles, strict=True), start=1)
    ]
    if rows:
        output().print(table([">", "Item", "Title", ">Value", "Why"], rows))
        output().print(f"Value: by {strategy}{', ' + _value_unit(strategy) if _value_unit(strategy) else ''}.")
    _say([note for note in notes if note != "unknown-user"])


def question_rng(learner: Learner, user: str, seed: int) -> np.random.Generator:
    """New draws for each question of a user, the same whether they come in one session or in several."""
    from palate.random import derive_rng

    return derive_rng(seed, "ask", user, str(len(learner.told.get(user, ()))))


def _value_unit(strategy: str) -> str:
    from palate.acquisition import get_strategy

    return "squared rating per second" if strategy == MEASURE else get_strategy(strategy).unit


def tell(
    model: Model,
    user: User,
    item: Annotated[str, typer.Option(metavar="ID", help="What the answer is about.")],
    answer: Annotated[
        str, typer.Option(metavar="VALUE", help="A number on the scale, like, dislike, unknown, no-opinion or skip.")
    ],
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="Of the question: rate, pair, group, concept, preview.")
    ] = "rate",
    others: Annotated[
        list[str] | None, typer.Option(metavar="ID,...", help="The other item of a pair, those of a group.")
    ] = None,
    key: Annotated[str, typer.Option(metavar="KEY", help="Makes a repeat harmless; made up if not given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Keep one answer, which the next recommend sees.

    It is on the disk before this says so. To a pair answer 1 (the first) or 0, to a concept (its name is the
    --item) or a preview 1 (yes) or 0, to a group the ids liked with commas between, or none.
    """
    from palate.checkpoint import log_path
    from palate.store.log import LabelLog

    learner = load_model(model)
    given = learner.check(given_answer(learner.model, user, item, answer, kind, listed(others), key))
    with LabelLog.open(log_path(model)) as log:
        repeated = bool(key) and any(label.answer.key == normalise_id(key) for label in log.labels())
        (label,) = log.append([given])
    kept = label.answer
    title = about(learner.model.catalogue, kept)
    if as_json:
        found = {name: getattr(kept, name) for name in ("user_id", "item_id", "kind", "value", "key")}
        found |= {name: getattr(kept, name) for name in ("form", "others", "tapped")}
        found |= {"title": title, "seq": label.seq, "recorded_at": label.recorded_at, "repeated": repeated}
        return print_json(found)
    word = "Kept before" if repeated else "Kept"
    said_so = said_in_words(kept, learner.model)
    line(output(), f"{word}: {said_so} for {title} ({kept.item_id}), key {kept.key}.")


def undo(
    model: Model,
    user: User,
    key: Annotated[str, typer.Option(metavar="KEY", help="Of the answer; the last one if none is given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Take an answer back, as if it had never been given."""
    from palate.checkpoint import log_path
    from palate.store.log import LabelLog

    learner = load_model(model)
    before = learner.told.get(user, ())
    learner.undo(user, key or None)  # says what is wrong before anything is written
    with LabelLog.open(log_path(model)) as log:
        taken = log.retract(key or before[-1].key).answer
    if as_json:
        found = {name: getattr(taken, name) for name in ("user_id", "item_id", "kind", "value")}
        return print_json(found | {"key": key or before[-1].key, "answers_left": len(before) - 1})
    title = about(learner.model.catalogue, taken)
    line(output(), f"Taken back: {said_in_words(taken, learner.model)} for {title} ({taken.item_id}).")


def profile(model: Model, user: User, as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """A user's interest in each category, with how sure that is."""
    learner = load_model(model)
    interests = learner.profile(user)
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += [] if interests else ["no-categories"]
    if as_json:
        found = [asdict(interest) for interest in interests]
        return print_json({"user": user, "unit": "answers above the average user", "notes": notes, "categories": found})
    rows = [
        [
            interest.category,
            f"{interest.mean:+.2f}",
            f"{interest.low:+.2f} to {interest.high:+.2f}",
            "likes it" if interest.low > 0 else "dislikes it" if interest.high < 0 else "not sure yet",
            f"{interest.items:,}",
        ]
        for interest in interests
    ]
    if rows:
        output().print(table(["Category", ">Interest", "!95 % interval", "!", ">Items"], rows))
        output().print("Interest: how much more than the average user, in units of the answers.")
    _say(notes)


def item(
    model: Model,
    item_id: Annotated[str, typer.Option("--item", metavar="ID", help="Which item.")],
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """What an item's text, image, sound and categories say of it, and how much is left open."""
    report = load_model(model).explain_item(item_id)
    if as_json:
        return print_json(asdict(report))
    rows = [
        [one.modality, f"{one.shift:.3g}" if one.present else "none", f"{one.share:.0%}"] for one in report.modalities
    ]
    line(output(), f"{report.title} ({report.item_id}), {report.answers:,} answers")
    if rows:
        output().print(table(["Content", ">Moves the expected answer by", ">Share"], rows))
    line(output(), f"Left open: ±{report.unexplained:.2g} by its content, ±{report.left:.2g} with its answers.")


def _shortage(wanted: int, found: int, nothing: str) -> list[str]:
    if found == wanted:
        return []
    return ["fewer-left"] if found else [nothing]


def _say(notes: list[str]) -> None:
    for note in notes:
        output().print(NOTES[note], style="yellow")
