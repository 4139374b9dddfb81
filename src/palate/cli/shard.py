"""palate shard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import errors, facts, line, output, print_json, progress
from palate.cli.options import (
    Columns,
    Events,
    Json,
    Scale,
    Seed,
    Strict,
    column_names,
    event_words,
    local_path,
    writable,
)
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.scale.sharding import Sharded


def shard(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", parser=local_path, help="Data folders or files, read one after the other."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", parser=local_path, help="New folder for the shards.")
    ] = None,
    onto: Annotated[
        Path | None,
        typer.Option("--onto", metavar="DIR", parser=local_path, help="Shards to which this newer data is added."),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="PATH", parser=local_path, help="Table of items beside those of the data.")
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option("--shards", metavar="N", min=1, help="How many, a power of two; by default by the size."),
    ] = None,
    block_items: Annotated[
        int | None, typer.Option("--block-items", metavar="N", min=1, help="Most items of a block.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this was stopped.")] = False,
    columns: Columns = None,
    scale: Scale = None,
    event: Events = None,
    strict: Strict = False,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Write a data set of any size as shards, for a fit that reads them one after the other.

    The data is read once and is never all in memory. With --onto its answers are added to shards that are there.
    """
    from palate.scale.deltas import add_events
    from palate.scale.sharding import shard as write

    started = time.perf_counter()
    if onto is not None:
        fixed = {"--out": out, "--shards": shards, "--block-items": block_items, "--scale": scale}
        if given := [name for name, value in fixed.items() if value is not None] + ["--resume"] * resume:
            raise OptionError(f"--onto and {given[0]} do not go together. Leave one out.")
        with progress() as report:
            named, meant = column_names(columns), event_words(event)
            done = add_events(paths, onto, items=items, columns=named, strict=strict, events=meant, progress=report)
        return _report(done, onto, started, as_json)
    if out is None:
        raise OptionError("there is no folder to write to. Give --out DIR, or --onto DIR of shards that are there.")
    writable(out)
    with progress() as report:
        done = write(
            paths,
            out,
            items=items,
            shards=shards,
            block_items=block_items,
            columns=column_names(columns),
            strict=strict,
            scale=scale,
            events=event_words(event),
            resume=resume,
            seed=seed,
            progress=report,
        )
    _report(done, out, started, as_json)


def _report(done: Sharded, out: Path, started: float, as_json: bool) -> None:
    shards = done.shards
    for note in done.notes:
        line(errors(), f"Note: {note}")
    if done.rejects:
        first = done.rejects.rows[0]
        line(errors(), f"Warning: {done.rejects.total:,} rows could not be read; the first: {first}", style="yellow")
    said = {
        "path": str(out),
        "kind": shards.kind,
        "answers": shards.n_events,
        "users": sum(shards.users),
        "items": shards.n_items,
        "shards": shards.n_shards,
        "blocks": len(shards.blocks),
        "duplicates": shards.manifest.duplicates,
        "rejects": done.rejects.total,
        "bytes": sum(file.bytes for file in shards.manifest.files.values()),
        "sha256": shards.digest,
        "seconds": round(time.perf_counter() - started, 3),
    }
    if as_json:
        return print_json(said)
    size = f"{shards.n_events:,} {shards.kind} of {said['users']:,} users on {shards.n_items:,} items"
    output().print(
        facts(
            [
                ("Shards", str(out)),
                ("Answers", size),
                ("Laid out", f"{shards.n_shards:,} shards, {len(shards.blocks):,} blocks, {said['bytes']:,} bytes"),
                ("Time", f"{said['seconds']:.1f} s"),
            ]
        )
    )
