"""Writes measured figures into the pages that show them, in both languages: ``python docs/generate_figures.py``.

A figure stands between ``<!-- figures NAME -->`` and ``<!-- /figures -->``. A test compares what stands there with what
this gives, so no figure can outlive its measurement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLACE = re.compile(r"(<!-- figures ([a-z-]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
LIST = "list-ndcg@10"
EARLY, LATE = 2, 10  # questions after which lists are shown
KNOWN = 10  # events of a new person
FEWEST = 20  # people of whom an interval is counted
STAGES = (0, 1, 3, 10)
NOT_THE_SAME = (
    "jester",
    "goodbooks",
    "steam-play",
    "kuairand-pure-cut",
    "bing-news",
    "mind-cut",
    "emotify",
)  # data-sets.md

ENGLISH = {
    "range": "{mean} ({low} to {high})",
    "tally": "of {sets} sets ahead on {ahead}, level on {level}, behind on {behind}",
    "questions": (
        "- **Two questions.** {set}, people never seen: the list has an NDCG@10 of {start} before any question and "
        "{ours} after two of Palate's, {more} more than after two about popular items; {tally}."
    ),
    "newcomers": (
        "- **Ten events.** {set}, new people of whom ten events are known: {ours}, {more} more than the best of five "
        "tuned rivals (popularity, recent popularity, item-kNN, EASE, iALS); {tally}. With three events: "
        "{tally_3}. With none: {tally_0}."
    ),
    "new-items": (
        "- **New items.** {set}, lists of items that nobody has acted on: {ours}, {more} more than a TF-IDF profile of "
        "what each person liked; {tally}."
    ),
    "speed": (
        "A fit of {small} generated ratings takes {seconds} s and {memory} MiB on two cores, one of {large} "
        "{seconds_large} s and {memory_large} MiB; MovieLens-100K {movielens} s."
    ),
    "newcomer": (
        "From a clone to your own table on a page: {reading} minutes to read the README and this page up to here "
        "({words} words), {typing} to type, {waiting} to wait for the machine."
    ),
    "load": (
        "With {items} items on two cores, the client's work included: {labels} labels a second one by one, each on the "
        "disk before its answer; {kept} lists a second that have not changed, {anew} that have."
    ),
    "promise": (
        "On three sets, with nine tenths promised: people labelled {least} to {most} of the items, {worst} to {best} "
        "of all labels were right, and the promise was missed in {missed} of 100 campaigns at most."
    ),
    "start": ("", "Palate", "beside", "more", "sets ahead / level / behind"),
    "start-rows": (
        ("two questions to somebody never seen ({set})", "{other}, two about popular items"),
        ("ten events of somebody new ({set})", "{other}, {name}, the best of five tuned rivals"),
        ("items that nobody has acted on ({set})", "{other}, TF-IDF profile of what each person liked"),
    ),
    "results": (
        "data",
        "lists",
        "before any question",
        f"{EARLY} questions about popular items",
        f"{EARLY} of Palate's",
        "more",
        f"{LATE} about popular items",
        f"{LATE} of Palate's",
        "more",
        "20 at random",
    ),
    "newcomers-table": ("data", "events known", "people", "Palate", "best rival", "its list", "more"),
    "new-items-table": ("data", "people", "Palate", "TF-IDF profile", "more"),
}
CHINESE = {
    "range": "{mean}（{low} 到 {high}）",
    "tally": "{sets} 个数据集中领先 {ahead} 个，持平 {level} 个，落后 {behind} 个",
    "questions": (
        "- **问 2 个问题。** {set}，从未见过的用户：提问前列表的 NDCG@10 为 {start}，Palate 问完 2 个问题后为 {ours}，"
        "比问 2 个热门物品高 {more}；{tally}。"
    ),
    "newcomers": (
        "- **10 条行为。** {set}，只有 10 条行为的新用户：{ours}，比 5 个调过参的基线"
        "（热门、近期热门、item-kNN、EASE、iALS）中最好的高 {more}；{tally}。"
        "只有 3 条行为时：{tally_3}。没有行为时：{tally_0}。"
    ),
    "new-items": ("- **新物品。** {set}，只含零交互物品的列表：{ours}，比 TF-IDF 用户画像高 {more}；{tally}。"),
    "speed": (
        "双核机器上，训练 {small} 条生成的评分需 {seconds} 秒、{memory} MiB 内存，{large} 条需 {seconds_large} 秒、"
        "{memory_large} MiB；MovieLens-100K 需 {movielens} 秒。"
    ),
    "newcomer": (
        "从 clone 到自己的表上网：读 README 和本页至此约 {reading} 分钟（按英文版 {words} 词计），"
        "敲命令 {typing} 分钟，等机器 {waiting} 分钟。"
    ),
    "load": (
        "{items} 个物品，双核（压测客户端也跑在上面）：逐条写入回答每秒 {labels} 条，每条都先落盘再应答；"
        "未变化的列表每秒 {kept} 个，需要重算的每秒 {anew} 个。"
    ),
    "promise": (
        "在 3 个数据集上承诺九成正确：人工只标了 {least} 到 {most} 的物品，全部标签的正确率为 {worst} 到 {best}，"
        "每 100 次任务中未达到承诺的最多 {missed} 次。"
    ),
    "start": ("", "Palate", "对照", "提升", "数据集：领先 / 持平 / 落后"),
    "start-rows": (
        ("向从未见过的用户问 2 个问题（{set}）", "{other}，问 2 个热门物品"),
        ("新用户只有 10 条行为（{set}）", "{other}，{name}，5 个调过参的基线中最好的"),
        ("零交互的新物品（{set}）", "{other}，TF-IDF 用户画像"),
    ),
    "results": (
        "数据",
        "列表数",
        "提问前",
        f"{EARLY} 个热门问题",
        f"Palate 的 {EARLY} 个问题",
        "提升",
        f"{LATE} 个热门问题",
        f"Palate 的 {LATE} 个问题",
        "提升",
        "20 个随机问题",
    ),
    "newcomers-table": ("数据", "已知行为数", "人数", "Palate", "最好的基线", "基线的列表", "提升"),
    "new-items-table": ("数据", "人数", "Palate", "TF-IDF 画像", "提升"),
}


@cache
def kept(name: str) -> dict[str, Any]:
    """A kept result."""
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def starred(name: str) -> str:
    """The name of a set, with a star if nobody else can have the same rows."""
    return name + ("\\*" if name in NOT_THE_SAME else "")


def more(gain: dict[str, float], words: dict[str, Any]) -> str:
    """A difference with its interval."""
    ends = {end: f"{gain[end]:+.3f}".replace("-", "−") for end in ("mean", "low", "high")}
    return str(words["range"].format(**ends))


def counts(gains: list[dict[str, float]]) -> tuple[int, int, int]:
    """On how many sets an interval lies above 0, around it, below it."""
    ahead, behind = sum(gain["low"] > 0 for gain in gains), sum(gain["high"] < 0 for gain in gains)
    return ahead, len(gains) - ahead - behind, behind


def tally(gains: list[dict[str, float]], words: dict[str, Any]) -> str:
    """The same in words."""
    ahead, level, behind = counts(gains)
    return str(words["tally"].format(sets=len(gains), ahead=ahead, behind=behind, level=level))


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def at(row: dict[str, Any], way: str, stage: int, figure: str = LIST) -> dict[str, float]:
    """The figure of a way to ask after so many questions."""
    found, place = row["ways"][way][figure], row["stages"].index(stage)
    return {end: float(found[end][place]) for end in ("mean", "low", "high")}


def gains_of_questions() -> list[dict[str, float]]:
    """What two questions of Palate's gain over two about popular items, on each set."""
    found = kept("list_questions")
    return [at(row, found["default"], EARLY, "minus popularity") for row in found["rows"]]


