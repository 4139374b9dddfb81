"""A list model as the parts of a folder, and back, with every shape checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import scipy.sparse as sparse

from palate.errors import ModelFolderError
from palate.ranking.chances import Chances
from palate.ranking.experts.company import Company, Pairs
from palate.ranking.experts.content import ContentExpert, Likeness
from palate.ranking.experts.ease import Ease
from palate.ranking.experts.factors import Factors, FactorSettings
from palate.ranking.histories import Expert, Histories
from palate.ranking.list_model import EVER, FRIENDS, LEVELS, SHRINKAGES, ListModel
from palate.ranking.repeats import FEATURES, Habits, Repeats
from palate.ranking.weights import Weights
from palate.store.model_folder.folder import Arrays

_WEIGHTS = ("new", "known")


def list_config(of: ListModel) -> dict[str, Any]:
    """What of it JSON holds."""
    again = of.repeats
    return {
        "half_life": of.half_life,
        "last": of.last,
        "levels": list(of.levels),
        "experts": [_expert_config(name, expert, of.experts) for name, expert in of.experts.items()],
        **{name: {"names": list(one.names), "at": list(one.at)} for name, one in _weights(of).items()},
        **({} if again is None else {"again": {"act": again.act, "least": again.least, "until": again.until}}),
    }


def list_arrays(of: ListModel) -> Arrays:
    """The rest."""
    arrays: Arrays = {
        **{f"level.{place}": level for place, level in enumerate(of.levels.values())},
        **{name: one.values for name, one in _weights(of).items()},
        "new.chances": of.new_chances.values,
        "known.chances": of.known_chances.values,
        "met.items": of.met.items.astype(np.int32),
        "met.start": of.met.start.astype(np.int64),
    }
    if of.pairs is not None:
        arrays |= {**_csr("pairs", of.pairs.together), "pairs.count": of.pairs.count}
    for place, (name, expert) in enumerate(of.experts.items()):
        arrays |= _expert_arrays(place, name, expert, of.experts)
    return arrays | _repeats_arrays(of.repeats)


def _repeats_arrays(again: Repeats | None) -> Arrays:
    if again is None:
        return {}
    assert again.days.values is not None
    return {
        "again.items": again.days.items.astype(np.int32),
        "again.start": again.days.start.astype(np.int64),
        "again.days": again.days.values.astype(np.int32),
        "again.rate": again.habits.rate,
        "again.gap": again.habits.gap,
        "again.weights": again.weights,
    }


def _repeats(config: dict[str, Any], arrays: Arrays, shape: tuple[int, int]) -> Repeats:
    start, items, days = (arrays[f"again.{name}"] for name in ("start", "items", "days"))
    _check(start.shape == (shape[0] + 1,) and start[0] == 0 and start[-1] == len(items) == len(days), "repeats")
    _check(_within(items, shape[1]) and bool((np.diff(start) >= 0).all()), "repeats")
    rate, gap, weights = (arrays[f"again.{name}"] for name in ("rate", "gap", "weights"))
    _check(rate.shape == gap.shape == (shape[1],) and weights.shape == (len(FEATURES),), "repeats")
    _check(bool((rate > 0.0).all() and (gap > 0.0).all() and np.isfinite(weights).all()), "repeats")
    done = Histories(items.astype(np.intp), start.astype(np.intp), shape[1], days.astype(np.float64))
    act, least, until = str(config["act"]), float(config["least"]), float(config["until"])
    return Repeats(done, Habits(rate, gap), weights, act, least, until)


def _weights(of: ListModel) -> dict[str, Weights]:
    return {"new": of.new, "known": of.known}


def _expert_config(name: str, expert: Expert, among: Mapping[str, Expert]) -> dict[str, Any]:
    if isinstance(expert, Ease):
        return {"name": name, "kind": "ease"}
    if isinstance(expert, Factors):
        return {"name": name, "kind": "factors", "settings": asdict(expert.settings)}
    if isinstance(expert, Company):
        return {"name": name, "kind": "company"}
    assert isinstance(expert, ContentExpert)
    return {"name": name, "kind": "content", "as": _first_alike(name, expert, among)}


def _first_alike(name: str, expert: ContentExpert, among: Mapping[str, Expert]) -> str:
    """The first expert that goes by the same likeness, which is kept once."""
    alike = (
        other for other, one in among.items() if isinstance(one, ContentExpert) and one.likeness is expert.likeness
    )
    return next(alike, name)


def _expert_arrays(place: int, name: str, expert: Expert, among: Mapping[str, Expert]) -> Arrays:
    at = f"expert.{place}"
    if isinstance(expert, Ease):
        return {f"{at}.items": expert.items.astype(np.int32), f"{at}.weights": expert.weights}
    if isinstance(expert, Factors):
        return {f"{at}.factors": expert.items}
    if isinstance(expert, Company):
        return _csr(at, expert.likeness)
    assert isinstance(expert, ContentExpert)
    arrays: Arrays = {} if expert.fading is None else {f"{at}.fading": expert.fading}
    if _first_alike(name, expert, among) == name:
        likeness = expert.likeness
        arrays |= {} if likeness.vectors is None else {f"{at}.vectors": likeness.vectors}
        if likeness.rows is not None:
            arrays |= {**_csr(at, likeness.rows), f"{at}.width": np.array([likeness.rows.shape[1]])}
    return arrays


def list_of(config: dict[str, Any], arrays: Arrays, shape: tuple[int, int]) -> ListModel:
    """The list model of these parts.

    Args:
        shape: Users of the fit, and items with those added since.
    Raises:
        ModelFolderError: If they do not fit each other.
        KeyError, TypeError, ValueError, IndexError: If one is missing or something else.
    """
    levels = {name: arrays[f"level.{place}"] for place, name in enumerate(config["levels"])}
    n = len(levels[EVER])
    _check(n <= shape[1] and all(level.shape == (n,) for level in levels.values()), "levels")
    _check(set(levels) <= set(LEVELS), "levels")
    weights, chances = {}, {}
    for name in _WEIGHTS:
        names, at = tuple(config[name]["names"]), tuple(map(float, config[name]["at"]))
        values, honest = arrays[name], arrays[f"{name}.chances"]
        _check(values.shape == (len(at), len(names)) and at == tuple(sorted(at)), "weights")
        _check(bool((values >= 0.0).all()), "weights")
        _check(honest.shape == (len(at), 2), "chances")
        weights[name], chances[name] = Weights(names, at, values), Chances(at, honest)
    pairs = None
    if "pairs.count" in arrays:
        pairs = Pairs(_matrix(arrays, "pairs", (n, n)), arrays["pairs.count"])
        _check(pairs.count.shape == (n,) and bool((pairs.count >= 0.0).all()), "people of pairs")
    experts: dict[str, Expert] = {}
    for place, one in enumerate(config["experts"]):
        experts[one["name"]] = _expert(one, arrays, f"expert.{place}", n, experts)
    counting = {name for one in weights.values() for name in one.counting}
    _check(counting <= {*levels, *experts, *(SHRINKAGES if pairs else ()), FRIENDS}, "experts")
    start, items = arrays["met.start"].astype(np.intp), arrays["met.items"].astype(np.intp)
    _check(len(start) == shape[0] + 1 and start[0] == 0 and start[-1] == len(items), "histories")
    _check(_within(items, n) and bool((np.diff(start) >= 0).all()), "histories")
    return ListModel(
        levels,
        pairs,
        experts,
        weights["new"],
        weights["known"],
        None if config["half_life"] is None else float(config["half_life"]),
        chances["new"],
        chances["known"],
        Histories(items, start, n),
        None if config.get("last") is None else float(config["last"]),
        _repeats(config["again"], arrays, (shape[0], n)) if "again" in config else None,
    )


def _expert(config: dict[str, Any], arrays: Arrays, at: str, n: int, before: Mapping[str, Expert]) -> Expert:
    if config["kind"] == "ease":
        ease = Ease(arrays[f"{at}.items"].astype(np.intp), arrays[f"{at}.weights"])
        _check(ease.weights.shape == (len(ease.items),) * 2 and _within(ease.items, n), "weights of EASE")
        return ease
    if config["kind"] == "factors":
        factors = Factors(arrays[f"{at}.factors"], FactorSettings(**config["settings"]))
        _check(factors.items.ndim == 2 and len(factors.items) == n, "factors")
        return factors
    if config["kind"] == "company":
        return Company(_matrix(arrays, at, (n, n)))
    _check(config["kind"] == "content", "experts")
    fading = arrays.get(f"{at}.fading")
    _check(fading is None or fading.shape == (n,), "content")
    if config["as"] != config["name"]:
        other = before[config["as"]]
        assert isinstance(other, ContentExpert)
        return ContentExpert(config["name"], other.likeness, fading)
    vectors = arrays.get(f"{at}.vectors")
    rows = None if vectors is not None else _matrix(arrays, at, (n, int(arrays[f"{at}.width"][0])))
    _check(vectors is None or (vectors.ndim == 2 and len(vectors) == n), "content")
    return ContentExpert(config["name"], Likeness(rows, vectors), fading)


def _csr(name: str, matrix: sparse.csr_array) -> Arrays:
    items, start = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int64)
    return {f"{name}.values": matrix.data, f"{name}.columns": items, f"{name}.start": start}


def _matrix(arrays: Arrays, name: str, shape: tuple[int, int]) -> sparse.csr_array:
    parts = (arrays[f"{name}.values"], arrays[f"{name}.columns"], arrays[f"{name}.start"])
    matrix = sparse.csr_array(parts, shape=shape)
    matrix.check_format(full_check=True)
    return matrix


def _within(items: np.ndarray[Any, Any], n: int) -> bool:
    return bool(((items >= 0) & (items < n)).all())


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise ModelFolderError(f"the {what} of the list are not what config.json says. Save the model again.")
