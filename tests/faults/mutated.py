"""Data folders of every format, spoilt at random: the same seed spoils the same folder in the same way.

``python -m tests.faults.mutated FIRST COUNT`` reads so many, each in a folder of its own, and prints a seed before each
and a line of JSON after it, so that whoever started it knows which folder a process died on.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException

from palate.datasets import Dataset, tables
from palate.datasets.convert import write_folder
from palate.datasets.files.assemble import Assembly
from palate.datasets.files.parquet import ParquetDecoder
from palate.datasets.inspect import inspect
from palate.errors import PalateError

Files = dict[str, bytes]
LONGEST = 1_500  # characters of a message
SECONDS = 60  # of the processor for a folder; a busy machine may take longer, but not PATIENCE
PATIENCE = 280

USERS, ITEMS, ROWS = 6, 5, 24


# ---- folders as they should be ----


def _interactions(rng: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "user_id": f"u{rng.randrange(USERS)}",
            "item_id": rng.randrange(ITEMS),
            "rating": rng.randint(1, 5),
            "event": rng.choice(["click", "skip", ""]),
            "timestamp": 1_500_000_000 + rng.randrange(10**8),
        }
        for _ in range(ROWS)
    ]


def _items(rng: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "item_id": item,
            "title": rng.choice(["Alien", 'A "b", c', "Ünïcode"]),
            "text": "some text",
            "category": rng.choice(["a|b", "a", ""]),
            "image": rng.choice(["img/1.png", "/etc/passwd", ""]),
            "year": 1990 + item,
        }
        for item in range(ITEMS)
    ]


def _people(rng: random.Random) -> list[dict[str, Any]]:
    return [{"user_id": f"u{user}", "age": rng.randint(9, 90), "town": "x"} for user in range(USERS)]


def _separated(rows: list[dict[str, Any]], delimiter: str, header: bool = True) -> bytes:
    def cell(value: Any) -> str:
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if delimiter in text or '"' in text else text

    lines = [delimiter.join(rows[0])] if header else []
    return "\n".join([*lines, *(delimiter.join(map(cell, row.values())) for row in rows), ""]).encode()


def _json(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def _own(rng: random.Random) -> Files:
    """Palate's own folder, each table in a form of its own."""
    tables = {"interactions": _interactions(rng), "items": _items(rng), "users": _people(rng)}
    stem = rng.choice(["interactions", "ratings", "votes"])
    files: Files = {}
    for name, rows in tables.items():
        ending = rng.choice(["csv", "tsv", "jsonl", "parquet", "parquet", "csv.gz", "jsonl.gz"])
        form = ending.removesuffix(".gz")
        data = {"csv": _separated(rows, rng.choice(",;")), "tsv": _separated(rows, "\t"), "jsonl": _json(rows)}.get(
            form
        )
        data = _parquet(rows) if data is None else data
        files[f"{stem if name == 'interactions' else name}.{ending}"] = gzip.compress(data) if ending != form else data
    return files


def _movielens_100k(rng: random.Random) -> Files:
    rows = [{name: row[name] for name in ("user_id", "item_id", "rating", "timestamp")} for row in _interactions(rng)]
    items = [[i, f"Film {i} (1999)", "01-Jan-1999", "", "http://x", *rng.choices("01", k=19)] for i in range(ITEMS)]
    users = [[f"u{u}", 20 + u, "F", "artist", "12345"] for u in range(USERS)]
    return {
        "u.data": _separated(rows, "\t", header=False),
        "u.item": "\n".join("|".join(map(str, row)) for row in items).encode("latin-1"),
        "u.user": "\n".join("|".join(map(str, row)) for row in users).encode(),
    }


