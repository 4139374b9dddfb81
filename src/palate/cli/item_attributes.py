"""Attributes of items: declared in a file, and what their labels say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli.console import line, output, print_json, table
from palate.cli.files import opened
from palate.cli.options import Json, Model, UnusedSeed, local_path
from palate.errors import OptionError, some_of

if TYPE_CHECKING:
    from palate.entities.item_attributes import ItemAttribute
    from palate.oracles.item_labels import ItemLabels

_KNOWN = {"name", "question", "options", "only", "at_least"}
ItemAttributes = Annotated[
    Path | None,
    typer.Option(
        "--item-attributes",
        metavar="FILE",
        parser=local_path,
        help="Attributes of items that labels are about: JSON, a list of {name, question, options, only, at_least}.",
    ),
]


def declared_in(path: Path | None) -> dict[str, tuple[ItemAttribute, ...]]:
    """The option of a fit that a file holds; none without a file.

    Raises:
        OptionError: If it cannot be read, or declares something else.
    """
    from palate.entities.item_attributes import ItemAttribute

    if path is None:
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{path} cannot be read as JSON: {error}. Give a file of a list of attributes.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise OptionError(
            f"{path} holds no list of attributes. Write [{{'name': ..., 'question': ..., 'options': ...}}]."
        )
    for row in rows:
        strange = sorted(row.keys() - _KNOWN)
        missing = sorted({"name", "question", "options"} - row.keys())
        if strange or missing:
            what = f"has {strange[0]!r}, which is unknown" if strange else f"has no {missing[0]!r}"
            raise OptionError(f"an attribute in {path} {what}. Give {some_of(sorted(_KNOWN))}.")
    return {"item_attributes": tuple(ItemAttribute(**row) for row in rows)}


def labels(
    model: Model,
    attribute: Annotated[str, typer.Argument(metavar="NAME", help="Attribute, as the model was fitted with it.")],
    k: Annotated[int, typer.Option("-k", min=0, metavar="N", help="Items to show, those of most votes first.")] = 20,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """What all labels up to now say of an attribute of items. Lists follow with the next refit.

    The probabilities are tempered, since those who label an item err together; without 20 items of which the option is
    known that is a guess, and said so.
    """
    with opened(model) as recommender:
        found = recommender.item_labels(attribute)
        catalogue = recommender.fitted.catalogue
        names = {item: catalogue.names[catalogue.position(item)] for item in found.items if item in catalogue}
    rows = _rows(found, names)
    if as_json:
        said = {"attribute": attribute, "options": list(found.attribute.options), "labelled": len(rows)}
        how = {"temperature": found.temperature, "gold": found.gold, "calibrated": found.is_calibrated}
        return print_json(said | how | {"items": rows[:k]})
    kind = f"calibrated on {found.gold} known items" if found.is_calibrated else "not calibrated"
    line(output(), f"{attribute}: {len(rows):,} of {len(catalogue):,} items have labels; {kind}.")
    if rows[:k]:
        cells = [
            [row["title"], f"{row['votes']:g}", row["option"], f"{row['probability']:.0%}", f"{row['at_least']:.0%}"]
            for row in rows[:k]
        ]
        output().print(table(["Item", ">Votes", "Most likely", ">Probability", ">At least"], cells))


def _rows(found: ItemLabels, names: dict[str, str]) -> list[dict[str, Any]]:
    """The items, those of most votes first."""
    lower, best = found.lower, found.probabilities.argmax(1)
    rows = [
        {
            "item_id": item,
            "title": names.get(item, item),
            "votes": round(float(found.votes[row]), 9),
            "known": bool(found.known[row]),
            "option": found.attribute.options[best[row]],
            "probability": float(found.probabilities[row, best[row]]),
            "at_least": float(lower[row, best[row]]),
            "probabilities": found.probabilities[row].tolist(),
        }
        for row, item in enumerate(found.items)
    ]
    return sorted(rows, key=lambda row: -row["votes"])
