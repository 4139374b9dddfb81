"""Writes the tables of docs/{news,shop,video,social}.md from benchmarks/results/products.json.

A test compares the pages with what this gives, so no figure can outlive its measurement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.evaluation.report_product import NAMES, NDCG

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "products.json"
BEGIN, END = "<!-- table -->", "<!-- /table -->"


def pages() -> dict[Path, str]:
    """Each page with the tables that belong in it."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    found = {}
    for product in dict.fromkeys(row["product"] for row in results["rows"]):
        path = ROOT / "docs" / f"{product}.md"
        text = path.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        rows = [row for row in results["rows"] if row["product"] == product]
        found[path] = f"{before}{BEGIN}\n\n{tables(rows, results['command'])}\n\n{END}{after}"
    return found


def tables(rows: Sequence[Mapping[str, Any]], command: str) -> str:
    """Lists by how much is known, what questions bring, and new items, of one product."""
    drawn = [row["set"] for row in rows if row["lists"] and not row["lists"]["dated"]]
    who = (
        f" On {' and '.join(drawn)} new people are drawn, since hardly anybody comes later or nothing is dated."
        if drawn
        else ""
    )
    sets = "; ".join(f"{row['set']}: {_size(row['size'])}" for row in rows)
    return "\n\n".join(
        [
            f"Measured by `{command}` on {sets}. NDCG@10, 95 % intervals over people; in bold what an interval tells "
            "from 0.",
            "Lists for somebody new, after so many events. Each other recommender is tuned on people held back; the "
            f"best is the best on the people tested, which favours it.{who}",
            _table(
                ["data", "events", "people", "Palate", "popular", "best other", "", "Palate less the best other"],
                [line for row in rows for line in _lists(row)],
            ),
            "Lists after so many questions and nothing else, about one half of the items, of the other half.",
            _table(
                ["data", "questions", "Palate's", "about popular items", "Palate's less those"],
                [line for row in rows for line in _questions(row)],
            ),
            "Items on which nobody has acted, in the order of their content, for people who are known.",
            _table(
                ["data", "new items", "people", "Palate", "words (TF-IDF)", "at random", "Palate less the words"],
                [line for row in rows for line in _new_items(row)],
            ),
            *_left_out(rows),
        ]
    )


def _lists(row: Mapping[str, Any]) -> list[list[str]]:
    lines = []
    for n, stage in (row["lists"] or {"stages": {}})["stages"].items():
        figures, best = stage[NDCG], stage.get("best_rival")
        lines.append(
            [
                row["set"],
                n,
                f"{stage['people']:,}",
                _mean(figures["palate"]),
                _mean(figures["popularity"]) if "popularity" in figures else "–",
                NAMES.get(best, best) if best else "–",
                _mean(figures[best]) if best else "–",
                _signed(stage["palate_minus_best"]) if best else "–",
            ]
        )
    return lines


def _questions(row: Mapping[str, Any]) -> list[list[str]]:
    return [
        [row["set"], n, _mean(one["palate"]), _mean(one["popularity"]), _signed(one["palate_minus_popularity"])]
        for n, one in (row["questions"] or {}).items()
    ]


def _new_items(row: Mapping[str, Any]) -> list[list[str]]:
    new = row["new_items"]
    if new is None:
        return []
    figures = [_mean(new[NDCG][name]) for name in ("palate", "tf-idf", "random")]
    return [[row["set"], f"{new['items']:,}", f"{new['people']:,}", *figures, _signed(new["palate_minus"]["tf-idf"])]]


def _left_out(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    said = [
        f"{row['set']}, {part.replace('_', ' ')}: {reason}." for row in rows for part, reason in row["left_out"].items()
    ]
    return [f"Left out: {' '.join(said)}"] if said else []


def _size(size: Mapping[str, int]) -> str:
    return f"{size['users']:,} people, {size['items']:,} items, {size['interactions']:,} rows"


def _mean(figures: Mapping[str, float]) -> str:
    return f"{figures['mean']:.3f}"


def _signed(figures: Mapping[str, float]) -> str:
    low, mean, high = (f"{figures[end]:+.3f}".replace("-", "−") for end in ("low", "mean", "high"))
    is_sure = figures["low"] > 0 or figures["high"] < 0
    return f"{f'**{mean}**' if is_sure else mean} ({low} to {high})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for page, content in pages().items():
        page.write_text(content, encoding="utf-8")
