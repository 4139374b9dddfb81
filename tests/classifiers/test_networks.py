"""Deep ensembles and Monte Carlo dropout: the same rules for Keras and PyTorch, and a library that is all by hand."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from palate.classifiers import frameworks, networks
from palate.classifiers.frameworks import Keras, Torch
from palate.classifiers.networks import DeepEnsemble, MCDropout
from palate.errors import AnswerError, DataError, MissingExtra, OptionError

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported

Array = NDArray[np.float64]
CLASSES = ("no", "yes")
BOTH = pytest.mark.parametrize("library", ["keras", "torch"])


def sides(n: int = 60) -> tuple[Array, list[str], Array]:
    """Points, on which side of a diagonal each is, and how far."""
    features = np.random.default_rng(0).uniform(-1.0, 1.0, (n, 2))
    distance = features.sum(1)
    return features, [CLASSES[int(far > 0)] for far in distance], distance


# --- without a library ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ByHand:
    """A "network" is its seed; it gives what the test says of it."""

    give: Callable[[int, Array], Array]
    logits: bool = False

    def fit(self, features: Array, targets: NDArray[Any], *, seed: int, rng: np.random.Generator) -> int:
        return seed

    def outputs(self, network: int, features: Array, seed: int | None = None) -> Array:
        return self.give(network if seed is None else seed, features)


def ensemble(give: Callable[[int, Array], Array], classes: tuple[str, ...] = CLASSES, **how: Any) -> DeepEnsemble:
    return DeepEnsemble(ByHand(give, **how), (1, 2), classes)


def test_one_output_is_the_second_of_two_classes() -> None:
    draws = ensemble(lambda seed, x: np.full((len(x), 1), 0.1 * seed)).samples(np.zeros((1, 1)))
    np.testing.assert_allclose(draws, [[[0.9, 0.1]], [[0.8, 0.2]]])


def test_logits_become_probabilities() -> None:
    one = ensemble(lambda seed, x: np.full((len(x), 1), np.log(3.0)), logits=True).samples(np.zeros((1, 1)))
    np.testing.assert_allclose(one[0], [[0.25, 0.75]])
    three = ensemble(lambda seed, x: np.log([[1.0, 2.0, 5.0]]), ("a", "b", "c"), logits=True)
    np.testing.assert_allclose(three.samples(np.zeros((1, 1)))[0], [[0.125, 0.25, 0.625]])


def test_rows_pass_in_chunks_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_ROWS", 3)
    seen = []

    def give(seed: int, x: Array) -> Array:
        seen.append(len(x))
        return x

    values = np.arange(7.0)[:, None]
    np.testing.assert_array_equal(ensemble(give, ()).predictions(values), [values[:, 0]] * 2)
    assert seen == [3, 3, 1] * 2


def test_the_belief_of_an_ensemble_has_its_mean_and_covariance() -> None:
    belief, items = ensemble(lambda seed, x: seed * x, ()).belief([[1.0], [2.0]], noise=0.1)
    np.testing.assert_allclose(items.level, [1.5, 3.0])
    np.testing.assert_allclose(items.factors @ belief.covariance @ items.factors.T, [[0.5, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(items.noise, 0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ensemble(lambda seed, x: x).samples([[1.5]]),
            DataError,
            "the network's outputs are not probabilities. End it in softmax, or in one sigmoid.",
        ),
        (
            lambda: ensemble(lambda seed, x: x).samples([[0.5, 0.1]]),
            DataError,
            "the network's outputs are not probabilities. End it in softmax, or in one sigmoid.",
        ),
        (
            lambda: ensemble(lambda seed, x: x, ("a", "b", "c")).samples([[0.5]]),
            DataError,
            "the network has 1 outputs for 3 classes. Give it one a class.",
        ),
        (
            lambda: ensemble(lambda seed, x: x, ()).predictions([[0.5, 0.1]]),
            DataError,
            "the network has 2 outputs. Give it one to predict a value.",
        ),
        (
            lambda: ensemble(lambda seed, x: x, ()).samples([[0.5]]),
            OptionError,
            "this network predicts values. Use predictions or belief.",
        ),
        (
            lambda: ensemble(lambda seed, x: x).predictions([[0.5]]),
            OptionError,
            "this network predicts classes. Use samples.",
        ),
        (
            lambda: MCDropout(ByHand(lambda seed, x: x), 0, CLASSES).samples([[0.5]], 0, rng=np.random.default_rng(0)),
            OptionError,
            "n is 0. Take at least 1 sample.",
        ),
        (
            lambda: DeepEnsemble.fit(
                ByHand(lambda seed, x: x), [[1.0]], ["no"], CLASSES, members=1, rng=np.random.default_rng(0)
            ),
            OptionError,
            "members is 1. An ensemble needs at least 2.",
        ),
        (
            lambda: MCDropout.fit(
                ByHand(lambda seed, x: x), [[1.0]], ["perhaps"], CLASSES, rng=np.random.default_rng(0)
            ),
            AnswerError,
            "label 'perhaps' of row 0 is not among the classes ['no', 'yes'].",
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message


# --- Keras and PyTorch ------------------------------------------------------------------------------------------------


def framework(library: str, outputs: int = 1, *, values: bool = False, dropout: float = 0.3, norm: bool = False) -> Any:
    """Two hidden layers, one with dropout behind it."""
    pytest.importorskip("torch", reason="needs the extra hf or keras")  # which Keras runs on, too
    pytest.importorskip(library, reason="needs the extra keras")
    build = keras_model if library == "keras" else torch_module
    kind = {"keras": Keras, "torch": Torch}[library]
    return kind(lambda seed: build(seed, outputs, values, dropout, norm), epochs=40)


def keras_model(seed: int, outputs: int, values: bool, dropout: float, norm: bool) -> Any:
    keras = importlib.import_module("keras")
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    end, loss = ("sigmoid", "binary_crossentropy") if outputs == 1 else ("softmax", "sparse_categorical_crossentropy")
    inner = [layers.BatchNormalization()] if norm else []
    inner += [layers.Dropout(dropout)] if dropout else []
    head = keras.Sequential([layers.Dense(8, activation="relu"), *inner])
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(16, activation="relu"), head, layers.Dense(outputs, None if values else end)]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse" if values else loss)
    return model


def torch_module(seed: int, outputs: int, values: bool, dropout: float, norm: bool) -> Any:
    nn = importlib.import_module("torch").nn
    inner = [nn.BatchNorm1d(8)] if norm else []
    inner += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), *inner, nn.Linear(8, outputs))


@BOTH
@pytest.mark.hf
def test_an_ensemble_learns_and_the_same_seed_gives_the_same(library: str) -> None:
    features, labels, _ = sides()

    def draws() -> Array:
        rng = np.random.default_rng(1)
        return DeepEnsemble.fit(framework(library), features, labels, CLASSES, members=3, rng=rng).samples(features)

    first = draws()
    assert first.shape == (3, 60, 2)
    assert np.mean(first.mean(0).argmax(1) == [CLASSES.index(label) for label in labels]) > 0.9
    assert np.abs(first[0] - first[1]).max() > 1e-3  # members differ
    np.testing.assert_array_equal(draws(), first)


@BOTH
@pytest.mark.hf
def test_a_class_without_labels_has_its_column(library: str) -> None:
    features, labels, _ = sides(20)
    fitted = DeepEnsemble.fit(
        framework(library, 3), features, labels, ("no", "perhaps", "yes"), members=2, rng=np.random.default_rng(1)
    )
    draws = fitted.samples(features)
    assert draws.shape == (2, 20, 3)
    assert draws.mean((0, 1))[1] < 0.2
    np.testing.assert_allclose(draws.sum(2), 1.0)


@BOTH
@pytest.mark.hf
def test_without_labels_networks_are_untrained_ones(library: str) -> None:
    fitted = DeepEnsemble.fit(
        framework(library), np.zeros((0, 2)), [], CLASSES, members=2, rng=np.random.default_rng(1)
    )
    np.testing.assert_allclose(fitted.samples(np.zeros((4, 2))), 0.5, atol=0.25)


@pytest.mark.long
@BOTH
@pytest.mark.hf
def test_far_from_the_labels_an_ensemble_of_regressors_is_less_sure(library: str) -> None:
    features, _, distance = sides()
    plain = framework(library, values=True, dropout=0.0)
    fitted = DeepEnsemble.fit_values(plain, features, distance, members=3, rng=np.random.default_rng(1))
    belief, items = fitted.belief(np.vstack([features, 8.0 * features]), noise=0.01)
    assert np.corrcoef(items.level[:60], distance)[0, 1] > 0.95
    variance = belief.variance(items.factors)
    assert variance[60:].mean() > 5 * variance[:60].mean()


@BOTH
@pytest.mark.hf
def test_a_mask_is_one_network_for_all_rows_and_chunks(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = sides()
    fitted = MCDropout.fit(framework(library), features, labels, CLASSES, rng=np.random.default_rng(1))
    draws = fitted.samples(features, 8, rng=np.random.default_rng(2))
    assert draws.shape == (8, 60, 2)
    assert draws[:, :, 1].std(0).max() > 0.01  # masks differ
    same = fitted.samples(np.tile(features[:1], (4, 1)), 8, rng=np.random.default_rng(2))
    np.testing.assert_allclose(same, np.broadcast_to(draws[:, :1], same.shape), atol=1e-6)
    monkeypatch.setattr(networks, "_ROWS", 7)
    np.testing.assert_allclose(fitted.samples(features, 8, rng=np.random.default_rng(2)), draws, atol=1e-6)


@BOTH
@pytest.mark.hf
def test_drawing_leaves_the_network_as_it_was(library: str) -> None:
    """Batch normalisation keeps what it learnt, and prediction without masks gives what it gave."""
    features, labels, _ = sides()
    how = framework(library, norm=True)
    fitted = MCDropout.fit(how, features, labels, CLASSES, rng=np.random.default_rng(1))
    before = how.outputs(fitted.network, features)
    draws = fitted.samples(features, 30, rng=np.random.default_rng(2))
    np.testing.assert_array_equal(how.outputs(fitted.network, features), before)
    alone = fitted.samples(features[:1], 30, rng=np.random.default_rng(2))
    np.testing.assert_allclose(alone, draws[:, :1], atol=1e-6)  # no row depends on the others
    assert np.mean(draws.mean(0).argmax(1) == [CLASSES.index(label) for label in labels]) > 0.9


@BOTH
@pytest.mark.hf
def test_the_mean_over_masks_of_a_linear_network_is_the_network(library: str) -> None:
    """With nothing but dropout and a linear layer behind it, E[mask / (1 − p)] = 1."""
    how = framework(library, values=True, dropout=0.5)
    network = how.fit(np.zeros((0, 2)), np.zeros(0), seed=3, rng=np.random.default_rng(0))
    fitted = MCDropout(how, network)
    features = np.array([[0.5, -0.3]])
    drawn = fitted.predictions(features, 400, rng=np.random.default_rng(1))[:, 0]
    exact = how.outputs(network, features)[0, 0]
    assert drawn.std() > 0
    assert drawn.mean() == pytest.approx(exact, abs=4 * drawn.std() / np.sqrt(400))


@BOTH
@pytest.mark.hf
def test_rows_of_a_belief_by_dropout_vary_together(library: str) -> None:
    features, _, distance = sides()
    fitted = MCDropout.fit_values(framework(library, values=True), features, distance, rng=np.random.default_rng(1))
    near = np.array([[0.5, 0.5], [0.5, 0.51]])
    belief, items = fitted.belief(near, noise=0.05, n=30, rng=np.random.default_rng(2))
    covariance = items.factors @ belief.covariance @ items.factors.T
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) > 0.95


@BOTH
@pytest.mark.hf
def test_a_network_without_dropout_has_one_draw_only(library: str) -> None:
    features, labels, _ = sides(10)
    fitted = MCDropout.fit(framework(library, dropout=0.0), features, labels, CLASSES, rng=np.random.default_rng(1))
    with pytest.raises(OptionError, match=r"^Sequential has no dropout layer: all draws would be equal\. Add one, or"):
        fitted.samples(features, 2, rng=np.random.default_rng(2))


@pytest.mark.hf
def test_channels_drop_as_a_whole_in_pytorch() -> None:
    torch = importlib.import_module("torch")
    module = torch.nn.Sequential(torch.nn.Unflatten(1, (4, 2)), torch.nn.Dropout1d(0.5), torch.nn.Flatten()).eval()
    out = Torch(lambda seed: module).outputs(module, np.ones((3, 8)), seed=0).reshape(3, 4, 2)
    assert set(np.unique(out)) == {0.0, 2.0}
    assert (out == out[:1, :, :1]).all()


@pytest.mark.hf
def test_training_in_pytorch_leaves_the_global_generator_alone() -> None:
    torch = importlib.import_module("torch")
    features, labels, _ = sides(10)
    before = torch.random.get_rng_state()
    MCDropout.fit(framework("torch"), features, labels, CLASSES, rng=np.random.default_rng(1))
    assert torch.equal(torch.random.get_rng_state(), before)


# --- a library that is missing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "kind", "error", "message"),
    [
        ("keras", Keras, MissingExtra, "a Keras network needs the library 'keras', which is not installed. "),
        ("torch", Torch, MissingExtra, "a PyTorch network needs the library 'torch', which is not installed. "),
        ("tensorflow", Keras, OptionError, "Keras is set to run on 'tensorflow', which is not installed. "),
    ],
)
def test_a_missing_library_is_named(
    missing: str, kind: Any, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(frameworks.importlib, "import_module", refuse)
    with pytest.raises(error) as raised:
        kind(lambda seed: None).fit(np.zeros((1, 1)), np.zeros(1), seed=0, rng=np.random.default_rng(0))
    assert str(raised.value).startswith(message)


def test_every_row_is_seen_once_an_epoch() -> None:
    steps = list(frameworks._batches(5, 2, 3, np.random.default_rng(0)))
    assert [len(step) for step in steps] == [2, 2, 1] * 3
    for epoch in range(3):
        assert sorted(np.concatenate(steps[3 * epoch : 3 * epoch + 3])) == [0, 1, 2, 3, 4]
    assert list(frameworks._batches(0, 2, 3, np.random.default_rng(0))) == []
