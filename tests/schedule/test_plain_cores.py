"""int8 kernels without DSP instructions: exact in every shape, with every epilogue, and which rule fires."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.schedule.rules.dsp_panels import DspPanels
from edgetvm.schedule.rules.scalar_tile import ColumnPanels
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import AllLeast
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import Layer, convolutions, products
from tests.schedule.kernels import schedule
from tests.schedule.reference import Window
from tests.schedule.test_depthwise_int8 import depthwise, layers
from tests.schedule.test_dot_tile import SAME, chosen, sums_nothing

TARGETS = ("cortex-m3", "cortex-m0plus")
RUNNER = "cortex-a7"  # has the same instructions, and an operating system under the emulator
FEW = settings(max_examples=2, deadline=None, derandomize=True)
SYMMETRIC = 127


def check(cases: list[Layer], target: str) -> list[str]:
    """Outputs are numpy's, and nothing outside of a tensor is touched. Gives the rules."""
    scheduled = [schedule(layer.body, layer.inputs(), target) for layer in cases]
    fenced = [Fenced(one, layer.inputs()) for one, layer in zip(scheduled, cases, strict=True)]
    for layer, found in zip(cases, run_fenced(fenced, RUNNER), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))
    return [one.rules[0] for one in scheduled]


class AllLargest(AllLeast):
    """Every activation is -128 and every weight the one of largest products that `plain_tile` takes."""

    def weights(self) -> np.ndarray:
        return np.full_like(super().weights(), -SYMMETRIC)


@pytest.mark.parametrize("target", TARGETS)
def test_every_way_through_the_rules(target: str) -> None:
    first = [Window((3, 3), strides, (0, 0, 1, 1)) for strides in ((1, 1), (2, 2))]
    cases = [*chosen(), *(Layer((1, 12, 12, depth), 8, window, "relu") for window in first for depth in (1, 2, 3, 4))]
    cases = [replace(layer, largest=SYMMETRIC) for layer in cases]
    for layer, rule in zip(cases, check(cases, target), strict=True):
        assert rule in ("plain_tile", "scalar_tile") or sums_nothing(layer), layer


@pytest.mark.parametrize("target", TARGETS)
def test_depthwise(target: str) -> None:
    strides = [Window((3, 4), (sy, sx), (1, 0, 1, 2)) for sy in (1, 2, 3) for sx in (1, 2)]
    cases = [
        *(depthwise((1, 8, 9, 5), window, "requantize") for window in strides),
        depthwise((1, 40, 6, 2), Window((35, 1)), "own shifts"),  # rows of taps in a loop
        AllLeast((1, 5, 6, 16), 16, SAME, "none", groups=16),
    ]
    assert set(check(cases, target)) == {"scalar_depthwise"}


def test_rows_are_copied_by_words() -> None:
    """By vectors of 16 bytes LLVM writes the copy of a row with its border byte by byte, without a loop."""
    layer = depthwise((1, 25, 5, 64), SAME, "requantize")
    kernel = schedule(layer.body, layer.inputs(), "cortex-m3")
    used = instructions(kernel, "cortex-m3")
    assert kernel.rules == ["scalar_depthwise"]
    assert used["ldrb"] + used["strb"] < 5 * 64


@FEW
@given(cases=st.lists(st.one_of(convolutions(), products(), layers()), min_size=20, max_size=20))
def test_law(cases: list[Layer]) -> None:
    """Weights of the whole range: `scalar_tile`."""
    check(cases, TARGETS[0])


@FEW
@given(cases=st.lists(st.one_of(convolutions(), products()), min_size=20, max_size=20))
def test_law_of_symmetric_weights(cases: list[Layer]) -> None:
    check([replace(layer, largest=SYMMETRIC) for layer in cases], TARGETS[0])


def test_the_largest_sums_of_two_products_have_16_bits() -> None:
    largest = [AllLargest((5, 32), 16, None, "none"), AllLargest((1, 6, 5, 8), 8, SAME, "none")]
    assert check(largest, "cortex-m3") == ["plain_tile"] * 2
    least = [AllLeast(layer.x, layer.outputs, layer.window, "none") for layer in largest]
    assert check(least, "cortex-m3") == ["scalar_tile"] * 2


def test_one_pixel_multiplies_weights_as_they_lie() -> None:
    layer = Layer((1, 64), 16, None, "requantize", largest=SYMMETRIC)
    used = instructions(schedule(layer.body, layer.inputs(), "cortex-m3"), "cortex-m3")
    assert schedule(layer.body, layer.inputs(), "cortex-m3").rules == ["scalar_tile"]
    assert used["mla"] >= 16
    assert used["ssat"]


def test_two_products_take_a_multiplication_and_an_addition() -> None:
    layer = Layer((1, 8, 8, 16), 16, SAME, "requantize", largest=SYMMETRIC)
    kernel = schedule(layer.body, layer.inputs(), "cortex-m3")
    assert kernel.rules == ["plain_tile"]
    used = instructions(kernel, "cortex-m3")
    assert used["mla"] >= 32
    assert used["mul"] + used["muls"] <= 4  # of addresses
    assert used["smull"]


@pytest.mark.parametrize("wide", [False, True])
def test_weights_are_numbers_with_swapped_halves(wide: bool) -> None:
    weights = np.random.default_rng(0).integers(-127, 128, (2, 3, 8, 5)).astype(np.int8)
    packed = DspPanels(5, True, 1, 8, 8, 16 if wide else 8, plain=True).pack(weights).astype(np.int64)
    rounding, packed = packed[0], packed[1:]
    assert rounding == 1 << 15
    if wide:
        even, odd = packed.reshape(-1, 5, 2).transpose(2, 0, 1)
    else:
        even, odd = ((packed.reshape(-1, 5) >> bits & 0xFF00FF) - 0x800080 for bits in (0, 8))
    groups = weights.reshape(12, 4, 5).astype(np.int64)
    np.testing.assert_array_equal(even, groups[:, 2] + (groups[:, 0] << 16))
    np.testing.assert_array_equal(odd, groups[:, 3] + (groups[:, 1] << 16))


def test_panels_of_columns() -> None:
    weights = np.arange(14, dtype=np.int8).reshape(2, 7)
    expected = [0, 1, 2, 7, 8, 9, 3, 4, 5, 10, 11, 12, 6, 13]
    np.testing.assert_array_equal(ColumnPanels(3).pack(weights), expected)
