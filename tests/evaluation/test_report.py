from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from palate.evaluation.report import render_report

NASTY = "<script>alert('x')</script> & \"q\" </style>"
VOID = {"meta"}


def band(*means):
    return {"mean": list(means), "low": [mean - 0.1 for mean in means], "high": [mean + 0.1 for mean in means]}


def simulation(name="A world of films"):
    def strategy(*means, ratio, high=2.5):
        return {
            "list-hits@10": band(*means),
            "list-ndcg@10": band(*(mean / 10 for mean in means)),
            "rmse": band(1.0, 0.99, 0.98),
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
            "like": 4.0,
            "budget": 5,
            "seeds": [0, 1],
        },
        "metric": "list-ndcg@10",
        "budgets": [0, 2, 5],
        "people": None,
        "strategies": {
            "random": strategy(2.0, 2.05, 2.1, ratio=1.0),
            "popularity": strategy(2.0, 2.25, 2.31, ratio=1.0),
            "list-value": strategy(2.0, 2.3, 2.4123, ratio=2.0, high=None),
            "entropy": strategy(2.0, 2.0, 2.0, ratio=None),
        },
    }


def people(word="Alien"):
    def item(name, place=None, *, liked=False):
        why = {"expected": word, "reason": f"like {word}", "place_before": place}
        return {"item_id": name, "title": name, "liked": liked, **why}

    after, before = [item("b", 1), item(word, liked=True), item("a", 0)], [item("a"), item("b"), item(word * 2)]
    turns = [{"question": word, "answer": "5 of 5", "known": True}]
    one = {"user": word, "likes": [word], "likes_found": 12, "turns": turns, "before": before, "after": after}
    rule = {"seed": 7, "least": 10, "of": 20, "among": 30, "questions": 5}
    return {"rule": rule, "people": [one, one | {"before": after}, one | {"before": after, "after": before}]}


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
        certainty=f"Certainty {word}",
        proposed="list-value",
        simulation=simulation(word) | {"people": people(word)},
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


def test_people_come_first_then_the_sentence_then_numbers_and_the_protocol_last():
    page = Outline(everything())
    assert page.all("html") == [{"lang": "en"}]
    marks = ("Was asked, and said", "Headline Alien", "Certainty Alien", "popular 2.31", "SHA-256", "0" * 64)
    places = [page.text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert [section["id"] for section in page.all("section")] == ["people", "compared", "evaluation", "done"]


def test_at_most_three_strategies_are_open_and_the_others_are_folded_away():
    page = render_report(title="t", headline="h", proposed="list-value", simulation=simulation())
    shut, open_ = page.partition("<details>")[2], page.partition("<details>")[0]
    assert "entropy" not in open_ and "entropy" in shut
    assert len(re.findall("<polyline", page)) == 3
    drawn = re.findall(r'class="name s\d"[^>]*>([^<]*)<', page)
    assert drawn == ["Palate 2.41", "popular 2.31", "random 2.10"]
    heads = re.findall(r'<th role="columnheader"[^>]*>([^<]*)<', open_)
    assert heads == ["Asked", "Palate", "popular", "random"]
    assert "2.41" in open_ and "2.31 to 2.51" in open_


def test_the_three_are_told_of_as_they_are_drawn_and_the_rule_is_stated():
    text = " ".join(Outline(everything()).text.split())
    assert "drawn with the seed 7, from the 20 of 30 people who like at least ten of the items kept back" in text
    assert "The questions helped: 0 of the three were ones they like before any question, 1 are now." in text
    assert "The questions changed nothing for the better: 1 of the three are ones they like, as before." in text
    assert "The questions did harm: 1 of the three were ones they like before any question, 0 are now." in text
    assert "No longer among them: AlienAlien." in text


def test_nothing_is_fetched_from_anywhere():
    document = everything()
    page = Outline(document)
    assert not {"script", "link", "iframe", "object", "form", "img"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\(|@import", document)
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
    assert [section["id"] for section in page.all("section")] == ["said"]
    no_people = Outline(render_report(title="t", headline="h", proposed="list-value", simulation=simulation()))
    assert [section["id"] for section in no_people.all("section")] == ["compared", "done"]


def test_every_link_of_the_contents_leads_somewhere():
    page = Outline(everything())
    targets = {section["id"] for section in page.all("section")}
    assert {(link["href"] or "").removeprefix("#") for link in page.all("a")} == targets


def test_tables_name_their_rows_and_columns_and_the_drawing_says_what_it_shows():
    page = Outline(everything())
    assert {head.get("scope") for head in page.all("th")} == {"row", "col"}
    assert len(page.all("caption")) == len(page.all("table"))
    assert [one["aria-label"] for one in page.all("svg")] == ["Of the ten items on the list, liked, by questions asked"]
    assert all(cell.get("data-label") for cell in page.all("td")), "a narrow screen shows the column's name beside each"
    assert [row for row in page.all("tr") if row.get("class") == "proposed"]


@pytest.mark.parametrize(
    "figure",
    [
        "2.41", "2.31 to 2.51",  # of the ten, and its interval
        "25 %",  # answered
        "2.0 ×", "1.5 to –",  # labels saved, without an upper end
        "1.23", "5.00",  # milliseconds
        "0.457", "0.400 to 0.500", "4.57", "4.00 to 5.00",
        "12.5 %", "−0.012", "450 users without a history", "Alien=5",  # the evaluation
        "1,943 users, 5 items, 50 interactions", "900 judged, 43 without a test interaction",
    ],
)  # fmt: skip
def test_figures_are_shown_with_their_intervals(figure):
    assert figure in Outline(everything()).text


def test_the_list_says_how_it_moved():
    page = Outline(everything())
    moved = [word for word in page.words if re.fullmatch(r"(up|down) \d|new", word)]
    assert moved[:3] == ["up 1", "new", "down 2"]


def test_what_was_never_reached_is_a_dash_not_a_nan():
    never = simulation()
    never["strategies"]["list-value"]["list-hits@10"] = {part: [None] * 3 for part in ("mean", "low", "high")}
    text = Outline(render_report(title="t", headline="h", proposed="list-value", simulation=never)).text
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
