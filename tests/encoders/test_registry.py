from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from palate.encoders import registry
from palate.encoders.registry import available, load_encoder
from palate.errors import MissingExtra, OptionError


@pytest.mark.parametrize("name", ["default", "embedded", "use-multilingual"])
def test_the_default_has_three_names(name: str) -> None:
    assert load_encoder(name).name == "use-multilingual"


def test_none_gives_vectors_of_no_dimension() -> None:
    encoder = load_encoder("none")
    assert (encoder.name, encoder.dim) == ("none", 0)
    assert encoder.encode(["a", "b"]).shape == (2, 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "minilmm",
            r"^there is no encoder 'minilmm'\. Did you mean 'minilm'\? Give one of default, efficientnet",
        ),
        ("Default", r"^there is no encoder 'Default'\. Did you mean 'default'\? "),
        (
            "xyz",
            r"^there is no encoder 'xyz'\. Give one of default, .*, or organisation/name of the Hugging Face hub\.$",
        ),
        ("", r"^there is no encoder ''\. Give one of "),
        ("http:///#/../../etc", r"^there is no encoder 'http:///#/../../etc'\. "),
        ("a/b/c", r"^there is no encoder 'a/b/c'\. "),
        ("org/na\x00me", r"^there is no encoder 'org/na\\x00me'\. "),
        ("./nowhere", r"^the encoder's folder nowhere does not exist\. Give the folder that holds its config\.json\.$"),
        ("../../nowhere", r"^the encoder's folder ../../nowhere does not exist\. "),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        load_encoder(name)


def test_what_is_available_can_be_said_in_json() -> None:
    rows = json.loads(json.dumps(available()))
    assert [row["name"] for row in rows] == [
        "use-multilingual",
        "minilm",
        "lexical",
        "none",
        "efficientnet-lite0",
        "musicnn",
        "FOLDER",
        "ORGANISATION/NAME[@REVISION]",
    ]
    assert [row["default"] for row in rows] == [True] + [False] * 7
    assert [row["modality"] for row in rows] == ["text"] * 4 + ["image", "audio"] + ["text"] * 2
    assert rows[0]["installed"] is True
    assert {row["extra"] for row in rows} == {"", "hf", "image", "audio"}


@pytest.mark.long
@pytest.mark.hf
def test_dimensions_said_are_those_of_the_encoders() -> None:
    for row in available():
        if row["installed"] and row["dimension"] is not None:
            assert load_encoder(str(row["name"])).dim == row["dimension"]


def test_nothing_is_fetched_where_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_installed", lambda *libraries: False)
    monkeypatch.setattr(registry, "fetch_model", lambda *arguments: pytest.fail("went to the network"))
    with pytest.raises(
        MissingExtra, match=r"^the encoder 'org/model' needs the library 'torch', which is not installed\."
    ):
        load_encoder("org/model")


@pytest.mark.hf
def test_a_folder_is_loaded_and_found_again_by_its_name(tiny: Callable[[str], Path]) -> None:
    folder = tiny("bert")
    encoder = load_encoder(str(folder))
    assert load_encoder(encoder.name).revision == encoder.revision
