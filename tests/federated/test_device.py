"""What a device sends: of one length, bounded whatever is in it, and the gradient that the sums give."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from palate.errors import FederatedError, OptionError
from palate.federated.device import DeviceAnswers, belief, contribution, round_zero, upload
from palate.federated.fixed_point import SCALE, decode, encode, quantise
from palate.federated.public import MAX_MASS, ROUND_ZERO, PublicModel
from palate.model.model import Model
from tests.federated.worlds import asking_counts, public_model, stars

ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
ODD = st.one_of(ANY, st.sampled_from([np.nan, np.inf, -np.inf, 1e38, -1e38, 1e308, 5e-324, 0.0]))


def squares(words: np.ndarray) -> int:
    """Exactly, in whole units."""
    return sum(int(one) ** 2 for one in words.view(np.int64))


@given(arrays.arrays(np.float64, st.integers(1, 40), elements=ODD), st.floats(1e-3, 1024.0))
def test_what_is_quantised_is_never_longer_than_the_bound(vector: np.ndarray, bound: float) -> None:
    assert squares(quantise(vector, bound)) <= (bound * SCALE) ** 2


@given(arrays.arrays(np.float64, 20, elements=st.floats(-1.0, 1.0)))
def test_what_is_short_enough_is_only_rounded(vector: np.ndarray) -> None:
    assert np.abs(decode(quantise(vector, 8.0)) - vector).max() <= 0.5 / SCALE


def test_rounding_a_clipped_vector_without_looking_again_would_break_the_bound() -> None:
    """The control: some vector of just that length is longer once each number goes to the nearest unit."""
    vectors = np.random.default_rng(0).normal(size=(50, 30))
    clipped = 8.0 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert max(squares(encode(one)) for one in clipped) > (8.0 * SCALE) ** 2
    assert max(squares(quantise(one, 8.0)) for one in clipped) <= (8.0 * SCALE) ** 2


def test_sums_are_the_same_bits_in_any_grouping() -> None:
    public, rows = public_model(), stars()
    sent = np.stack([upload(public, of_row(rows, user)) for user in range(rows.shape[0])])
    order = np.random.default_rng(1).permutation(len(sent))
    groups = [sent[some].sum(0, dtype=np.uint64) for some in np.array_split(order, 7)]
    np.testing.assert_array_equal(np.sum(groups, axis=0, dtype=np.uint64), sent.sum(0, dtype=np.uint64))
    floats = np.stack([contribution(public, of_row(rows, user)) for user in range(rows.shape[0])])
    assert np.abs(decode(sent.sum(0, dtype=np.uint64)) - floats.sum(0)).max() < len(sent) / SCALE


def of_row(rows: object, user: int) -> DeviceAnswers:
    row = rows[user]  # type: ignore[index]
    return DeviceAnswers(row.indices, row.data)


@given(
    arrays.arrays(np.float64, 30, elements=ODD),
    st.sampled_from([1.0, 1e3, 1e10, 1e30]),
    st.sampled_from(["means", "factors"]),
    st.integers(0, 30),
)
def test_whatever_the_answers_are_the_upload_is_bounded(values: np.ndarray, huge: float, form: str, n: int) -> None:
    public = public_model()
    public = replace(public, form=form, factors=huge * public.factors, noise=1.0 / huge)
    sent = upload(public, DeviceAnswers(np.arange(n), values[:n]))
    assert len(sent) == sum(length for length, _ in public.parts)
    at = 0
    for length, bound in public.parts:
        assert squares(sent[at : at + length]) <= (bound * SCALE) ** 2
        at += length


@pytest.mark.parametrize("form", ["means", "factors"])
def test_ten_thousand_answers_weigh_no_more_than_the_clip(form: str) -> None:
    public = public_model(n_items=10_000, dim=2)
    rng = np.random.default_rng(0)
    answers = DeviceAnswers(np.arange(10_000), rng.integers(1, 6, 10_000).astype(float))
    if form == "means":
        found = round_zero(asking_counts(public), answers)
        assert 1.0 < np.linalg.norm(found) <= ROUND_ZERO * (1 + 1e-12)
    else:
        found = contribution(public, answers)
        assert np.linalg.norm(found[:-1]) == pytest.approx(8.0) and found[-1] <= MAX_MASS
        without_a_clip = contribution(replace(public, clip=1024.0), answers)
        assert np.linalg.norm(without_a_clip[:-1]) > 80.0


def test_nobody_s_answers_and_answers_that_are_no_number_are_zeros() -> None:
    for public in (public_model(), asking_counts(public_model())):
        for answers in (DeviceAnswers(np.array([]), np.array([])), DeviceAnswers(np.array([4]), np.array([np.nan]))):
            sent = upload(public, answers)
            assert not sent.any() and len(sent) == len(upload(public, of_row(stars(), 5)))


def test_the_gradient_is_that_of_the_bound() -> None:
    """By differences of the expected squares, the belief held still; not clipped, all items alike."""
    public = public_model(n_items=6, dim=2)
    public = replace(public, clip=1000.0, item_clip=1000.0, item_weights=np.ones(6))
    answers = DeviceAnswers(np.array([0, 2, 5]), np.array([1.0, 4.0, 5.0]))
    mean, covariance = belief(public, answers)
    t, spread = np.append(1.0, mean), np.zeros((3, 3))
    spread[1:, 1:] = covariance

    def squares_of(factors: np.ndarray) -> float:
        rows, r = factors[answers.items], answers.values - 3.5
        return 0.5 * float(((r - rows @ t) ** 2).sum() + np.einsum("ia,ab,ib->", rows, spread, rows))

    found = contribution(public, answers)[:-1].reshape(6, 3)
    for item in range(6):
        for a in range(3):
            step = np.zeros((6, 3))
            step[item, a] = 1e-5
            slope = (squares_of(public.factors - step) - squares_of(public.factors + step)) / 2e-5
            assert found[item, a] == pytest.approx(slope, abs=1e-7)


def test_answers_twice_to_one_item_or_to_none_are_refused() -> None:
    with pytest.raises(OptionError, match="Give the last one"):
        DeviceAnswers(np.array([1, 1]), np.array([3.0, 4.0]))
    for wrong in (-1, 30):
        with pytest.raises(OptionError, match="to no item"):
            upload(public_model(), DeviceAnswers(np.array([wrong]), np.array([3.0])))


# --- the public model


def test_the_public_model_has_no_field_of_a_user() -> None:
    """None of a whole model's fields, but for one that means another thing in both: none."""
    mine, theirs = ({one.name for one in fields(kind)} for kind in (PublicModel, Model))
    assert mine & theirs == set()
    private = {"answers", "user_ids", "events", "history_prior", "behaviour", "companions", "users", "attributes"}
    assert mine & (private | {"level_shares", "answerability", "labels", "user_noise"}) == set()
    assert private - {"companions"} <= theirs, "the list is of the model that is there"


