from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from palate.errors import ModelFolderError
from palate.store.model_folder import tensors

ARRAYS = st.sampled_from(list(tensors.DTYPES.values())).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=npst.from_dtype(dtype, allow_nan=False, allow_infinity=False, **_below(dtype)),
    )
)


def _below(dtype: np.dtype[Any]) -> dict[str, Any]:
    largest = min(2.0**96, float(np.finfo(dtype).max)) if dtype.kind == "f" else None
    return {} if largest is None else {"min_value": -largest, "max_value": largest}


def buffer(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(bytearray(data), dtype=np.uint8)


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name != "__metadata__"), ARRAYS, max_size=4))
def test_arrays_come_back_as_they_were_and_as_the_library_reads_them(arrays: dict[str, NDArray[Any]]) -> None:
    data = tensors.to_bytes(arrays, "taste")
    read = tensors.from_bytes(buffer(data), "taste")
    theirs = safetensors.numpy.load(data)
    assert set(read) == set(arrays) == set(theirs)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].flags.writeable and read[name].flags.aligned
        np.testing.assert_array_equal(read[name], array, strict=True)
        np.testing.assert_array_equal(theirs[name], array, strict=True)


def test_arrays_that_are_not_in_c_order_are_kept() -> None:
    array = np.arange(6.0).reshape(2, 3)
    for other in (np.asfortranarray(array), array.T, array[:, ::2], array[::-1]):
        read = tensors.from_bytes(buffer(tensors.to_bytes({"w": other}, "taste")), "taste")
        np.testing.assert_array_equal(read["w"], other)


def test_the_same_arrays_give_the_same_bytes() -> None:
    one, two = np.ones(3), np.zeros((2, 2), dtype=np.int32)
    assert tensors.to_bytes({"a": one, "b": two}, "x") == tensors.to_bytes({"b": two, "a": one}, "x")


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.array([True]), np.ones(2, dtype=">f8")])
def test_other_types_are_not_saved(array: NDArray[Any]) -> None:
    with pytest.raises(ModelFolderError) as caught:
        tensors.to_bytes({"w": array}, "taste")
    assert str(caught.value).startswith(f"taste: tensor 'w' has dtype {array.dtype}. Convert it to one of float64, ")


@pytest.mark.parametrize("names", [["__metadata__"], [str(number) for number in range(10_001)]])
def test_names_that_would_not_load_are_not_saved(names: list[str]) -> None:
    with pytest.raises(ModelFolderError, match="taste "):
        tensors.to_bytes({name: np.ones(1) for name in names}, "taste")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_sick_numbers_are_not_saved(value: float) -> None:
    with pytest.raises(
        ModelFolderError, match=r"^taste: tensor 'w' holds numbers from .* must be finite and below 1e\+30"
    ):
        tensors.to_bytes({"w": np.array([0.0, value])}, "taste")
