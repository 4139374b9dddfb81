from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import nullcontext
from pathlib import Path

import polars as pl
import pytest
from rich.cells import cell_len

import palate
from palate import Dataset, Learner
from palate.cli.interview import moved
from palate.cli.keys import Typed
from palate.cli.loop import question_rng
from palate.loop.checkpoint import open_log
from tests.cli.folders import kept, rows

COMMAND = [sys.executable, "-c", "from palate.cli import main; main()", "interview"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1]), "TERM": "xterm", "COLUMNS": "100"}


def test_a_talk_through_a_pipe(cli, model):
    result = cli("interview", model, "--user", "ann", stdin="4\nu\ns\n2\nq\n")
    assert result.code == 0, result.err
    assert [answer.kind.value for answer in kept(model)] == ["rating", "unknown", "skipped", "rating"]
    assert [answer.value for answer in kept(model)] == [4.0, None, None, 2.0]
    for text in ("Interview with ann", "Why: ", "Kept: 4 for ", "Kept: don't know ", "Kept: skipped "):
        assert text in result.out
    assert any(move in result.out for move in (" up ", " down ", " new "))
    assert "4 answers of ann kept. The list now:" in result.out


def test_answers_say_what_was_asked_and_with_which_chance(cli, model):
    before = time.time()
    cli("interview", model, "--user", "ann", "--strategy", "random", stdin="4\n")
    (answer,) = kept(model)
    assert (answer.question, answer.source, answer.propensity) == ("random", "person", pytest.approx(1 / 40))
    assert before <= answer.asked_at <= answer.answered_at <= time.time()


def test_every_answer_has_a_key_and_a_question_mark_says_which(cli, model):
    result = cli("interview", model, "--user", "ann", stdin="?\nn\nu\ns\n5\nq\n")
    assert [answer.kind.value for answer in kept(model)] == ["no-opinion", "unknown", "skipped", "rating"]
    assert "Kept: no opinion on " in result.out
    helped = result.out[result.out.index("\n   answer") : result.out.index("Kept: ")]
    assert re.findall(r"^ +(answer|.) {2,}\S", helped, re.MULTILINE)[:7] == ["answer", "u", "n", "s", "z", "?", "q"]
    assert "In figures: an answer lowers the uncertainty" in helped
    assert not re.search(r"\b0 ?%", result.out)


def test_titles_are_said_as_people_say_them_and_questions_are_sentences(cli, tmp_path):
    names = ["Wizard of Oz, The (1939)", "Alien (1979)", "Fargo (1996)", *(f"Film {n} (2000)" for n in range(7))]
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(10)], "title": names})
    pairs = [(user, item) for user in range(12) for item in range(10) if (user + item) % 3]
    ratings = pl.DataFrame({"user_id": [f"u{u}" for u, _ in pairs], "item_id": [f"i{i}" for _, i in pairs]})
    ratings = ratings.with_columns(rating=pl.Series([1.0 + (u * i) % 5 for u, i in pairs]))
    Learner.fit(Dataset.from_tables(ratings, items)).save(tmp_path / "model")
    shown = cli("interview", tmp_path / "model", "--user", "ann", stdin="4\n" * 10).out
    assert "How do you like The Wizard of Oz (1939)?" in shown and "Kept: 4 for The Wizard of Oz (1939)\n" in shown
    assert "Wizard of Oz, The" not in shown
    paired = cli("interview", tmp_path / "model", "--user", "bob", "--forms", "pair", stdin="1\nq\n").out
    assert "1. Which of the two do you like better?\n   1 " in paired
    first, second = (re.search(rf"^   {key} (.+)$", paired, re.MULTILINE)[1] for key in "12")
    assert f"Kept: {first} rather than {second}\n" in paired


def test_undo_takes_back_and_asks_the_same_again(cli, model):
    result = cli("interview", model, "--user", "ann", stdin="4\n5\nz\nq\n")
    questions = re.findall(r"^\d+\. .+", result.out, re.MULTILINE)
    assert questions[1] == questions[3]
    assert "Taken back: " in result.out
    assert [answer.value for answer in kept(model)] == [4.0]
    assert len(rows(model)) == 3  # the undo is a row too
    assert Learner.load(model).told["ann"] == tuple(kept(model))


def test_undo_with_nothing_to_undo_says_so(cli, model):
    result = cli("interview", model, "--user", "ann", stdin="z\nz\n4\nq\n")
    assert result.out.count("There is nothing to undo.") == 2
    assert len(kept(model)) == 1


