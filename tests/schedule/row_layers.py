"""Layers that follow one another, for tests of kernels that go over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tvm
from hypothesis import strategies as st
from tvm import relax

from tests.schedule.int8_layers import Layer, pair
from tests.schedule.kernels import Emit
from tests.schedule.reference import Window

Body = Callable[[list[relax.Var], Emit], tvm.ir.Expr]


def follow(layer: Layer, outputs: int | None, window: Window, epilogue: str = "relu") -> Layer:
    """A layer that reads what `layer` computes; depthwise without `outputs`."""
    shape = layer.sums(layer.inputs()[0]).shape
    groups = shape[3] if outputs is None else 1
    return Layer(shape, outputs or shape[3], window, epilogue, groups, layer.seed + 1)


def body_of(layers: Sequence[Layer], residual: bool = False) -> Body:
    """One layer after the other; with `residual` the last one adds the input of all."""

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        value: tvm.ir.Expr = p[0]
        for layer in layers:
            value = layer.body([emit(value), p[0]] if residual else [emit(value)], emit)
        return value

    return body


def expected(layers: Sequence[Layer], x: np.ndarray) -> np.ndarray:
    """What numpy computes."""
    value = x
    for layer in layers:
        value = layer.expected([value, x])
    return value


@st.composite
def chains(draw: st.DrawFn) -> list[Layer]:
    """Two to four layers of any windows, dense, pointwise and depthwise, that leave two rows at least."""
    channels = st.sampled_from([1, 3, 8, 16])
    height, width = draw(pair(st.integers(7, 12)))
    layers = [
        Layer((1, height, width, draw(channels)), draw(channels), Window((1, 1)), "relu", seed=draw(st.integers(0, 99)))
    ]
    for _ in range(draw(st.integers(1, 3))):
        pads = tuple(draw(st.integers(0, 1)) for _ in range(4))
        window = Window(draw(pair(st.integers(1, 3))), draw(pair(st.integers(1, 2))), pads)
        rows, columns = layers[-1].sums(layers[-1].inputs()[0]).shape[1:3]
        if not window.fits(rows, columns) or window.size(rows, 0) < 2:
            window = Window((1, 1))
        outputs = draw(st.one_of(st.none(), channels))
        layers.append(follow(layers[-1], outputs, window, draw(st.sampled_from(["relu", "requantize", "own shifts"]))))
    first = draw(st.sampled_from([0, 1]))  # so that the image has a border too
    return layers[first:] if len(layers) - first > 1 else layers


def residual_of(layer: Layer) -> Layer:
    """The layer with the input of all added."""
    return replace(layer, epilogue="residual")
