"""A model as the parts of a folder: a config of JSON, safetensors, tables; and back, with every shape checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate._version import __version__
from palate.encoders.blocks import Block
from palate.encoders.histories.behaviour import Behaviour
from palate.encoders.histories.events import Events
from palate.encoders.histories.history import KINDS
from palate.encoders.text.lora import Lora
from palate.encoders.text.words import ItemWords
from palate.entities import ITEM, USER
from palate.errors import ModelFolderError
from palate.model.adapt_text import Adaptation
from palate.model.catalogue import Catalogue
from palate.model.friendships import Friendships
from palate.model.model import Model
from palate.model.saved_labels import item_label_config, item_label_table, label_table, labels_of_items, labels_of_users
from palate.model.saved_list import list_arrays, list_config, list_of
from palate.model.scale import Scale
from palate.posteriors import likelihoods
from palate.posteriors.answerability import Answerability
from palate.posteriors.attribute_coding import Coding, Number
from palate.posteriors.attributes import Attributes
from palate.posteriors.belief import Belief
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.forgetting import Forgetting
from palate.posteriors.items import Items, Spread
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.taste import Taste
from palate.store.model_folder import strict
from palate.store.model_folder.folder import Arrays
from palate.vocabulary import Vocabulary

_NO_TIME = -1e20  # NaN is no number to keep, and before 1970 times are negative
_PRIOR = ("mean", "covariance", "coefficients", "centre", "axes", "energy", "signal")
_FUSED = ("mean", "covariance", "coefficients", "centre", "gram", "back", "strengths")
Parts = tuple[dict[str, Any], dict[str, Arrays], dict[str, pl.DataFrame]]


def parts_of(model: Model) -> Parts:
    """The config, the arrays and the tables of a model, by the names of their files."""
    text = model.catalogue.block("text")
    config = {
        "version": __version__,
        "items": len(model.catalogue),
        "users": len(model.user_ids),
        "dim": model.taste.items.dim,
        "likelihood": likelihoods.as_dict(model.taste.likelihood),
        "covariance": model.taste.items.spread.form,
        "scale": {"levels": list(model.scale.levels), "like": model.scale.like, "is_given": model.scale.is_given},
        "encoder": {"name": model.encoder[0], "revision": model.encoder[1]},
        "blocks": _block_dicts(model.catalogue),
        "adaptation": None if model.adaptation is None else asdict(model.adaptation),
        "fitted": model.prior.items if isinstance(model.prior, FusedPrior) else None,
        "history": model.history,
        "none_logit": model.none_logit,
        "half_life": None if model.forgetting is None else model.forgetting.half_life,
        "content": {"variances": model.content_variances, "new_items": model.new_item_weights},
        "events": model.vocabulary.as_dict(),
        "item_labels": item_label_config(model.item_labels),
        "data": model.fingerprint,
        "list": None if model.list_model is None else list_config(model.list_model),
    }
    arrays = {
        "taste": _taste_arrays(model),
        "answers": _answer_arrays(model),
        **({"blocks": _block_arrays(model.catalogue)} if isinstance(model.prior, FusedPrior) else {}),
        **({} if model.behaviour is None else {"behaviour": model.behaviour.arrays()}),
        **({} if model.list_model is None else {"list": list_arrays(model.list_model)}),
        **({} if text is None or text.lora is None else {"lora": text.lora.arrays()}),
        **({} if model.catalogue.words is None else {"words": model.catalogue.words.arrays()}),
    }
    tables = {
        "items": model.catalogue.table,
        "users": pl.DataFrame({USER: model.user_ids}, schema={USER: pl.String}),
        **_attribute_tables(model),
        "labels": label_table(model.labels),
        **({"item_labels": item_label_table(model.item_labels)} if model.item_labels else {}),
        **({} if model.friendships is None else {"friends": model.friendships.table}),
        **({"withdrawn": pl.DataFrame({ITEM: sorted(model.withdrawn)})} if model.withdrawn else {}),
    }
    return config, arrays, tables


def _attribute_tables(model: Model) -> dict[str, pl.DataFrame]:
    """How attributes are encoded, each as JSON, and what the data says of users; nothing without attributes."""
    if model.attributes is None or model.users is None:
        return {}
    coding = [strict.dumps(attribute).decode() for attribute in model.attributes.coding.as_dicts()]
    return {"coding": pl.DataFrame({"attribute": coding}), "attributes": model.users}


def _block_dicts(catalogue: Catalogue) -> list[dict[str, Any]]:
    """What the columns of the content are, as JSON holds it."""
    return [
        {
            "name": block.name,
            "encoder": block.encoder,
            "revision": block.revision,
            "size": size,
            "categories": list(block.categories),
        }
        for block, size in zip(catalogue.blocks, catalogue.sizes, strict=True)
    ]


def _block_arrays(catalogue: Catalogue) -> Arrays:
    """How each block is whitened, and which items have it."""
    arrays: Arrays = {} if catalogue.has is None else {"has": catalogue.has.astype(np.uint8)}
    for block in catalogue.blocks:
        if block.centre is not None and block.axes is not None:
            arrays |= {f"{block.name}.centre": block.centre, f"{block.name}.axes": block.axes}
    return arrays


def _taste_arrays(model: Model) -> Arrays:
    items = model.taste.items
    arrays: Arrays = {
        "level": items.level,
        "factors": items.factors,
        "spread": items.spread.values,
        "noise": items.noise,
        "counts": model.catalogue.counts,
        "levels": model.catalogue.levels,
        "rate": model.answerability.rate,
        "loadings": model.answerability.loadings,
        "exposure_noise": model.answerability.noise,
        "exposure_least": np.array([model.answerability.least]),
        "start.mean": model.taste.start.mean,
        "start.covariance": model.taste.start.covariance,
    }
    of_attributes = model.attributes and model.attributes.prior
    for name, prior in (("prior", model.prior), ("history", model.history_prior), ("attributes", of_attributes)):
        if prior is not None:
            parts = _FUSED if isinstance(prior, FusedPrior) else _PRIOR
            arrays |= {f"{name}.{part}": getattr(prior, part) for part in parts}
    if model.catalogue.content is not None:
        arrays["content"] = model.catalogue.content
    return arrays


def _answer_arrays(model: Model) -> Arrays:
    arrays: Arrays = _csr(model.answers, "answers") | {"user_noise": model.user_noise}
    if model.forgetting is not None:
        arrays["answers.times"] = np.nan_to_num(model.forgetting.times, nan=_NO_TIME)
    if model.events is not None:
        arrays |= _csr(model.events.liking, "events") | {
            "events.times": np.nan_to_num(model.events.timestamps.data, nan=_NO_TIME),
            "events.kinds": model.events.kinds.data,
        }
    return arrays


def _csr(matrix: sparse.csr_matrix | sparse.csr_array, name: str) -> Arrays:
    return {
        f"{name}.values": matrix.data,
        f"{name}.items": matrix.indices,
        f"{name}.start": matrix.indptr.astype(np.int64),
    }


def model_of(config: dict[str, Any], arrays: dict[str, Arrays], tables: dict[str, pl.DataFrame]) -> Model:
    """The model of these parts.

    Raises:
        ModelFolderError: If they do not fit each other.
        KeyError, TypeError, ValueError, IndexError: If one is missing or something else.
    """
    taste, answers = arrays["taste"], arrays["answers"]
    n_items, n_users, dim = config["items"], config["users"], config["dim"]
    _check(tables["items"].height, n_items, "rows of items")
    _check(tables["users"].height, n_users, "rows of users")
    _check(taste["factors"].shape, (n_items, dim), "shape of factors")
    _check(taste["levels"].shape[0], n_items, "rows of levels")
    for name in ("level", "noise", "counts", "rate", "exposure_noise"):
        _check(taste[name].shape, (n_items,), f"shape of {name}")
    size = dim + 1
    columns = {"full": size * (size + 1) // 2, "diagonal": size, "isotropic": 1}[config["covariance"]]
    _check(taste["spread"].shape, (n_items, columns), "shape of spread")
    _check(taste["start.mean"].shape, (dim,), "shape of start.mean")
    _check(taste["start.covariance"].shape, (dim, dim), "shape of start.covariance")
    _check(len(taste["loadings"]), n_items, "rows of loadings")
    encoding = len(taste["prior.centre"])
    content = (n_items, encoding) if encoding else None
    _check(taste["content"].shape if "content" in taste else None, content, "shape of content")
    behaviour = Behaviour.from_arrays(arrays["behaviour"]) if "behaviour" in arrays else None
    if behaviour is not None:
        _check(len(behaviour.centre), encoding + size, "columns of the behaviour model")
    items = Items(taste["level"], taste["factors"], Spread(config["covariance"], taste["spread"]), taste["noise"])
    shape = (n_users, n_items)
    events = None
    if "events.values" in answers:
        liking = _matrix(answers, "events", shape)
        times = np.where(answers["events.times"] == _NO_TIME, np.nan, answers["events.times"])
        kinds = answers.get("events.kinds", np.zeros(liking.nnz, dtype=np.int64))  # older models know none
        _check(kinds.shape, times.shape, "shape of events.kinds")
        known = bool(((kinds >= 0) & (kinds < len(KINDS))).all())
        _check(known, True, "range of events.kinds")
        events = Events(
            liking, *(sparse.csr_matrix((part, liking.indices, liking.indptr), shape=shape) for part in (times, kinds))
        )
    lora = Lora.from_arrays(arrays["lora"]) if "lora" in arrays else None
    words = ItemWords.from_arrays(arrays["words"], n_items) if "words" in arrays else None
    blocks, sizes = _blocks(config, arrays.get("blocks", {}), lora, words)
    history = config.get("history", "mean" if behaviour is None else "behaviour")  # older models name none
    if "history.centre" in taste:
        raw = (size if block.centre is None else len(block.centre) for block, size in zip(blocks, sizes, strict=True))
        text = sum(width for block, width in zip(blocks, raw, strict=True) if block.name == "text")
        widths = {"mean": encoding, "factors": dim, "text": text} | ({"behaviour": behaviour.dim} if behaviour else {})
        _check(len(taste["history.centre"]), widths[history], "length of history.centre")
    has = _has(arrays["blocks"], (n_items, len(blocks))) if "blocks" in arrays else None
    if taste.get("content") is not None:
        _check(sum(sizes), encoding, "columns of blocks")
    likelihood = likelihoods.named(**config["likelihood"])
    scale = Scale(tuple(config["scale"]["levels"]), config["scale"]["like"], config["scale"].get("is_given", False))
    return Model(
        catalogue=Catalogue(
            tables["items"], taste.get("content"), taste["counts"], taste["levels"], blocks, sizes, has
        ),
        taste=Taste(items, likelihood, Belief(taste["start.mean"], taste["start.covariance"])),
        prior=_prior(taste, "prior", size) if has is None else _fused(taste, config, sizes, size),
        answerability=Answerability(taste["rate"], taste["loadings"], taste["exposure_noise"], _least(taste)),
        history_prior=_prior(taste, "history", dim) if "history.mean" in taste else None,
        user_ids=tables["users"][USER].to_list(),
        answers=_matrix(answers, "answers", shape),
        user_noise=_user_noise(answers, shape[0]),
        events=events,
        scale=Scale.of_events() if likelihood.events_only else scale,  # older models of events know no dislikes
        encoder=(config["encoder"]["name"], config["encoder"]["revision"]),
        fingerprint=config["data"],
        attributes=_attributes(taste, tables, dim) if "coding" in tables else None,
        users=tables.get("attributes"),
        history=history,
        behaviour=behaviour,
        list_model=list_of(config["list"], arrays["list"], shape)
        if config.get("list")
        else None,  # older ones have none
        adaptation=_adaptation(config.get("adaptation")),
        none_logit=_none_logit(config.get("none_logit")),
        forgetting=_forgetting(config.get("half_life"), answers),
        **_content(config.get("content", {"variances": (0.0, 0.0), "new_items": (0.0, 0.0)})),
        labels=labels_of_users(tables["labels"], n_items) if "labels" in tables else {},
        item_labels=labels_of_items(config.get("item_labels", []), tables),
        friendships=Friendships(tables["friends"]) if "friends" in tables else None,
        vocabulary=Vocabulary(**config.get("events", {})),  # older models know none
        withdrawn=frozenset(tables["withdrawn"][ITEM].to_list()) if "withdrawn" in tables else frozenset(),
    )


def _none_logit(found: object) -> float | None:
    """Of clicking nothing; models saved by older versions know of none."""
    if found is None:
        return None
    _check(isinstance(found, float) and bool(np.isfinite(found)), True, "none_logit")
    return float(found)  # type: ignore[arg-type]  # a float


def _forgetting(half_life: object, answers: Arrays) -> Forgetting | None:
    """Models saved by older versions forget nothing."""
    if half_life is None:
        return None
    times = answers["answers.times"]
    _check(isinstance(half_life, float) and 0.0 < half_life < np.inf, True, "half_life")
    _check(times.shape, answers["answers.values"].shape, "shape of answers.times")
    return Forgetting(float(half_life), np.where(times <= _NO_TIME, np.nan, times))  # type: ignore[arg-type]  # a float


def _content(found: dict[str, Any]) -> dict[str, Any]:
    """What is believed of content; models saved by older versions know of none."""
    pairs = [tuple(map(float, found[name])) for name in ("variances", "new_items")]
    _check(all(len(pair) == 2 and 0.0 <= min(pair) <= max(pair) < np.inf for pair in pairs), True, "range of content")
    return {"content_variances": pairs[0], "new_item_weights": pairs[1]}


def _least(taste: Arrays) -> float:
    """Least P(can answer) over an item's rate; models saved by older versions know of none."""
    found = taste.get("exposure_least", np.zeros(1))
    _check(found.shape, (1,), "shape of exposure_least")
    _check(bool(0.0 <= found[0] <= 1.0), True, "range of exposure_least")
    return float(found[0])


