"""palate models: the versions of a model, and which serves; palate off-policy: what another one would have earned."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli.console import line, output, print_json, progress, table
from palate.cli.files import opened
from palate.cli.options import Json, Model, Seed, UnusedSeed, listed
from palate.errors import OptionError
from palate.errors.checks import shown

if TYPE_CHECKING:
    from palate.evaluation.logged_slates import Policy
    from palate.evaluation.off_policy import Estimates
    from palate.recommender import Recommender
    from palate.recommender.versions import Version

FEW = 50  # effective lists, below which no estimate says much
_NAMES = {"shown": "as shown", "ips": "IPS", "snips": "SNIPS", "dr": "doubly robust"}


def models(
    model: Model,
    promote: Annotated[str, typer.Option(metavar="ID", help="Let this version serve.")] = "",
    rollback: Annotated[bool, typer.Option("--rollback", help="Let the version before serve again.")] = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """The versions of a model, and which serves; or another one in its place.

    Labels stay: what was told since the fit of a version is replayed. A version that is sick, or does not fit the
    labels, does not serve. A service on the folder takes the other model with its next call.
    """
    from palate.store.audit import AuditTrail, this_account

    if promote and rollback:
        raise OptionError("--promote and --rollback are given. Give one of them.")
    with opened(model) as recommender:
        if promote or rollback:
            AuditTrail(model).add(this_account(), "models --rollback" if rollback else "models --promote", promote)
        if promote:
            recommender.promote(promote)
        if rollback:
            recommender.rollback()
        found = recommender.versions()
    if as_json:
        return print_json({"models": [_facts(one) for one in found]})
    rows = [[one.id, "serves" if one.is_live else "", _time(one.saved_at), f"{one.fitted_seq:,}"] for one in found]
    output().print(table(["!Version", "!Now", "Saved", ">Rows of the log in it"], rows))


def off_policy(
    model: Model,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", metavar="NAME,...", help="popular, live (the model that serves), or a version by its id."
        ),
    ] = None,
    explore: Annotated[
        float | None, typer.Option(metavar="T", min=0, help="Its temperature; that of each list if not given.")
    ] = None,
    store: Annotated[
        str, typer.Option(metavar="URL", help="Of the log: postgresql://..., else the folder's own.")
    ] = "",
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """What a list of another policy would have earned, from the lists that were drawn and what came of them.

    Lists are drawn by `palate serve --explore T` or `palate recommend --explore T`. Those that a model's fit has
    read are not judged by it. Who does not allow research is left out.
    """
    import numpy as np

    from palate.evaluation.logged_slates import logged_slates
    from palate.evaluation.off_policy import estimate
    from palate.store.open_store import open_store

    names = listed(policy) or ["popular"]
    found: dict[str, tuple[Estimates, int]] = {}
    with ExitStack() as stack:
        recommender = stack.enter_context(opened(model))
        report = stack.enter_context(progress())
        policies = {name: _policy(recommender, name, explore) for name in names}
        log = recommender.log if not store else stack.enter_context(open_store(store, read_only=True))
        for name, other in policies.items():
            report(name, 0, None)
            slates = logged_slates(log, other)
            found[name] = estimate(slates.logged, rng=np.random.default_rng(seed)), slates.left_out
    if as_json:
        said = [_estimated(name, one, left_out) for name, (one, left_out) in found.items()]
        return print_json({"model": str(model), "explore": explore, "policies": said})
    for name, (one, left_out) in found.items():
        say = [("shown", one.shown), *one.values.items()]
        rows = [[_NAMES[key], f"{of.mean:.4f}", f"{of.low:.4f} to {of.high:.4f}"] for key, of in say]
        output().print(table([f"!{name}", ">Earned a list", "!95 % interval"], rows))
        line(
            output(), f"{one.lists:,} lists, {left_out:,} left out; they count as {one.effective:,.1f} of this policy."
        )
        if one.effective < FEW:
            line(output(), "That is few: these estimates say little, whatever their intervals.", style="yellow")


def _policy(recommender: Recommender, name: str, explore: float | None) -> Policy:
    from palate.evaluation.logged_slates import Policy, by_model, by_popularity
    from palate.loop.checkpoint import read_model
    from palate.recommender.versions import place_of

    versions = recommender.versions()
    live = versions[0]
    fitted = recommender.learner.memory.fitted
    if name in ("popular", "live", live.id):
        return Policy(fitted, live.fitted_seq, by_popularity if name == "popular" else by_model, explore)
    if name not in [one.id for one in versions]:
        kept = ", ".join(one.id for one in versions)
        raise OptionError(f"--policy has {shown(name)}. Give popular, live, or a version of {kept}.")
    found = read_model(place_of(recommender.folder, name))
    return Policy(found.memory.fitted, found.fitted_seq, by_model, explore)


def _facts(one: Version) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("id", "is_live", "saved_at", "fitted_seq", "digest")}


def _estimated(name: str, one: Estimates, left_out: int) -> dict[str, Any]:
    said = {key: dict(zip(("mean", "low", "high"), map(float, of), strict=True)) for key, of in one.values.items()}
    shown_ = dict(zip(("mean", "low", "high"), map(float, one.shown), strict=True))
    return {"policy": name, "lists": one.lists, "left_out": left_out, "effective": one.effective} | {
        "shown": shown_,
        "estimates": said,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
