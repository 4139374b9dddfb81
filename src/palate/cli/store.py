"""`palate store`: the log, checked, copied, moved, written to files and read from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import errors, line, output, print_json, progress, table
from palate.cli.files import new_folder, replacing
from palate.cli.options import Json, UnusedSeed, User, column_names, listed, local_path
from palate.errors import OptionError, StoreError

if TYPE_CHECKING:
    from palate.store.audit import AuditTrail
    from palate.store.sql_log import SqlLog

Place = Annotated[
    str,
    typer.Argument(metavar="LOG", help="Model folder, the file of a log, or postgresql://USER@HOST/DATABASE."),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="jsonl, csv, parquet, label-studio, argilla, doccano or prodigy; else as the file's name ends.",
    ),
]


def verify(
    place: Place,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the log as it is now, whatever is missing, and write to it again.")
    ] = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> int:
    """Read every row, and compare it with its digest, the chain, and the head that is kept beside the log."""
    from palate.store.verify_log import verify_log

    trail = _trail(place)
    if accept:
        _keep(place, "store verify --accept")
    with progress() as report:
        report("verifying", 0, None)
        found = verify_log(place_of(place), accept=accept)
    actions = [] if trail is None else trail.faults()
    if as_json:
        print_json(
            {
                "rows": found.rows,
                "last_seq": found.last_seq,
                "database": found.database,
                "erased": found.erased,
                "is_whole": found.is_whole,
                "first_bad_seq": found.first_bad_seq,
                "faults": list(found.faults),
                "faults_of_actions": actions,
            }
        )
    else:
        erased = f", {found.erased:,} of them erased" if found.erased else ""
        line(output(), f"{found.rows:,} rows{erased}, up to row {found.last_seq:,}.")
        if found.database:
            line(output(), f"Kept in {found.database}.")
        for fault in found.faults:
            line(output(), f"! {fault}", style="yellow")
        if found.is_whole:
            line(output(), "Every row is as it was kept, and none is missing.")
        for fault in actions:
            line(output(), f"! {fault}", style="yellow")
    return 0 if (found.is_whole or accept) and not actions else 1


def actions(place: Place, as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """Who did what to a model, and when: keys, versions, exports, erasures, campaigns, weights."""
    from datetime import UTC, datetime

    trail = _trail(place)
    if trail is None:
        raise OptionError(f"{place} is no model folder, where actions are kept. Give one.")
    found = list(trail.actions())
    if as_json:
        return print_json({"actions": [one._asdict() for one in found]})
    rows = [
        [datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M:%S"), one.who, one.what, one.about]
        for one in found
    ]
    output().print(table(["!When (UTC)", "!Who", "What", "Of what"], rows))


def backup(
    place: Place,
    out: Annotated[Path, typer.Argument(metavar="DIR", parser=local_path, help="New folder for the backup.")],
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Copy a log at one moment, while it is in use."""
    from palate.store.backup import backup as make

    _keep_if_it_can(place, "store backup")
    with progress() as report:
        report("copying", 0, None)
        made = make(place_of(place), out)
    if as_json:
        return print_json({"path": str(out), "rows": made.rows, "bytes": made.bytes, "sha256": made.sha256})
    line(output(), f"Wrote {made.rows:,} rows, {made.bytes:,} bytes, to {out}. SHA-256 {made.sha256}.")


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", parser=local_path, help="Folder of the backup.")],
    place: Place,
    obey: Annotated[
        list[str] | None,
        typer.Option("--obey", metavar="LOG", help="A log whose erasures hold: who was erased there stays erased."),
    ] = None,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Put a backup where there is no log, and read it through."""
    from contextlib import ExitStack

    from palate.store.backup import restore as put_back
    from palate.store.open_store import open_store

    _keep(place, "store restore")
    with progress() as report, ExitStack() as stack:
        report("restoring", 0, None)
        others = [stack.enter_context(open_store(place_of(other), read_only=True)) for other in obey or ()]
        found = put_back(folder, place_of(place), obey=others)
    if as_json:
        return print_json({"rows": found.rows, "last_seq": found.last_seq, "erased": found.erased})
    line(output(), f"Restored {found.rows:,} rows, {found.erased:,} of them erased. Every one is as it was kept.")


def export(
    place: Place,
    out: Annotated[Path, typer.Argument(metavar="FILE", parser=local_path, help="File to write.")],
    format: Format = None,
    purpose: Annotated[
        str, typer.Option(metavar="NAME", help="Leave out users whose last consent is not for it: research.")
    ] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Write a log to a file. A file of an annotation tool has its labels about one item that were not taken back.

    With --format huggingface FILE is a new folder: the labels that count as Parquet, with a card for the hub.
    """
    from palate.errors.checks import one_of
    from palate.exchange.dump import dump
    from palate.exchange.formats import format_of
    from palate.exchange.hugging_face import FORMAT, write_data_set
    from palate.records import PURPOSES

    name = FORMAT if format == FORMAT else format_of(out, format)
    allowed = one_of(purpose, PURPOSES, "--purpose") if purpose else ""
    _keep_if_it_can(place, f"store export {name}")
    try:
        with _opened(place, read_only=True) as log, progress() as report:
            report("writing", 0, None)
            if name == FORMAT:
                with new_folder(out) as folder:
                    written, left_out = write_data_set(log, folder, title=out.name, purpose=allowed)
            else:
                with replacing(out) as temporary:
                    written, left_out = dump(log, temporary, name, purpose=allowed)
    except OSError as error:
        raise OptionError(f"{out} cannot be written: {error.strerror or error}. Give another file.") from None
    if as_json:
        return print_json({"path": str(out), "format": name, "rows": written, "left_out": left_out})
    line(output(), f"Wrote {written:,} rows to {out}.")
    if left_out:
        line(errors(), f"Note: {left_out:,} rows were left out, for which {name} has no place. jsonl holds all.")


