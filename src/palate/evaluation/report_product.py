"""The report of a product: somebody who arrives, lists by how much is known, what questions bring, new items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from palate.evaluation.headline import in_letters, things
from palate.evaluation.html import Cell, Markup, facts, folded, page, table, tag
from palate.evaluation.product import asked
from palate.evaluation.report_people import people

NDCG = "ndcg@10"
NAMES = {"recent-popularity": "popular lately", "item-knn": "item-kNN", "ease": "EASE", "ials": "iALS"}
TAKEN = "♥ took it up later"
Interval = Mapping[str, Any]


def render_product(document: Mapping[str, Any], *, title: str, commands: Sequence[str]) -> str:
    """The report of `palate demo PRODUCT` as HTML; what the data cannot say is said in its place.

    Args:
        document: As :func:`palate.evaluation.product.product_table` gives it, with ``arrived``
            (:func:`palate.evaluation.first_events.first_events`) and ``headline``.
    """
    what = things(document["dataset"]["name"])
    parts = [("arrived", "Somebody arrives", [*_arrived(document["arrived"], what)])] if document["arrived"] else []
    met = (document["questions"] or {}).get("people")
    if met:
        parts.append(("people", "Three people are asked", [*people(met, what)]))
    sections = {
        "lists": ("Lists, by how much is known", _lists),
        "questions": ("What questions bring", _questions),
        "new_items": (f"New {what}", _new_items),
    }
    first = tag("p", document["headline"], cls="headline")
    for name, (heading, shown) in sections.items():
        found = document[name]
        body = [*shown(found, what)] if found else [tag("p", f"Left out: {document['left_out'][name]}.", cls="soft")]
        parts.append((name, heading, [first, *body] if name == "lists" else body))
    parts.append(("done", "How it was done", [*_done(document, commands)]))
    return page(title, parts)


def _arrived(arrived: Mapping[str, Any], what: str) -> Iterator[Markup]:
    yield tag(
        "p",
        f"The model has never seen person {arrived['user']}, who was drawn by chance. It is told three things that "
        f"they did; {arrived['later']} more {what} they took up later, of which it is told nothing.",
    )
    yield tag(
        "article",
        tag(
            "div",
            tag("p", tag("strong", "The list before")),
            tag("ol", *(_item(item, reason=False) for item in arrived["before"]), cls="list"),
        ),
        tag(
            "div",
            tag("p", tag("strong", "The list after "), "; ".join(arrived["first"])),
            tag("ol", *(_item(item, reason=True) for item in arrived["after"]), cls="list"),
        ),
        cls="person",
    )


def _item(item: Mapping[str, Any], *, reason: bool) -> Markup:
    marks = [tag("span", TAKEN, cls="liked")] if item["taken"] else []
    why = [tag("span", item["reason"], cls="why")] if reason else []
    return tag("li", tag("span", item["title"], cls="title"), *marks, *why)


def _lists(lists: Mapping[str, Any], what: str) -> Iterator[Markup]:
    stages, models = lists["stages"], models_of(lists)
    yield tag(
        "p",
        f"NDCG@10 of the list of somebody new, out of all {lists['items']:,} {what}: 1 if all that they took up later "
        "comes first. Every other recommender is tuned for each column on people held back; compared is with the one "
        "that turned out best on the people tested.",
    )
    yield table(
        "NDCG@10 after so many events, higher is better; 95 % interval below",
        ["Recommender", *stages],
        ([NAMES.get(name, name), *(_cell(found[NDCG].get(name)) for found in stages.values())] for name in models),
        strong="palate",
    )
    yield table(
        "Palate less the best other",
        ["After", "People", "Best other", "Difference"],
        (
            [
                n,
                Cell(f"{found['people']:,}"),
                NAMES.get(found["best_rival"], found["best_rival"]),
                Cell(*_signed(found)),
            ]
            for n, found in stages.items()
            if "best_rival" in found
        ),
    )
    for name, why in lists["left_out"].items():
        yield tag("p", f"Left out: {NAMES.get(name, name)} ({why}).", cls="soft")


def models_of(lists: Mapping[str, Any]) -> list[str]:
    """Palate and every other that some stage has."""
    return list(dict.fromkeys(name for found in lists["stages"].values() for name in found[NDCG]))


def _questions(questions: Mapping[str, Any], what: str) -> Iterator[Markup]:
    yield tag(
        "p",
        f"NDCG@10 of the list of somebody new after so many questions. Questions are about one half of the {what}, the "
        "list is made of the other; one that somebody cannot answer is spent.",
    )
    yield table(
        "NDCG@10 after so many questions; 95 % interval below",
        ["Questions", "Palate's", f"About popular {what}", "Palate's less those"],
        (
            [str(n), _cell(one["palate"]), _cell(one["popularity"]), Cell(*_difference(one["palate_minus_popularity"]))]
            for n, one in asked(questions).items()
        ),
        stacked=False,
    )


def _new_items(new: Mapping[str, Any], what: str) -> Iterator[Markup]:
    yield tag(
        "p",
        f"A fifth of the {what}, {new['items']:,}, is hidden with all that was done about them. Of {new['people']:,} "
        "people who took up any of these, the hidden ones are put in order by their content alone.",
    )
    rows = {"palate": "palate", "tf-idf": "TF-IDF of the words", "random": "at random"}
    yield table(
        "NDCG@10 of the hidden items; 95 % interval below",
        ["Order", "NDCG@10", "Palate less it"],
        (
            [
                said,
                _cell(new[NDCG][name]),
                Cell(*_difference(new["palate_minus"][name])) if name in new["palate_minus"] else Cell("–"),
            ]
            for name, said in rows.items()
        ),
        strong="palate",
    )


def _done(document: Mapping[str, Any], commands: Sequence[str]) -> Iterator[Markup]:
    data = document["dataset"]
    yield facts(
        [
            (
                "Data",
                f"{data['name']}: {data['users']:,} users, {data['items']:,} items, {data['interactions']:,} rows",
            ),
            ("Seed", str(document["seed"])),
            ("SHA-256 of the data", data["sha256"]),
        ]
    )
    yield folded("The same again", tag("pre", "\n".join(commands)))


def _cell(figures: Interval | None) -> Cell:
    if figures is None or figures["mean"] is None:
        return Cell("–")
    return Cell(f"{figures['mean']:.3f}", f"{figures['low']:.3f} to {figures['high']:.3f}")


def _signed(found: Mapping[str, Any]) -> tuple[str, str]:
    return _difference(found["palate_minus_best"])


def _difference(figures: Interval) -> tuple[str, str]:
    low, mean, high = (f"{figures[end]:+.3f}".replace("-", "−") for end in ("low", "mean", "high"))
    return mean, f"{low} to {high}"


def product_headline(document: Mapping[str, Any]) -> str:
    """What the table comes to, in a sentence or two: lists after three events, and five questions."""
    what, said = things(document["dataset"]["name"]), []
    lists = document["lists"]
    of_three = (lists or {"stages": {}})["stages"].get("3")
    if of_three and "best_rival" in of_three:
        best = of_three["best_rival"]
        mean, band = _difference(of_three["palate_minus_best"])
        said.append(
            f"After three events the list of somebody new has an NDCG@10 of {of_three[NDCG]['palate']['mean']:.3f}, "
            f"that of the best other, {NAMES.get(best, best)}, {of_three[NDCG][best]['mean']:.3f} ({mean}, {band})."
        )
    if document["questions"]:
        five = asked(document["questions"])[5]
        mean, band = _difference(five["palate_minus_popularity"])
        said.append(
            f"After {in_letters(5)} questions and nothing else it is {five['palate']['mean']:.3f}; about popular "
            f"{what}, {five['popularity']['mean']:.3f} ({mean}, {band})."
        )
    return " ".join(said) or "This data can say nothing of new people."