def test_a_public_model_comes_back_the_same(tmp_path: Path) -> None:
    public = public_model()
    public.save(tmp_path / "public.safetensors")
    again = PublicModel.load(tmp_path / "public.safetensors", line="test")
    assert again.digest == public.digest and again.to_buffers() == public.to_buffers()
    np.testing.assert_array_equal(again.factors, public.factors)
    assert replace(public, noise=0.71).digest != public.digest


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_public_model_is_refused(data: st.DataObject) -> None:
    buffers = bytearray(public_model(n_items=4, dim=1).to_buffers())
    at = data.draw(st.integers(0, len(buffers) - 1))
    buffers[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FederatedError) as refused:
        PublicModel.from_buffers(bytes(buffers))
    assert "\n" not in str(refused.value)


def test_one_of_another_line_or_cut_short_is_refused() -> None:
    buffers = public_model().to_buffers()
    with pytest.raises(FederatedError, match="is of line 'test', not 'other'"):
        PublicModel.from_buffers(buffers, line="other")
    for end in (0, 5, 100, len(buffers) - 1):
        with pytest.raises(FederatedError):
            PublicModel.from_buffers(buffers[:end])


@pytest.mark.parametrize(
    "changed",
    [
        {"factors": np.full((30, 4), np.nan)},
        {"variances": np.full((30, 4), -1.0)},
        {"variances": np.zeros((30, 3))},
        {"item_ids": ("a",) * 30},
        {"counts": np.zeros(29)},
        {"noise": 0.0},
        {"clip": np.inf},
        {"form": "both"},
    ],
)
def test_an_unsound_public_model_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(FederatedError, match="unsound"):
        replace(public_model(), **changed)
