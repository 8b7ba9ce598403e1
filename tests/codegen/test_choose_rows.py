"""Which kernels are joined to save memory, and that a joined kernel may write over the image that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.codegen.choose_rows import choose_rows
from edgetvm.passes.join_rows import Segment
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import Emit, machine, optimized, run_over, schedule, schedule_optimized
from tests.schedule.reference import Window
from tests.schedule.row_layers import body_of, chains, expected, follow, residual_of

ALIGN = 8
SAME = Window((3, 3), pads=(1, 1, 1, 1))
POINT = Window((1, 1))
Body = Callable[[list[relax.Var], Emit], tvm.ir.Expr]


def chosen(body: Body, x: np.ndarray, enough: int = 0) -> tuple[Segment, ...]:
    model = optimized(body, [x])
    scheduled = schedule_optimized(model, "cortex-m3")
    recipe = machine("cortex-m3").recipe
    return choose_rows(model.module, scheduled.program, scheduled.kernels, ALIGN, enough, recipe)


def widened() -> list[Layer]:
    """As in an inverted residual: few channels, many, few."""
    first = Layer((1, 16, 16, 8), 48, POINT, "relu")
    second = follow(first, None, SAME)
    return [first, second, follow(second, 8, POINT)]


def test_what_widens_and_narrows_is_joined() -> None:
    layers = widened()
    (segment,) = chosen(body_of(layers), layers[0].inputs()[0])
    assert (segment.first, segment.end) == (0, 3)


def test_what_is_enough_is_left_alone() -> None:
    layers = widened()
    whole = 2 * 16 * 16 * 48  # a wide image and the next
    assert chosen(body_of(layers), layers[0].inputs()[0], enough=whole + 8192) == ()


def test_a_pointwise_kernel_goes_over_rows_alone() -> None:
    layers = [Layer((1, 16, 16, 32), 32, POINT, "relu")]
    (segment,) = chosen(body_of(layers), layers[0].inputs()[0])
    assert (segment.first, segment.end) == (0, 1)


def test_what_a_kernel_without_rows_reads_is_kept() -> None:
    layers = widened()

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        wide = emit(layers[0].body(p, emit))
        largest = emit(relax.op.max(wide, axis=[1, 2, 3], keepdims=True))
        return relax.op.maximum(emit(body_of(layers[1:])([wide], emit)), largest)

    assert all(segment.first > 0 for segment in chosen(body, layers[0].inputs()[0]))


def test_kernels_without_rows_are_left_alone() -> None:
    layer = Layer((4, 64), 256, None, "relu")
    layers = [layer, Layer((4, 256), 64, None, "relu")]
    assert chosen(body_of(layers), layer.inputs()[0]) == ()


@settings(max_examples=4, deadline=None, derandomize=True)
@given(layers=chains(), tile=st.integers(1, 3))
def test_law_the_result_may_lie_over_the_image(layers: Sequence[Layer], tile: int) -> None:
    check_over(layers, tile)


def test_a_block_over_its_image() -> None:
    first = Layer((1, 12, 9, 16), 16, SAME, "relu")
    check_over([first, residual_of(follow(first, 16, SAME))], 2, residual=True)


def check_over(layers: Sequence[Layer], tile: int, residual: bool = False) -> None:
    x = layers[0].inputs()[0]
    scheduled = schedule(body_of(layers, residual), [x], "cortex-m3", [Segment(0, len(layers), tile)])
    np.testing.assert_array_equal(run_over(scheduled, x), expected(layers, x))
