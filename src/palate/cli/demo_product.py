"""`palate demo news|shop|video|social`: somebody arrives, is asked, and the honest table, on one kind of product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from palate.cli.console import json_text, progress, sentence, table
from palate.cli.demo_story import Story
from palate.cli.files import load_data, write_files
from palate.cli.products import Product
from palate.entities import ITEM, TITLE, USER, Form

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.learner import Learner

_SHORT = {"popularity": "pop.", "recent-popularity": "lately", "item-knn": "kNN", "ease": "EASE", "ials": "iALS"}
MOST = {"users": 2000, "items": 1000}  # of a log: so that it takes minutes


class ProductStory(Story):
    """The steps for one kind of product."""

    def __init__(self, console: Console, out: Path, seed: int, product: Product) -> None:
        super().__init__(console, out, seed)
        self.product = product

    def log(self, path: Path | None, columns: Sequence[str] | None = None) -> Dataset:
        """The generated log, or the one at a path, cut to what fits in a few minutes."""
        from palate.evaluation.product import cut
        from palate.random import derive_rng

        self._heading("The data")
        if path is None:
            data = self.product.generate(derive_rng(self.seed, "demo", self.product.name))
            data = replace(data, name=f"{self.product.name} sample")
            self._line(f"generated; yours with --data PATH: {self.product.formats}, or tables of your own")
        else:
            data = load_data(path, columns=columns)
        whole, data = data.interactions.height, cut(data, **MOST, seed=self.seed)
        rows = data.interactions
        people, items = rows[USER].n_unique(), rows[ITEM].n_unique()
        self._line(f"{data.name}: {rows.height:,} rows, {people:,} people, {items:,} items")
        if rows.height < whole:
            self._line(
                f"of {whole:,} rows: at most {MOST['users']:,} people, drawn, and their {MOST['items']:,} most met "
                "items, so that this takes minutes; palate evaluate takes all"
            )
        bare = items - _titled(data)
        if bare:
            self._line(f"{bare:,} of the items have no title: they are shown by their ids")
        return data

    def arrive(self, learner: Learner, unseen: Dataset) -> dict[str, Any] | None:
        """Somebody new does three things, and is asked a question that suits."""
        from palate.evaluation.first_events import first_events
        from palate.random import derive_rng

        self._heading(f"Somebody new, who {self.product.event} three things")
        found = first_events(learner, unseen, seed=self.seed)
        if found is None:
            self._line("nobody who is new did more than three things")
            return None
        sentence(self.console, f"Person {found['user']} {self.product.event} {'; '.join(found['first'])}")
        self.console.print(table([">", "Their list then", "!", "Why"], _list(found)))
        for question in learner.ask("you", forms=[Form.GROUP], rng=derive_rng(self.seed, "demo", "ask")):
            sentence(self.console, f"What Palate would ask somebody of whom it knows nothing: {question.text}")
        return found

    def judge(self, data: Dataset) -> dict[str, Any]:
        """The honest table."""
        from palate.evaluation.product import product_table

        self._heading("The honest table")
        with progress() as report:
            return product_table(data, seed=self.seed, progress=report)

    def tell(self, document: dict[str, Any], command: str) -> str:
        """Write everything; the last line on the terminal is the headline, which is returned."""
        from palate.evaluation.report_product import product_headline, render_product

        said = product_headline(document)
        page = render_product(
            document | {"headline": said}, title=f"Palate on {document['dataset']['name']}", commands=[command]
        )
        write_files(self.out, {"table.json": json_text(document), "report.html": page})
        for shown in _tables(document):
            self.console.print(shown)
        for part, reason in document["left_out"].items():
            self._line(f"{part.replace('_', ' ')}: left out, {reason}")
        self._end()
        sentence(self.console, said, style="bold")
        return said


def _titled(data: Dataset) -> int:
    """Of how many items that somebody met the title is known."""
    if TITLE not in data.items.columns:
        return 0
    met = data.interactions[ITEM].unique().implode()
    titles = data.items.filter(data.items[ITEM].is_in(met))[TITLE]
    return int((titles.fill_null("") != "").sum())


def _list(found: Mapping[str, Any]) -> list[list[str | Text]]:
    from palate.evaluation.report_product import TAKEN

    return [
        [str(place + 1), item["title"], TAKEN if item["taken"] else "", item["reason"]]
        for place, item in enumerate(found["after"])
    ]


def _tables(document: Mapping[str, Any]) -> list[Any]:
    from palate.evaluation.product import asked
    from palate.evaluation.report_product import NDCG, models_of

    shown = []
    if document["lists"]:
        stages, models = document["lists"]["stages"], models_of(document["lists"])
        rows = [
            [n, *(_mean(found[NDCG].get(name)).lstrip("0") for name in models), _less(found.get("palate_minus_best"))]
            for n, found in stages.items()
        ]
        columns = [">", *(f">{_SHORT.get(name, name)}" for name in models), ">less the best"]
        shown.append(table(columns, rows, title="NDCG@10 for somebody new, after so many events"))
    if document["questions"]:
        rows = [
            [str(n), _mean(one["palate"]), _mean(one["popularity"]), _less(one["palate_minus_popularity"])]
            for n, one in asked(document["questions"]).items()
        ]
        columns = [">Questions", ">Palate's", ">about popular items", ">difference"]
        shown.append(table(columns, rows, title="NDCG@10 after so many questions, and nothing else"))
    if document["new_items"]:
        new = document["new_items"]
        rows = [[name, _mean(figures), _less(new["palate_minus"].get(name))] for name, figures in new[NDCG].items()]
        shown.append(table(["!Order by", ">NDCG@10", ">palate less it"], rows, title="Items nobody has acted on"))
    return shown


def _mean(figures: Mapping[str, Any] | None) -> str:
    return "–" if figures is None else f"{figures['mean']:.3f}"


def _less(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return ""
    low, mean, high = (f"{figures[end]:+.3f}" for end in ("low", "mean", "high"))
    return f"{mean} ({low} to {high})".replace("-", "−")
