"""Writes the measured figures into both READMEs from benchmarks/results: ``python docs/generate_figures.py``.

A test compares what stands there with what this gives, so no figure can outlive its measurement.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "list_questions.json"
LIST = "list-ndcg@10"
EARLY, LATE = 2, 10  # questions after which lists are shown
NOT_THE_SAME = (
    "jester",
    "goodbooks",
    "steam-play",
    "kuairand-pure-cut",
    "bing-news",
    "mind-cut",
    "emotify",
)  # data-sets.md


@dataclass(frozen=True)
class Words:
    """What one language calls things."""

    columns: tuple[str, ...]
    headline: str
    verdict: str
    nowhere: str
    comma: str


READMES = {
    ROOT / "README.md": Words(
        columns=(
            "data",
            "lists",
            "before any question",
            f"{EARLY} questions about popular items",
            f"{EARLY} of Palate's",
            "more",
            f"{LATE} about popular items",
            f"{LATE} of Palate's",
            "more",
            "{last} at random",
        ),
        headline=(
            "{data}, people never seen: {early} of Palate's questions give a list with an NDCG@10 of {ours}, {early} "
            "about popular items {popular}, {last} at random {random} (before any question {start})."
        ),
        verdict=(
            "Of these {sets} sets Palate's list is better than after as many questions about popular items, with an "
            "interval that excludes 0, on {ahead} at {early} questions and on {ahead_late} at {late}; worse: {behind}."
        ),
        nowhere="nowhere",
        comma=", ",
    ),
    ROOT / "README.zh-CN.md": Words(
        columns=(
            "数据",
            "列表数",
            "提问之前",
            f"{EARLY} 个热门问题",
            f"Palate 的 {EARLY} 个问题",
            "提高",
            f"{LATE} 个热门问题",
            f"Palate 的 {LATE} 个问题",
            "提高",
            "{last} 个随机问题",
        ),
        headline=(
            "{data}，从未见过的人：Palate 的 {early} 个问题之后列表的 NDCG@10 为 {ours}，"
            "{early} 个热门问题之后 {popular}，{last} 个随机问题之后 {random}（提问之前 {start}）。"
        ),
        verdict=(
            "在这 {sets} 个数据集里，与同样多的热门问题相比，Palate 的列表更好且区间不含 0 的："
            "{early} 个问题时 {ahead} 个，{late} 个问题时 {ahead_late} 个；更差的：{behind}。"
        ),
        nowhere="无",
        comma="、",
    ),
}


def headline(results: dict[str, Any], words: Words) -> str:
    """What it comes to on the first set."""
    row = results["rows"][0]

    def level(way: str, stage: int) -> str:
        return f"{_at(row, way, LIST, stage):.3f}"

    last, ours = row["stages"][-1], results["default"]
    return words.headline.format(
        data=row["set"],
        early=EARLY,
        last=last,
        ours=level(ours, EARLY),
        popular=level("popularity", EARLY),
        random=level("random", last),
        start=level("random", 0),
    )


def table(results: dict[str, Any], words: Words) -> str:
    """Quality of the list, a row for each set, and on how many the lead over questions about popular items is clear."""
    rows, ours = results["rows"], results["default"]
    columns = [column.format(last=results["stages"][-1]) for column in words.columns]
    head = [f"| {' | '.join(columns)} |", f"| {' | '.join(['---'] * len(columns))} |"]
    return "\n".join([*head, *(_row(row, ours) for row in rows), "", _verdict(rows, ours, words)])


def starred(name: str) -> str:
    """The name of a set, with a star if nobody else can have the same rows."""
    return name + ("\\*" if name in NOT_THE_SAME else "")


def _at(row: dict[str, Any], way: str, figure: str, stage: int, end: str = "mean") -> float:
    return float(row["ways"][way][figure][end][row["stages"].index(stage)])


def _row(row: dict[str, Any], ours: str) -> str:
    cells = [starred(row["set"]), f"{row['users']:,}", f"{_at(row, 'random', LIST, 0):.3f}"]
    for stage in (EARLY, LATE):
        low, more, high = (_at(row, ours, "minus popularity", stage, end) for end in ("low", "mean", "high"))
        cells += [f"{_at(row, way, LIST, stage):.3f}" for way in ("popularity", ours)]
        cells.append(f"{more:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "−"))
    cells.append(f"{_at(row, 'random', LIST, row['stages'][-1]):.3f}")
    return f"| {' | '.join(cells)} |"


def _verdict(rows: list[dict[str, Any]], ours: str, words: Words) -> str:
    def clear(stage: int) -> int:
        return sum(_at(row, ours, "minus popularity", stage, "low") > 0 for row in rows)

    behind = [
        f"{row['set']} ({stage})"
        for row in rows
        for stage in row["stages"]
        if _at(row, ours, "minus popularity", stage, "high") < 0
    ]
    return words.verdict.format(
        sets=len(rows),
        ahead=clear(EARLY),
        ahead_late=clear(LATE),
        early=EARLY,
        late=LATE,
        behind=words.comma.join(behind) or words.nowhere,
    )


def filled(text: str, results: dict[str, Any], words: Words) -> str:
    """A README with what was measured between its marks."""
    for mark, content in (("headline", headline(results, words)), ("results", table(results, words))):
        place = re.compile(rf"(<!-- {mark} -->\s*).*?(\s*<!-- /{mark} -->)", re.DOTALL)
        text, count = place.subn(lambda found, content=content: f"{found[1]}{content}{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the mark {mark} stands {count} times in the page. Put it there once.")
    return text


def main() -> None:
    """Rewrite both READMEs."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for page, words in READMES.items():
        page.write_text(filled(page.read_text(encoding="utf-8"), results, words), encoding="utf-8")


if __name__ == "__main__":
    main()