def test_it_goes_on_where_it_stopped(cli, model, tmp_path):
    apart = shutil.copytree(model, tmp_path / "apart")  # what one user tells of an item moves it for the other
    whole = cli("interview", apart, "--user", "parts", stdin="4\n2\n5\n3\n")
    cli("interview", model, "--user", "parts", stdin="4\n2\n")
    second = cli("interview", model, "--user", "parts", stdin="z\n2\n5\n3\n")
    assert "2 answers kept from before." in second.out
    told, at_once = (Learner.load(folder).told["parts"] for folder in (model, apart))
    assert [(a.item_id, a.value) for a in told] == [(a.item_id, a.value) for a in at_once]
    lists = [re.findall(r"\d\.\d\d ± \d\.\d\d", one.out.split("The list now:")[1]) for one in (whole, second)]
    assert lists[0] == lists[1] and len(lists[0]) == 5


def test_what_is_no_answer_is_asked_again(cli, model):
    result = cli("interview", model, "--user", "ann", stdin=b"9\nhello\n\xff\xfe\n\n  3  \nQ\n")
    assert result.code == 0
    assert "'hello' is no answer here: 1 2 3 4 5 rate · u don't know it · n no opinion" in result.out
    assert [answer.value for answer in kept(model)] == [3.0]


def test_the_end_of_the_input_is_the_end_of_the_talk(cli, model):
    assert cli("interview", model, "--user", "ann", stdin="").code == 0
    assert kept(model) == []


def test_when_everything_is_answered_it_ends(cli, model):
    result = cli("interview", model, "--user", "ann", stdin="u\n" * 60)
    assert (result.code, len(kept(model))) == (0, 40)
    assert "Nothing is left to ask: every item has an answer." in result.out
    assert "40 answers of ann kept. The list now:\n   Nothing is left to show." in result.out


def test_as_json_the_talk_is_on_standard_error(cli, model):
    result = cli("interview", model, "--user", "ann", "--json", stdin="4\nu\nz\nq\n")
    document = result.json
    assert set(document) == {"user", "strategy", "answers", "answers_kept", "recommendations"}
    assert [answer["value"] for answer in document["answers"]] == [4.0]
    assert len(document["recommendations"]) == 5
    assert "Kept: 4" in result.err


def test_an_unknown_strategy_is_an_error_before_the_first_question(cli, model):
    result = cli("interview", model, "--user", "ann", "--strategy", "epik", stdin="4\n")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: strategy 'epik' is unknown. Did you mean 'epig'?")


def test_an_answer_that_another_process_took_back_is_no_error(cli, model, monkeypatch):
    from palate.cli import interview

    lines = iter(["4", "2", "z", "q"])

    def read() -> str:
        answer = next(lines)
        if answer == "z":
            with open_log(model) as other:
                other.retract(kept(model)[-1].key)
        return answer

    monkeypatch.setattr(interview, "keys", lambda console: nullcontext(Typed(read, read)))
    result = cli("interview", model, "--user", "ann", "--json")
    assert result.code == 0
    assert "Taken back before, elsewhere: " in result.err
    assert [answer.value for answer in kept(model)] == [4.0]  # the one before stays: nobody asked to take it back
    assert [answer["value"] for answer in result.json["answers"]] == [4.0]


def test_ctrl_c_keeps_what_was_said(cli, model, monkeypatch):
    from palate.cli import interview

    lines = iter(["4", KeyboardInterrupt()])

    def read() -> str:
        answer = next(lines)
        if isinstance(answer, KeyboardInterrupt):
            raise answer
        return answer

    monkeypatch.setattr(interview, "keys", lambda console: nullcontext(Typed(read, read)))
    result = cli("interview", model, "--user", "ann")
    assert (result.code, result.err) == (130, "Interrupted.\n")
    assert "1 answer of ann kept." in result.out
    assert len(kept(model)) == 1


def test_how_an_entry_moved():
    before = {"a": 0, "b": 1, "c": 2}
    assert [moved(item, place, before).plain for place, item in enumerate("cabd")] == [
        "up 2",
        "down 1",
        "down 1",
        "new",
    ]
    assert moved("a", 0, before).plain == ""
    assert moved("a", 0, None).plain == ""


