"""numpy's walk through unscheduled loops, against numpy itself and the integer interpreter's formulas."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from tvm import te, tirx, topi

from edgetvm.operators.layer_norm import NORMAL_BITS, layer_norm
from edgetvm.operators.softmax import powers, softmax
from edgetvm.oracle import integer_layer_norm, integer_softmax
from edgetvm.oracle.kernels import UnreadableError
from edgetvm.oracle.loops import FILL, run_loops, written_params
from edgetvm.schedule.concat_kernel import split_concat
from tests.operators.run_operator import attributes_of, loops_of
from tests.tune.layers import conv_layer


def test_a_convolution_with_requantization() -> None:
    func, constants = conv_layer(size=6, channels=4, outputs=8)
    assert written_params(func) == [len(func.params) - 1]
    x = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 4)).astype("int8")
    w, bias, multiplier = (constants[position][0].astype("int64") for position in (1, 2, 3))
    padded = np.pad(x.astype("int64"), ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))  # [1, 6, 6, 4, 3, 3]
    sums = np.einsum("byzcij,ijco->byzo", views, w) + bias
    wanted = np.clip(((sums * multiplier + (1 << 39)) >> 40) - 5, -5, 127).astype("int8")
    (got,) = run_loops(func, {0: x, **{position: arrays[0] for position, arrays in constants.items()}})
    np.testing.assert_array_equal(got, wanted)


def test_sums_in_steps_and_extrema() -> None:
    x = te.placeholder((3000, 500), "float32", name="x")
    i, k = te.reduce_axis((0, 3000), name="i"), te.reduce_axis((0, 500), name="k")
    total = te.compute((500,), lambda j: te.sum(x[i, j], i), name="total")
    most = te.compute((3000,), lambda j: te.max(x[j, k], k), name="most")
    func = te.create_prim_func([x, total, most])
    data = np.random.default_rng(0).standard_normal((3000, 500)).astype("float32")
    got = run_loops(func, {0: data})
    np.testing.assert_allclose(got[0], data.astype(float).sum(0), rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(got[1], data.max(1))


def test_what_a_part_of_a_concatenation_does_not_write_is_filled() -> None:
    x, y = te.placeholder((2, 2), "int8", name="x"), te.placeholder((2, 3), "int8", name="y")
    both = te.compute((2, 5), lambda i, j: tirx.if_then_else(j < 2, x[i, j], y[i, j - 2]), name="concat")
    func = te.create_prim_func([x, y, both])
    parts = split_concat(func)
    assert len(parts) == 2
    (got,) = run_loops(parts[0], {0: np.asarray([[5, 6], [7, 8]], "int8")})
    assert got.view(np.uint8).tolist() == [[5, 6, FILL, FILL, FILL], [7, 8, FILL, FILL, FILL]]


def test_products_and_the_place_of_a_maximum_go_step_by_step() -> None:
    x = te.placeholder((3, 4), "float32", name="x")
    k = te.reduce_axis((0, 4), name="k")
    product = te.comm_reducer(lambda a, b: a * b, lambda dtype: tirx.const(1, dtype), name="product")
    func = te.create_prim_func([x, te.compute((3,), lambda r: product(x[r, k], k)), topi.argmax(x, axis=1)])
    data = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    got = run_loops(func, {0: data})
    np.testing.assert_allclose(got[0], data.astype(float).prod(1), rtol=1e-6)
    np.testing.assert_array_equal(got[1], data.argmax(1))


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_functions_of_rows_of_codes_are_those_of_the_interpreter(dtype: str) -> None:
    bounds, rng = {"low": -128, "high": 127, "dtype": "int8"}, np.random.default_rng(2)
    codes = rng.integers(-100, 101, (5, 7)).astype(dtype)
    scaled = partial(softmax, multiplier=1 << 30, shift=52, zero_point=-128, **bounds)
    normal = partial(layer_norm, fraction=7, epsilon=77, shift=NORMAL_BITS, **bounds)
    factors = [np.full(7, 40, "int32"), np.full(7, 1 << (NORMAL_BITS - 1), "int64")]
    for call, rest, meaning in (
        (scaled, [powers(0.02, dtype).astype("int32")], integer_softmax.softmax),
        (normal, factors, integer_layer_norm.layer_norm),
    ):
        arguments = [codes, *rest]
        (got,) = run_loops(loops_of(call, arguments), dict(enumerate(arguments)))
        assert len(np.unique(got)) > 5
        np.testing.assert_array_equal(got, meaning(arguments, attributes_of(call, arguments)))


def test_too_many_steps_are_refused() -> None:
    x = te.placeholder((600, 600), "float32", name="x")
    k = te.reduce_axis((0, 600), name="k")
    product = te.comm_reducer(lambda a, b: a * b, lambda dtype: tirx.const(1, dtype), name="product")
    with pytest.raises(UnreadableError, match="steps"):
        run_loops(te.create_prim_func([x, te.compute((600,), lambda i: product(x[i, k], k))]), {0: np.ones((600, 600))})