def gains_of_newcomers(stage: int) -> list[dict[str, float]]:
    """What Palate's list gains over the best rival's, on each set with enough new people."""
    found = [row["stages"][str(stage)] for row in kept("history")["rows"]]
    return [one["ndcg@10"]["palate_minus_best"] for one in found if one["people"] >= FEWEST]


def gains_of_new_items() -> list[dict[str, float]]:
    """What Palate's list of hidden items gains over a TF-IDF profile, on each set."""
    return [row["palate_minus"]["profile"]["list ndcg@10"] for row in kept("cold_items")["rows"]]


def questions(words: dict[str, Any]) -> str:
    """What two questions to somebody never seen are worth."""
    found = kept("list_questions")
    row, ours = found["rows"][0], found["default"]
    gains = gains_of_questions()
    start, level = at(row, ours, 0)["mean"], at(row, ours, EARLY)["mean"]
    return str(
        words["questions"].format(
            set=row["set"],
            start=f"{start:.3f}",
            ours=f"{level:.3f}",
            more=more(gains[0], words),
            tally=tally(gains, words),
        )
    )


def newcomers(words: dict[str, Any]) -> str:
    """What the list of somebody new is worth beside tuned rivals, by how many events are known."""
    rows = kept("history")["rows"]
    first = rows[0]["stages"][str(KNOWN)]["ndcg@10"]
    return str(
        words["newcomers"].format(
            set=rows[0]["set"],
            ours=f"{first['palate']['mean']:.3f}",
            more=more(first["palate_minus_best"], words),
            tally=tally(gains_of_newcomers(KNOWN), words),
            tally_3=tally(gains_of_newcomers(3), words),
            tally_0=tally(gains_of_newcomers(0), words),
        )
    )


