"""`palate demo`: the main job from raw data to proof, in one command."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from palate.cli.console import errors, line, output, print_json, progress, table
from palate.cli.evaluate import simulation_files, strategy_table
from palate.cli.files import load_data, write_files
from palate.cli.fit import fit_summary
from palate.cli.headline import headline
from palate.cli.interview import moved
from palate.cli.lists import recommendation_table
from palate.cli.loop import question_rng
from palate.cli.options import Json, Seed, local_path, writable
from palate.cli.parse_answer import in_words
from palate.cli.serve import serve as serve_model
from palate.cli.serve import server
from palate.entities import ITEM, RATING, USER

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.entities import Answer
    from palate.learner import Learner
    from palate.loop.lists import Recommendation

MOVIELENS = "movielens-100k"
WORLD = {"users": 400, "items": 200}  # of --sample
HELD_OUT = 0.05  # share of the people that the model of the demo never sees
SHOWN = 5  # places of a list
QUESTIONS = 8  # to the person never seen
PAGE = "http://127.0.0.1:8000"
MANY = 20  # ratings of a person whose list is shown


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much is simulated."""

    strategies: tuple[str, ...]
    budget: int
    seeds: int


FULL = Comparison(("bald", "a-optimal", "epig", "lookahead", "list-value"), budget=20, seeds=3)
QUICK = Comparison(("lookahead", "list-value"), budget=20, seeds=1)


def demo(
    sample: Annotated[
        bool, typer.Option("--sample", help="A small generated world instead of MovieLens-100K: no download.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and strategies.")] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", parser=local_path, help="Folder for the results.")
    ] = Path("palate-demo"),
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve the model, with a page to open in a browser, on this machine.")
    ] = False,
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65_535, help="Of the page; 0 takes a free one.")] = 8000,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """The whole job on MovieLens-100K, from raw data to proof.

    Encodes, fits, recommends, asks, updates and compares. Writes report.html, curves as PNG,
    simulate.json and the fitted model. With --json the story is on standard error.
    """
    writable(out)
    if serve:
        server()  # an error, where it is not installed, before the work
    story = Story(errors() if as_json else output(), out, seed)
    data = story.data(sample)
    learner, unseen = story.fit(data)
    people = story.recommend(learner)
    conversation = story.converse(learner, unseen)
    document = story.compare(data, QUICK if quick else FULL)
    parts = {"recommendations": people, "conversation": conversation, "title": "What Palate does"}
    parts["commands"] = [f"palate demo{' --sample' if sample else ''}{' --quick' if quick else ''} --seed {seed}"]
    said = story.report(document, parts)
    if as_json:
        print_json(
            {
                "headline": said,
                "path": str(out),
                "model": fit_summary(learner),
                "recommendations": people,
                "conversation": conversation,
                "simulation": document,
            }
        )
    if serve:
        serve_model(out / "model", port=port, visitors=True, log_requests=False, as_json=as_json)


class Story:
    """The steps, each with its heading, its work and what it shows."""

    def __init__(self, console: Console, out: Path, seed: int) -> None:
        self.console, self.out, self.seed = console, out, seed
        self._step, self._started = 0, time.perf_counter()

    def data(self, sample: bool) -> Dataset:
        self._heading("The data")
        data = _planted(self.seed) if sample else _movielens()
        rows = data.interactions
        size = f"{rows.height:,} ratings by {rows[USER].n_unique():,} people of {rows[ITEM].n_unique():,} items"
        self._line(f"{data.name}: {size}")
        return data

    def fit(self, data: Dataset) -> tuple[Learner, Dataset]:
        """The learner, and the data of the people it never saw."""
        from palate.datasets.splits import new_users
        from palate.learner import Learner
        from palate.random import derive_rng

        self._heading("Encode the items, fit everybody's taste")
        split = new_users(data, share=HELD_OUT, rng=derive_rng(self.seed, "demo", "unseen"))
        with progress() as report:
            learner = Learner.fit(split.train, seed=self.seed, progress=report)
        learner.save(self.out / "model")
        found = fit_summary(learner)
        self._line(f"encoder {found['encoder']}, {found['dim']} taste dimensions, {found['users']:,} people")
        kept = split.test.interactions[USER].n_unique()
        self._line(f"{kept} more people are kept for later, never seen by the model")
        return learner, split.test

    def recommend(self, learner: Learner) -> list[dict[str, Any]]:
        """Lists for three people, for the report."""
        self._heading("Recommend to three people")
        people = []
        for user in _three(learner, self.seed):
            items = learner.recommend(user, k=SHOWN)
            liked = _liked(learner, user)
            line(self.console, f"User {user}, who liked {'; '.join(liked)}:")
            self.console.print(recommendation_table(items[:3]))
            people.append({"user": user, "liked": liked, "items": [asdict(item) for item in items]})
        return people

    def converse(self, learner: Learner, unseen: Dataset) -> dict[str, Any]:
        """The loop for one person never seen, for the report."""
        from palate.oracles import Simulated

        self._heading("Ask, answer, update: one person never seen")
        user, ratings = _talkative(unseen)
        self._line(f"User {user} answers from their {len(ratings)} real ratings, otherwise: don't know it")
        oracle, before = Simulated({user: ratings}), learner
        first = learner.recommend(user, k=SHOWN)
        turns = []
        for _ in range(QUESTIONS):
            questions = learner.ask(user, rng=question_rng(learner, user, self.seed))
            for question, answer in zip(questions, oracle.answer(questions), strict=True):
                learner = learner.tell(answer)
                turns.append(_turn(learner, user, question.why, answer))
        self.console.print(table([">", "Question", "Answer"], _rows(turns)))
        self._show_move(first, learner.recommend(user, k=SHOWN))
        self._show_error(before, learner, user, ratings)
        return {"user": user, "before": [item.title for item in first], "turns": turns}

    def compare(self, data: Dataset, comparison: Comparison) -> dict[str, Any]:
        """The document of the simulation."""
        from palate.evaluation.simulate import SimulationOptions, simulate

        self._heading("Compare ways to ask, on many people never seen")
        options = SimulationOptions(
            strategies=comparison.strategies,
            budget=comparison.budget,
            seeds=tuple(range(self.seed, self.seed + comparison.seeds)),
        )
        with progress() as report:
            document = simulate(data, options, progress=lambda done, of: report("simulating", done, of))
        tested = document["protocol"]["test_users"]
        seeds = f"{comparison.seeds} {'seed' if comparison.seeds == 1 else 'seeds'}"
        self._line(f"{tested:,} people, {seeds}; a question that a person cannot answer is spent")
        return document

    def report(self, document: dict[str, Any], parts: Mapping[str, Any]) -> str:
        """Write everything; the last line on the terminal is the headline, which is returned."""
        from palate.acquisition import DEFAULT

        write_files(self.out, simulation_files(document, DEFAULT, **parts))
        self.console.print(strategy_table(document, DEFAULT))
        self._line(f"took {time.perf_counter() - self._started:.0f} s; open {self.out / 'report.html'}")
        model, command = self.out / "model", _command()
        self._line(f"your turn, here: {command} interview {model} --user you")
        self._line(f"your turn, in a browser: {command} serve {model} --visitors, then open {PAGE}")
        self.console.print()
        said = headline(document, DEFAULT)
        line(self.console, said, style="bold")
        return said

    def _heading(self, text: str) -> None:
        self._step += 1
        self.console.print(f"\n{self._step}. {text}", style="bold cyan")

    def _line(self, text: str) -> None:
        line(self.console, text)

    def _show_move(self, first: list[Recommendation], last: list[Recommendation]) -> None:
        places = {item.item_id: place for place, item in enumerate(first)}
        rows: list[list[str | Text]] = [
            [str(place + 1), before.title, after.title, moved(after.item_id, place, places)]
            for place, (before, after) in enumerate(zip(first, last, strict=False))
        ]
        self.console.print(table([">", "List before", "List after", "!"], rows))

    def _show_error(self, before: Learner, after: Learner, user: str, ratings: Mapping[str, float]) -> None:
        asked = {answer.item_id for answer in after.told[user]}
        rest = {item: value for item, value in ratings.items() if item not in asked}
        error = [_rmse(learner, user, rest) for learner in (before, after)]
        self._line(f"RMSE on the {len(rest)} ratings not asked about: {error[0]:.3f} before, {error[1]:.3f} after")


