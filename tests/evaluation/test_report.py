from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from palate.evaluation.report import render_report

NASTY = "<script>alert('x')</script> & \"q\" </style>"
VOID = {"meta", "img"}


def band(*means):
    return {"mean": list(means), "low": [mean - 0.1 for mean in means], "high": [mean + 0.1 for mean in means]}


def simulation(name="A world"):
    def strategy(*means, ratio, high=2.5):
        return {
            "rmse": band(*means),
            "answered": [0.0, 0.5, 0.25],
            "labels_saved": {"metric": "rmse", "ratio": ratio, "low": 1.5, "high": high},
            "ask_milliseconds": {"median": 1.234, "p99": 5.0},
        }

    return {
        "palate": "0.1.0",
        "dataset": {"name": name, "users": 1943, "items": 5, "interactions": 50, "sha256": "0" * 64},
        "protocol": {
            "name": "new-users",
            "pool": "open",
            "fit_users": 8,
            "test_users": 2,
            "budget": 5,
            "seeds": [0, 1],
        },
        "budgets": [0, 2, 5],
        "strategies": {
            "random": strategy(1.0, 0.99, 0.98, ratio=1.0),
            "epig": strategy(1.0, 0.95, 0.9123, ratio=2.0, high=None),
            "entropy": strategy(1.0, 1.0, 1.0, ratio=None),
        },
    }


def users(word="Alien"):
    items = [{"title": word, "score": 4.56, "std": 0.5, "reason": f"like {word}"}]
    profile = [{"category": word, "mean": 3.5, "low": 3.0, "high": 4.0}]
    return [{"user": word, "liked": [word], "items": items, "profile": profile}]


def conversation(word="Alien"):
    turn = {"question": word, "why": f"{word} tells most", "answer": "5 of 5", "after": ["b", word, "a"]}
    return {"user": word, "before": ["a", "b", "c"], "turns": [turn]}


def evaluation(word="ease"):
    names = ("ndcg", "precision", "recall", "f1", "hit_rate", "mrr")
    figures = {f"{name}@10": {"mean": 0.4567, "low": 0.4, "high": 0.5} for name in names}
    behind = {f"{name}@10": {"mean": -0.0123, "low": -0.02, "high": None} for name in names}
    figures["recall@20"] = figures["recall@10"]
    model = {"metrics": figures, "behind_best": behind, "coverage@10": 0.125}
    group = {"users": 450, "best": word, "models": {word: model}}
    settings = {"settings": f"{word}(1)", "at_edge": {word: 5.0}, "fallback": word, "fit_seconds": 1.0}
    return {
        "k": 10, "users": 900, "users_without_positives": 43, "dataset": word, "split": "random",
        "with_history": group, "without_history": group, "models": {word: settings}, "left_out": {"ials": word},
        "notes": [word],
    }  # fmt: skip


@cache
def everything(word="Alien"):
    return render_report(
        title=f"Report {word}",
        headline=f"Headline {word}",
        proposed="epig",
        simulation=simulation(word),
        recommendations=users(word),
        conversation=conversation(word),
        evaluation=evaluation(word),
        commands=[f"palate demo {word}"],
    )


class Outline(HTMLParser):
    """Checks that elements nest, and keeps what a reader and a browser would find."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_well_formed_and_says_the_headline_first():
    page = Outline(everything())
    assert page.all("html") == [{"lang": "en"}]
    assert page.text.index("Headline Alien") < page.text.index("What was done")


def test_nothing_is_fetched_from_anywhere():
    document = everything()
    page = Outline(document)
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img"))
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\(|@import", re.sub(r"base64,[^\"]*", "", document))
    assert "default-src 'none'" in document


def test_all_text_is_escaped_wherever_it_comes_in():
    document = everything(NASTY)
    page = Outline(document)
    assert not page.all("script")
    assert "<script>alert" not in document
    assert document.count("</style>") == 1
    outside_attributes = sum(NASTY in word for word in page.words)
    assert outside_attributes >= 15


def test_only_what_is_given_has_a_section():
    page = Outline(render_report(title="t", headline="h", proposed="epig"))
    assert page.all("section") == []
    assert [section["id"] for section in Outline(everything()).all("section")] == [
        "done", "curves", "strategies", "recommendations", "loop", "evaluation", "again",
    ]  # fmt: skip


def test_every_link_of_the_contents_leads_somewhere():
    page = Outline(everything())
    targets = {section["id"] for section in page.all("section")}
    assert {(link["href"] or "").removeprefix("#") for link in page.all("a")} == targets


def test_tables_name_their_rows_and_columns_and_pictures_say_what_they_show():
    page = Outline(everything())
    assert {head.get("scope") for head in page.all("th")} == {"row", "col"}
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(image["alt"] for image in page.all("img"))
    assert [row for row in page.all("tr") if row.get("class") == "proposed"]


@pytest.mark.parametrize(
    "figure",
    [
        "0.9123", "0.8123 to 1.0123",  # error and its interval
        "25 %",  # answered
        "2.0 ×", "1.5 to –",  # labels saved, without an upper end
        "1.23", "5.00",  # milliseconds
        "4.56 ± 0.50", "3.50 (3.00 to 4.00)",  # one recommendation, one interest
        "0.457", "0.400 to 0.500", "12.5 %", "−0.012", "450 users without a history", "Alien=5",  # the evaluation
        "1,943 users, 5 items, 50 interactions", "900 judged, 43 without a test interaction",
    ],
)  # fmt: skip
def test_figures_are_shown_with_their_intervals(figure):
    assert figure in Outline(everything()).text


def test_the_loop_says_how_the_list_moved():
    page = Outline(everything())
    moved = [word.strip() for word in page.words if "▲" in word or "▼" in word]
    assert moved == ["▲ up 1", "▲ new", "▼ down 2"]


def test_what_was_never_reached_is_a_dash_not_a_nan():
    never = simulation()
    never["strategies"]["epig"]["rmse"] = {part: [None] * 3 for part in ("mean", "low", "high")}
    text = Outline(render_report(title="t", headline="h", proposed="epig", simulation=never)).text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "– to –" in text


def test_an_evaluation_goes_into_the_report_as_it_comes():
    from palate.evaluation.baselines import Interactions, Popularity
    from palate.evaluation.ranking import evaluate_ranking

    rng = np.random.default_rng(0)
    users_, items_ = np.nonzero(rng.random((20, 12)) < 0.5)
    nothing = np.full(len(users_), np.nan)
    world = Interactions(users_, items_, np.ones(len(users_)), nothing, 20, 12)
    half = rng.random(len(users_)) < 0.5
    found = evaluate_ranking({"popularity": [Popularity()]}, world.where(half), None, world.where(~half), rng=rng)
    document = render_report(title="t", headline="h", proposed="popularity", evaluation=found)
    own = found["with_history"]["models"]["popularity"]
    assert f"{own['metrics']['ndcg@10']['mean']:.3f}" in Outline(document).text
