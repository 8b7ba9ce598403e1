"""Concatenations whose parts are kernels of their own in one function: exact in every shape, each part's rule fired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.passes.concat_parts import concat_parts
from edgetvm.schedule.concat_kernel import split_concat
from tests.schedule import reference
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import CHANNELS, Layer
from tests.schedule.kernels import MACHINES, Emit, Scheduled, assert_close, run, schedule
from tests.schedule.reference import Window
from tests.schedule.test_register_tile import conv, normal

SAME = Window((3, 3), pads=(1, 1, 1, 1))
WINDOWS = (Window((1, 1)), SAME, Window((5, 3), pads=(2, 1, 2, 1)), Window((3, 3), pads=(2, 2, 2, 2), dilation=(2, 2)))


def fire(
    x: np.ndarray, outputs: list[int], windows: list[Window], target: str, kept: np.ndarray | None = None
) -> tuple[Scheduled, list[np.ndarray], np.ndarray]:
    """Convolutions of one input with bias and ReLU, and perhaps an input `kept`, side by side."""
    w = [normal(*window.kernel, x.shape[3], n) for n, window in zip(outputs, windows, strict=True)]
    bias = [normal(1, 1, 1, n) for n in outputs]
    inputs = [x] if kept is None else [x, kept]

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        parts = []
        for weights, offsets, window in zip(w, bias, windows, strict=True):
            sums = emit(conv(p[0], weights, window))
            parts.append(emit(relax.op.nn.relu(emit(relax.op.add(sums, relax.const(offsets))))))
        return relax.op.concat([*parts, *p[1:]], 3)

    made = [
        np.maximum(reference.conv2d(x, weights, window) + offsets, 0)
        for weights, offsets, window in zip(w, bias, windows, strict=True)
    ]
    return schedule(body, inputs, target), inputs, np.concatenate([*made, *inputs[1:]], 3)


@pytest.mark.parametrize(
    ("target", "rule"),
    [("host", "matrix_tile+winograd"), ("cortex-a53", "matrix_tile+winograd"), ("cortex-m4", "register_tile")],
)
def test_a_fire_module_is_one_kernel(target: str, rule: str) -> None:
    scheduled, inputs, expected = fire(normal(1, 14, 14, 48), [64, 64], list(WINDOWS[:2]), target)
    assert scheduled.rules == [rule]
    assert len(scheduled.program.calls) == 1
    assert_close(run(scheduled, inputs), expected, 2e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    target=st.sampled_from(MACHINES),
    size=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 3, 16, 17])),
    parts=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 7, 8, 16, 17, 33]), st.sampled_from(WINDOWS)), min_size=2, max_size=4
    ),
    kept=st.sampled_from([0, 1, 5, 16]),
)
def test_law_any_parts(
    target: str, size: tuple[int, int, int, int], parts: list[tuple[int, Window]], kept: int
) -> None:
    tensor = normal(*size[:3], kept) if kept else None
    scheduled, inputs, expected = fire(
        normal(*size), [outputs for outputs, _ in parts], [window for _, window in parts], target, tensor
    )
    assert_close(run(scheduled, inputs), expected, 2e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    target=st.sampled_from(MACHINES),
    axis=st.integers(0, 2),
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
)
def test_law_tensors_along_any_axis(target: str, axis: int, lengths: list[int]) -> None:
    inputs = [normal(*(length if n == axis else 4 for n in range(3)), 5) for length in lengths]
    scheduled = schedule(lambda p, emit: relax.op.concat(list(p), axis), inputs, target)
    assert_close(run(scheduled, inputs), np.concatenate(inputs, axis), 0)


def int8_fire(layers: list[Layer], target: str) -> Fenced:
    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        return relax.op.concat([emit(layer.body(p, emit)) for layer in layers], 3)

    inputs = layers[0].inputs()
    return Fenced(schedule(body, inputs, target), inputs)


@st.composite
def int8_fires(draw: st.DrawFn) -> list[Layer]:
    """Layers of one input whose results are codes and together as many as the input has."""
    size, depth = draw(st.tuples(st.integers(1, 9), st.integers(1, 9))), draw(st.sampled_from([2, 3, 4, 8, 16]))
    epilogues = st.sampled_from(["requantize", "relu", "one factor", "own shifts"])
    outputs = [draw(CHANNELS), draw(CHANNELS), max(depth, draw(CHANNELS))][draw(st.integers(0, 1)) :]
    return [
        Layer((1, *size, depth), count, draw(st.sampled_from(WINDOWS)), draw(epilogues), seed=n)
        for n, count in enumerate(outputs)
    ]


@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a76", "cortex-a710"])
def test_law_int8(target: str) -> None:
    @settings(max_examples=2, deadline=None, derandomize=True)
    @given(fires=st.lists(int8_fires(), min_size=5, max_size=5))
    def check(fires: list[list[Layer]]) -> None:
        cases = [int8_fire(layers, target) for layers in fires]
        for layers, found in zip(fires, run_fenced(cases, target), strict=True):
            expected = [layer.expected(layers[0].inputs()) for layer in layers]
            np.testing.assert_array_equal(found, np.concatenate(expected, 3), err_msg=str(layers))

    check()


@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a76", "cortex-a710", "cortex-m4", "cortex-m55"])
def test_int8_parts_are_scheduled_as_layers_alone(target: str) -> None:
    first = Layer((1, 14, 14, 16), 64, Window((1, 1)), "requantize")
    layers = [first, replace(first, window=SAME)]
    alone = [schedule(layer.body, layer.inputs(), target).rules[0] for layer in layers]
    assert int8_fire(layers, target).scheduled.rules == ["+".join(dict.fromkeys(alone))]


def test_int8_without_vectors() -> None:
    layers = [Layer((1, 4, 5, 4), 6, window, "requantize", seed=n) for n, window in enumerate(WINDOWS[:2])]
    case = int8_fire(layers, "cortex-m0plus")
    expected = [layer.expected(layers[0].inputs()) for layer in layers]
    np.testing.assert_array_equal(run(case.scheduled, case.inputs), np.concatenate(expected, 3))


def test_threads_share_parts() -> None:
    scheduled, inputs, expected = fire(normal(1, 56, 56, 64), [64, 64], list(WINDOWS[:2]), "host")
    assert scheduled.only.func.script().count("T.parallel") >= 2
    assert_close(run(scheduled, inputs), expected, 2e-5)


def test_a_part_that_is_read_elsewhere_is_a_kernel_of_its_own() -> None:
    x, w = normal(1, 4, 4, 8), normal(1, 1, 8, 8)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        parts = [emit(conv(p[0], each, Window((1, 1)))) for each in (w, w + 1)]
        both = emit(relax.op.concat(parts, 3))
        return relax.op.concat([both, parts[0]], 3)

    scheduled = schedule(body, [x])
    assert len(scheduled.program.calls) == 3
    one, other = (reference.conv2d(x, each, Window((1, 1))) for each in (w, w + 1))
    assert_close(run(scheduled, [x]), np.concatenate([one, other, one], 3))


def test_other_choices_are_no_concatenation() -> None:
    x = normal(1, 4, 4, 8)
    scheduled = schedule(lambda p, emit: relax.op.where(emit(relax.op.greater(p[0], p[1])), p[0], p[1]), [x, x + 1])
    assert all(
        concat_parts(kernel.blocks) == () and split_concat(kernel.blocks) == [] for kernel in scheduled.kernels.values()
    )
