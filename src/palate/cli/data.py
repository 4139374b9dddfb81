"""`palate data`: fetch, inspect, convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from palate.cli.console import errors, facts, line, output, plain, print_json, progress, table
from palate.cli.files import load_data, replacing
from palate.cli.options import (
    Columns,
    Data,
    Events,
    Json,
    Scale,
    Strict,
    UnusedSeed,
    column_names,
    event_words,
    local_path,
    writable,
)

REJECTS = "rejects.csv"  # no reader takes a file of that name for data


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="movielens-100k")],
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Get a public data set, check it against its checksum, and keep it."""
    from palate.datasets.fetch import fetch as fetch_data

    with progress() as report:
        report(f"fetching {name}", 0, None)
        folder = fetch_data(name)
    if as_json:
        return print_json({"name": name, "path": str(folder)})
    output().print(f"{name} is in", soft_wrap=True)
    output().print(str(folder), soft_wrap=True)


def inspect(
    path: Data,
    columns: Columns = None,
    scale: Scale = None,
    event: Events = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Say what is in a data set and what looks wrong with it."""
    from palate.datasets.inspect import inspect as describe
    from palate.datasets.tables import Dataset
    from palate.model.no_taste import no_taste_in

    with progress() as report:
        report("reading", 0, None)
        named, meant = column_names(columns), event_words(event)
        data = Dataset.load(path, columns=named, strict=strict, scale=scale, events=meant)
        found = describe(data)
        report("looking for taste", 0, None)
        if said := no_taste_in(data):
            found["suspicious"].append(said[0].upper() + said[1:])
    if as_json:
        return print_json(found)
    _show(found)


def convert(
    path: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", parser=local_path, help="Data folder to write.")],
    columns: Columns = None,
    scale: Scale = None,
    event: Events = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Write a data set as the Palate data folder, whole or not at all.

    Rows that cannot be read go to OUT/rejects.csv, with line, column and reason.
    """
    from palate.datasets.convert import write_folder

    writable(out)
    data = load_data(path, columns=columns, events=event, strict=strict, scale=scale)
    with progress() as report:
        report("writing", 0, None)
        write_folder(data, out)
    if data.rejects:
        with replacing(out / REJECTS) as temporary:
            data.rejects.write(temporary)
    else:
        (out / REJECTS).unlink(missing_ok=True)  # of an earlier conversion
    rows = {name: getattr(data, name).height for name in ("interactions", "items", "users")}
    rows |= {"friends": data.friends.height} if data.friends.height else {}
    if as_json:
        return print_json({"path": str(out), "rows": rows, "rejects": data.rejects.total})
    line(output(), f"Wrote {', '.join(f'{count:,} {name}' for name, count in rows.items())} to {out}.")
    if data.rejects:
        line(errors(), f"The {data.rejects.total:,} rows that could not be read are in {out / REJECTS}.")


def _show(found: dict[str, Any]) -> None:
    console, counts, joins = output(), found["counts"], found["joins"]
    unused = [f"{name}: {', '.join(map(plain, columns))}" for name, columns in found["unused"].items() if columns]
    console.print(
        facts(
            [
                ("Data set", found["name"]),
                ("Interactions", f"{counts['interactions']:,}: {counts['users']:,} users, {counts['items']:,} items"),
                ("Density", f"{found['density']:.2%} of all pairs"),
                ("Dates", _dates(found["dates"])),
                ("Ratings", _ratings(counts["ratings"], found["ratings"])),
                *([("Events", _tally(found["events"], found["signs"]))] if found["events"] else []),
                ("Items table", f"{counts['item_rows']:,} rows, {counts['categories']:,} categories"),
                ("", f"{joins['items_without_row']:,} items without a row, {joins['items_never_seen']:,} never seen"),
                ("Users table", f"{counts['user_rows']:,} rows"),
                *([("Friends", f"{counts['friends']:,} rows")] if counts["friends"] else []),
                ("Duplicates", f"{found['duplicates']['rows']:,} rows, {found['duplicates']['pairs']:,} pairs"),
                ("Not readable", f"{found['rejects']['total']:,} rows"),
                *([("Not used", "; ".join(unused))] if unused else []),
                ("SHA-256", found["sha256"]),
            ]
        )
    )
    if found["ratings"]["histogram"]:
        console.print(_histogram(found["ratings"]["histogram"]))
    for note in found["notes"]:
        line(console, note)
    for reject in found["rejects"]["first"]:
        line(console, f"cannot read {reject}")
    for sentence in found["suspicious"]:
        line(console, f"! {sentence}", style="yellow")
    if not found["suspicious"] and not found["rejects"]["total"]:
        console.print("Nothing looks wrong.")


def _dates(dates: dict[str, Any]) -> str:
    return f"{dates['first']} to {dates['last']}" if dates["known"] else "none"


def _ratings(count: int, ratings: dict[str, Any]) -> str:
    if not count:
        return "none"
    span = f"{ratings['lowest']:g} to {ratings['highest']:g}, mean {ratings['mean']:.2f}"
    return f"{count:,} in {ratings['levels']:,} levels, {span}"


def _tally(events: dict[str, int], signs: dict[str, str]) -> str:
    return ", ".join(f"{plain(name)} {count:,} ({signs[name]})" for name, count in list(events.items())[:12])


def _histogram(histogram: dict[str, int]) -> Any:
    most = max(histogram.values())
    rows = [[level, f"{count:,}", "█" * max(1, round(30 * count / most))] for level, count in histogram.items()]
    return table([">Rating", ">Count", "!"], rows)
