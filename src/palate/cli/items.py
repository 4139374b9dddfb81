"""`palate item`: add, withdraw, show."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import line, output, print_json, table
from palate.cli.files import load_model, load_new_items, opened
from palate.cli.options import Columns, Json, Model, SkipCorrupt, Strict, UnusedSeed, local_path
from palate.entities import ITEM

if TYPE_CHECKING:
    from palate.encoders.media.media import OnCorrupt


def add(
    model: Model,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", parser=local_path, help="Items: CSV, TSV, JSON lines or Parquet, or a data folder's."
        ),
    ],
    skip_corrupt: SkipCorrupt = False,
    columns: Columns = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Add new items, in every list from now on: what is expected of them comes from what they hold.

    Nothing is fitted anew. Items that the model holds already stay as they are.
    """
    data = load_new_items(path, columns=columns, strict=strict)
    with opened(model) as recommender:
        catalogue = recommender.learner.model.catalogue
        new = data.items.filter([item not in catalogue for item in data.items[ITEM]])
        added = 0
        if new.height:
            how: OnCorrupt = "skip" if skip_corrupt else "raise"
            added = recommender.add_items(new, folder=data.folder, on_corrupt=how)
        whole = len(recommender.learner.model.catalogue)
    known = data.items.height - new.height
    if as_json:
        return print_json({"path": str(model), "added": added, "known": known, "items": whole})
    line(output(), f"Added {added:,} {'item' if added == 1 else 'items'}; the model holds {whole:,}.")
    if known:
        line(output(), f"{known:,} were in it already and stay as they are: palate fit reads them anew.", "yellow")


def withdraw(
    model: Model,
    item_id: Annotated[str, typer.Argument(metavar="ID", help="Which item.")],
    again: Annotated[bool, typer.Option("--again", help="Show it again instead.")] = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Take an item out of lists and questions; what was said of it counts as before, and a refit keeps it out."""
    with opened(model) as recommender:
        withdrawn = recommender.withdraw_items(item_id, again=again)
    if as_json:
        return print_json({"path": str(model), "item_id": item_id, "withdrawn": not again, "items": withdrawn})
    said = "is in lists again" if again else "is in no list any more"
    line(output(), f"{item_id} {said}; {withdrawn:,} withdrawn in all.")


def show(
    model: Model,
    item_id: Annotated[str, typer.Argument(metavar="ID", help="Which item.")],
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
