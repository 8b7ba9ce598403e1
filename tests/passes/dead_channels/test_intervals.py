"""No value ever lies outside the interval of its element, and the intervals are no wider than they must be."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.operators.convolve import convolve
from edgetvm.operators.lookup import lookup
from edgetvm.operators.prelu import prelu
from edgetvm.operators.requantize import requantize
from edgetvm.oracle.integer import interpret
from edgetvm.passes.dead_channels.intervals import Interval, corners, exactly, fits, picked, products, whole
from edgetvm.passes.dead_channels.ranges import ranges_of
from tests.passes.dead_channels.graphs import Layers, graph


def every(interval: Interval) -> list[tuple[int, int]]:
    return list(zip(interval.low.ravel().tolist(), interval.high.ravel().tolist(), strict=True))


def test_products_take_the_worst_of_every_channel() -> None:
    x = Interval(np.array([-1, 2]), np.array([3, 2]))
    weights = np.array([[[2, -1], [5, 0]], [[1, 4], [0, 0]]])  # two taps, two channels, two outputs
    assert every(products(x, weights, 1)) == [(-3 + 10, 9 + 10), (-4 - 3, 12 + 1)]


def test_products_of_groups() -> None:
    """Outputs 0 and 1 see the first channel, 2 and 3 the second."""
    x = Interval(np.array([-1, 2]), np.array([3, 4]))
    assert every(products(x, np.array([[[1, -1, 1, -1]]]), 2)) == [(-1, 3), (-3, 1), (2, 4), (-4, -2)]


def test_a_table_may_bend_between_the_ends() -> None:
    table = np.zeros(256, np.int8)
    table[130] = 9  # of code 2
    ends = Interval(np.array([[0, 3]]), np.array([[5, 7]]))
    assert every(picked(ends, table)) == [(0, 9), (0, 0)]


def test_corners_of_products() -> None:
    a, b = Interval(np.array([-2]), np.array([3])), Interval(np.array([-5]), np.array([4]))
    assert every(corners(np.multiply, [a, b])) == [(-15, 12)]
    assert every(corners(np.multiply, [a, exactly(np.array([-1]))])) == [(-3, 2)]


def test_what_leaves_its_type_is_told() -> None:
    assert fits(whole("int8", 1), "int8")
    assert not fits(whole("int16", 1), "int8")


@pytest.mark.parametrize("pad_value", [-128, 100])
def test_a_border_widens_what_a_tap_sees(pad_value: int) -> None:
    def body(layers: Layers, x: relax.Var) -> relax.Var:
        ones = relax.const(np.ones((1, 3, 1, 1), np.int8))
        positive = layers.emit(relax.op.clip(x, 10, 20))
        attributes = {"strides": [1, 1], "dilation": [1, 1], "groups": 1, "pad_value": pad_value, "dtype": "int32"}
        return layers.emit(convolve(positive, ones, padding=[0, 1, 0, 1], **attributes))

    func = graph((1, 1, 4, 1), body)["main"]
    (interval,) = [x for var, x in ranges_of(func).items() if var.name == func.body.body.name]
    assert every(interval) == [(3 * min(10, pad_value), 3 * max(20, pad_value))]


@st.composite
def graphs(draw: st.DrawFn) -> tvm.IRModule:
    """A few elementwise operators behind a convolution, then another convolution."""
    steps = draw(st.lists(st.sampled_from(["lookup", "prelu", "clip", "maximum", "concat", "negative"]), max_size=4))

    def body(layers: Layers, x: relax.Var) -> relax.Var:
        rng = layers.rng
        x = layers.convolution(x, 4, settled=[1], kernel=3)
        for step in steps:
            channels = int(x.ty.shape[-1])
            if step == "lookup":
                made = lookup(x, relax.const(rng.integers(-128, 128, 256).astype(np.int8)))
            elif step == "prelu":
                negative = relax.const(rng.integers(-9000, 9000, (1, 1, 1, channels)).astype(np.int32))
                bounds = {"low": -128, "high": 127, "dtype": "int8", "wide": "int32"}
                made = prelu(
                    x, negative, positive=int(rng.integers(-9000, 9000)), zero=-5, constant=99, shift=13, **bounds
                )
            elif step == "clip":
                made = relax.op.clip(x, -100, 50)
            elif step == "maximum":
                made = relax.op.maximum(x, relax.const(rng.integers(-128, 128, (channels,)).astype(np.int8)))
            elif step == "concat":
                made = relax.op.concat([x, x], axis=3)
            else:
                wide = layers.emit(relax.op.astype(x, "int32"))
                factors = [relax.const(np.array(number, np.int32)) for number in (-(1 << 30), 31)]
                made = requantize(wide, *factors, zero_point=3, low=-128, high=127, dtype="int8")
            x = layers.emit(made)
        return layers.convolution(x, 3, depthwise=False)

    return graph((1, 3, 4, 2), body, draw(st.integers(0, 1 << 16)))


@settings(max_examples=25, deadline=None)
@given(graphs(), st.integers(0, 1 << 16))
def test_no_value_lies_outside(module: tvm.IRModule, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-128, 128, (1, 3, 4, 2)).astype(np.int8)
    values = interpret(module, [x])
    for var, interval in ranges_of(module["main"]).items():
        if var.name in values:
            value = np.asarray(values[var.name])
            assert (interval.low <= value).all(), var.name
            assert (value <= interval.high).all(), var.name
