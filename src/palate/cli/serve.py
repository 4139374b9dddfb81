"""palate serve, and the keys of a service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import line, output, print_json, table
from palate.cli.options import Json, Model, UnusedSeed, listed, local_path
from palate.errors import MissingExtra, OptionError
from palate.machine import cores

if TYPE_CHECKING:
    from palate.service.keys import Key, KeyRing

DEFAULT = "default"  # the tenant, where there is one model


def serve(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", parser=local_path, help="Model folder, as `palate fit` wrote it."),
    ] = None,
    store: Annotated[
        str, typer.Option(metavar="URL", help="Of the log: postgresql://..., else the folder's own.")
    ] = "",
    host: Annotated[
        str, typer.Option(metavar="H", help="Address to listen on; other machines cannot reach 127.0.0.1.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65_535, help="0 takes a free one.")] = 8000,
    tenant: Annotated[
        list[str] | None, typer.Option(metavar="NAME=MODEL,...", help="Several models, each with keys of its own.")
    ] = None,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Let other machines connect, through a proxy with TLS.")
    ] = False,
    refit_hours: Annotated[
        float | None, typer.Option(metavar="H", help="Refit every so many hours, in a process of its own.")
    ] = None,
    refit_rows: Annotated[
        int | None, typer.Option(metavar="N", help="Refit after so many more rows of the log, likewise.")
    ] = None,
    scorers: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Processes for lists and questions; one a core but one if not given."),
    ] = None,
    webhook: Annotated[
        str, typer.Option(metavar="URL", help="Tell this address of labels and erasures, in signed calls.")
    ] = "",
    explore: Annotated[
        float,
        typer.Option(
            metavar="T", min=0, help="Draw lists at this temperature and keep them, for `palate off-policy`; 0: none."
        ),
    ] = 0.0,
    visitors: Annotated[
        bool, typer.Option("--visitors", help="Whoever opens the page on this machine may start, without a token.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL,...", help="Where browsers reach the pages: https://films.example; else this machine."
        ),
    ] = None,
    embed_in: Annotated[
        list[str] | None, typer.Option(metavar="URL,...", help="Sites that may show the page inside theirs.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", parser=local_path, help="Folder in which the items' images start.")
    ] = None,
    log_requests: Annotated[bool, typer.Option(help="Write a line for each request on standard error.")] = True,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Serve a model over HTTP: lists, questions, answers, and pages to answer on. See docs/service.md.

    The first start makes an admin key in MODEL/keys/admin, and says so; `palate keys add` makes others.
    """
    from palate.service.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        open_to_network=open_to_network,
        log_requests=log_requests,
        refit_seconds=None if refit_hours is None else 3600.0 * refit_hours,
        refit_rows=refit_rows,
        webhook=webhook,
        scorers=max(1, cores() - 1) if scorers is None else scorers,
        explore=explore,
        visitors=visitors,
        origins=tuple(listed(origin)),
        embed_in=tuple(listed(embed_in)),
        images=images,
    )
    models, run = _models(model, tenant), server()

    def started(address: str) -> None:
        keys = {name: str(folder / "keys" / "admin") for name, folder in models.items()}
        if as_json:
            return print_json({"address": address, "admin_keys": keys})
        for name, folder in models.items():
            line(output(), f"Serving {folder} at {address}. Its admin key: {keys[name]}.")
        if visitors:
            line(output(), f"Open {address} in a browser, and say what you like. Ctrl-C ends it.")

    run(models, settings, store=store, started=started)


def server() -> Callable[..., None]:
    """What serves.

    Raises:
        MissingExtra: If its libraries are not installed.
    """
    try:
        from palate.service.server import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "serve", "the service") from None
    return run


def _models(model: Path | None, tenants: list[str] | None) -> dict[str, Path]:
    """The model folders by tenant."""
    models = {} if model is None else {DEFAULT: model}
    for part in listed(tenants):
        name, sign, folder = part.partition("=")
        if not sign or not name.replace("-", "").isalnum() or len(name) > 64 or name in models:
            raise OptionError(
                f"--tenant has {part!r}. Write NAME=MODEL, each name once, of letters, digits and hyphens."
            )
        models[name] = local_path(folder)
    if not models:
        raise OptionError("no model is given. Give the folder of one: palate serve my-model.")
    return models


def add(
    model: Model,
    role: Annotated[str, typer.Option(metavar="ROLE", help="service (an application), annotator, or admin.")],
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Whose it is; an annotator's labels are under a pseudonym.")
    ] = "",
    days: Annotated[float | None, typer.Option(metavar="N", help="That it is good for; for ever if not given.")] = None,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Make a key, and print it: once, it is kept nowhere. A running service takes it within a second."""
    ring = _ring(model)
    _keep(model, "keys add", f"role={role}")
    key, whole = ring.add(role, name=name, days=days)
    if as_json:
        return print_json(_facts(key) | {"key": whole})
    line(output(), whole)


def show(model: Model, as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """List the keys, without what opens anything."""
    keys = [_facts(key) for key in _ring(model).all()]
    if as_json:
        return print_json({"keys": keys})
    rows = [[str(key[name]) for name in ("id", "role", "name", "source", "made", "ends")] for key in keys]
    output().print(table(["!Id", "!Role", "Name", "Source", "Made", "Ends"], rows))


def revoke(
    model: Model,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `palate keys list` shows it.")],
    forget: Annotated[
        bool, typer.Option("--forget", help="And every key of the same holder, whose name is forgotten; labels stay.")
    ] = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Make a key useless, in a running service too, and the users' tokens that were made with it."""
    ring = _ring(model)
    _keep(model, "keys revoke --forget" if forget else "keys revoke", f"id={id}")
    key = ring.forget(id) if forget else ring.revoke(id)
    if as_json:
        return print_json(_facts(key))
    line(output(), f"Revoked: {key.id}, {key.role}, {key.name}.")


def _ring(model: Path) -> KeyRing:
    from palate.service.keys import KeyRing
    from palate.store.model_folder.folder import load_folder

    load_folder(model)  # an error, where it is no model
    return KeyRing(model)


def _keep(model: Path, what: str, about: str) -> None:
    from palate.store.audit import AuditTrail, this_account

    AuditTrail(model).add(this_account(), what, about)


def _facts(key: Key) -> dict[str, object]:
    ends = _day(key.expires_at) if key.revoked_at is None else f"revoked {_day(key.revoked_at)}"
    of: dict[str, object] = {"id": key.id, "role": key.role, "name": key.name, "source": key.source}
    return of | {"made": _day(key.made_at), "ends": ends}


def _day(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
