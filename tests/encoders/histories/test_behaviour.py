from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from palate.encoders.histories.behaviour import Behaviour, BehaviourOptions
from palate.encoders.histories.behaviour_fit import fit_behaviour
from palate.encoders.histories.history import KINDS, Log
from palate.errors import DataError, MissingExtra, ModelFolderError, OptionError
from palate.store.model_folder.folder import load_folder, save_folder

pytestmark = pytest.mark.hf

NAN = float("nan")
SMALL = BehaviourOptions(size=32, layers=1, length=8, epochs=12, patience=12, dropout=0.0, rate=0.01)
N_ITEMS, N_USERS = 12, 60


def cycle(seed: int = 0) -> Log:
    """Everybody walks round the items from a place of their own, one step an event."""
    starts = np.random.default_rng(seed).integers(N_ITEMS, size=N_USERS)
    steps = np.arange(10)
    users, items = np.repeat(np.arange(N_USERS), 10), ((starts[:, None] + steps) % N_ITEMS).ravel()
    return Log.of(users, items, np.ones(users.size), np.tile(steps * 60.0, N_USERS), ["view"] * users.size)


def content() -> np.ndarray:
    return np.random.default_rng(7).normal(size=(N_ITEMS, 6))


@pytest.fixture(scope="module")
def walker() -> Behaviour:
    return fit_behaviour(cycle(), content(), N_USERS, options=SMALL, rng=np.random.default_rng(0))


# --- what it learns -------------------------------------------------------------------------------


def test_it_learns_what_comes_next(walker: Behaviour) -> None:
    new = Log.of([0, 0, 0], [3, 4, 5], [1, 1, 1], [0, 60, 120], ["view"] * 3)
    states = walker.encode(new, content(), 1)
    assert int(walker.score(states, content())[0].argmax()) == 6


def test_a_new_item_is_seen_by_its_content(walker: Behaviour) -> None:
    with_twin = np.concatenate([content(), content()[5:6]])
    twin = Log.of([0, 0, 0], [3, 4, N_ITEMS], [1, 1, 1], [0, 60, 120], ["view"] * 3)
    original = Log.of([0, 0, 0], [3, 4, 5], [1, 1, 1], [0, 60, 120], ["view"] * 3)
    other = Log.of([0, 0, 0], [3, 4, 10], [1, 1, 1], [0, 60, 120], ["view"] * 3)
    state, near, far = (walker.encode(log, with_twin, 1)[0] for log in (twin, original, other))
    assert np.linalg.norm(state - near) < np.linalg.norm(state - far)


def test_a_state_knows_nothing_of_what_comes_after_nor_of_others(walker: Behaviour) -> None:
    log = cycle(3)
    alone = log.take((log.users == 4) & (log.timestamps < 300))
    alone = replace(alone, users=np.zeros(len(alone), dtype=np.int64))
    among = log.take((log.users != 4) | (log.timestamps < 300))
    np.testing.assert_allclose(
        walker.encode(alone, content(), 1)[0], walker.encode(among, content(), N_USERS)[4], atol=1e-5
    )


def test_order_kind_and_liking_matter_and_no_events_are_zeros(walker: Behaviour) -> None:
    log = Log.of([1, 1], [3, 4], [1, 1], [0, 60], ["view", "view"])
    base = walker.encode(log, content(), 3)
    assert not base[[0, 2]].any() and base[1].any()
    for other in (
        replace(log, items=log.items[::-1]),
        replace(log, kinds=np.array([KINDS.index("skip")] * 2)),
        replace(log, liking=np.array([1.0, -1.0])),
        replace(log, timestamps=np.array([0, 6e6])),
    ):
        assert np.abs(walker.encode(other, content(), 3)[1] - base[1]).max() > 1e-4


@pytest.mark.long
def test_disliked_events_are_never_to_be_told() -> None:
    walk = cycle()
    skips = Log.of(walk.users, np.full(len(walk), 0), -np.ones(len(walk)), walk.timestamps + 1, ["skip"] * len(walk))
    both = Log(*(np.concatenate(pair) for pair in zip(_columns(walk), _columns(skips), strict=True)))
    both = both.take((both.items != 0) | (both.liking < 0))
    model = fit_behaviour(both, content(), N_USERS, options=SMALL, rng=np.random.default_rng(0))
    scores = model.score(model.encode(both, content(), N_USERS), content())
    assert not (scores.argmax(1) == 0).any()


def _columns(log: Log) -> tuple[np.ndarray, ...]:
    return log.users, log.items, log.liking, log.timestamps, log.kinds