def _user_noise(answers: Arrays, n_users: int) -> NDArray[np.float64]:
    """Noise of each user; models saved by older versions know of none."""
    noise = answers.get("user_noise", np.ones(n_users))
    _check(len(noise), n_users, "users with noise")
    return noise


def _adaptation(found: dict[str, Any] | None) -> Adaptation | None:
    """What came of adapting; models saved by older versions know of none."""
    if found is None:
        return None
    pairs = {name: found[name] and tuple(found[name]) for name in ("rmse", "difference")}
    return Adaptation(found["kind"], found["kept"], found["items"], **pairs)


def _attributes(taste: Arrays, tables: dict[str, pl.DataFrame], dim: int) -> Attributes:
    coding = Coding.from_dicts([strict.loads(text.encode()) for text in tables["coding"]["attribute"]])
    prior = _prior(taste, "attributes", dim)
    _check(len(prior.centre), coding.width, "length of attributes.centre")
    columns = {one.name: pl.Float64 if isinstance(one, Number) else pl.String for one in coding.attributes}
    _check(dict(tables["attributes"].schema), {USER: pl.String, **columns}, "types of attributes")
    return Attributes(coding, prior)


def _prior(taste: Arrays, name: str, size: int) -> LinearPrior:
    prior = LinearPrior(**{part: taste[f"{name}.{part}"] for part in _PRIOR})
    encoding = len(prior.centre)
    for part, shape in (
        ("mean", (size,)),
        ("covariance", (size, size)),
        ("coefficients", (encoding, size)),
        ("axes", (encoding, encoding)),
        ("signal", (size, size)),
    ):
        _check(getattr(prior, part).shape, shape, f"shape of {name}.{part}")
    return prior


