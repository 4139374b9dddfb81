"""`palate demo`: the main job from raw data to proof, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palate.cli.console import errors, output, print_json
from palate.cli.demo_product import ProductStory
from palate.cli.demo_story import Comparison, Story
from palate.cli.fit import fit_summary
from palate.cli.options import Columns, Json, Seed, local_path, writable
from palate.cli.products import PRODUCTS, product_of
from palate.cli.serve import serve as serve_model
from palate.cli.serve import server
from palate.errors import OptionError

FULL = Comparison(("bald", "a-optimal", "epig", "lookahead", "list-value"), budget=20, seeds=3)
QUICK = Comparison(("lookahead", "list-value"), budget=20, seeds=1)


def demo(
    product: Annotated[
        str | None,
        typer.Argument(metavar=f"[{'|'.join(PRODUCTS)}]", help="A kind of product; MovieLens-100K if not given."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="PATH", parser=local_path, help="Of a product: your log, not the generated one."
        ),
    ] = None,
    columns: Columns = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="A small generated world instead of MovieLens-100K: no download.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and strategies.")] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", parser=local_path, help="Folder for the results.")
    ] = Path("palate-demo"),
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve the model, with a page to open in a browser, on this machine.")
    ] = False,
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65_535, help="Of the page; 0 takes a free one.")] = 8000,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """The whole job on MovieLens-100K, or on a news site, a shop, videos or a community, from raw data to proof.

    Encodes, fits, asks three people never seen, recommends, and compares ways to ask; of a kind of product also lists
    beside those of other recommenders, and new items. Without --data a product's log is generated: no download. Writes
    report.html, the figures and the fitted model. With --json the story is on standard error.
    """
    if data is None and columns:
        raise OptionError("--columns says what the columns of --data are called, which is not given. Give it too.")
    if product is None and data is not None:
        raise OptionError(f"--data is the log of a product, of which none is given. Name one: {', '.join(PRODUCTS)}.")
    if product is not None and (sample or quick):
        raise OptionError("--sample and --quick are of the demo on MovieLens-100K. Leave them out.")
    kind = None if product is None else product_of(product)
    writable(out)
    if serve:
        server()  # an error, where it is not installed, before the work
    console = errors() if as_json else output()
    if kind is None:
        story = Story(console, out, seed)
        rows = story.data(sample)
        learner, unseen = story.fit(rows)
        met = story.meet(learner, unseen)
        document = story.compare(rows, QUICK if quick else FULL) | {"people": met}
        said = story.report(
            document, f"palate demo{' --sample' if sample else ''}{' --quick' if quick else ''} --seed {seed}"
        )
        found = {"simulation": document}
    else:
        shown = ProductStory(console, out, seed, kind)
        rows = shown.log(data, columns)
        learner, unseen = shown.fit(rows)
        arrived = shown.arrive(learner, unseen)
        document = shown.judge(rows) | {"arrived": arrived}
        said = shown.tell(document, f"palate demo {kind.name}{'' if data is None else f' --data {data}'} --seed {seed}")
        found = {"table": document}
    if as_json:
        print_json({"headline": said, "path": str(out), "model": fit_summary(learner)} | found)
    if serve:
        serve_model(out / "model", port=port, visitors=True, log_requests=False, as_json=as_json)
