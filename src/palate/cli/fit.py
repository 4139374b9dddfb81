"""palate fit."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli.console import errors, facts, line, output, print_json, progress
from palate.cli.files import load_data, opened
from palate.cli.item_attributes import ItemAttributes, declared_in
from palate.cli.options import (
    Address,
    Columns,
    Encoder,
    Events,
    Json,
    Runner,
    Scale,
    Seed,
    SkipCorrupt,
    Strict,
    UnusedSeed,
    Workers,
    local_path,
    writable,
)
from palate.cli.options import Model as ModelFolder
from palate.cli.scale import load_of, memory_here
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.learner import Learner
    from palate.model.adapt_text import Adaptation
    from palate.scale.model import ShardOptions
    from palate.scale.shards import Shards
    from palate.vocabulary import Vocabulary


def fit(
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", parser=local_path, help="Model folder to write.")],
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", parser=local_path, help="Data folder, file, or a public format as it lies."),
    ] = None,
    shards: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=local_path, help="Fit shards, as `palate shard` wrote them, not PATH."),
    ] = None,
    encoder: Encoder = "default",
    image: Annotated[str | None, typer.Option(metavar="NAME", help="Image encoder, see `palate encoders`.")] = None,
    audio: Annotated[str | None, typer.Option(metavar="NAME", help="Audio encoder, see `palate encoders`.")] = None,
    categories: Annotated[
        bool, typer.Option("--categories", help="Categories count on their own, beside their words in the text.")
    ] = False,
    skip_corrupt: SkipCorrupt = False,
    likelihood: Annotated[
        str,
        typer.Option(metavar="KIND", help="gaussian ratings, ordered stars, probit likes, implicit events, or auto."),
    ] = "auto",
    dim: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Taste dimensions to begin with: 16, of many events up to 64, if not given."),
    ] = None,
    history: Annotated[
        str, typer.Option(metavar="HOW", help="What reads histories: mean, factors, text or behaviour.")
    ] = "mean",
    companions: Annotated[
        bool, typer.Option("--companions", help="Taken and without effect: what comes with what is always counted.")
    ] = False,
    adapt: Annotated[
        str, typer.Option(metavar="HOW", help="Adapt the text encoder, kept if better: none, linear or lora.")
    ] = "none",
    item_attributes: ItemAttributes = None,
    trust_remote_code: Annotated[
        list[str] | None,
        typer.Option("--trust-remote-code", metavar="NAME", help="Let the Python that this encoder brings run."),
    ] = None,
    columns: Columns = None,
    scale: Scale = None,
    event: Events = None,
    strict: Strict = False,
    runner: Runner = None,
    workers: Workers = None,
    address: Address = None,
    exchange: Annotated[
        str | None,
        typer.Option(metavar="DTYPE", help="With --shards: float64, or float32, of which half as much is sent."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=local_path, help="With --shards: where a fit that is stopped goes on from."),
    ] = None,
    every: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --checkpoint: sweeps between two; 5, if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="With --checkpoint: go on from the last one.")] = False,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Learn tastes from a data set and write a model folder.

    Answers that the folder keeps from tell and interview count in the fit and stay.
    """
    given = {name: value for name, value in locals().items() if value not in (None, False)}
    if shards is not None:
        return _fit_shards(shards, out, given)
    only = given.keys() & {"runner", "workers", "address", "exchange", "checkpoint", "every", "resume"}
    if only:
        raise OptionError(f"--{sorted(only)[0]} goes with --shards. Shard the data first: palate shard PATH --out DIR.")
    if path is None:
        raise OptionError("there is no data to fit. Give PATH, or shards by --shards DIR.")
    from palate.datasets.readers.formats import refuse_data_folder
    from palate.encoders.registry import trusting
    from palate.recommender import Recommender

    refuse_data_folder(writable(out), path)
    if companions:
        line(errors(), "Note: what comes with what is always counted, so --companions changes nothing. Leave it out.")
    started = time.perf_counter()
    declared: Any = declared_in(item_attributes)
    data = load_data(path, columns=columns, events=event, strict=strict, scale=scale)
    with progress() as report, trusting(*(trust_remote_code or ())):
        recommender = Recommender.create(
            out,
            data,
            seed=seed,
            progress=report,
            again=True,
            encoder=encoder,
            image=image,
            audio=audio,
            categories=categories,
            on_corrupt="skip" if skip_corrupt else "raise",
            likelihood=likelihood,
            dim=dim,
            history=history,  # type: ignore[arg-type]  # checked there
            companions=companions,
            adapt=adapt,  # type: ignore[arg-type]  # checked there
            **declared,
        )
    with recommender:
        learner = recommender.learner
    _report(learner, out, started, as_json)


_OF_SHARDS = {"shards", "out", "likelihood", "dim", "encoder", "runner", "workers", "address", "exchange", "checkpoint"}
_OF_SHARDS |= {"every", "resume", "as_json", "seed"}