def _blocks(
    config: dict[str, Any], arrays: Arrays, lora: Lora | None, words: ItemWords | None
) -> tuple[tuple[Block, ...], tuple[int, ...]]:
    """What the columns of the content are."""
    blocks, sizes = [], []
    for one in config["blocks"]:
        name, size = one["name"], one["size"]
        centre, axes = arrays.get(f"{name}.centre"), arrays.get(f"{name}.axes")
        if axes is not None:
            _check(axes.shape, (len(arrays[f"{name}.centre"]), size), f"shape of {name}.axes")
        own = lora if name == "text" else None
        if own is not None:
            _check(own.revision in one["revision"], True, "match of the adapter with the encoder's revision")
        read = words if name == "words" else None
        _check(read is None, name != "words", "presence of words")
        blocks.append(Block(name, one["encoder"], one["revision"], centre, axes, tuple(one["categories"]), own, read))
        sizes.append(size)
    return tuple(blocks), tuple(sizes)


def _has(arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.bool_]:
    _check(arrays["has"].shape, shape, "shape of has")
    return arrays["has"].astype(bool)


def _fused(taste: Arrays, config: dict[str, Any], sizes: tuple[int, ...], size: int) -> FusedPrior:
    parts = {part: taste[f"prior.{part}"] for part in _FUSED}
    encoding, directions = len(parts["centre"]), parts["back"].shape[1]
    for part, shape in (
        ("mean", (size,)),
        ("covariance", (size, size)),
        ("coefficients", (encoding, size)),
        ("gram", (encoding, encoding)),
        ("back", (size, directions)),
        ("strengths", (len(sizes), directions)),
    ):
        _check(parts[part].shape, shape, f"shape of prior.{part}")
    if config["fitted"] < 1 or (parts["strengths"] <= 0.0).any():
        raise ModelFolderError("the content prior was fitted on nothing, or has a strength below 0. Save it again.")
    return FusedPrior.build(sizes=sizes, items=config["fitted"], **parts)


def _matrix(arrays: Arrays, name: str, shape: tuple[int, int]) -> sparse.csr_matrix:
    parts = (arrays[f"{name}.values"], arrays[f"{name}.items"], arrays[f"{name}.start"])
    matrix = sparse.csr_matrix(parts, shape=shape)
    matrix.check_format(full_check=True)
    return matrix


def _check(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise ModelFolderError(f"the {what} is {found}, config.json says {expected}. Save the model again.")
