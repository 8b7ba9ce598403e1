"""The loops and the interpreter compute the formulas of docs/arithmetic.md: held against Python's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.operators.convolve import convolve
from edgetvm.operators.lookup import lookup
from edgetvm.operators.reduce_sum import reduce_sum
from edgetvm.operators.requantize import requantize
from edgetvm.operators.scaled_sum import scaled_sum
from edgetvm.operators.window_sum import window_sum
from edgetvm.oracle import integer_layers as layers
from tests.operators.run_operator import attributes_of, run_operator

RNG = np.random.default_rng(0)


def both(build: Any, meaning: Any, arguments: list[np.ndarray], constants: int) -> np.ndarray:
    """The interpreter's result, which the compiled loops share to the bit."""
    expected = meaning(arguments, attributes_of(build, arguments))
    found = run_operator(build, arguments, constants)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    return np.asarray(expected)


def exactly(acc: int, multiplier: int, shift: int, zero: int) -> int:
    """Single rounding, ties up, in integers of any size."""
    return max(min((acc * multiplier + 2 ** (shift - 1)) // 2**shift + zero, 127), -128)


@pytest.mark.parametrize("shift", range(1, 63))
def test_requantize_at_every_shift(shift: int) -> None:
    near = [int(step * 2**shift // (1 << 30)) for step in (-300, -128.5, -1, -0.5, 0.5, 1, 127.5, 300)]
    values = [0, 1, -1, 2**31 - 1, -(2**31), *(max(min(v + d, 2**31 - 1), -(2**31)) for v in near for d in (-1, 0, 1))]
    acc = np.array(values, np.int32)
    multiplier, zero = 1 << 30, -7

    def build(x: Any, m: Any, s: Any) -> Any:
        return requantize(x, m, s, zero_point=zero, low=-128, high=127, dtype="int8")

    found = both(build, layers.requantize, [acc, np.array([multiplier], np.int32), np.array([shift], np.int32)], 2)
    assert found.tolist() == [exactly(v, multiplier, shift, zero) for v in values]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_requantize_by_channel(dtype: str) -> None:
    """Each channel has a multiplier and a shift; scales of 1 and more among them."""
    limit = 2**31 if dtype == "int32" else 2**34
    acc = RNG.integers(-limit, limit, (50, 6)).astype(dtype)
    acc[0] = 0
    multiplier = np.array([[2**31 - 1, 2**30, 3, 0, -(2**30), 1 << 20]], np.int32) >> (0 if dtype == "int32" else 4)
    shift = np.array([[1, 30, 31, 1, 45, 62]], np.int32)

    def build(x: Any, m: Any, s: Any) -> Any:
        return requantize(x, m, s, zero_point=5, low=-100, high=90, dtype="int8")

    found = both(build, layers.requantize, [acc, multiplier.astype(np.int32), shift], 2)
    for place, value in np.ndenumerate(acc):
        m, s = int(multiplier[0, place[1]]), int(shift[0, place[1]])
        assert int(found[place]) == max(min((int(value) * m + 2 ** (s - 1)) // 2**s + 5, 90), -100)


def test_scaled_sum() -> None:
    a, b = RNG.integers(-128, 128, (2, 3, 8)).astype(np.int8), RNG.integers(-128, 128, (3, 1)).astype(np.int8)
    factors = [np.array([123456], np.int32), np.arange(8, dtype=np.int32) * 1000 - 3000]
    constant = np.array([[7 << 20]], np.int32)

    def build(x: Any, y: Any, m: Any, n: Any, c: Any) -> Any:
        return scaled_sum([(x, m), (y, n)], c, shift=18, low=-128, high=127, dtype="int8", wide="int32")

    def meaning(arguments: list[np.ndarray], attributes: Any) -> np.ndarray:
        x, y, m, n, c = arguments
        return layers.scaled_sum([x, m, y, n, c], attributes)

    found = both(build, meaning, [a, b, *factors, constant], 3)
    total = a.astype(int) * 123456 + b.astype(int) * factors[1] + (7 << 20)
    np.testing.assert_array_equal(found, np.clip(total // 2**18, -128, 127))


def test_a_scaled_sum_that_leaves_its_type_is_an_error_of_the_interpreter() -> None:
    arguments = [np.array([127], np.int8), np.array([2**30], np.int32), np.array([0], np.int32)]
    with pytest.raises(OverflowError, match="does not fit int32"):
        layers.scaled_sum(arguments, {"wide": "int32", "shift": 1, "low": -128, "high": 127, "dtype": "int8"})


def test_lookup_of_every_code() -> None:
    codes = np.arange(-128, 128).astype(np.int8).reshape(4, 64)
    table = RNG.permutation(np.arange(-128, 128)).astype(np.int8)
    assert both(lookup, layers.lookup, [codes, table], 1).ravel().tolist() == table.tolist()


def naive(x: np.ndarray, w: np.ndarray, geometry: dict[str, Any]) -> np.ndarray:
    """Convolution by its definition."""
    (sy, sx), (dy, dx) = geometry["strides"], geometry["dilation"]
    top, left, bottom, right = geometry["padding"]
    image = np.pad(x.astype(int), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=geometry["pad_value"])
    kh, kw, depth, out = w.shape
    rows = (image.shape[1] - (kh - 1) * dy - 1) // sy + 1
    columns = (image.shape[2] - (kw - 1) * dx - 1) // sx + 1
    result = np.zeros((x.shape[0], rows, columns, out), int)
    for b, y, z, o in np.ndindex(result.shape):
        group = o // (out // geometry["groups"])
        window = image[b, y * sy :: dy, z * sx :: dx, group * depth : (group + 1) * depth][:kh, :kw]
        result[b, y, z, o] = (window * w[:, :, :, o].astype(int)).sum()
    return result


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_convolve(data: st.DataObject) -> None:
    groups = data.draw(st.sampled_from([1, 1, 2, 3]), "groups")
    depth, per_group = data.draw(st.integers(1, 3), "depth"), data.draw(st.integers(1, 3), "per group")
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)), "kernel")
    geometry = {
        "strides": data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)), "strides"),
        "dilation": data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)), "dilation"),
        "padding": data.draw(st.tuples(*[st.integers(0, 2)] * 4), "padding"),
        "groups": groups,
        "pad_value": data.draw(st.integers(-128, 127), "pad value"),
    }
    x = RNG.integers(-128, 128, (data.draw(st.integers(1, 2), "batch"), 6, 5, groups * depth)).astype(np.int8)
    w = RNG.integers(-128, 128, (*kernel, depth, groups * per_group)).astype(np.int8)

    def build(x: Any, w: Any) -> Any:
        return convolve(x, w, **geometry, dtype="int32")

    found = both(build, layers.convolve, [x, w], 1)
    np.testing.assert_array_equal(found, naive(x, w, geometry))


