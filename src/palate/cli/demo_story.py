"""The steps of `palate demo`, each with its heading, its work and what it shows."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from palate.cli.console import line, progress, sentence, table
from palate.cli.evaluate import simulation_files, strategy_table
from palate.cli.files import load_data, write_files
from palate.cli.fit import fit_summary
from palate.cli.interview import moved
from palate.entities import ITEM, USER

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.learner import Learner

MOVIELENS = "movielens-100k"
WORLD = {"users": 400, "items": 200}  # of --sample
HELD_OUT = 0.05  # share of the people that the model of the demo never sees
PAGE = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much is simulated."""

    strategies: tuple[str, ...]
    budget: int
    seeds: int


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

    def meet(self, learner: Learner, unseen: Dataset) -> dict[str, Any] | None:
        """Three of the people never seen are asked; what came of it, for the report."""
        from palate.evaluation.report_people import verdict
        from palate.evaluation.three_people import three_people
        from palate.evaluation.world import newcomers

        self._heading("Ask three people whom the model never saw")
        users, ratings, _, askable = newcomers(unseen, learner.model, self.seed)
        met = three_people(learner, users, ratings, askable, seed=self.seed)
        if met is None:
            self._line("none of them likes enough for a list to be judged by")
            return None
        first = met["people"][0]
        sentence(self.console, f"{_of(first)}, drawn by chance, likes {'; '.join(first['likes'])}")
        self.console.print(table([">", "Asked about", "!Says"], _turns(first)))
        self.console.print(table([">", "Their list then", "!", "!"], _list(first["after"])))
        for person in met["people"]:
            sentence(self.console, f"{_of(person)}. {verdict(person)}")
        return met

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

    def report(self, document: dict[str, Any], command: str) -> str:
        """Write everything; the last line on the terminal is the headline, which is returned."""
        from palate.acquisition import DEFAULT
        from palate.evaluation.headline import certainty, headline

        write_files(self.out, simulation_files(document, DEFAULT, title="What Palate does", commands=[command]))
        self.console.print(strategy_table(document, DEFAULT))
        sentence(self.console, certainty(document, DEFAULT))
        self._end()
        said = headline(document, DEFAULT)
        sentence(self.console, said, style="bold")
        return said

    def _end(self) -> None:
        """How long it took, and where to go on."""
        self._line(f"took {time.perf_counter() - self._started:.0f} s; open {self.out / 'report.html'}")
        model, command = self.out / "model", _command()
        self._line(f"your turn, here: {command} interview {model} --user you")
        self._line(f"your turn, in a browser: {command} serve {model} --visitors, then open {PAGE}")
        self.console.print()

    def _heading(self, text: str) -> None:
        self._step += 1
        self.console.print(f"\n{self._step}. {text}", style="bold cyan")

    def _line(self, text: str) -> None:
        line(self.console, text)


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


def _of(person: Mapping[str, Any]) -> str:
    return f"Person {person['user']}"


def _list(items: Sequence[Mapping[str, Any]]) -> list[list[str | Text]]:
    from palate.evaluation.report_people import LIKED

    places = {item["item_id"]: item["place_before"] for item in items if item["place_before"] is not None}
    return [
        [str(place + 1), item["title"], moved(item["item_id"], place, places), LIKED if item["liked"] else ""]
        for place, item in enumerate(items)
    ]


def _turns(person: Mapping[str, Any]) -> list[list[str]]:
    return [[str(number), turn["question"], turn["answer"]] for number, turn in enumerate(person["turns"], start=1)]
