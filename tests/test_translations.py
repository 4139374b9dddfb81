"""Both languages say the same: what a Chinese page shows is what the English one shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_docs import ROOT, script

translations = script("translations")

PAIRS = sorted(translations.pairs().items())


@pytest.mark.parametrize(("chinese", "english"), PAIRS, ids=[english.stem for _, english in PAIRS])
def test_a_chinese_page_is_as_the_english_one(chinese: Path, english: Path) -> None:
    assert translations.differences(chinese, english) == [], "Try: python docs/translations.py"


def test_every_guide_is_in_both_languages() -> None:
    theirs = {path.name for path in (ROOT / "docs" / "zh").glob("*.md")}
    assert theirs == {path.name for path in (ROOT / "docs" / "guides").glob("*.md")}


ENGLISH = """# Title

Words of `palate fit`, worth 0.43 ([more](start.md)).
A line more of them.

- one
- two

```python
print(1)
```

<!-- figures speed -->

2.3 s

<!-- /figures -->

| a | b |
| --- | --- |
| `x` | ![p](../images/p.png) |
"""


@pytest.mark.parametrize(
    ("old", "new", "noticed"),
    [
        ("# Title", "# Another title", "prose"),
        ("0.43", "0.44", "decimals"),
        ("`palate fit`", "`palate refit`", "code in the text"),
        ("print(1)", "print(2)", "code: "),
        ("- two\n", "- two\n- three\n", "blocks"),
        ("start.md", "ask.md", "links"),
        ("figures speed", "figures load", "blocks"),
        ("| `x` |", "| `x` | y |", "blocks"),
    ],
)
def test_what_changes_in_one_language_alone_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, noticed: str
) -> None:
    monkeypatch.setattr(translations, "ROOT", tmp_path)
    chinese, english = tmp_path / "docs" / "zh" / "start.md", tmp_path / "docs" / "guides" / "start.md"
    for page in (chinese, english):
        page.parent.mkdir(parents=True)
        page.write_text(ENGLISH, encoding="utf-8")
    chinese.write_text(f"{ENGLISH}\n<!-- says start.md {translations.digest(ENGLISH)} -->\n", encoding="utf-8")
    assert translations.differences(chinese, english) == []
    assert ENGLISH.count(old) == 1
    english.write_text(ENGLISH.replace(old, new), encoding="utf-8")
    assert noticed in "\n".join(translations.differences(chinese, english))


def test_a_figure_that_is_measured_anew_needs_no_new_reading() -> None:
    assert translations.digest(ENGLISH) == translations.digest(ENGLISH.replace("2.3 s", "2.4 s"))
    assert translations.digest(ENGLISH) != translations.digest(ENGLISH.replace("one", "none"))


def test_code_is_copied_into_the_other_language() -> None:
    chinese = "# 标题\n\n```python\nold\n```\n"
    assert translations.with_code(chinese, ENGLISH) == "# 标题\n\n```python\nprint(1)\n```\n"
    with pytest.raises(ValueError, match="0 blocks"):
        translations.with_code("# 标题\n", ENGLISH)