def _fit_shards(folder: Path, out: Path, given: dict[str, Any]) -> None:
    from palate.datasets.readers.formats import refuse_data_folder
    from palate.recommender.sharded import create_from_shards
    from palate.runners import open_runner
    from palate.scale.model import ShardOptions
    from palate.scale.shards import Shards

    other = sorted(given.keys() - _OF_SHARDS - {"history", "adapt"})
    other += [name for name, usual in (("history", "mean"), ("adapt", "none")) if given[name] != usual]
    if other:
        name = "PATH" if other[0] == "path" else f"--{other[0].replace('_', '-')}"
        raise OptionError(f"{name} does not go with --shards. Leave it out, or fit the data without --shards.")
    if "checkpoint" not in given and ("resume" in given or "every" in given):
        raise OptionError("--resume and --every need the folder of checkpoints. Give --checkpoint DIR.")
    refuse_data_folder(writable(out), folder)
    started = time.perf_counter()
    chosen = {
        name: given[name]
        for name in ("likelihood", "dim", "encoder", "exchange", "checkpoint", "every", "resume", "seed")
        if name in given
    }
    found, options = Shards.open(folder), ShardOptions(**chosen)
    where = {name: given[name] for name in ("workers", "address") if name in given}
    with open_runner(given.get("runner", "threads"), **where) as runner:
        if runner.nodes == 1:  # nobody knows what the others have
            _note_memory(found, options, runner.workers)
        with (
            progress() as report,
            create_from_shards(out, found, options, runner=runner, again=True, progress=report) as recommender,
        ):
            learner = recommender.learner
    _report(learner, out, started, "as_json" in given)


def _note_memory(shards: Shards, options: ShardOptions, cores: int) -> None:
    """That the fit may not have the memory that it takes: an estimate refuses nobody."""
    from palate.scale import cost_model

    on = cost_model.Cluster(nodes=1, cores=cores, memory=memory_here(), disk=math.inf)
    try:
        cost_model.check(load_of(shards, options.dim, options.exchange), on)
    except OptionError as error:
        line(errors(), f"Note: by estimate {error}")


def refit(
    model: ModelFolder, item_attributes: ItemAttributes = None, as_json: Json = False, seed: UnusedSeed = 0
) -> None:
    """Learn tastes anew from the data and everything told since; the folder changes in one step.

    The data is what the model was fitted on, which its folder keeps, and so are the options.
    """
    declared: Any = declared_in(item_attributes)
    started = time.perf_counter()
    with opened(model) as recommender:
        with progress() as report:
            recommender.refit(progress=report, **declared)
        learner = recommender.learner
    _report(learner, model, started, as_json)


def _report(learner: Learner, out: Path, started: float, as_json: bool) -> None:
    labels = sum(map(len, learner.told.values()))
    summary = fit_summary(learner) | {"path": str(out), "labels": labels}
    summary["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        return print_json(summary)
    output().print(facts(_fit_facts(summary, learner.model.adaptation)))
    line(output(), f"Next: palate interview {out} --user you")


def _strengths(events: dict[str, dict[str, Any]]) -> str:
    said = (f"{name} {one['strength']:g}{'' if one['learnt'] else ' (given)'}" for name, one in events.items())
    return f"strengths {', '.join(said)}"


def fit_summary(learner: Learner) -> dict[str, Any]:
    """What a fit found, for ``--json``."""
    model = learner.model
    return {
        "users": len(model.user_ids),
        "items": len(model.catalogue),
        "answers": int(model.answers.nnz),
        "likelihood": model.taste.likelihood.kind,
        "events": strengths_of(model.vocabulary),
        "scale": {"low": model.scale.low, "high": model.scale.high, "given": model.scale.is_given},
        "dim": model.taste.items.dim,
        "encoder": model.encoder[0] or "none",
        "content": {block.name: block.encoder for block in model.catalogue.blocks},
        "adaptation": None if model.adaptation is None else asdict(model.adaptation),
        "sha256": model.fingerprint,
    }


def strengths_of(vocabulary: Vocabulary) -> dict[str, dict[str, Any]]:
    """The strengths that the fit went by, below 0 where an event is against, and where they come from."""
    return {
        name: {"strength": vocabulary.liking(name), "learnt": not vocabulary.word(name).given}
        for name in {**vocabulary.learnt, **vocabulary.added}
    }


def _fit_facts(summary: dict[str, Any], adaptation: Adaptation | None) -> list[tuple[str, str]]:
    from palate.model.no_taste import sentence

    origin = "" if summary["scale"]["given"] else ", as the data has it"
    size = f"{summary['answers']:,} answers by {summary['users']:,} users on {summary['items']:,} items"
    return [
        ("Model", summary["path"]),
        ("Learned from", size + (f", and {summary['labels']:,} kept" if summary["labels"] else "")),
        ("Answers", f"{summary['likelihood']}, {summary['scale']['low']:g} to {summary['scale']['high']:g}{origin}"),
        *([("Events", _strengths(summary["events"]))] if summary["events"] else []),
        ("Taste dimensions", str(summary["dim"]) if summary["dim"] else sentence(summary["answers"])),
        ("Content", ", ".join(f"{name} by {encoder}" for name, encoder in summary["content"].items()) or "none"),
        *([] if adaptation is None else [("Adapted", adaptation.sentence())]),
        ("Time", f"{summary['seconds']:.1f} s"),
    ]