def _movielens_dat(rng: random.Random) -> Files:
    ratings = [f"{r['user_id']}::{r['item_id']}::{r['rating']}::{r['timestamp']}" for r in _interactions(rng)]
    people = rng.choice(["{}::F::1::10::48067", "{}::139564917"])
    return {
        "ratings.dat": "\n".join(ratings).encode(),
        "movies.dat": "\n".join(f"{i}::Les Misérables::Drama|War" for i in range(ITEMS)).encode("latin-1"),
        "users.dat": "\n".join(people.format(f"u{u}") for u in range(USERS)).encode(),
    }


def _movielens_csv(rng: random.Random) -> Files:
    rows = "".join(f"{r['user_id']},{r['item_id']},{r['rating']},{r['timestamp']}\n" for r in _interactions(rng))
    movies = "".join(f'{i},"Film, The {i}",(no genres listed)\n' for i in range(ITEMS))
    return {
        "ratings.csv": b"userId,movieId,rating,timestamp\n" + rows.encode(),
        "movies.csv": b"movieId,title,genres\n" + movies.encode(),
    }


def _mind(rng: random.Random) -> Files:
    shown = " ".join(f"N{i}-{rng.randint(0, 1)}" for i in range(ITEMS))
    lines = [f"{n}\tU{n % USERS}\t11/15/2019 8:55:22 AM\tN1 N2\t{shown}\n" for n in range(ROWS)]
    news = [f"N{i}\tnews\tworld\tTitle {i}\tAbstract\thttps://x\t[]\t[]\n" for i in range(ITEMS)]
    return {"behaviors.tsv": "".join(lines).encode(), "news.tsv": "".join(news).encode()}


def _amazon(rng: random.Random) -> Files:
    write: Callable[[Any], str] = rng.choice([json.dumps, repr])
    reviews = [
        {"reviewerID": row["user_id"], "asin": f"B{row['item_id']}", "overall": 4.0, "unixReviewTime": row["timestamp"]}
        for row in _interactions(rng)
    ]
    meta = [
        {"asin": f"B{i}", "title": "A card", "category": "['Gifts', 'Cards']", "description": ["x"]}
        for i in range(ITEMS)
    ]
    data = ["\n".join(map(write, rows)).encode() for rows in (reviews, meta)]
    if rng.random() < 0.5:
        return {"Cards_5.json.gz": gzip.compress(data[0]), "meta_Cards.json.gz": gzip.compress(data[1])}
    return {"Cards.jsonl": data[0], "meta_Cards.jsonl": data[1]}


def _recbole(rng: random.Random) -> Files:
    rows = "".join(f"{r['user_id']}\t{r['item_id']}\t{r['rating']}\t{r['timestamp']}\n" for r in _interactions(rng))
    items = "".join(f"{i}\tToy {i}\t1995\tAnimation Comedy\n" for i in range(ITEMS))
    people = "".join(f"u{u}\t{20 + u}\n" for u in range(USERS))
    return {
        "ml.inter": f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n{rows}".encode(),
        "ml.item": f"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n{items}".encode(),
        "ml.user": f"user_id:token\tage:token\n{people}".encode(),
    }


def _jester(rng: random.Random) -> Files:
    if rng.random() < 0.3:
        return {"jester_ratings.dat": _separated(_interactions(rng), "\t\t", header=False)}
    wide = "".join("3," + ",".join(f"{rng.uniform(-10, 10):.2f}" for _ in range(3)) + ",99\n" for _ in range(ROWS))
    joke = "<html><!--begin of joke -->A <b>man</b><!--end of joke --></html>"
    return {"jester-data-1.csv": wide.encode(), "jester-data-2.csv": wide.encode(), "init1.html": joke.encode()}


def _open_bandit(rng: random.Random) -> Files:
    header = ",timestamp,item_id,position,click,propensity_score," + ",".join(f"user_feature_{n}" for n in range(4))
    rows = [f"{n},2019-11-24 00:00:01+00:00,{n % ITEMS},1,{rng.randint(0, 1)},0.25,a,b,c,d" for n in range(ROWS)]
    context = "".join(f"{i},{i},-0.6\n" for i in range(ITEMS))
    return {"men.csv": "\n".join([header, *rows]).encode(), "item_context.csv": f",item_id,f\n{context}".encode()}