def load(
    place: Place,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=local_path, help="File to read, also *.gz.")],
    format: Format = None,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=local_path, help="Where rejected rows are listed; else FILE.rejects.csv."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS,...", help="What a tool's tasks call our ids: item_id=sku."),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=NUMBER,...", help="What the words of a tool mean: liked=5,disliked=1."),
    ] = None,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> int:
    """Append the rows of a file. A second time adds nothing.

    Rows that cannot be taken are listed in a file, and make the exit code 2.
    """
    from palate.exchange.formats import format_of
    from palate.exchange.load import load as append
    from palate.exchange.tools import Meaning

    name, meaning = format_of(file, format), Meaning(_numbers(value), column_names(columns))
    _keep(place, f"store import {name}")
    listed_in = rejects or file.with_name(f"{file.name}.rejects.csv")
    with _opened(place) as log, progress() as report:

        def told(done: int) -> None:
            report("reading", done, None)

        found = append(file, log, name, rejects=listed_in, meaning=meaning, progress=told)
    if as_json:
        at = str(listed_in) if found.rejected else None
        print_json({"added": found.added, "repeated": found.repeated, "rejected": found.rejected, "rejects": at})
    else:
        line(
            output(), f"{found.added:,} rows are new, {found.repeated:,} were there, {found.rejected:,} were rejected."
        )
    if found.rejected:
        line(errors(), f"The {found.rejected:,} rows that were rejected are in {listed_in}.")
    return 2 if found.rejected else 0


def move(
    source: Place,
    target: Place,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Copy a log into an empty one, such as from SQLite to PostgreSQL. Interrupted, it goes on when run again.

    Stop what writes to the source first: what it takes later is not moved.
    """
    from palate.store.copying import copy_rows

    _keep_if_it_can(source, "store move from here")
    _keep(target, "store move to here")
    with _opened(source, read_only=True) as old, _opened(target) as new, progress() as report:
        of = old.last_seq
        done = copy_rows(old, new, progress=lambda rows: report("moving", rows, of))
    if as_json:
        return print_json({"rows": done.rows, "new": done.new, "chain": done.chain})
    line(output(), f"{done.rows:,} rows are in both, {done.new:,} of them new. Both have the chain {done.chain}.")


def calibrate(
    place: Place,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Who answered, as the log names them.")],
    weight: Annotated[float, typer.Argument(metavar="WEIGHT", help="From 0 to 1: what each of its answers counts.")],
    subject: Annotated[str, typer.Option(metavar="NAME", help="taste, or the name of an attribute.")] = "taste",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Say how reliable a source is, for what it said before, too. The last such row counts; no label is changed."""
    from palate.records import Calibration

    _keep(place, "store calibrate", f"source={source} weight={weight:g}")
    with _opened(place) as log:
        (record,) = log.append([Calibration(source, weight, subject)])
    if as_json:
        return print_json({"seq": record.seq, "key": record.content.key, "source": source, "weight": weight})
    line(output(), f"From row {record.seq:,} on an answer of {source} counts {weight:g}.")


def erase(place: Place, user: User, as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """Take from every row of a user what it says, for good, and refuse further ones until they consent anew."""
    _keep(place, "store erase")
    with _opened(place) as log:
        receipt = log.erase(user)
    if as_json:
        return print_json(
            {"seq": receipt.seq, "key": receipt.key, "rows": receipt.rows, "erased_at": receipt.erased_at}
        )
    line(output(), f"{receipt.rows:,} rows lost what they said. Receipt: row {receipt.seq:,}, key {receipt.key}.")


def place_of(given: str) -> str | Path:
    """A log by the URL, the file or the model folder that was typed.

    Raises:
        OptionError: If it is none of them.
    """
    from palate.store.open_store import LOG, is_url

    if is_url(given):
        return given
    path = local_path(given)
    return path / LOG if path.is_dir() else path


def _trail(place: str) -> AuditTrail | None:
    """What was done to the model folder in which a log lies; None where it lies in none."""
    from palate.store.audit import AuditTrail
    from palate.store.open_store import is_url

    path = local_path(place) if not is_url(place) else None
    folder = None if path is None else path if path.is_dir() else path.parent
    return AuditTrail(folder) if folder is not None and (folder / "config.json").is_file() else None


def _keep(place: str, what: str, about: str = "") -> None:
    """Who does it, before it is done; of a log outside a model folder nothing is kept."""
    from palate.store.audit import this_account

    if (trail := _trail(place)) is not None:
        trail.add(this_account(), what, about)


def _keep_if_it_can(place: str, what: str) -> None:
    """Of what only reads: a log on a disk that cannot be written to is read all the same, and that is said."""
    try:
        _keep(place, what)
    except StoreError as error:
        line(errors(), f"Note: it is not in the list of actions that this was done. {error}")


@contextmanager
def _opened(given: str, *, read_only: bool = False) -> Iterator[SqlLog]:
    from palate.store.open_store import is_url, open_store

    place = place_of(given)
    if read_only and not is_url(place) and not Path(place).is_file():
        raise OptionError(f"{place} is no file. Give a model folder, the file of a log, or a URL.")
    with open_store(place, read_only=read_only) as log:
        yield log


def _numbers(given: list[str] | None) -> dict[str, float]:
    """``liked=5,disliked=1`` as a mapping."""
    found = {}
    for part in listed(given):
        word, equals, number = part.rpartition("=")
        try:
            found[word.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not word.strip():
            raise OptionError(f"--value has {part!r}. Write a word and its number: liked=5,disliked=1.")
    return found
