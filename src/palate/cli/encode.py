"""palate encode."""

from __future__ import annotations

import time

from palate.cli.console import facts, line, output, print_json, progress
from palate.cli.files import load_data
from palate.cli.options import Address, Columns, Data, Encoder, Here, Json, Strict, UnusedSeed, Workers, opened_runner
from palate.errors import DataError, OptionError


def encode(
    path: Data,
    encoder: Encoder = "default",
    columns: Columns = None,
    strict: Strict = False,
    runner: Here = None,
    workers: Workers = None,
    address: Address = None,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Encode the items' texts ahead, on several cores or machines; a fit then finds the vectors and encodes none.

    Each text is encoded once, however often it occurs and however often this is stopped and started again.
    """
    from palate.datasets.views import item_table, texts_of
    from palate.encoders.cache import Cached
    from palate.encoders.chunk import keep_by_tasks
    from palate.encoders.registry import load_encoder
    from palate.runners import InProcess

    if encoder == "none":
        raise OptionError("the encoder 'none' reads no text. Name one: see palate encoders.")
    data = load_data(path, columns=columns, strict=strict)
    texts = [text for text in texts_of(item_table(data, data.coded("event").item_ids)) if text]
    if not texts:
        raise DataError(f"0 items of {data.name!r} have text to encode. Give them a title or a text.")
    started = time.perf_counter()
    cached = Cached(load_encoder(encoder))
    with progress() as report, opened_runner(runner, workers, address) as chosen:

        def said(done: int, of: int) -> None:
            report("encoding", done, of)

        if chosen is None:
            with InProcess(all_cores=True) as here:
                encoded = keep_by_tasks(cached, texts, encoder, runner=here, progress=said)
        else:
            encoded = keep_by_tasks(cached, texts, encoder, runner=chosen, progress=said)
    seconds = time.perf_counter() - started
    summary = {"texts": len(texts), "encoded": encoded, "encoder": cached.name, "revision": cached.revision}
    if as_json:
        return print_json(summary | {"seconds": round(seconds, 3), "folder": str(cached.folder)})
    line(output(), f"{encoded:,} of {len(texts):,} texts encoded in {seconds:.1f} s; the others were there.")
    output().print(facts([("Encoder", cached.name), ("Revision", cached.revision), ("Folder", str(cached.folder))]))
