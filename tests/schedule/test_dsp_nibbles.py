"""Weights of 4 bits by DSP instructions: exact in every shape, eight in a word; what does not fit stays in bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgetvm.schedule.rules.dsp_nibbles import PAIRS, SCALE_BITS, have_room, joined_nibbles
from edgetvm.schedule.rules.dsp_panels import DspPanels
from edgetvm.schedule.rules.nibbles import NIBBLE
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import check_layers
from tests.schedule.int8_layers import Layer, products
from tests.schedule.kernels import schedule
from tests.schedule.test_dot_tile import chosen

TARGET = "cortex-m4"
RUNNER = "cortex-a7"  # has the same instructions, and an operating system under the emulator


def test_every_way_through_the_rule() -> None:
    check_layers([replace(layer, largest=7) for layer in chosen()], "dsp_tile", TARGET, RUNNER)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(layers=st.lists(products(), min_size=20, max_size=20))
def test_law_products(layers: list[Layer]) -> None:
    check_layers([replace(layer, largest=7) for layer in layers], "dsp_tile", TARGET, RUNNER)


def test_sums_as_large_as_they_may_be() -> None:
    """Modulo 2^32 on the way, exact in the end."""

    class Extreme(Layer):
        def weights(self) -> np.ndarray:
            return np.full_like(super().weights(), -8)

        def inputs(self) -> list[np.ndarray]:
            return [np.full_like(x, -128) for x in super().inputs()]

    layer = Extreme((3, 508), 4, None, "none")
    assert have_room([layer.weights()])
    assert not have_room([Extreme((3, 512), 4, None, "none").weights()])
    check_layers([layer, Extreme((3, 512), 4, None, "none")], "dsp_tile", TARGET, RUNNER)


def test_instructions() -> None:
    """One instruction unpacks a pair: a mask with a shift in it. Nothing widens weights."""
    layer = Layer((1, 64), 16, None, "requantize", largest=7)
    used = instructions(schedule(layer.body, layer.inputs(), TARGET), TARGET)
    wider = instructions(schedule(replace(layer, largest=9).body, layer.inputs(), TARGET), TARGET)
    assert used["smlad"] == wider["smlad"] + 1  # makes the mask
    assert used["sxtb16"] < wider["sxtb16"]  # activations are widened where they lie
    assert sum(used.values()) <= sum(wider.values()) + 16


@pytest.mark.parametrize(("largest", "words"), [(7, 64 * 16 // 8), (9, 64 * 16 // 4)])
def test_two_in_a_byte(largest: int, words: int) -> None:
    layer = Layer((1, 64), 16, None, "requantize", largest=largest)
    (panels,) = schedule(layer.body, layer.inputs(), TARGET).only.packing.values()
    packed = panels.pack(layer.weights())
    assert packed.dtype == np.int32 and packed.size == words


PAIRS_OF_NIBBLES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.just(4)).flatmap(
    lambda shape: arrays.arrays(np.int16, shape, elements=st.integers(-8, 7))
)


@settings(max_examples=20, deadline=None)
@given(weights=PAIRS_OF_NIBBLES)
def test_law_unpacking_undoes_joining(weights: np.ndarray) -> None:
    words = joined_nibbles(weights.astype("<i2").view("<i4"))
    shifts = SCALE_BITS - NIBBLE * np.arange(PAIRS, dtype=np.int32)
    halves = ((words[..., None] << shifts) & np.int32(-0x0FFF1000)).astype("<i4").view("<i2") >> SCALE_BITS
    found = halves.ravel()[: weights.size].reshape(weights.shape)
    np.testing.assert_array_equal(found, weights)


def test_labels_tell_bits() -> None:
    panels = DspPanels(2, True, 1, 8, 8, 8)
    assert replace(panels, bits=NIBBLE).label != panels.label
