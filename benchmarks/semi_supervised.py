"""Pseudo-labels: do they help? New people with five real answers, and texts with few labels; each kind beside none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks._data import folder_of, load, main
from palate.encoders.cache import Cached
from palate.encoders.registry import load_encoder
from palate.evaluation.intervals import paired_bootstrap, ratio_interval
from palate.evaluation.world import World, users_world
from palate.oracles.label_propagation import Propagation, content_graph
from palate.oracles.pool_pseudo_labels import Predictor, pool_labels, spreading
from palate.oracles.pseudo_labels import Believed, PseudoLabels, View
from palate.oracles.view_agreement import Agreement, agreed, half_texts
from palate.posteriors.belief import Belief
from palate.random import derive_rng

Array = NDArray[np.float64]
IntArray = NDArray[np.intp]
ENCODER = Cached(load_encoder("default"))
SETS = ("jester", "polis/scoop-hivemind.biodiversity", "polis/american-assembly.bowling-green")
# What is taught: the model as it comes, and one that knows nothing of content, whose teacher the other is.
STUDENTS = {"with content": "default", "without content": "none"}
GIVEN = 5  # real answers of each new person
MAX_USERS = 400
FITTED_ON = 60  # people of the fit whose answers say how far the graph is to be trusted
ERROR, WIDTH = 0.25, 1.0  # at most a quarter is off by more than so many standard deviations of the answers
BINS = 15
LABELS = (20, 50, 100)
TOPICS = (
    "american-assembly.bowling-green",
    "scoop-hivemind.biodiversity",
    "scoop-hivemind.affordable-housing",
    "football-concussions",
    "canadian-electoral-reform",
)
TEXT_ERROR = 0.1  # at most a tenth of the pseudo-labels of texts is wrong, by estimate
TEXTS = ("topics", "offensive")
# share of pseudo-labels to real ones, weight of each, whether their error was checked
CEILINGS = {"default": (1.0, 0.25, True), "many": (4.0, 0.5, True), "unchecked": (4.0, 0.5, False)}
TEXT_CEILINGS = {"few": (1.0, 0.25, True), "default": (4.0, 0.5, True), "unchecked": (4.0, 0.5, False)}


# --- new people with five real answers ------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """Of each person: squared errors, test answers, those inside 95 %, and by bin stated less observed likes."""

    squared: Array
    tested: Array
    inside: Array
    gaps: Array


def _judge(world: World, belief: Belief, rows: IntArray) -> Judged:
    from scipy.stats import norm

    mean, variance = world.taste.items.predict(belief)
    columns, present = world.held_out.columns[rows], world.held_out.present[rows]
    truth = world.held_out.values[rows]
    mean, std = np.take_along_axis(mean, columns, 1), np.sqrt(np.take_along_axis(variance, columns, 1))
    liked = norm.sf((world.scale.cut - mean) / std)
    bins = np.minimum((liked * BINS).astype(int), BINS - 1)
    off = np.where(present, liked - (truth >= world.scale.like), 0.0)
    gaps = np.stack([np.where(bins == b, off, 0.0).sum(1) for b in range(BINS)], 1)
    inside = (present & (np.abs(truth - mean) <= 1.959964 * std)).sum(1).astype(float)
    return Judged(np.where(present, (truth - mean) ** 2, 0.0).sum(1), present.sum(1).astype(float), inside, gaps)


def _views(world: World, seed: int) -> dict[str, View]:
    """Own belief, the graph of whole texts, and the graphs of two halves of each text that must agree."""
    learner = world.learner
    assert learner is not None
    rows = derive_rng(seed, "views").permutation(world.fitted_users)[:FITTED_ON]
    fitted, everybody = learner.model.answers[rows], world.taste.items.predict(world.taste.start)

    def graph_of(texts: list[str]) -> Propagation:
        graph = content_graph(ENCODER.encode(texts))
        return Propagation.fit(graph, *everybody, fitted, given=GIVEN, rng=derive_rng(seed, "spread"))

    table = learner.model.catalogue.table
    texts = table.select(pl.concat_str("title", "text", separator=" ")).to_series().to_list()
    halves = [graph_of(half) for half in half_texts(texts, rng=derive_rng(0, "halves"))]
    return {
        "confidence": Believed(world.taste),
        "propagation": graph_of(texts),
        "consistency": Agreement(*halves, tolerance=0.1 * float(np.std(fitted.data))),
    }


def _real(world: World, rows: IntArray, seed: int) -> sparse.csr_matrix:
    """Five answers of each person, (n, I)."""
    rng = derive_rng(seed, "given")
    given = np.zeros((len(rows), world.ratings.shape[1]), dtype=bool)
    for place, row in enumerate(rows):
        given[place, rng.permutation(np.flatnonzero(world.answerable[row]))[:GIVEN]] = True
    at = np.nonzero(given)
    return sparse.csr_matrix((world.ratings[rows][at], at), shape=given.shape)


def _with_pseudo(world: World, belief: Belief, said: list[tuple[int, int, float, float]]) -> Belief:
    """The beliefs after pseudo-labels (person, item, value, weight), an answer with noise σ²/w each."""
    mean, covariance = belief.mean.copy(), belief.covariance.copy()
    items = world.taste.items
    for person, item, value, weight in said:
        one = Belief(mean[person], covariance[person])
        error = value - items.level[item] - items.factors[item] @ one.mean
        moved = one.update(items.factors[item], error, items.answer_noise[item] / weight)
        mean[person], covariance[person] = moved.mean, moved.covariance
    return Belief(mean, covariance)


def _seed_of(name: str, seed: int) -> tuple[list[str], dict[str, Judged], dict[str, Array]]:
    """People, what is judged of them by student and kind, and of each kind (pseudo-labels, checkable, wrong)."""
    data = load(name)
    worlds = {who: users_world(data, encoder=e, seed=seed, max_users=MAX_USERS) for who, e in STUDENTS.items()}
    world = worlds["with content"]
    order = derive_rng(seed, "halves of the new people").permutation(len(world.subjects))
    check, rows = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    real, proposals = _real(world, rows, seed), _proposals(world, check, seed)
    judged, quality = {}, {}
    said = {kind: _said(world, labels, real) for kind, labels in proposals.items()}
    for who, student in worlds.items():
        belief = student.taste.believe(real, student.taste.start)
        judged[f"{who}: none"] = _judge(student, belief, rows)
        for kind, answers in said.items():
            judged[f"{who}: {kind}"] = _judge(student, _with_pseudo(student, belief, answers), rows)
    tolerance = WIDTH * _deviation(world, check)
    for kind, answers in said.items():
        quality[kind] = _quality(world.ratings[rows], answers, tolerance)
    return [world.subjects[row] for row in rows], judged, quality


def _deviation(world: World, rows: IntArray) -> float:
    return float(np.nanstd(world.ratings[rows]))


def _proposals(world: World, check: IntArray, seed: int) -> dict[str, PseudoLabels]:
    """By kind and ceiling, checked on half of the new people."""
    at = np.nonzero(~np.isnan(world.ratings[check]))
    answers = sparse.csr_matrix((world.ratings[check][at], at), shape=(len(check), world.ratings.shape[1]))
    proposals = {}
    for kind, view in _views(world, seed).items():
        rng, tolerance = derive_rng(seed, "check"), WIDTH * _deviation(world, check)
        labels = PseudoLabels.fit(view, answers, tolerance=tolerance, given=GIVEN, error=ERROR, rng=rng)
        for ceiling, (share, weight, is_checked) in CEILINGS.items():
            threshold = labels.threshold if is_checked else -np.inf
            proposals[f"{kind}, {ceiling}"] = replace(labels, share=share, weight=weight, threshold=threshold)
    return proposals


def _quality(ratings: Array, said: list[tuple[int, int, float, float]], tolerance: float) -> Array:
    """How many there are, of how many the true answer is known, and how many of these are wrong."""
    truth = np.array([ratings[person, item] for person, item, _, _ in said])
    wrong = np.abs(truth - np.array([value for _, _, value, _ in said])) > tolerance
    return np.array([len(said), (~np.isnan(truth)).sum(), wrong.sum()], dtype=float)


def _said(world: World, labels: PseudoLabels, real: sparse.csr_matrix) -> list[tuple[int, int, float, float]]:
    said = []
    assert world.learner is not None
    catalogue = world.learner.model.catalogue
    for person in range(real.shape[0]):
        of = slice(real.indptr[person], real.indptr[person + 1])
        for answer in labels.propose("new", catalogue.ids, real.indices[of], real.data[of]):
            assert answer.value is not None
            said.append((person, catalogue.position(answer.item_id), answer.value, labels.weight))
    return said


def _people_row(name: str, seeds: int) -> dict[str, Any]:
    runs = [_seed_of(name, seed) for seed in range(seeds)]
    people = np.concatenate([subjects for subjects, _, _ in runs])
    _, of = np.unique(people, return_inverse=True)

    def total(kind: str, part: str) -> Array:
        stacked = np.concatenate([getattr(judged[kind], part) for _, judged, _ in runs])
        out = np.zeros((of.max() + 1, *stacked.shape[1:]))
        np.add.at(out, of, stacked)
        return out

    row: dict[str, Any] = {"set": name, "people": int(of.max()) + 1, "given": GIVEN}
    for kind in runs[0][1]:
        without = f"{kind.split(': ')[0]}: none"
        own, base = ({part: total(one, part) for part in ("squared", "inside", "gaps")} for one in (kind, without))
        tested = total(kind, "tested")
        row[kind] = {
            "rmse": _figure(_rmse, own["squared"], tested),
            "ece": _figure(_ece, own["gaps"], tested),
            "coverage_95": _figure(_mean, own["inside"], tested),
        }
        if kind != without:
            row[kind]["rmse_minus_none"] = _figure(_less(_rmse), own["squared"], base["squared"], tested)
            row[kind]["ece_minus_none"] = _figure(_less(_ece), own["gaps"], base["gaps"], tested)
    row["pseudo_labels"] = {kind: _made(runs, kind, len(people)) for kind in runs[0][2]}
    return row


def _made(runs: list[Any], kind: str, people: int) -> dict[str, float | None]:
    made, seen, wrong = np.sum([quality[kind] for _, _, quality in runs], axis=0)
    return {"a_person": float(made / people), "wrong_of_checkable": float(wrong / seen) if seen else None}


def _mean(total: Array, count: Array) -> Array:
    return total / count


def _rmse(squared: Array, count: Array) -> Array:
    return np.sqrt(squared / count)


def _ece(gaps: Array, count: Array) -> Array:
    return np.abs(gaps).sum(-1) / count


def _less(statistic: Callable[[Array, Array], Array]) -> Callable[[Array, Array, Array], Array]:
    return lambda a, b, count: statistic(a, count) - statistic(b, count)


def _figure(statistic: Callable[..., Array], *tables: Array) -> dict[str, object]:
    return ratio_interval(tables, statistic, rng=derive_rng(0, "bootstrap")).as_dict()


# --- texts with few labels ------------------------------------------------------------------------


def _texts(name: str) -> tuple[list[str], IntArray]:
    """Statements by the conversation they are from, or comments that their raters found offensive on the whole."""
    if name == "topics":
        items = pl.read_parquet(folder_of("polis") / "items.parquet").filter(pl.col("conversation").is_in(TOPICS))
        return items["text"].to_list(), np.array([TOPICS.index(one) for one in items["conversation"]])
    folder = folder_of("popquorn-offensiveness")
    mean = pl.read_parquet(folder / "ratings.parquet").group_by("item_id").agg(pl.col("rating").mean())
    items = pl.read_parquet(folder / "items.parquet").join(mean, on="item_id").sort("item_id")
    return items["text"].to_list(), (items["rating"] >= 2.0).cast(pl.Int64).to_numpy()


def _logistic(vectors: Array, n_classes: int, rows: IntArray, classes: IntArray, weights: Array | None = None) -> Array:
    """Class probabilities of the whole pool, (N, C)."""
    chances = np.zeros((len(vectors), n_classes))
    present = np.unique(classes)
    if len(present) == 1:
        chances[:, present] = 1.0
        return chances
    model = LogisticRegression(C=10.0, max_iter=300, class_weight="balanced").fit(
        vectors[rows], classes, sample_weight=weights
    )
    chances[:, present] = model.predict_proba(vectors)
    return chances


def _predictors(vectors: list[Array], graph: sparse.csr_matrix, n_classes: int) -> dict[str, Predictor]:
    """From whole texts and their two halves."""
    whole, first, second = vectors

    def own(rows: IntArray, classes: IntArray) -> tuple[IntArray, Array]:
        chances = _logistic(whole, n_classes, rows, classes)
        return chances.argmax(1), chances.max(1)

    def both(rows: IntArray, classes: IntArray) -> tuple[IntArray, Array]:
        return agreed(*(_logistic(half, n_classes, rows, classes) for half in (first, second)))

    return {"confidence": own, "propagation": spreading(graph, n_classes), "consistency": both}


def _text_row(name: str, seeds: int) -> dict[str, Any]:
    """Accuracy of a logistic model on all the texts without a label, by labels and kind."""
    texts, classes = _texts(name)
    views = [texts, *half_texts(texts, rng=derive_rng(0, "halves"))]
    vectors = [ENCODER.encode(view).astype(np.float64) for view in views]
    predictors = _predictors(vectors, content_graph(vectors[0]), int(classes.max()) + 1)
    row: dict[str, Any] = {"set": name, "texts": len(texts), "classes": np.bincount(classes).tolist()}
    for n in LABELS:
        plays = [_text_play(vectors[0], classes, predictors, n, seed) for seed in range(seeds)]
        row[f"{n} labels"] = {kind: _text_figures([play[kind] for play in plays], plays) for kind in plays[0]}
    return row


def _text_play(
    vectors: Array, classes: IntArray, predictors: dict[str, Predictor], n: int, seed: int
) -> dict[str, Array]:
    """Of each kind: accuracy, pseudo-labels, wrong ones among them."""
    rows = derive_rng(seed, "labels").permutation(len(classes))[:n]
    n_classes, rest = int(classes.max()) + 1, np.setdiff1d(np.arange(len(classes)), rows)

    def accuracy(trained: IntArray, said: IntArray, weights: Array | None = None) -> float:
        chances = _logistic(vectors, n_classes, trained, said, weights)
        return float((chances.argmax(1) == classes)[rest].mean())

    play = {"none": np.array([accuracy(rows, classes[rows]), 0.0, 0.0])}
    for kind, predict in predictors.items():
        for ceiling, (share, weight, is_checked) in TEXT_CEILINGS.items():
            rng = derive_rng(seed, "folds")
            error = TEXT_ERROR if is_checked else 1.0
            labels = pool_labels(predict, rows, classes[rows], error=error, share=share, weight=weight, rng=rng)
            trained = np.concatenate([rows, labels.rows])
            weights = np.concatenate([np.ones(n), np.full(len(labels.rows), weight)])
            said = np.concatenate([classes[rows], labels.classes])
            wrong = (labels.classes != classes[labels.rows]).sum()
            play[f"{kind}, {ceiling}"] = np.array([accuracy(trained, said, weights), len(labels.rows), wrong])
    return play


def _text_figures(own: list[Array], plays: list[dict[str, Array]]) -> dict[str, Any]:
    table, without = np.stack(own), np.stack([play["none"] for play in plays])
    rng = derive_rng(0, "bootstrap")
    made, wrong = table[:, 1:].mean(0)
    return {
        "accuracy": float(table[:, 0].mean()),
        "minus_none": paired_bootstrap(table[:, 0], without[:, 0], rng=rng).as_dict(),
        "pseudo_labels": float(made),
        "wrong": float(wrong / made) if made else None,
    }


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set: people, then texts. On one core."""
    with threadpool_limits(1):
        people = [_people_row(name, seeds) for name in SETS if name in sets]
        texts = [_text_row(name, seeds) for name in TEXTS if name in sets]
    return {"people": people, "texts": texts}


if __name__ == "__main__":
    main("semi_supervised", run, seeds=20, sets=(*SETS, *TEXTS), fixed=True)
