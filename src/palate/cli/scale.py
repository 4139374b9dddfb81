"""palate scale check: what a fit on shards would take on so many nodes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import facts, line, output, print_json
from palate.cli.options import Json, UnusedSeed, local_path
from palate.errors.checks import one_of
from palate.machine import cores as cores_here

if TYPE_CHECKING:
    from palate.scale.cost_model import Cluster, Costs, Load
    from palate.scale.shards import Shards

BYTES = {"float64": 8, "float32": 4}
LIKELIHOODS = {"ratings": "gaussian", "likes": "probit", "events": "implicit"}
GB = 1e9


def check(
    shards: Annotated[
        Path, typer.Option("--shards", metavar="DIR", parser=local_path, help="Shards, as `palate shard` wrote them.")
    ],
    nodes: Annotated[int, typer.Option(metavar="N", min=1, max=4096, help="Machines that fit together.")] = 1,
    cores: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=4096, help="Of each; those of this one, if not given.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(metavar="GB", min=0.1, help="Free on each; of this one, if not given.")
    ] = None,
    disk: Annotated[
        float | None, typer.Option(metavar="GB", min=0.1, help="Free beside the shards; of this disk, if not given.")
    ] = None,
    dim: Annotated[
        int | None, typer.Option(metavar="D", min=1, max=256, help="Taste dimensions; as the fit begins, if not given.")
    ] = None,
    exchange: Annotated[str, typer.Option(metavar="DTYPE", help="float64, or float32.")] = "float64",
    sweeps: Annotated[int, typer.Option(metavar="N", min=1, help="Of the fit.")] = 40,
    network: Annotated[float, typer.Option(metavar="GBIT", min=0.001, help="Gbit a second of a node.")] = 12.5,
    price: Annotated[float, typer.Option(metavar="DOLLARS", min=0.0, help="Of a core and hour.")] = 0.0408,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Say what a fit of these shards would take: seconds, memory, traffic and dollars; refuse one that cannot do.

    The seconds are extrapolated from one core of another machine. Nothing is fitted.
    """
    from palate.scale import cost_model
    from palate.scale.shards import Shards

    found = Shards.open(shards)
    load = load_of(found, dim, exchange)
    on = cost_model.Cluster(
        nodes=nodes,
        cores=cores_here() if cores is None else cores,
        memory=memory_here() if memory is None else memory * GB,
        disk=shutil.disk_usage(shards).free + load.disk_bytes if disk is None else disk * GB + load.disk_bytes,
        gbit=network,
        price=price,
    )
    cost_model.check(load, on)
    taken = cost_model.costs(load, on, sweeps=sweeps)
    if as_json:
        return print_json({"path": str(shards), **load._asdict(), "on": on._asdict(), **taken._asdict()})
    _show(load, on, taken, sweeps)


def load_of(shards: Shards, dim: int | None, exchange: str) -> Load:
    """What a fit of shards is, of the dimensions that it begins with where none are given."""
    from palate.model.choose_events import dimensions
    from palate.posteriors.likelihoods import named
    from palate.scale.cost_model import Load

    one_of(exchange, list(BYTES), "--exchange")
    likelihood, users = named(LIKELIHOODS[shards.kind]), sum(shards.users)
    return Load(
        users=users,
        items=int((shards.item_counts() > 0).sum()),
        answers=shards.n_events,
        shards=shards.n_shards,
        dim=dimensions(shards.n_events, (users, shards.n_items), likelihood) if dim is None else dim,
        keeps_users=not likelihood.is_linear,
        number_bytes=BYTES[exchange],
        disk_bytes=sum(file.bytes for file in shards.manifest.files.values()),
    )


def memory_here() -> float:
    """Bytes that this machine can give, as Linux says; elsewhere all that it has."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return 1024.0 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _show(load: Load, on: Cluster, taken: Costs, sweeps: int) -> None:
    def parts(of: dict[str, float]) -> str:
        return ", ".join(f"{what} {n / GB:,.2f}" for what, n in of.items() if n >= 5e6)

    rows = [
        ("Fit", f"{load.answers:,} answers of {load.users:,} users to {load.items:,} items, {load.dim} dimensions"),
        ("On", f"{on.nodes:,} nodes of {on.cores:,} cores"),
        ("Memory a node", f"{sum(taken.memory.values()) / GB:,.2f} GB of {on.memory / GB:,.2f}"),
        ("", parts(taken.memory)),
        ("Disk", f"{taken.disk / GB:,.2f} GB"),
        ("Traffic a node", f"{sum(taken.sent.values()) / GB:,.2f} GB a sweep"),
        *([("", parts(taken.sent))] if on.nodes > 1 else []),
        ("A sweep", f"{taken.sweep:,.1f} s: {taken.compute:,.1f} of work, {taken.network:,.1f} of network"),
        (f"{sweeps} sweeps", f"{taken.fit / 60:,.0f} min, ${taken.dollars:,.2f}"),
    ]
    output().print(facts(rows))
    line(output(), "Extrapolated from one core of another machine: take it as right within a factor of two.")