def _at_this_terminal() -> None:
    """In the child, so that Ctrl-C reaches it: also where the tests themselves run in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A talk on a terminal of its own, key by key."""

    def __init__(self, model: Path, *options: str) -> None:
        self.end, far = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, str(model), "--user", "ann", *options],
            stdin=far,
            stdout=far,
            stderr=far,
            env=ENVIRONMENT,
            start_new_session=True,
            preexec_fn=_at_this_terminal,
        )
        os.close(far)
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Until the text has appeared since the last call."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.end], [], [], 0.2)
            if ready:
                self.seen += self._read()
            assert time.monotonic() < deadline, f"{text!r} did not appear in {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def _read(self) -> str:
        try:
            return os.read(self.end, 65536).decode(errors="replace")
        except OSError as error:
            if error.errno == errno.EIO:  # the other end is closed
                return ""
            raise


@pytest.fixture
def terminal(model):
    opened = Terminal(model)
    yield opened
    opened.process.kill()
    opened.process.wait()
    os.close(opened.end)


def test_keys_pressed_early_are_kept(terminal, model):
    terminal.wait_for("> ")
    terminal.press("4雪5uq")
    assert terminal.process.wait(20) == 0
    assert [answer.value for answer in kept(model)] == [4.0, 5.0, None]


def test_single_keys_on_a_terminal(terminal, model):
    terminal.wait_for("> ")
    terminal.press("4")
    terminal.wait_for("Kept: 4")
    terminal.wait_for("> ")
    terminal.press("\x1b[A")  # an arrow key means nothing
    terminal.wait_for("is no answer here")
    terminal.wait_for("> ")
    terminal.press("z")
    terminal.wait_for("Taken back")
    terminal.wait_for("> ")
    terminal.press("q")
    assert terminal.process.wait(20) == 0
    assert kept(model) == []


def test_a_title_is_typed_as_a_line_and_then_keys_go_on(model):
    (title, *_), opened = Learner.load(model).model.catalogue.names, Terminal(model, "--forms", "recall,rate")
    try:
        opened.wait_for("> ")
        opened.press("qqqq\n")
        opened.wait_for("Nothing is called like 'qqqq'")
        opened.wait_for("> ")
        opened.press(f"{title}x\x7f\n")  # corrected as it is typed
        opened.wait_for(f"Kept: likes {title}")
        opened.wait_for("Name another one you like")
        opened.wait_for("> ")
        opened.press("u\n")
        opened.wait_for("Kept: named nothing")
        opened.wait_for("> ")
        opened.press("4q")
        assert opened.process.wait(20) == 0
    finally:
        opened.process.kill()
        opened.process.wait()
        os.close(opened.end)
    assert [(answer.form.value, answer.value) for answer in kept(model)] == [
        ("recall", 1.0),
        ("recall", None),
        ("rate", 4.0),
    ]


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0)], ids=["ctrl-c", "ctrl-d"])
def test_ctrl_c_and_ctrl_d_on_a_terminal(terminal, model, key, code):
    terminal.wait_for("> ")
    terminal.press("5")
    terminal.wait_for("Kept: 5")
    terminal.wait_for("> ")
    terminal.press(key)
    assert terminal.process.wait(20) == code
    assert [answer.value for answer in kept(model)] == [5.0]


def test_a_talk_of_groups_and_concepts(cli, model):
    result = cli("interview", model, "--user", "ann", "--forms", "group,concept", stdin="2\n1\n2\nd\n1\nz\n7\nq\n")
    assert result.code == 0, result.err
    (answer,) = kept(model)
    assert (answer.form.value, answer.question, len(answer.tapped)) == ("group", "gain-per-second", 1)
    assert answer.tapped == (answer.item_id,)  # the second was tapped, and the tap was taken back
    assert "Which of these do you like?\n" in result.out
    assert "not liked: " in result.out
    assert "Kept: yes to " in result.out and "Taken back: yes to " in result.out
    assert "'7' is no answer here: 1 yes · 0 no · u don't know it" in result.out


def test_a_talk_of_pairs_and_previews(cli, model):
    result = cli("interview", model, "--user", "ann", "--forms", "pair", stdin="2\nq\n")
    (answer,) = kept(model)
    assert (answer.form.value, answer.value, len(answer.others)) == ("pair", 0.0, 1)
    assert "1 the first · 2 the second" in result.out and re.search("Kept: .+ rather than .+", result.out)
    cli("interview", model, "--user", "bob", "--forms", "preview", stdin="1\nq\n")
    assert [(a.form.value, a.value) for a in kept(model) if a.user_id == "bob"] == [("preview", 1.0)]