def new_items(words: dict[str, Any]) -> str:
    """What a list of items is worth that nobody has acted on."""
    rows = kept("cold_items")["rows"]
    gains = gains_of_new_items()
    return str(
        words["new-items"].format(
            set=rows[0]["set"],
            ours=f"{rows[0]['ways']['palate']['list ndcg@10']['mean']:.3f}",
            more=more(gains[0], words),
            tally=tally(gains, words),
        )
    )


def start(words: dict[str, Any]) -> str:
    """The three figures of the start page, each on the first set of its result, and on how many sets it holds."""
    asked, known, fresh = (kept(name)["rows"] for name in ("list_questions", "history", "cold_items"))
    ours, first = kept("list_questions")["default"], known[0]["stages"][str(KNOWN)]["ndcg@10"]
    sets, new = [one[0]["set"] for one in (asked, known, fresh)], fresh[0]["ways"]
    levels = [
        (at(asked[0], ours, EARLY)["mean"], at(asked[0], "popularity", EARLY)["mean"], ""),
        (first["palate"]["mean"], first[first["best_rival"]], first["best_rival"]),
        (new["palate"]["list ndcg@10"]["mean"], new["profile"]["list ndcg@10"]["mean"], ""),
    ]
    gains = [gains_of_questions(), gains_of_newcomers(KNOWN), gains_of_new_items()]
    firsts = [gains[0][0], first["palate_minus_best"], gains[2][0]]
    rows = []
    for what, data, (own, other, name), gain, all_gains in zip(
        words["start-rows"], sets, levels, firsts, gains, strict=True
    ):
        ahead, level, behind = counts(all_gains)
        row = [cell.format(set=data, other=f"{other:.3f}", name=name) for cell in what]
        rows.append([row[0], f"{own:.3f}", row[1], more(gain, words), f"{ahead} / {level} / {behind}"])
    return table(words["start"], rows)


def speed(words: dict[str, Any]) -> str:
    """What a fit takes."""
    found = kept("speed")
    small, large = found["growth"][0], found["growth"][-1]
    return str(
        words["speed"].format(
            small=f"{small['ratings']:,}",
            seconds=f"{small['seconds']:.0f}",
            memory=f"{small['peak_mib']:,.0f}",
            large=f"{large['ratings']:,}",
            seconds_large=f"{large['seconds']:.0f}",
            memory_large=f"{large['peak_mib']:,.0f}",
            movielens=f"{found['movielens_100k_fit_seconds']:.1f}",
        )
    )


def newcomer(words: dict[str, Any]) -> str:
    """What the way to the own page takes."""
    found = kept("newcomer_path")
    minutes = {name: f"{found['minutes'][name]:.1f}" for name in ("reading", "typing", "waiting")}
    return str(words["newcomer"].format(words=f"{found['words']:,}", **minutes))