FORMATS = (
    _own, _own, _own, _own, _movielens_100k, _movielens_dat, _movielens_csv, _mind, _amazon, _recbole, _jester,
    _open_bandit,
)  # fmt: skip


# ---- and how they are spoilt ----

TOKENS = (
    b'"', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"::", b"|", b'""',
    b"\\",
    b"NaN", b"inf", b"-1", b"1e999", b"9" * 400, b"0x10", b"true", b"null", b"[]", b"{}", b"[[[[", b"'", b"\\ud800",
    b'"\\ud800": 1, ', b"\\u0000", b"\x1f", b"\xf0\x9f\x8e\xac", "\u200b\u202e".encode(), b"2024-02-30", b"__line__",
    b"user_id", b"item_id", b"rating", b"title", b"category", b":token", b":float", b"{'a': 1}", b"0-1", b"99",
)  # fmt: skip


def _spot(rng: random.Random, data: bytes) -> int:
    """A place in the data, often in its first line."""
    end = data.find(b"\n") + 1 if rng.random() < 0.4 else len(data)
    return rng.randrange(max(end, 1))


def _flip(rng: random.Random, data: bytes) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.choice([1, 1, 4, 30])):
        if spoilt:
            spoilt[_spot(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: _spot(rng, data)]


def _drop(rng: random.Random, data: bytes) -> bytes:
    start = _spot(rng, data)
    return data[:start] + data[start + rng.choice([1, 2, 8, 100]) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.choice([1, 1, 3])):
        start = _spot(rng, data)
        data = data[:start] + rng.choice(TOKENS) * rng.choice([1, 1, 1, 2, 50]) + data[start + rng.choice([0, 0, 3]) :]
    return data


def _repeat(rng: random.Random, data: bytes) -> bytes:
    start, size = _spot(rng, data), rng.choice([1, 10, 300])
    return data[:start] + data[start : start + size] * rng.choice([2, 3, 20]) + data[start:]


def _huge(rng: random.Random, data: bytes) -> bytes:
    start = _spot(rng, data)
    filling = rng.choice(
        [b"x" * 300_000, b"[" * 60_000, b'{"a":' * 20_000, b'"x\n' * 4_000, b'a","\n' * 4_000, b"," * 5_000]
    )
    return data[:start] + filling + data[start:]


def _empty(rng: random.Random, data: bytes) -> bytes:
    return rng.choice(
        [b"", b"\n", b"\xef\xbb\xbf", b"\x00" * 50, b"\x1f\x8b", b"PAR1", b" \n \n", data + data, data.swapcase()]
    )


def _columns(rng: random.Random, data: bytes) -> bytes:
    """The columns of a text swapped, one of them twice, renamed or gone; of other data nothing."""
    delimiter = max((b",", b";", b"\t", b"|", b"::"), key=lambda d: data[:300].count(d))
    rows = [line.split(delimiter) for line in data.split(b"\n")]
    places = list(range(len(rows[0])))
    how = rng.randrange(5)
    if how == 0:
        rng.shuffle(places)
    elif how == 1:
        places.append(rng.choice(places))
    elif how == 2:
        places.pop(rng.randrange(len(places)))
    elif how == 3:
        rows[0][rng.choice(places)] = rng.choice(
            [*rows[0], b"", b"User_ID", b"TITLE", b"item_id:float", b"name", b"a b"]
        )
    else:
        rows = rows[1:]
    return b"\n".join(delimiter.join(row[p] for p in places if p < len(row)) for row in rows)


def _packed(rng: random.Random, data: bytes) -> bytes:
    """Packed, unpacked, or packed with an end that is missing or wrong."""
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return data[: rng.randrange(len(data))]
    packed = gzip.compress(data)
    return rng.choice([packed, packed[:-6], packed[:-4] + b"\x00" * 4, packed + b"tail", packed + packed])


def _unpacked_then(mutate: Callable[[random.Random, bytes], bytes]) -> Callable[[random.Random, bytes], bytes]:
    """Most bytes of a gzip or Parquet file mean nothing alone: what is in a gzip is spoilt inside it."""

    def inside(rng: random.Random, data: bytes) -> bytes:
        if data[:2] != b"\x1f\x8b":
            return mutate(rng, data)
        try:
            return gzip.compress(mutate(rng, gzip.decompress(data)), compresslevel=1)
        except (OSError, EOFError, zlib.error):
            return mutate(rng, data)

    return inside


BYTES = (
    *map(_unpacked_then, (_flip, _cut, _drop, _insert, _insert, _insert, _repeat, _columns, _columns, _columns)),
    *map(_unpacked_then, (_huge, _empty)),
    _flip, _cut, _packed,
)  # fmt: skip

ODD = (
    lambda n: pa.array(["a"] * n).dictionary_encode(),
    lambda n: pa.array([b"\xff\xfe"] * n),
    lambda n: pa.array([["x", None]] * n),
    lambda n: pa.array([{"a": 1, "b": ["x"]}] * n),
    lambda n: pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int64())),
    lambda n: pa.array([Decimal("1.50")] * n),
    lambda n: pa.array([date(2020, 1, 1)] * n),
    lambda n: pa.array([date(2020, 1, 1)] * n, pa.date64()),
    lambda n: pa.array([time(1, 2)] * n),
    lambda n: pa.array([timedelta(days=1)] * n),
    lambda n: pa.array([2**62] * n, pa.timestamp("ns", "Europe/Oslo")),
    lambda n: pa.array([-(2**62)] * n, pa.timestamp("us")),
    lambda n: pa.array([0] * n, pa.timestamp("s", "nowhere/at-all")),
    lambda n: pa.array([2**64 - 1] * n, pa.uint64()),
    lambda n: pa.array([True, None] * n)[:n],
    lambda n: pa.nulls(n),
    lambda n: pa.array([float("nan"), 1e308] * n)[:n],
    lambda n: pa.array([1.5] * n, pa.float32()).cast(pa.float16()),
    lambda n: pa.array([[1, 2]] * n, pa.list_(pa.int8(), 2)),
    lambda n: pa.array(["x" * 1000] * n, pa.large_string()),
    lambda n: pa.array([b"abcd"] * n, pa.binary(4)),
    lambda n: pa.array([Decimal(10) ** 60] * n, pa.decimal256(70, 2)),
    lambda n: pa.array(["v"] * n, pa.string_view()),
    lambda n: pa.array([[{"a": None}]] * n),
)


