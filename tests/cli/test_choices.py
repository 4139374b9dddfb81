"""Choices on the command line: what is named, picked or clicked, and an interview that asks for a name."""

from __future__ import annotations

import pytest

from palate import Learner
from tests.cli.folders import kept


def test_what_somebody_names_unasked_is_kept(cli, model):
    result = cli("tell", model, "--user", "ann", "--kind", "recall", "--item", "i05")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Kept: likes ") and "(i05), key " in result.out
    again = cli("tell", model, "--user", "ann", "--form", "recall", "--item", "i05", "--key", "k", "--json").json
    assert (again["form"], again["item_id"], again["value"]) == ("recall", "i05", 1.0)
    assert cli("undo", model, "--user", "ann").out.startswith("Taken back: likes ")
    assert [(answer.form.value, answer.item_id) for answer in kept(model)] == [("recall", "i05")]


def test_titles_are_found_in_what_somebody_writes(cli, model):
    titles = Learner.load(model).model.catalogue.names[:2]
    text = f'I like "{titles[1]}" and also "{titles[0]}", nothing else'
    found = cli("tell", model, "--user", "ann", "--kind", "recall", "--text", text, "--json").json
    assert [row["item_id"] for row in found["labels"]] == [
        Learner.load(model).model.catalogue.ids[place] for place in (1, 0)
    ]
    assert {row["form"] for row in found["labels"]} == {"recall"} and found["user"] == "ann"
    assert len(kept(model)) == 2


def test_picks_and_slates_are_told(cli, model):
    pick = cli(
        "tell", model, "--user", "ann", "--form", "pick", "--item", "i01", "--others", "i02,i03", "--answer", "i02"
    )
    assert " best of " in pick.out and "(i01), key " in pick.out
    slate = ("tell", model, "--user", "ann", "--form", "slate", "--item", "i04", "--others", "i05,i06")
    assert cli(*slate, "--answer", "none").out.startswith("Kept: clicked none of ")
    assert cli(*slate, "--answer", "i06,i04").out.startswith("Kept: clicked ")
    assert [answer.tapped for answer in kept(model)] == [("i02",), (), ("i06", "i04")]
    alone = cli("tell", model, "--user", "bob", "--form", "slate", "--item", "i04", "--answer", "i04")
    assert alone.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--item", "i01"], "no answer is given. Give --answer: a number from 1 to 5, unknown, no-opinion, skip."),
        (["--kind", "recall"], "a naming has 0 items. Give the id of the one that was named, or the kind skipped."),
        (["--kind", "recall", "--item", "nosuch"], "item 'nosuch' is not in the model (40 items). "),
        (
            ["--kind", "recall", "--item", "i01", "--answer", "5"],
            "the answer '5' is unknown. Leave it out: what was named is the --item.",
        ),
        (["--kind", "recall", "--text", ""], "the text is empty. Write what is liked, or name it with --item."),
        (["--kind", "recall", "--text", " \n"], "the text is empty. Write what is liked, or name it with --item."),
        (
            ["--kind", "recall", "--text", "good ones"],
            "no title of the 40 items is in the text 'good ones'. Put titles in quotes, or give --item.",
        ),
        (
            ["--kind", "recall", "--text", "x" * 100_001],
            "the text 'xxxxxxxxxx",
        ),
        (
            ["--text", "x"],
            "--text holds what somebody named, and the form is rate. Give --kind recall and no --item.",
        ),
        (
            ["--kind", "recall", "--text", "x", "--item", "i01"],
            "--text holds what somebody named, and the item 'i01' is given too. Give --kind recall and no --item.",
        ),
        (
            ["--kind", "slate", "--item", "i01", "--others", "i02", "--answer", "i03"],
            "item 'i03' was clicked and not offered. Give items of the slate.",
        ),
        (
            ["--kind", "pick", "--item", "i01", "--others", "i02", "--answer", "none"],
            "of a pick 0 items are picked. Give the one that was picked.",
        ),
        (
            ["--kind", "pick", "--item", "i01", "--answer", "i01"],
            "a pick has 1 item. Give at least 2 different ones.",
        ),
    ],
)
def test_choices_that_cannot_be_told(cli, model, arguments, message):
    result = cli("tell", model, "--user", "ann", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Error: {message}")
    assert kept(model) == []


def test_ask_to_name_one(cli, model):
    document = cli("ask", model, "--user", "ann", "--forms", "recall,rate", "-k", "2", "--json").json
    first, second = document["questions"]
    assert (first["form"], first["item_id"], first["title"]) == ("recall", "", "Name something you like")
    assert first["text"] == "Name one you like." and second["form"] == "rate"
    result = cli("ask", model, "--user", "ann", "--forms", "slate")
    assert (
        result.err
        == "Error: a slate is heard when it has been shown, it cannot be asked. Leave slate out, or give pick.\n"
    )


def test_an_interview_completes_titles(cli, model):
    learner = Learner.load(model)
    (most,) = learner.search("item", 1) or learner.search(learner.model.catalogue.names[0][:3], 1)
    typed = most.title[:3]
    talk = cli("interview", model, "--user", "ann", "--forms", "recall,rate", stdin=f"qqqq\n\n{typed}\n1\nz\nu\n4\nq\n")
    assert talk.code == 0, talk.err
    assert "1. Name something you like" in talk.out and "a title, or its first letters · ? help" in talk.out
    assert "Nothing is called like 'qqqq'. Type another title; ? help" in talk.out
    assert f"1 {most.title}" in talk.out and f"Kept: likes {most.title}" in talk.out
    assert f"Taken back: likes {most.title}" in talk.out
    assert [(answer.form.value, answer.kind.value) for answer in kept(model)] == [
        ("recall", "unknown"),
        ("rate", "rating"),
    ]
    whole = cli("interview", model, "--user", "bob", "--forms", "recall", stdin=f"{most.title}\nq\n")
    assert f"Kept: likes {most.title}" in whole.out


def test_an_interview_asks_for_the_best(cli, model):
    talk = cli("interview", model, "--user", "ann", "--forms", "pick", stdin="2\nq\n")
    assert "1. Which of these do you like best?\n   1 " in talk.out and "the number of the best · ? help" in talk.out
    (answer,) = kept(model)
    assert answer.form.value == "pick" and answer.tapped == (answer.items[1],)
    assert " best of " in talk.out