def test_equal_seeds_give_equal_weights_and_the_global_generator_is_left_alone() -> None:
    import torch

    options = replace(SMALL, epochs=2, dropout=0.2)
    before = torch.get_rng_state()
    first, again, other = (
        fit_behaviour(cycle(), content(), N_USERS, options=options, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert first.revision == again.revision != other.revision


@pytest.mark.long
def test_what_is_kept_is_a_mean_over_the_steps() -> None:
    def moved(averaging: float, rate: float) -> np.ndarray:
        options = replace(SMALL, epochs=2, patience=9, held_out=0.0, averaging=averaging, rate=rate)
        fitted = fit_behaviour(cycle(), content(), N_USERS, options=options, rng=np.random.default_rng(1))
        return fitted.weights["residual"]

    start = moved(0.0, 1e-12)
    last, mean = moved(0.0, 2e-3) - start, moved(0.98, 2e-3) - start
    assert 0 < np.linalg.norm(mean) < np.linalg.norm(last)  # it lags behind, on the same way
    assert np.sum(mean * last) > 0.9 * np.linalg.norm(mean) * np.linalg.norm(last)


@pytest.mark.long
def test_a_sample_of_negatives_learns_too() -> None:
    options = replace(SMALL, negatives=4)
    model = fit_behaviour(cycle(), content(), N_USERS, options=options, rng=np.random.default_rng(0))
    states = model.encode(Log.of([0, 0], [3, 4], [1, 1], [0, 60], ["view"] * 2), content(), 1)
    assert int(model.score(states, content())[0].argmax()) == 5


def test_what_is_not_known_of_an_item_counts_as_the_middle(walker: Behaviour) -> None:
    log = Log.of([0], [2], [1], [0], ["view"])
    middle, unknown = content(), content()
    middle[2], unknown[2] = walker.centre, NAN
    np.testing.assert_allclose(walker.encode(log, unknown, 1), walker.encode(log, middle, 1), atol=1e-6)


# --- keeping, and bad input -----------------------------------------------------------------------


def test_it_survives_the_model_folder(walker: Behaviour, tmp_path) -> None:
    save_folder(tmp_path, config={}, arrays={"behaviour": walker.arrays()}, tables={})
    again = Behaviour.from_arrays(load_folder(tmp_path).arrays["behaviour"])
    assert again.revision == walker.revision
    np.testing.assert_array_equal(again.encode(cycle(), content(), N_USERS), walker.encode(cycle(), content(), N_USERS))


def test_damaged_arrays_are_refused(walker: Behaviour) -> None:
    arrays = walker.arrays()
    with pytest.raises(ModelFolderError, match="the behaviour model lacks 'norm'"):
        Behaviour.from_arrays({name: array for name, array in arrays.items() if name != "norm"})
    with pytest.raises(ModelFolderError, match=r"'gap' is \(3, 32\), expected \(32, 32\)"):
        Behaviour.from_arrays({**arrays, "gap": arrays["gap"][:3]})
    with pytest.raises(ModelFolderError, match=r"'extra' is \(1,\), expected None"):
        Behaviour.from_arrays({**arrays, "extra": np.zeros(1, dtype=np.float32)})


def test_vectors_of_another_width_are_refused(walker: Behaviour) -> None:
    with pytest.raises(DataError, match=r"the item vectors have the shape \(12, 5\), .* fitted on 6 columns"):
        walker.encode(cycle(), content()[:, :5], N_USERS)


def test_bad_logs_are_refused() -> None:
    with pytest.raises(DataError, match="1 events of the log are liked"):
        fit_behaviour(Log.of([0], [0], [1], [0]), content(), 1, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="row 0 names item 99, and there are 12"):
        fit_behaviour(Log.of([0], [99], [1], [0]), content(), 1, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="the event 'stare' is unknown"):
        Log.of([0], [0], [1], [0], ["stare"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 48}, "size is 48. Give a multiple of 32, such as 64."),
        ({"size": 0}, "size is 0. Give a multiple of 32, such as 64."),
        ({"length": 0}, "length is 0. Give a number from 1."),
        ({"dropout": 1.0}, "dropout is 1.0. Give a share from 0 to below 1."),
        ({"averaging": 1.0}, "averaging is 1.0. Give a share from 0 to below 1."),
    ],
)
def test_bad_options_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        BehaviourOptions(**change)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_without_torch_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="the behaviour encoder needs the library 'torch'"):
        fit_behaviour(cycle(), content(), N_USERS, options=SMALL, rng=np.random.default_rng(0))
