"""palate federated: the server of a line, and devices."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli.console import errors, line, output, print_json, progress
from palate.cli.files import load_new_items, replacing
from palate.cli.options import Columns, Encoder, Json, Scale, UnusedSeed, local_path
from palate.errors import DataError, MissingExtra, OptionError

if TYPE_CHECKING:
    from palate.client.device_log import DeviceLog
    from palate.federated.options import FederatedOptions

_DeviceFolder = Annotated[
    Path, typer.Argument(metavar="DEVICE", parser=local_path, help="Folder of the device, where its answers are.")
]


def serve(
    folder: Annotated[
        Path, typer.Argument(metavar="LINE", parser=local_path, help="Folder of the line; made at the first start.")
    ],
    items: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", parser=local_path, help="Items of a new line: a table, or a data folder's."),
    ] = None,
    epsilon: Annotated[
        float, typer.Option(metavar="E", help="ε of all that a user ever answers, in all rounds.")
    ] = 3.0,
    delta: Annotated[float, typer.Option(metavar="D", help="δ of the same: far below one over the users.")] = 1e-5,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds, after the one of counts.")] = 12,
    dim: Annotated[int, typer.Option(min=1, max=256, help="Taste dimensions.")] = 8,
    kind: Annotated[str, typer.Option(metavar="KIND", help="What answers are: rating or like.")] = "rating",
    scale: Scale = None,
    encoder: Encoder = "default",
    columns: Columns = None,
    start_at: Annotated[
        int, typer.Option(metavar="N", min=2, help="Devices that have to be enrolled before the first round.")
    ] = 64,
    minimum: Annotated[
        int, typer.Option(metavar="N", min=2, help="Devices in a sum, below which it is never opened.")
    ] = 32,
    group: Annotated[
        int, typer.Option(metavar="N", min=2, help="Devices that share masks, at least; up to twice as many.")
    ] = 64,
    step_seconds: Annotated[
        float, typer.Option(metavar="S", min=0.1, help="For each of the four steps of a round; less if all have sent.")
    ] = 3600.0,
    trim: Annotated[
        float,
        typer.Option(metavar="T", help="Of groups left out on either side, so that hostile ones move little; to .25."),
    ] = 0.0,
    host: Annotated[
        str, typer.Option(metavar="H", help="Address to listen on; other machines cannot reach 127.0.0.1.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65_535, help="0 takes a free one.")] = 8000,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Let other machines connect, through a proxy with TLS.")
    ] = False,
    log_requests: Annotated[bool, typer.Option(help="Write a line for each request on standard error.")] = True,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Serve the rounds of a federated line: answers stay on devices, and only noisy sums over many are opened.

    The first start takes --items and what the line promises; afterwards nothing changes that, and it goes on from where
    it was. See docs/federated-operators.md.
    """
    try:
        from palate.service.federated.app import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "serve", "the server of a federated line") from None
    from palate.federated.options import FederatedOptions
    from palate.federated.secure_sum.device_side import LEAST
    from palate.service.federated.line import Line
    from palate.service.federated.settings import RoundSettings
    from palate.service.settings import Settings

    settings = Settings(host=host, port=port, open_to_network=open_to_network, log_requests=log_requests)
    how = RoundSettings(start_at=start_at, minimum=minimum, group_size=group, step_seconds=step_seconds, trim=trim)
    if not Line.is_there(folder):
        if items is None:
            raise OptionError(f"there is no line in {folder}. Give --items TABLE, to make one.")
        low, high = _ends(scale, kind)
        promised = FederatedOptions(
            epsilon=epsilon,
            delta=delta,
            rounds=rounds,
            dim=dim,
            kind=kind,  # type: ignore[arg-type]  # checked there
            low=low,
            high=high,
        )
        _make(folder, items, promised, encoder, columns)
    elif items is not None:
        line(errors(), f"Note: the line in {folder} goes on; what it promises and its items stay as they were made.")
    if start_at < LEAST:
        line(errors(), f"Note: a device takes part in no group of fewer than {LEAST}, so wait for more: --start-at.")
    code = (folder / "enrol-code").read_text().strip()

    def started(address: str) -> None:
        if as_json:
            return print_json({"address": address, "line": str(folder), "enrol_code": code})
        line(output(), f"Serving {folder} at {address}. Devices join with the code {code}.")

    run(folder, settings, how, started=started)


