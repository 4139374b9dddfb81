from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palate.encoders.text.prompts import CONFIG, Prompts, prompts_of
from palate.errors import ModelFolderError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intfloat/multilingual-e5-small", Prompts("passage: ", "query: ")),
        ("intfloat/e5-base-v2@main", Prompts("passage: ", "query: ")),
        ("/models/E5-large", Prompts("passage: ", "query: ")),
        ("intfloat/multilingual-e5-large-instruct", Prompts()),
        ("BAAI/bge-small-en-v1.5", Prompts("", "Represent this sentence for searching relevant passages: ")),
        ("BAAI/bge-base-zh", Prompts("", "为这个句子生成表示以用于检索相关文章：")),
        ("BAAI/bge-m3", Prompts()),
        ("sentence-transformers/all-MiniLM-L6-v2", Prompts()),
        ("someone/me5a-base5", Prompts()),
    ],
)
def test_families_by_name(tmp_path: Path, name: str, expected: Prompts) -> None:
    assert prompts_of(tmp_path, name) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"prompts": {"query": "q: ", "document": "d: "}}, Prompts("d: ", "q: ")),
        ({"prompts": {"query": "q: ", "passage": "p: "}}, Prompts("p: ", "q: ")),
        ({"prompts": {"query": "q: "}}, Prompts("", "q: ")),
        ({"prompts": {"all": "a: "}, "default_prompt_name": "all"}, Prompts("a: ", "a: ")),
        ({"prompts": {"query": "", "document": ""}}, Prompts("passage: ", "query: ")),
        ({"prompts": None}, Prompts("passage: ", "query: ")),
    ],
)
def test_the_folder_says_before_the_name(tmp_path: Path, config: dict[str, Any], expected: Prompts) -> None:
    (tmp_path / CONFIG).write_text(json.dumps(config))
    assert prompts_of(tmp_path, "an/e5-small") == expected


@pytest.mark.parametrize("config", [{"prompts": ["a"]}, {"prompts": {"query": 3}}, [1]])
def test_prompts_that_are_no_texts(tmp_path: Path, config: Any) -> None:
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ModelFolderError, match=r"^the prompts in .*are no texts by name\. Get the model again\.$"):
        prompts_of(tmp_path, "x")
