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
RESULTS = ROOT / "benchmarks" / "results" / "new_users.json"
STAGES = (5, 10, 20, 40)  # questions at which a claim is made
OURS, NAMES = "lookahead", ("popularity", "a-optimal", "lookahead", "answerable-random")
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
    never: str
    interval: str
    clear: str
    nowhere: str


READMES = {
    ROOT / "README.md": Words(
        columns=("data", "pool", "RMSE", "random", *(f"`{name}`" for name in NAMES), f"`{OURS}` saves"),
        never="never",
        interval="{ratio:.1f}× ({low:.1f} to {high:.1f})",
        clear=(
            "Popularity is a strong rival on {data} with pool `{pool}`. Of the stages {all}, the RMSE of `{ours}` is "
            "below that of `popularity` with an interval that excludes 0 at: {stages}."
        ),
        nowhere="none",
    ),
    ROOT / "README.zh-CN.md": Words(
        columns=("数据", "提问池", "RMSE", "随机", *(f"`{name}`" for name in NAMES), f"`{OURS}` 节省"),
        never="未达到",
        interval="{ratio:.1f} 倍（{low:.1f} 至 {high:.1f}）",
        clear=(
            "在 {data}（提问池 `{pool}`）上，`popularity` 是强劲的对手：在 {all} 个问题这几处，`{ours}` 的 RMSE "
            "低于 `popularity` 且区间不含 0 的是：{stages}。"
        ),
        nowhere="无",
    ),
}


def headline(results: dict[str, Any]) -> str:
    """The sentence that the benchmark came to."""
    return str(results["headline"])


def table(results: dict[str, Any], words: Words) -> str:
    """Questions needed, a row for each data set and pool, and how clear the lead over popularity is."""
    head = [f"| {' | '.join(words.columns)} |", f"| {' | '.join(['---'] * len(words.columns))} |"]
    return "\n".join([*head, *(_row(row, words) for row in results["rows"]), "", _clear(results["rows"][0], words)])


def _row(row: dict[str, Any], words: Words) -> str:
    strategies = row["strategies"]
    saved = {name: strategies[name]["labels_saved"] for name in ("random", *NAMES)}
    needed = [words.never if saved[name]["questions"] is None else f"{saved[name]['questions']:.1f}" for name in saved]
    if row["pool"] == "answered":  # there it is random once more
        needed[-1] = "–"
    target = f"{strategies['random']['rmse']['mean'][-1]:.3f}"
    ours = words.never if saved[OURS]["ratio"] is None else words.interval.format(**saved[OURS])
    return f"| {' | '.join([starred(row['set']), row['pool'], target, *needed, ours])} |"


def starred(name: str) -> str:
    """The name of a set, with a star if nobody else can have the same rows."""
    return name + ("\\*" if name in NOT_THE_SAME else "")


def _clear(row: dict[str, Any], words: Words) -> str:
    strategies = row["strategies"]
    highest = dict(zip(strategies["stages"], strategies[OURS]["minus popularity"]["high"], strict=True))
    clear = [str(stage) for stage in STAGES if highest[stage] < 0]
    names = {"stages": ", ".join(clear) or words.nowhere, "all": ", ".join(map(str, STAGES))}
    return words.clear.format(data=row["set"], pool=row["pool"], ours=OURS, **names)


def filled(text: str, results: dict[str, Any], words: Words) -> str:
    """A README with what was measured between its marks."""
    for mark, content in (("headline", headline(results)), ("results", table(results, words))):
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