def _command() -> str:
    """How this command was called, so that the next can be called in the same way."""
    called = sys.argv[0] if Path(sys.argv[0]).name == "palate" else "palate"
    return "palate" if shutil.which("palate") == str(Path(called).absolute()) else called


def _movielens() -> Dataset:
    from palate.datasets.fetch import fetch

    with progress() as report:
        report(f"fetching {MOVIELENS}", 0, None)
        folder = fetch(MOVIELENS)
    return replace(load_data(folder), name=MOVIELENS)


def _planted(seed: int) -> Dataset:
    from palate.datasets.planted import planted_world
    from palate.random import derive_rng

    return planted_world(**WORLD, rng=derive_rng(seed, "demo", "world")).dataset


def _three(learner: Learner, seed: int) -> list[str]:
    """Three people with a history to speak of."""
    import numpy as np

    from palate.random import derive_rng

    counts = np.diff(learner.model.answers.indptr)
    known = np.flatnonzero(counts >= min(MANY, int(np.median(counts))))
    chosen = derive_rng(seed, "demo", "three").choice(known, min(3, len(known)), replace=False)
    return [learner.model.user_ids[row] for row in chosen]


def _liked(learner: Learner, user: str) -> list[str]:
    """Titles of three items that a user rated highest."""
    state, catalogue = learner.state(user), learner.model.catalogue
    best = sorted(zip(state.values, state.rated, strict=True), key=lambda rated: -rated[0])[:3]
    return [catalogue.names[item] for _, item in best]


def _talkative(unseen: Dataset) -> tuple[str, dict[str, float]]:
    """The person with the most ratings, and these by item: somebody who can answer shows the loop best."""
    counts = unseen.interactions[USER].value_counts().sort(["count", USER], descending=[True, False])
    user = str(counts[USER][0])
    rows = unseen.interactions.filter(unseen.interactions[USER] == user)
    return user, dict(zip(rows[ITEM].to_list(), rows[RATING].to_list(), strict=True))


def _turn(learner: Learner, user: str, why: str, answer: Answer) -> dict[str, Any]:
    catalogue = learner.model.catalogue
    return {
        "question": catalogue.names[catalogue.position(answer.item_id)],
        "why": why,
        "answer": in_words(answer.kind, answer.value, learner.model),
        "after": [item.title for item in learner.recommend(user, k=SHOWN)],
    }


def _rows(turns: list[dict[str, Any]]) -> list[list[str]]:
    return [[str(number), turn["question"], turn["answer"]] for number, turn in enumerate(turns, start=1)]


def _rmse(learner: Learner, user: str, ratings: Mapping[str, float]) -> float:
    known = [item for item in ratings if item in learner.model.catalogue]
    items = learner.recommend(user, k=len(known), allow=known, include_seen=True)
    squares = [(item.score - ratings[item.item_id]) ** 2 for item in items]
    return float((sum(squares) / max(len(squares), 1)) ** 0.5)
