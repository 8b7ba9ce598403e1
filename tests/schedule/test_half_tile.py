"""float16 convolutions and products with constant weights: near numpy in every shape, and the rule fired."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.codegen.lower import build, lower
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule import reference
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.kernels import Emit, Scheduled, schedule
from tests.schedule.reference import Window

TARGET = "cortex-a76"
CHANNELS = st.sampled_from([1, 3, 7, 8, 16, 17, 24, 40])
# Roundings of half precision, one a product, of sums of up to some hundred.
TOLERANCE = 2e-2


@dataclass(frozen=True)
class HalfLayer:
    """A convolution of `x` [N, H, W, C], or without a window the product of rows [M, K], and a relu in float32."""

    x: tuple[int, ...]
    outputs: int
    window: Window | None

    def inputs(self) -> list[np.ndarray]:
        return [np.random.default_rng(1).standard_normal(self.x).astype(np.float16)]

    def weights(self) -> np.ndarray:
        shape = (*(() if self.window is None else self.window.kernel), self.x[-1], self.outputs)
        data = np.random.default_rng(2).standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
        return np.asarray(data, np.float16)

    def body(self, p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        weights = relax.const(self.weights())
        if self.window is None:
            result = emit(relax.op.matmul(p[0], weights))
        else:
            pads, strides, dilation = self.window.pads, self.window.strides, self.window.dilation
            layouts = ("NHWC", "HWIO", "NHWC")
            result = emit(relax.op.nn.conv2d(p[0], weights, strides, pads, dilation, 1, *layouts))
        return relax.op.nn.relu(emit(relax.op.astype(result, "float32")))

    def expected(self) -> np.ndarray:
        x, w = self.inputs()[0].astype(np.float64), self.weights().astype(np.float64)
        result: np.ndarray = np.maximum(x @ w if self.window is None else reference.conv2d(x, w, self.window), 0)
        return result

    @property
    def sums(self) -> bool:
        """A 1x1 window over one channel multiplies elements; TVM leaves no reduction."""
        return int(np.prod(self.weights().shape[:-1])) > 1


@st.composite
def layers(draw: st.DrawFn) -> HalfLayer:
    """Any window that fits: strides beyond the kernel, uneven pads, dilation, single pixels, batches; or a product."""
    if draw(st.booleans()):
        return HalfLayer((draw(st.sampled_from([1, 2, 5, 13, 49])), draw(CHANNELS)), draw(CHANNELS), None)
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    height, width = draw(st.sampled_from([(1, 1), (2, 5), (8, 8), (11, 4)]))
    top, left, bottom, right = (draw(st.integers(0, 2)) for _ in range(4))
    strides = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    window = Window(draw(pair), strides, (top, left, bottom, right), draw(pair))
    if not window.fits(height, width):
        window = Window((1, 1), window.strides, window.pads)
    return HalfLayer((draw(st.integers(1, 2)), height, width, draw(CHANNELS)), draw(CHANNELS), window)


def scheduled_of(layer: HalfLayer) -> Scheduled:
    return schedule(layer.body, layer.inputs(), TARGET)


# Many layers share one run of the emulator.
@settings(max_examples=5, deadline=None, derandomize=True)
@given(drawn=st.lists(layers().filter(lambda layer: layer.sums), min_size=15, max_size=15))
def test_any_layer(drawn: list[HalfLayer]) -> None:
    cases = []
    for layer in drawn:
        scheduled = scheduled_of(layer)
        # One channel has no vectors: other rules sum along it.
        assert (scheduled.rules == ["half_tile"]) == (layer.outputs > 1), layer
        cases.append(Fenced(scheduled, layer.inputs()))
    for layer, found in zip(drawn, run_fenced(cases, TARGET), strict=True):
        np.testing.assert_allclose(found, layer.expected(), rtol=0, atol=TOLERANCE, err_msg=str(layer))


def test_eight_sums_a_vector_multiplied_by_lane() -> None:
    layer = HalfLayer((1, 16, 16, 64), 64, Window((3, 3), pads=(1, 1, 1, 1)))
    compiler = tvm_target(load_target(TARGET))
    text = build([lower("kernel", scheduled_of(layer).only.func, compiler)], compiler).inspect_source("asm")
    assert len(re.findall(r"\bfmla\s+v\d+\.8h, v\d+\.8h, v\d+\.h\[[0-7]\]", text)) >= 64
    assert len(re.findall(r"\bst[ur]*\s+q\S+, \[sp", text)) <= 8


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_other_types_are_left_to_other_rules(dtype: str) -> None:
    x, w = np.ones((4, 64)).astype(dtype), np.ones((64, 32)).astype(dtype)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        return relax.op.matmul(p[0], relax.const(w), out_dtype="int32" if dtype == "int8" else None)

    assert schedule(body, [x], TARGET).rules != ["half_tile"]