def test_items_without_a_title_are_asked_by_their_whole_text_and_listed_by_its_start(cli, tmp_path):
    texts = [f"{word}, and so this {word} goes on for longer than a list has room for it" for word in "abcdefgh"]
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(8)], "text": texts})
    pairs = [(user, item) for user in range(6) for item in range(8) if (user + item) % 3]
    ratings = pl.DataFrame({"user_id": [f"u{u}" for u, _ in pairs], "item_id": [f"i{i}" for _, i in pairs]})
    ratings = ratings.with_columns(rating=pl.Series([1.0 + (u + i) % 5 for u, i in pairs]))
    Learner.fit(Dataset.from_tables(ratings, items)).save(tmp_path / "model")
    shown = cli("interview", tmp_path / "model", "--user", "ann", stdin="4\nq\n").out
    asked = [line.removeprefix("1. ") for line in shown.splitlines() if line.startswith("1. ")]
    assert asked[0] in texts and shown.count(asked[0]) == 1
    listed = [line for line in shown.splitlines() if " ± " in line]
    assert listed and all(line.rstrip().endswith("has room for…") for line in listed)


def test_the_list_of_a_narrow_terminal_cuts_names_and_not_scores(cli, model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "28")
    shown = cli("interview", model, "--user", "ann", stdin="4\nq\n").out
    listed = [line for line in shown.splitlines() if " ± " in line]
    assert listed and all(re.search(r"\d\.\d\d ± \d\.\d\d ", line) for line in listed)
    assert any("…" in line for line in listed)


def test_titles_of_double_width_stay_inside_a_narrow_terminal(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "44")
    items = pl.DataFrame(
        {"item_id": [f"i{n}" for n in range(9)], "title": [f"{n}很长的电影名字" * 6 for n in range(9)]}
    )
    pairs = [(user, item) for user in range(9) for item in range(9) if (user + item) % 3]
    ratings = pl.DataFrame({"user_id": [f"u{u}" for u, _ in pairs], "item_id": [f"i{i}" for _, i in pairs]})
    ratings = ratings.with_columns(rating=pl.Series([1.0 + (u * i) % 5 for u, i in pairs]))
    Learner.fit(Dataset.from_tables(ratings, items)).save(tmp_path / "model")
    shown = cli("interview", tmp_path / "model", "--user", "ann", stdin="4\nq\n").out
    listed = [line for line in shown.splitlines() if " ± " in line]
    assert listed and all("…" in line and cell_len(line.rstrip()) <= 44 for line in listed)


def test_it_ends_where_no_answer_is_worth_the_price(cli, model):
    result = cli("interview", model, "--user", "dear", "--stop-below", "0.5", stdin="4\n")
    assert result.code == 0
    assert "Enough: no answer should raise the NDCG@10 of the list by more than 0.5." in result.out
    assert kept(model) == []


def test_the_less_an_answer_may_bring_the_longer_the_talk(cli, model):
    lengths = []
    for number, share in enumerate(("0.02", "0.002", "0")):
        result = cli("interview", model, "--user", f"u{number}", "--stop-below", share, stdin="4\n2\n" * 20)
        lengths.append(result.out.count("Kept: "))
        assert ("Enough: " in result.out) == (share != "0")
    assert lengths == sorted(set(lengths)) and lengths[-1] == 40


def test_stopping_by_value_is_for_items_to_rate(cli, model):
    result = cli("interview", model, "--user", "ann", "--stop-below", "0.01", "--forms", "rate,pair", stdin="4\n")
    assert (result.code, result.out) == (2, "")
    assert result.err == "Error: --stop-below weighs questions to rate an item. Leave it, or --forms, out.\n"


def test_a_talk_aims_at_what_it_is_told_to(cli, model):
    for number, targets in enumerate(("known", "popularity", "uniform")):
        options = {"strategy": "a-optimal", "targets": targets}
        cli("interview", model, "--user", f"u{number}", "--strategy", "a-optimal", "--targets", targets, stdin="4\n")
        learner = Learner.load(model).undo(f"u{number}")
        (question,) = learner.ask(f"u{number}", rng=question_rng(learner, f"u{number}", 0), **options)
        assert kept(model)[-1].item_id == question.item_id
    result = cli("interview", model, "--user", "ann", "--targets", "everything", stdin="4\n")
    assert result.code == 2
    assert "targets 'everything' are unknown. Use known, slate, popularity or uniform." in result.err