def _ends(scale: str | None, kind: str) -> tuple[float, float]:
    from palate.datasets.rating_scale import ends_of

    given = ends_of(scale)
    return given if given is not None else ((0.0, 1.0) if kind == "like" else (1.0, 5.0))


def _make(folder: Path, items: Path, options: FederatedOptions, encoder: str, columns: list[str] | None) -> None:
    """A new line over the items of a table, with what an encoder reads in them."""
    from palate.datasets.views import item_table
    from palate.encoders.items import encode
    from palate.entities import ITEM, TITLE
    from palate.service.federated.line import Line

    data = load_new_items(items, columns=columns)
    ids = data.items[ITEM].unique(maintain_order=True).to_list()
    table = item_table(data, ids)
    with progress() as report:
        content, _ = encode(table, encoder, report)
    Line.create(folder, ids, options, content=content, titles=dict(zip(ids, table[TITLE], strict=True))).close()


def join(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the server, such as http://127.0.0.1:8000.")],
    folder: Annotated[
        Path,
        typer.Option("--device", metavar="DIR", parser=local_path, help="Folder of the device; made if not there."),
    ],
    code: Annotated[
        str, typer.Option(metavar="CODE", help="Of the line, from its operator, to enrol the device.")
    ] = "",
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=local_path, help="Answers to keep on the device: CSV of item_id, rating."),
    ] = None,
    contribute: Annotated[
        bool | None,
        typer.Option("--contribute/--no-contribute", help="Consent to take part in sums from now on, or withdraw it."),
    ] = None,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Take part in the rounds of a line until it has ended; nothing is sent without --contribute, said once.

    Answers, consent and what was sent are kept in the device's folder. Ctrl-C ends it at any time.
    """
    from palate.client.device_log import CONSENT_TEXT
    from palate.client.federated import Device

    with ExitStack() as opened:
        log = opened.enter_context(_device(folder))
        if answers is not None:
            log.answer_all(_answers(answers))
        if contribute is not None:
            log.consent(contribute)
        if not log.contributes:
            line(errors(), f"Note: this device has not consented, so it sends nothing. {CONSENT_TEXT}")
            line(errors(), "To consent: --contribute.")
        else:
            device = opened.enter_context(Device(url, log))
            if code:
                device.enrol(code)
            device.join(say=lambda text: line(errors(), text))
        if as_json:
            return print_json({"device": str(folder), "contributes": log.contributes, "rounds": len(log.rounds)})
        line(output(), f"{len(log.answers):,} answers on this device; {len(log.rounds):,} sums taken part in.")


def export(
    folder: _DeviceFolder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", parser=local_path, help="JSON lines to write.")],
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Write all that a device holds: answers, consent, and every round it took part in."""
    with _device(folder, is_there=True) as log:
        content = log.export()
        try:
            with replacing(out) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise OptionError(f"{out} cannot be written: {error.strerror}. Choose another file.") from None
    rows = content.count(b"\n")
    if as_json:
        return print_json({"path": str(out), "rows": rows})
    line(output(), f"{rows:,} lines in {out}.")


def forget(folder: _DeviceFolder, as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """Delete all that a device holds, and its key. Sums of before stay, within the privacy budget of their line."""
    with _device(folder, is_there=True) as log:
        receipt = log.delete()
    if as_json:
        return print_json(receipt)
    line(output(), f"Deleted: {receipt['answers']:,} answers, and this device's key.")
    line(output(), f"{receipt['rounds']:,} sums of before stay; what they tell is bounded by their privacy budget.")


def _device(folder: Path, *, is_there: bool = False) -> DeviceLog:
    from palate.client.device_log import FILE, DeviceLog

    if is_there and not (folder / FILE).exists():
        raise OptionError(f"there is no device in {folder}. Give the folder that was given to palate federated join.")
    return DeviceLog(folder)


def _answers(path: Path) -> list[tuple[str, float | None]]:
    """Rows of a CSV file with the columns item_id and rating."""
    found: list[tuple[str, float | None]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows: Any = csv.DictReader(file)
            if not {"item_id", "rating"} <= set(rows.fieldnames or ()):
                raise DataError(f"{path} has no columns item_id and rating. Name them so in its first line.")
            for row in rows:
                found.append((row["item_id"], float(row["rating"])))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Give a CSV file.") from None
    except (ValueError, TypeError):
        raise DataError(f"line {rows.line_num} of {path} has no number as rating. Write one, such as 4.") from None
    return found