def test_window_sum_is_a_convolution_with_ones() -> None:
    x = RNG.integers(-128, 128, (1, 7, 6, 5)).astype(np.int8)
    geometry: dict[str, Any] = {"strides": (2, 1), "padding": (1, 0, 2, 1), "pad_value": 9}
    found = both(lambda x: window_sum(x, window=(3, 2), **geometry), layers.window_sum, [x], 0)
    ones = np.ones((3, 2, 1, 5), np.int8)
    np.testing.assert_array_equal(found, naive(x, ones, {**geometry, "dilation": (1, 1), "groups": 5}))


@pytest.mark.parametrize("keepdims", [True, False])
def test_reduce_sum(keepdims: bool) -> None:
    x = RNG.integers(-128, 128, (2, 5, 3, 4)).astype(np.int8)

    def build(x: Any) -> Any:
        return reduce_sum(x, axes=[1, 2], keepdims=keepdims, dtype="int32")

    found = both(build, layers.reduce_sum, [x], 0)
    np.testing.assert_array_equal(found, x.sum((1, 2), int, keepdims=keepdims))


def test_products_beyond_what_doubles_hold() -> None:
    a, b = np.full((2, 3), 2**31 - 1, np.int64), np.full((3, 2), 2**30 - 1, np.int64)
    assert layers.integer_matmul(a, b).tolist() == [[3 * (2**31 - 1) * (2**30 - 1)] * 2] * 2
