"""Each language says everything, and nothing is kept that no page says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from palate.service.federated import device_page
from palate.service.federated.device_page.words import DEVICE_WORDS
from palate.service.pages import render, words
from palate.service.pages.routes import OPENS
from palate.service.pages.staff_words import STAFF_WORDS
from palate.service.pages.words import HTML_LANGUAGES, LANGUAGES, WORDS, language_of

PAGES, DEVICE = Path(render.__file__).parent, Path(device_page.__file__).parent
PLACE = re.compile(r"\{\w+\}")


@pytest.mark.parametrize("words", [WORDS, STAFF_WORDS, DEVICE_WORDS], ids=["of users", "of staff", "of the device"])
def test_every_language_has_every_sentence_with_the_same_places(words: Mapping[str, Mapping[str, str]]) -> None:
    english = words["en"]
    assert set(words) == set(LANGUAGES) == set(HTML_LANGUAGES)
    for language, sentences in words.items():
        assert sentences.keys() == english.keys(), language
        for name, text in sentences.items():
            assert text.strip() == text != ""
            assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(english[name])), (language, name)
    chinese = [name for name, text in words["zh"].items() if not re.search("[\u4e00-\u9fff]", text)]
    assert chinese == []


STAFF = {"annotate", "campaigns", "lease_card", "operate", "parts", "sign_in", "tables"}  # templates and scripts
BOTH = {"base", "dom", "http", "kept", "keys_dialog", "outbox", "press", "titles"}
MADE = {  # of two parts
    "of users": {f"way_{form}" for form in ("rate", "group", "pick", "pair", "concept")},
    "of staff": {f"role_{role}" for role in ("admin", "service", "annotator")}
    | {f"{part}_{page}" for part in ("title", "text") for page in OPENS}
    | {f"done_{why}" for why in ("asked", "budget", "gain", "paused", "closed")}
    | {f"{part}_{state}" for part in ("state", "make") for state in ("open", "paused", "closed")}
    | {f"flag_{why}" for why in ("gold", "agreement", "repeats", "speed", "collusion", "drift")}
    | {f"skip_{reason}" for reason in ("unclear", "broken", "unsure", "offensive")},
}


@pytest.mark.parametrize(("words", "of"), [(WORDS, "of users"), (STAFF_WORDS, "of staff")], ids=["users", "staff"])
def test_what_the_pages_say_is_in_the_catalogue_and_nothing_else_is(
    words: Mapping[str, Mapping[str, str]], of: str
) -> None:
    files = [*PAGES.glob("templates/*.html"), *PAGES.glob("static/*.js")]
    ours = [path for path in files if path.stem in BOTH or (path.stem in STAFF) == (of == "of staff")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in ours)
    named = set(re.findall(r"\bwords\.(\w+)", text))
    assert named - set(words["en"]) == (set() if of == "of users" else {"to_me", "to_questions"})  # a user's navigation
    quoted = set(re.findall(r'"(\w+)"', text)) | MADE[of]
    assert {name for name in words["en"] if name not in named | quoted} == set()


def test_the_device_says_what_is_in_its_catalogue_or_that_of_users_and_nothing_else_is_there() -> None:
    files = [*DEVICE.glob("templates/*.html"), *DEVICE.glob("static/*.js")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = set(re.findall(r"\bwords\.(\w+)", text)) | set(re.findall(r'say\("(\w+)"', text))
    assert {name for name in named if name.startswith("device_")} == set(DEVICE_WORDS["en"])
    assert named - set(DEVICE_WORDS["en"]) - set(WORDS["en"]) == set()


def test_no_template_or_script_holds_a_sentence_of_its_own() -> None:
    for path in [*PAGES.glob("templates/*.html"), *DEVICE.glob("templates/*.html")]:
        shown = re.sub(r"\{[{%].*?[%}]\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        shown = re.sub(r"<kbd>.*?</kbd>", "", shown, flags=re.DOTALL)
        found = re.sub(r"<[^>]*>", " ", shown, flags=re.DOTALL)
        assert set(re.findall(r"[A-Za-z]{2,}", found)) <= {"Palate"}, path.name


@pytest.mark.parametrize(
    ("chosen", "accepted", "spoken"),
    [
        ("", "", "en"),
        ("", "de-DE,de;q=0.9", "en"),
        ("", "zh-TW,zh;q=0.9,en;q=0.8", "zh"),
        ("", "en;q=0.5, zh;q=0.6", "zh"),
        ("", "zh;q=x, en", "en"),
        ("en", "zh", "en"),
        ("xx", "zh", "zh"),
        ("", "," * 5_000 + "zh", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_first_that_is_accepted(chosen: str, accepted: str, spoken: str) -> None:
    assert language_of(chosen, accepted) == spoken
    assert words.WORDS[spoken]
