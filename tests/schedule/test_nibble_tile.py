"""Weights of 4 bits on cores without vectors: two in a byte, exact in every shape; what does not fit stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.rules.nibble_tile import Nibbles
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import check_layers
from tests.schedule.int8_layers import EPILOGUES, Layer
from tests.schedule.kernels import schedule
from tests.schedule.reference import Window
from tests.schedule.test_dot_tile import SAME

TARGET = "cortex-m3"
RUNNER = "cortex-a7"  # runs the same loops, and an operating system under the emulator


def test_every_shape() -> None:
    layers = [Layer((3, 32), 12, None, epilogue, largest=7) for epilogue in EPILOGUES]
    layers += [Layer((rows, depth), 10, None, "requantize", largest=7) for rows in (1, 5) for depth in (2, 6, 64)]
    layers += [Layer((1, 5, 6, depth), 7, SAME, "relu", largest=7) for depth in (2, 16)]
    layers.append(Layer((2, 9, 7, 12), 12, Window((1, 1), (2, 2)), "requantize", largest=7))
    check_layers(layers, "nibble_tile", TARGET, RUNNER)


@pytest.mark.parametrize(
    ("layer", "target"),
    [
        (Layer((3, 32), 12, None, "requantize", largest=9), TARGET),  # too large
        (Layer((3, 31), 12, None, "requantize", largest=7), TARGET),  # an odd number of products
        (Layer((3, 32), 12, None, "requantize", largest=7), "cortex-a53"),
    ],
)
def test_what_is_left_to_other_rules(layer: Layer, target: str) -> None:
    assert "nibble_tile" not in schedule(layer.body, layer.inputs(), target).rules


def test_instructions() -> None:
    """A nibble with its sign is one instruction."""
    layer = Layer((1, 64), 16, None, "requantize", largest=7)
    used = instructions(schedule(layer.body, layer.inputs(), TARGET), TARGET)
    assert used["sbfx"] >= 4


@settings(max_examples=20, deadline=None)
@given(
    weights=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6)).flatmap(
        lambda shape: arrays.arrays(np.int8, (shape[0], 2 * shape[1], shape[2]), elements=st.integers(-8, 7))
    )
)
def test_law_two_in_a_byte(weights: np.ndarray) -> None:
    packed = Nibbles().pack(weights)
    assert 2 * packed.size == weights.size
    np.testing.assert_array_equal((packed << 4) >> 4, weights[:, 0::2])
    np.testing.assert_array_equal(packed >> 4, weights[:, 1::2])


def test_panels_of_bytes() -> None:
    weights = np.random.default_rng(0).integers(-8, 8, (6, 8)).astype(np.int8)
    np.testing.assert_array_equal(Nibbles(Panels(4)).pack(weights), Panels(4).pack(Nibbles().pack(weights)))
    assert Nibbles(Panels(4)).label != Nibbles().label
