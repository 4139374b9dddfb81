"""palate vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palate.cli.console import line, output, print_json
from palate.cli.files import load_model, replacing
from palate.cli.lists_file import check_file, read_ids
from palate.cli.options import Json, Model, UnusedSeed, local_path
from palate.errors import OptionError
from palate.errors.checks import one_of


def vectors(
    model: Model,
    of: Annotated[str, typer.Argument(metavar="items|users", help="Whose vectors.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", parser=local_path, help="FILE.parquet, FILE.arrow or FILE.feather.")
    ],
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", parser=local_path, help="Of these users alone: an id a line.")
    ] = None,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """What is believed of every item, or every user, as vectors: for a warehouse or a vector store.

    A row has the id, the vector and the standard deviation of each of its numbers. The inner product of a user's and an
    item's vector is the expected rating, before it is kept within the scale; it is not what lists are ordered by.
    """
    from palate.integrations import arrow

    if one_of(of, ("items", "users"), "whose vectors") == "items" and users is not None:
        raise OptionError("--users is given for vectors of items. Leave it out, or write the vectors of users.")
    check_file(out)
    chosen = None if users is None else read_ids(users)
    learner = load_model(model)
    stream = arrow.item_vectors(learner) if of == "items" else arrow.user_vectors(learner, chosen)
    numbers = stream.schema.field("vector").type.list_size
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        rows = arrow.write(stream, temporary, form=arrow.form_of(out))
    if as_json:
        return print_json({"path": str(out), "of": of, "rows": rows, "numbers": numbers})
    line(output(), f"{rows:,} vectors of {numbers} numbers in {out}.")