def _table(rng: random.Random, rows: list[dict[str, Any]]) -> pa.Table:
    """A table with columns of types that nobody expects there, or named like others."""
    table = pa.Table.from_pylist(rows)
    for _ in range(rng.choice([1, 1, 2, 4])):
        values = rng.choice(ODD)(table.num_rows)
        name = rng.choice([*table.column_names, "title", "category", "rating", "Item ID", "__line__", "", "a\nb"])
        if name in table.column_names and rng.random() < 0.9:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def _odd_parquet(rng: random.Random, data: bytes) -> bytes:
    rows = rng.choice([_interactions, _items, _people])(rng)
    sink = io.BytesIO()
    try:
        pq.write_table(
            _table(rng, rows),
            sink,
            compression=rng.choice(["none", "snappy", "zstd", "gzip"]),
            data_page_version=rng.choice(["1.0", "2.0"]),
            use_dictionary=rng.random() < 0.5,
            store_schema=rng.random() < 0.7,
        )
    except (pa.ArrowException, ValueError):
        return data
    return sink.getvalue()


def _bytes_of(rng: random.Random, name: str, data: bytes) -> bytes:
    if name.endswith(".parquet") and rng.random() < 0.6:
        return _odd_parquet(rng, data)
    return rng.choice(BYTES)(rng, data)