def load(words: dict[str, Any]) -> str:
    """What the service carries."""
    found = kept("service_load")
    rates = {row["what"]: f"{row['per_second']:,.0f}" for row in found["rows"]}
    return str(
        words["load"].format(
            items=f"{found['items']:,}",
            labels=rates["labels, one by one"],
            kept=rates["lists of 200 users"],
            anew=rates["lists, each worked out anew"],
        )
    )


def promise(words: dict[str, Any]) -> str:
    """What labels with a promise took from people."""
    rows = kept("honest_labels")["rows"]
    people, right = ([row[name]["mean"] for row in rows] for name in ("human_share", "accuracy"))
    return str(
        words["promise"].format(
            least=f"{min(people):.0%}",
            most=f"{max(people):.0%}",
            worst=f"{min(right):.1%}",
            best=f"{max(right):.1%}",
            missed=round(100 * max(row["missed"]["share"] for row in rows)),
        )
    )


def results(words: dict[str, Any]) -> str:
    """Quality of the list after questions, a row for each set."""
    found = kept("list_questions")
    ours, rows = found["default"], []
    for row in found["rows"]:
        cells = [starred(row["set"]), f"{row['users']:,}", f"{at(row, 'random', 0)['mean']:.3f}"]
        for stage in (EARLY, LATE):
            cells += [f"{at(row, way, stage)['mean']:.3f}" for way in ("popularity", ours)]
            cells.append(more(at(row, ours, stage, "minus popularity"), words))
        rows.append([*cells, f"{at(row, 'random', row['stages'][-1])['mean']:.3f}"])
    return table(words["results"], rows)


def newcomers_table(words: dict[str, Any]) -> str:
    """The lists of new people, a row for each set and number of events."""
    rows = []
    for one in kept("history")["rows"]:
        for stage in STAGES:
            found = one["stages"][str(stage)]
            list_of, rival = found["ndcg@10"], found["ndcg@10"]["best_rival"]
            cells = [starred(one["set"]), str(stage), f"{found['people']:,}", f"{list_of['palate']['mean']:.3f}"]
            rows.append([*cells, rival, f"{list_of[rival]:.3f}", more(list_of["palate_minus_best"], words)])
    return table(words["newcomers-table"], rows)


def new_items_table(words: dict[str, Any]) -> str:
    """Lists of items that nobody has acted on, a row for each set."""
    rows = []
    for one in kept("cold_items")["rows"]:
        levels = [f"{one['ways'][way]['list ndcg@10']['mean']:.3f}" for way in ("palate", "profile")]
        gain = more(one["palate_minus"]["profile"]["list ndcg@10"], words)
        rows.append([starred(one["set"]), f"{one['people']:,}", *levels, gain])
    return table(words["new-items-table"], rows)


FIGURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "start": start,
    "questions": questions,
    "newcomers": newcomers,
    "new-items": new_items,
    "speed": speed,
    "newcomer": newcomer,
    "load": load,
    "promise": promise,
    "results": results,
    "newcomers-table": newcomers_table,
    "new-items-table": new_items_table,
}


def pages() -> list[Path]:
    """Every page that shows figures, in both languages."""
    docs = ROOT / "docs"
    found = [*ROOT.glob("README*.md"), *docs.glob("*.md"), *docs.glob("guides/*.md"), *docs.glob("zh/*.md")]
    return sorted(path for path in found if PLACE.search(path.read_text(encoding="utf-8")))


def words_of(page: Path) -> dict[str, Any]:
    """The words of a page's language."""
    return CHINESE if page.parent.name == "zh" or page.name == "README.zh-CN.md" else ENGLISH


def filled(text: str, words: dict[str, Any]) -> str:
    """A page with what was measured between its marks."""

    def figure(place: re.Match[str]) -> str:
        if place[2] not in FIGURES:
            raise ValueError(f"there are no figures {place[2]!r}. Take one of {', '.join(FIGURES)}.")
        return f"{place[1]}\n{FIGURES[place[2]](words)}\n\n{place[3]}"

    return PLACE.sub(figure, text)


def main() -> None:
    """Rewrite every page that shows figures."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text, words_of(page)), encoding="utf-8")


if __name__ == "__main__":
    main()
