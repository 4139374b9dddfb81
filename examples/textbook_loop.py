"""The textbook's active-learning loop, made real: a CSV file, a small Keras network, ten rounds of ten labels, a plot.

Run it with ``pip install '.[keras]'`` and ``python examples/textbook_loop.py``; it takes 15 seconds or so.
With the name of a folder behind, it leaves data.csv, the networks and loop.png there.

An ensemble of three networks is trained in every round, and is asked what to label next. A row is worth a label where
its probability is near ½, not where it is large, and the rows of a round differ from each other (BADGE). One of the ten
is drawn at random all the same: networks are sure of themselves where they have seen nothing, so without it a corner of
the data may never be asked about. Beside it stand ten rows drawn at random.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from warnings import filterwarnings

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow"; Keras reads it when it is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a network this small only waits for more threads

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.classifiers.frameworks import Keras
from palate.classifiers.networks import DeepEnsemble

filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)  # Keras of PyTorch

ROUNDS, LABELS = 10, 10  # the labels of the first round are drawn at random
DRAWN = 1  # of those of a later round
NEAR = 0.55  # how near a text must be to the reader
CLASSES = (0, 1)
STRATEGIES = ("badge", "random")

Array = NDArray[np.float64]
Choose = Callable[[Pool, np.random.Generator], NDArray[np.intp]]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "data.csv", rows=3000, rng=np.random.default_rng(0))
    features, labels = read(folder / "data.csv")
    print(f"{len(labels)} rows, {labels.mean():.0%} liked; a third is kept for the test")
    curves = {}
    for name in STRATEGIES:
        curves[name], ensemble = play(features, labels, chosen_by(name), seed=0)
        print(f"{name:>6}: " + " ".join(f"{accuracy:.3f}" for accuracy in curves[name]))
        if name == STRATEGIES[0]:
            keep(ensemble, folder, features)
    plot(curves, folder / "loop.png")


# --- the data ---------------------------------------------------------------------------------------------------------


def generate(rows: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.intp]]:
    """A reader's skill and a text's difficulty, both in [-1, 1]; liked is what is neither too easy nor too hard."""
    features = rng.uniform(-1.0, 1.0, (rows, 2))
    return features, (np.abs(features[:, 0] - features[:, 1]) < NEAR).astype(np.intp)


def write(path: Path, *, rows: int, rng: np.random.Generator) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["user_feature", "content_feature", "label"])
        for (user, content), label in zip(*generate(rows, rng), strict=True):
            table.writerow([f"{user:.6f}", f"{content:.6f}", label])


def read(path: Path) -> tuple[Array, NDArray[np.intp]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    features = np.array([[float(row["user_feature"]), float(row["content_feature"])] for row in rows])
    return features, np.array([int(row["label"]) for row in rows])


# --- the loop ---------------------------------------------------------------------------------------------------------


def network(seed: int) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.Input((2,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.04), loss="binary_crossentropy")
    return model


def chosen_by(name: str, drawn: int = DRAWN) -> Choose:
    def choose(pool: Pool, rng: np.random.Generator) -> NDArray[np.intp]:
        best = POOL_STRATEGIES[name].pick(pool, LABELS - drawn, rng=rng).items
        others = np.setdiff1d(np.arange(len(pool)), best)
        return np.concatenate([best, rng.choice(others, drawn, replace=False)])

    return choose


def play(
    features: Array, labels: NDArray[np.intp], choose: Choose, *, seed: int, rounds: int = ROUNDS
) -> tuple[list[float], DeepEnsemble]:
    """Accuracy on the test rows after each round, and the last ensemble; a label of the pool is seen once asked for."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    test, pool = np.split(order, [len(order) // 3])
    asked, accuracies = pool[:LABELS], []
    while True:
        ensemble = learn(features[asked], labels[asked], rng)
        predicted = ensemble.samples(features[test]).mean(0).argmax(1)
        accuracies.append(float((predicted == labels[test]).mean()))
        if len(accuracies) == rounds:
            return accuracies, ensemble
        free = np.setdiff1d(pool, asked)
        seen = [features[asked], labels[asked], ensemble.samples(features[asked])]
        picked = choose(Pool(ensemble.samples(features[free]), features[free], *seen), rng)
        asked = np.concatenate([asked, free[picked]])


def learn(features: Array, labels: NDArray[np.intp], rng: np.random.Generator) -> DeepEnsemble:
    framework = Keras(network, epochs=60, batch_size=ROUNDS * LABELS)
    return DeepEnsemble.fit(framework, features, labels, CLASSES, members=3, rng=rng)


# --- what is left -----------------------------------------------------------------------------------------------------


def keep(ensemble: DeepEnsemble, folder: Path, features: Array) -> None:
    """Saves the networks in Keras' own format, loads them again, and sees that they predict the same."""
    import keras

    paths = [folder / f"network{number}.keras" for number in range(len(ensemble.members))]
    for member, path in zip(ensemble.members, paths, strict=True):
        member.save(path)
    loaded = tuple(keras.models.load_model(path) for path in paths)
    again = DeepEnsemble(ensemble.framework, loaded, ensemble.classes)
    gap = np.abs(again.samples(features) - ensemble.samples(features)).max()
    print(f"{len(paths)} networks saved and loaded: their probabilities differ by {gap:.0e} at most")


def plot(curves: dict[str, list[float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for (name, curve), style in zip(curves.items(), ("o-", "s--"), strict=True):
        axes.plot(LABELS * np.arange(1, len(curve) + 1), curve, style, label=name)
    axes.set(xlabel="labels", ylabel="accuracy on test rows", title="Ten rounds of ten labels", ylim=(None, 1.0))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"{path.name} is drawn: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    missing = [library for library in ("keras", os.environ["KERAS_BACKEND"]) if find_spec(library) is None]
    if missing:
        sys.exit(f"{missing[0]} is not installed, so there is no network to train: pip install '.[keras]'")
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
