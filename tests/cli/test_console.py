from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console
from rich.text import Text

from palate.cli.console import json_text, line, plain, progress, short, table


def shown(renderable: object, width: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return [row.rstrip() for row in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\u202eevil\u2066", "evil"),
        ("\ud800half", "half"),
        ("a\u200bb\ufeff\u00adc\U000e0041d\u2060e\u2028f", "abcdef"),
        ("雪国  Schnee", "雪国 Schnee"),
    ],
)
def test_plain_text_cannot_steer_a_terminal(text, expected):
    assert plain(text) == expected


def test_a_title_of_any_length_is_cut():
    assert short("x" * 100_000, 10) == "x" * 9 + "…"
    assert short("exactly ten", 11) == "exactly ten"


def test_markup_in_a_title_is_text():
    assert any("[bold]x[/bold]" in row for row in shown(table(["Title"], [["[bold]x[/bold]"]])))


def test_wide_letters_keep_the_columns_aligned():
    rows = shown(table(["Title", ">Score"], [["雪国", "4.5"], ["Snow", "3.25"]]))
    wide, narrow = (next(row for row in rows if word in row) for word in ("雪国", "Snow"))
    assert len(wide) + 2 == len(narrow)  # two letters of two cells each


def test_a_table_fits_the_terminal():
    long = table(["!Item", "Why"], [["i" * 60, "because " * 30]])
    assert max(map(len, shown(long, width=50))) <= 50


def test_a_message_is_one_line_however_long():
    console = Console(file=io.StringIO(), width=20)
    line(console, "word " * 50 + "\nend")
    assert console.file.getvalue().count("\n") == 1


def test_json_has_no_number_that_is_none():
    document = {"a": math.nan, "b": [math.inf, 1.5], "c": (1, None), "雪": "\ud800"}
    text = json_text(document)
    assert text.isascii()
    assert json.loads(text) == {"a": None, "b": [None, 1.5], "c": [1, None], "雪": "\ud800"}


def test_there_is_no_bar_where_standard_error_is_no_terminal(capsys):
    with progress() as report:
        report("fitting", 1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("variable", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals_that_want_it(monkeypatch, variable, coloured):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    console = Console(file=io.StringIO(), force_terminal=True)
    console.print(Text("Error", style="red"))
    assert ("\x1b[31m" in console.file.getvalue()) is coloured
