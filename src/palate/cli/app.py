"""All commands in one tree, and how one ends: with an exit code, and an error in one line."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from palate import __version__
from palate.cli import (
    data,
    demo,
    encode,
    evaluate,
    federated,
    federated_simulate,
    fit,
    interview,
    item_attributes,
    items,
    know,
    label,
    label_studio,
    lists,
    loop,
    models,
    registries,
    scale,
    serve,
    shard,
    store,
    vectors,
)
from palate.cli.console import errors, line, plain
from palate.errors import InputError, PalateError

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    name="palate",
    help="An active-learning recommender: learns what each person likes by asking the right questions.",
    epilog="Example: palate demo --sample",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Fetch, describe and convert data sets.", epilog="Example: palate data inspect ratings.csv")
item_app = typer.Typer(
    help="Add new items, withdraw some, and see what is held of one.", epilog="Example: palate item show my-model i7"
)

label_studio_app = typer.Typer(
    help="Questions to people who label in Label Studio, and their answers back.",
    epilog="Example: palate label-studio take my-model",
)
keys_app = typer.Typer(help="Keys of the HTTP service.", epilog="Example: palate keys add my-model --role service")
scale_app = typer.Typer(
    help="Fits past one machine.", epilog="Example: palate scale check --shards my-shards --nodes 4"
)
federated_app = typer.Typer(
    help="Fits whose answers stay on devices.", epilog="Example: palate federated simulate my-data --epsilon 3"
)
store_app = typer.Typer(
    help="Check, copy, move, write and read the log.", epilog="Example: palate store verify my-model"
)


@app.callback(invoke_without_command=True, help=app.info.help)
def palate(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """What happens before any command, and without one."""
    if version:
        typer.echo(f"palate {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _add(group: typer.Typer, command: Callable[..., int | None], name: str, example: str) -> None:
    group.command(name, epilog=f"Example: palate {example}")(command)


_add(app, demo.demo, "demo", "demo --quick --out palate-demo")
_add(data_app, data.fetch, "fetch", "data fetch movielens-100k")
_add(data_app, data.inspect, "inspect", "data inspect ratings.csv --strict")
_add(data_app, data.convert, "convert", "data convert ml-1m my-data")
app.add_typer(data_app, name="data")
_add(app, shard.shard, "shard", "shard my-data --out my-shards")
_add(scale_app, scale.check, "check", "scale check --shards my-shards --nodes 4 --dim 32")
app.add_typer(scale_app, name="scale")
_add(federated_app, federated.serve, "serve", "federated serve my-line --items my-items.csv --epsilon 3")
_add(
    federated_app,
    federated.join,
    "join",
    "federated join http://127.0.0.1:8000 --device my-device --code CODE --contribute",
)
_add(federated_app, federated.export, "export", "federated export my-device --out my-data.jsonl")
_add(federated_app, federated.forget, "forget", "federated forget my-device")
_add(federated_app, federated_simulate.simulate, "simulate", "federated simulate my-data --epsilon 3 --rounds 12")
app.add_typer(federated_app, name="federated")
_add(app, encode.encode, "encode", "encode my-data --encoder minilm --runner threads")
_add(app, fit.fit, "fit", "fit my-data --out my-model")
_add(app, fit.refit, "refit", "refit my-model")
_add(app, lists.recommend, "recommend", "recommend my-model --user ann -k 5 --category Comedy")
_add(app, lists.companions, "companions", "companions my-model --user ann -k 5")
_add(app, vectors.vectors, "vectors", "vectors my-model items --out items.parquet")
_add(item_app, items.add, "add", "item add my-model new-items.csv --columns item_id=sku,title=name")
_add(item_app, items.withdraw, "withdraw", "item withdraw my-model i7")
_add(item_app, items.show, "show", "item show my-model i7")
_add(item_app, item_attributes.labels, "labels", "item labels my-model topic")
app.add_typer(item_app, name="item")
_add(app, loop.ask, "ask", "ask my-model --user ann -k 3 --strategy epig")
_add(app, loop.tell, "tell", "tell my-model --user ann --item i7 --answer 4")
_add(app, loop.undo, "undo", "undo my-model --user ann")
_add(app, loop.see, "see", "see my-model --user ann --item i7,i9 --event click")
_add(app, know.know, "know", "know my-model --user ann --set age=23 --set gender=f")
_add(app, interview.interview, "interview", "interview my-model --user ann")
_add(app, label.label, "label", "label my-campaign.toml")
_add(app, lists.profile, "profile", "profile my-model --user ann")
_add(app, evaluate.simulate, "simulate", "simulate my-data --strategies list-value,epig --budget 20 --out results")
_add(app, evaluate.evaluate, "evaluate", "evaluate my-data --split global-time --out results")
_add(app, models.models, "models", "models my-model --promote 3")
_add(app, models.off_policy, "off-policy", "off-policy my-model --policy popular,live --explore 0.2")
_add(app, serve.serve, "serve", "serve my-model --port 8000")
_add(keys_app, serve.add, "add", "keys add my-model --role service --name shop")
_add(keys_app, serve.show, "list", "keys list my-model")
_add(keys_app, serve.revoke, "revoke", "keys revoke my-model 5f0c1a2b3c4d")
app.add_typer(keys_app, name="keys")
_add(
    label_studio_app,
    label_studio.put,
    "put",
    "label-studio put my-model http://127.0.0.1:8080 --attribute topic --options sports,food",
)
_add(label_studio_app, label_studio.take, "take", "label-studio take my-model")
app.add_typer(label_studio_app, name="label-studio")
_add(store_app, store.verify, "verify", "store verify my-model")
_add(store_app, store.backup, "backup", "store backup my-model backup-of-today")
_add(store_app, store.restore, "restore", "store restore backup-of-today new-model/labels.sqlite --obey my-model")
_add(store_app, store.export, "export", "store export my-model labels.jsonl")
_add(store_app, store.load, "import", "store import my-model tasks.json --format label-studio --value liked=5")
_add(store_app, store.move, "move", "store move my-model postgresql://palate@localhost/palate")
_add(store_app, store.calibrate, "calibrate", "store calibrate my-model annotator-5f0c1a2b3c4d 0.5")
_add(store_app, store.actions, "actions", "store actions my-model")
_add(store_app, store.erase, "erase", "store erase my-model --user ann")
app.add_typer(store_app, name="store")
_add(app, registries.strategies, "strategies", "strategies --json")
_add(app, registries.encoders, "encoders", "encoders")


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. Nobody is shown a traceback, unless ``PALATE_DEBUG=1``."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        _tolerate(stream)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = app(list(arguments), prog_name="palate", standalone_mode=False)
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the last line of defence
            return _fail(error)
    if code == INTERRUPTED:
        errors().print("Interrupted.")
    return code if isinstance(code, int) else 0


def _tolerate(stream: Any) -> None:
    """A letter that a terminal cannot show, or a pipe does not give, must not end a command."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


def _fail(error: Exception) -> int:
    if os.environ.get("PALATE_DEBUG") == "1":
        traceback.print_exception(error)
    line(errors(), f"Error: {_message(error)}", style="red")
    if isinstance(error, typer.TyperException):
        return error.exit_code
    return 2 if isinstance(error, InputError) else 1


def _message(error: Exception) -> str:
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "palate"
        said = error.format_message()
        return f"{said if said.endswith('?') else said.rstrip('.') + '.'} Try: {command} --help"
    if isinstance(error, PalateError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory is used up. Give a smaller data set, or a machine with more."
    said = f"unexpected {type(error).__name__}: {plain(str(error))}".rstrip(". ")
    return f"{said}. Run it again with PALATE_DEBUG=1 and report what it prints."


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    line(errors(), f"Warning: {message}", style="yellow")