def _names(rng: random.Random, files: Files) -> Files:
    """Files exchanged, renamed, gone, or there twice under other endings."""
    first, second = rng.choice(list(files)), rng.choice(list(files))
    how = rng.randrange(4)
    if how == 0:
        files[first], files[second] = files[second], files[first]
    elif how == 1:
        files.pop(first)
    else:
        endings = [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".json", ".inter", ".dat", ""]
        stems = [first.split(".")[0], "interactions", "items", "users", "ratings", "meta_x", "jester"]
        data = files.pop(first) if how == 2 else files[first]
        files[rng.choice(stems) + rng.choice(endings)] = data
    return files


def _write(rng: random.Random, folder: Path, files: Files) -> None:
    for name, data in files.items():
        path = folder / name
        if rng.random() < 0.005:
            rng.choice(
                [path.mkdir, lambda path=path: path.symlink_to(path), lambda path=path: path.symlink_to("gone")]
            )()
        else:
            path.write_bytes(data)


def spoilt(folder: Path, seed: int) -> tuple[Path, dict[str, str] | None]:
    """Write the folder of a seed. Returns what is to be read, and a mapping of columns for some."""
    rng = random.Random(seed)
    files = rng.choice(FORMATS)(rng)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 4])):
        if rng.random() < 0.15 and files:
            files = _names(rng, files)
        elif files:
            name = rng.choice(list(files))
            files[name] = _bytes_of(rng, name, files[name])
    _write(rng, folder, files)
    path = folder / rng.choice(list(files)) if files and rng.random() < 0.15 else folder
    names = ["user_id", "userId", "title", "Item ID", "x", "item_id:token", "rating", ""]
    ours = ["user_id", "item_id", "rating", "items.item_id", "title", "usr"]
    mapping = {rng.choice(ours): rng.choice(names) for _ in range(rng.randint(1, 3))} if rng.random() < 0.1 else None
    return path, mapping


def use(path: Path, mapping: dict[str, str] | None, out: Path) -> None:
    """Read a folder and look at everything in it, as commands do."""
    data = Dataset.load(path, columns=mapping)
    assert data.interactions.height > 0
    json.dumps(inspect(data), allow_nan=False)
    data.coded()
    data.coded("event")
    data.item_texts()
    again = Dataset.load(write_folder(data, out))
    assert again.fingerprint() == data.fingerprint(), "what is written comes back"
    Dataset.from_tables(data.table("interactions").to_arrow(), data.items.to_arrow(), data.users.to_arrow())


def outcome(seed: int) -> dict[str, str]:
    """What came of the folder of a seed: nothing if it was read, else ``refused`` with one line, or a ``fault``."""
    folder = Path(tempfile.mkdtemp(prefix="spoilt-"))
    try:
        (folder / "data").mkdir()
        path, mapping = spoilt(folder / "data", seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            use(path, mapping, folder / "out")
    except PalateError as error:
        said, cause = str(error), error.__cause__
        if not said or not said.isprintable() or len(said) > LONGEST or isinstance(cause, PanicException):
            return {"fault": f"the message {said[:LONGEST]!r}, from {cause!r}"}
        return {"refused": said, "cause": "" if cause is None else type(cause).__name__}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a panic of Polars is no Exception
        where = traceback.extract_tb(error.__traceback__)[-1]
        return {"fault": f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"[:LONGEST]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {}


def peak_bytes() -> int:
    """Most memory of this process. ``ru_maxrss`` would hold its parent's too, from before the program began."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(first: int, count: int) -> None:
    # one decoder for all folders: a process for each would take most of the time
    tables.Assembly = partial(Assembly, parquet=ParquetDecoder())  # type: ignore[misc, assignment]
    for seed in range(first, first + count):
        print(seed, flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # both end this process
        signal.alarm(PATIENCE)
        print(json.dumps(outcome(seed)), flush=True)
    print(json.dumps({"peak": peak_bytes()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
