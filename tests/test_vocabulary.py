"""Words of events: what they mean, how they are added, and what is said of one that means nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from palate.errors import DataError, OptionError
from palate.records import Event
from palate.vocabulary import AGAINST, DOCUMENTED, FOR, IMPRESSION, STANDARD, Vocabulary, normal_word


def test_the_documented_words_speak_for_and_against() -> None:
    assert {*FOR} == {"view", "click", "add-to-cart", "purchase", "read", "play", "like", "save", "share"}
    assert {*AGAINST} == {"dislike", "skip", "return", "refund", "hide", "unsubscribe", "report"}
    assert all(0 < strength <= 1 for strength in [*FOR.values(), *AGAINST.values()])
    signs = {name: word.sign for name, word in DOCUMENTED.items() if name}
    assert signs == {**dict.fromkeys(FOR, 1), **dict.fromkeys(AGAINST, -1), IMPRESSION: 0}


def test_a_word_is_added_by_what_it_means() -> None:
    words = Vocabulary.parse(["Bought_it=purchase", "wished=like:0.5", "view=view:0.1", "binned=dislike:0.25"])
    assert [words.liking(name) for name in ("bought-it", "wished", "view", "binned")] == [1.0, 0.5, 0.1, -0.25]
    assert [words.word(name).given for name in ("bought-it", "wished")] == [False, True]
    assert words.liking("click") == STANDARD.liking("click") and normal_word("Add to_Cart") == "add-to-cart"


def test_a_folder_keeps_its_words(tmp_path: Path) -> None:
    words = Vocabulary({"bought": "purchase", "wished": "like:0.5"})
    (tmp_path / "events.toml").write_text(words.toml())
    assert Vocabulary.read(tmp_path) == words and Vocabulary.read(tmp_path / "nowhere") == STANDARD
    assert Vocabulary(**words.as_dict()) == words


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("wished", "--event has 'wished' without =. Write name=like:0.5 or name=purchase."),
        ("w=like:0", "the strength of the event 'w' is 0. Give a number above 0 and at most 1, or say that it means"),
        (
            "w=like:inf",
            "the strength of the event 'w' is inf. Give a number above 0 and at most 1, or say that it means",
        ),
        ("w=like:nan", "the strength of the event 'w' is nan. Give a number above 0"),
        ("w=like:-1", "the strength of the event 'w' is -1. Give a number above 0"),
        ("w=like:much", "the strength of the event 'w' is much. Give a number above 0"),
        ("w=purchse", "the event 'w' means 'purchse', which is not documented. Did you mean 'purchase'? Give a"),
        ("w=", "the event 'w' means '', which is not documented."),
        ("w=impression:0.5", "the event 'w' is an impression of the strength 0.5. It says nothing: leave it."),
        ("=like", "the event '' is no word. Give up to 40 letters, digits and hyphens, such as wished=like:0.5."),
        (f"{'w' * 41}=like", f"the event '{'w' * 39} is no word. Give up to 40"),
    ],
)
def test_a_word_that_means_nothing_is_an_error(given: str, message: str) -> None:
    with pytest.raises(OptionError, match="^" + re.escape(message)):
        Vocabulary.parse([given])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "bought = ",
            r"^events\.toml cannot be read \(Invalid value .*\)\. Write a line a word: bought = \"purchase\"\.$",
        ),
        ("bought = 1", r"^events\.toml: the event 'bought' means 1\. Give a documented event and a strength, such as "),
        ("[x]\nbought = 'like'", r"^events\.toml: the event 'x' means \{'bought': 'like'\}\."),
        ("bought = 'like:0'", r"^events\.toml: the strength of the event 'bought' is 0\. "),
    ],
)
def test_a_file_that_means_nothing_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "events.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        Vocabulary.read(tmp_path)


def test_a_file_may_be_so_large_and_no_larger(tmp_path: Path) -> None:
    (tmp_path / "events.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(DataError, match=r"^events\.toml has 1,048,577 bytes, of at most 1,048,576\. Shorten it\.$"):
        Vocabulary.read(tmp_path)


def test_an_event_that_is_told_has_the_sign_of_its_kind() -> None:
    likings = {kind: Event("ann", "i", kind).liking for kind in ("", "view", "Add_to_cart", "refund", "impression")}
    assert likings == {"": 1.0, "view": 1.0, "Add_to_cart": 1.0, "refund": -1.0, "impression": 0.0}
    assert Event("ann", "i", "wished", 0.5).kind == "wished"  # of the data's own: the model knows it
    with pytest.raises(DataError, match=r"^the event 'wished' is unknown\. Known events: add-to-cart, "):
        Event("ann", "i", "wished")
    with pytest.raises(DataError, match=r"^the event 'www.* is unknown\. Give a word"):
        Event("ann", "i", "w" * 41, 1.0)


def test_the_page_shows_the_strengths_that_there_are() -> None:
    page = (Path(__file__).parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
    shown = {word: float(strength) for word, strength in re.findall(r"`([a-z-]+)` \| ([\d.]+) \|", page)}
    assert shown == {**FOR, **AGAINST}
