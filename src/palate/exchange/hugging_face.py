"""The labels of a log as a data set for the Hugging Face hub: a folder with Parquet and a card, by no library of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from palate.entities import ITEM, USER, Answer
from palate.exchange.dump import active_rows
from palate.exchange.tabular import ROWS_A_GROUP
from palate.records import Record
from palate.store.protocol import LabelStore, refusing

FORMAT = "huggingface"
FILE = "data/train-00000-of-00001.parquet"  # as the hub names the parts of a split
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (0, "n>1M"))

SCHEMA = pa.schema(
    [
        (USER, pa.string()),
        (ITEM, pa.string()),
        ("form", pa.string()),
        ("others", pa.list_(pa.string())),
        ("kind", pa.string()),
        ("value", pa.float64()),
        ("tapped", pa.list_(pa.string())),
        ("subject", pa.string()),
        ("source", pa.string()),
        ("family", pa.string()),
        ("question", pa.string()),
        ("propensity", pa.float64()),
        ("answered_at", pa.float64()),
    ]
)
MEANING = {
    USER: "whose taste it is, or who says so of an attribute",
    ITEM: "the item, the first of several, or the concept",
    "form": "of the question: rate, pair, group, concept, preview, recall, pick or slate",
    "others": "the further items",
    "kind": "rating, no-opinion, unknown or skipped",
    "value": "the rating; 1 or 0 of a pair, a concept or a preview; of an attribute the place of the option",
    "tapped": "items that were tapped, picked or clicked",
    "subject": "taste, or the name of an attribute of the item",
    "source": "who answered",
    "family": "of the source: those of one family share their errors",
    "question": "the strategy that asked; empty where nobody did",
    "propensity": "probability with which it was asked",
    "answered_at": "seconds since the epoch, as the client claims",
}


def write_data_set(log: LabelStore, folder: Path, *, title: str, purpose: str = "") -> tuple[int, int]:
    """Write the labels that count into a folder that is there: a Parquet file and ``README.md``.

    Args:
        purpose: Users whose last consent leaves it out are left out. Empty: nobody is.
    Returns:
        How many labels were written, and how many other rows were left out.
    """
    refused = refusing(log.records(), purpose) if purpose else frozenset[str]()
    counts = Counter[str]()

    def labels() -> Iterator[Record]:
        for row in active_rows(log):
            if row.user_id not in refused:
                counts["rows" if isinstance(row.content, Answer) else "left out"] += 1
                if isinstance(row.content, Answer):
                    yield row

    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    users, items, subjects = set[str](), set[str](), Counter[str]()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        waiting: list[dict[str, Any]] = []
        for row in labels():
            answer = row.answer
            users.add(answer.user_id)
            items.update(answer.items)
            subjects[answer.provenance.subject] += 1
            waiting.append(_columns(answer))
            if len(waiting) == ROWS_A_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, SCHEMA))
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, SCHEMA))
    n = counts["rows"]
    (folder / "README.md").write_text(_card(title, n, len(users), len(items), subjects), encoding="utf-8")
    return n, counts["left out"]


def _columns(answer: Answer) -> dict[str, Any]:
    came = answer.provenance
    named = {"subject": came.subject, "family": came.family, "form": answer.form.value, "kind": answer.kind.value}
    return {name: getattr(answer, name) for name in SCHEMA.names if name not in named} | named


def _card(title: str, rows: int, users: int, items: int, subjects: Counter[str]) -> str:
    """What the hub reads between the lines of dashes, and what people read below."""
    size = next(name for most, name in _SIZES if rows < most or not most)
    head = ["---", f"size_categories: [{size}]", "tags: [recommendation, active-learning]", "configs:"]
    head += ["- config_name: default", "  data_files:", "  - split: train", f"    path: {FILE}", "---"]
    counts = f"{rows:,} labels about {items:,} items, of {users:,} users."
    about = "".join(f"- {_words(name)}: {count:,}\n" for name, count in sorted(subjects.items()))
    table = "".join(f"| `{name}` | {MEANING[name]} |\n" for name in SCHEMA.names)
    return "\n".join(
        [
            *head,
            f"\n# {_words(title)}\n",
            f"{counts} What was taken back, and what is no label, is left out.\n",
            "Ids are those of the log: whoever knows them knows the people. Publish with their consent alone.\n",
            f"Labels by what they are about:\n\n{about}",
            f"| column | holds |\n| --- | --- |\n{table}",
        ]
    )


def _words(text: str) -> str:
    """A name that breaks no line and makes no mark-up."""
    return "".join(letter if letter.isalnum() or letter in " -_." else " " for letter in text).strip() or "labels"
