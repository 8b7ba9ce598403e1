"""int8 convolution and products by DSP instructions: exact in every shape, with every epilogue, and the rule fired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.schedule.rules.dsp_panels import DspPanels
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import AllLeast, check_layers, optimizing
from tests.schedule.int8_layers import EPILOGUES, Layer, convolutions, products
from tests.schedule.kernels import schedule
from tests.schedule.reference import Window
from tests.schedule.test_dot_tile import SAME, chosen

TARGET = "cortex-m4"
RUNNER = "cortex-a7"  # has the same instructions, and an operating system under the emulator
FEW = settings(max_examples=2, deadline=None, derandomize=True)


def check(layers: list[Layer]) -> None:
    check_layers(layers, "dsp_tile", TARGET, RUNNER)


def test_every_way_through_the_rule() -> None:
    first = [Window((3, 3), strides, (0, 0, 1, 1)) for strides in ((1, 1), (2, 2))]
    check([*chosen(), *(Layer((1, 12, 12, depth), 8, window, "relu") for window in first for depth in (1, 2, 3, 4))])


@FEW
@given(layers=st.lists(convolutions(), min_size=20, max_size=20))
def test_law_convolutions(layers: list[Layer]) -> None:
    check(layers)


@FEW
@given(layers=st.lists(products(), min_size=20, max_size=20))
def test_law_products(layers: list[Layer]) -> None:
    check(layers)


def test_least_operands() -> None:
    check([AllLeast((5, 32), 16, None, "none"), AllLeast((1, 6, 5, 8), 8, SAME, "none")])


@pytest.mark.parametrize("channels", [4, 24])
def test_weights_of_16_bits(channels: int) -> None:
    """Blocks of words: over pixels, images with and without a border, steps, batches, with a rest on either side."""
    windows = [SAME, Window((3, 3), (2, 2), (0, 0, 1, 1)), Window((1, 1), (2, 2)), Window((2, 3), dilation=(2, 1))]
    layers = [Layer((2, 7, 9, channels), 5, window, EPILOGUES[n]) for n, window in enumerate(windows)]
    layers += [Layer((rows, channels), 13, None, "own shifts") for rows in (1, 3, 9)]
    with optimizing(TARGET, "speed", wide_percent=10**6, winograd_percent=0):
        check(layers)


def test_groups_are_left_to_other_rules() -> None:
    layer = Layer((1, 6, 6, 16), 16, SAME, "requantize", groups=4)
    assert "dsp_tile" not in schedule(layer.body, layer.inputs(), TARGET).rules


@pytest.mark.parametrize(("target", "fires"), [("cortex-m33", True), ("cortex-m3", False), ("cortex-m0plus", False)])
def test_cores_with_the_extension(target: str, fires: bool) -> None:
    layer = Layer((5, 32), 16, None, "requantize")
    assert (schedule(layer.body, layer.inputs(), target).rules == ["dsp_tile"]) == fires


@pytest.mark.parametrize(
    "layer", [Layer((1, 8, 8, 16), 16, SAME, "requantize"), Layer((9, 64), 16, None, "requantize")]
)
def test_instructions(layer: Layer) -> None:
    """Two products an instruction, nothing but them, loads and widening around; codes by saturating shifts."""
    used = instructions(schedule(layer.body, layer.inputs(), TARGET), TARGET)
    assert used["smlad"] >= 32
    assert used["sxtb16"]
    assert used["ssat"]
    assert used["mla"] == used["smlal"] == used["smull"] == 0


def test_a_load_brings_two_words_where_weights_are_wide() -> None:
    """Six words for eight products of pairs, and nothing else."""
    layer = Layer((12, 64), 16, None, "requantize")
    with optimizing(TARGET, "speed"):
        scheduled = schedule(layer.body, layer.inputs(), TARGET)
    assert scheduled.only.packing[1] == DspPanels(2, True, 1, 64, 64, 16, apart=True)
    used = instructions(scheduled, TARGET)
    assert used["smlad"] == 4 * 2 * 32
    assert used["ldrd"] >= 90


@pytest.mark.parametrize("quads", [False, True])
@pytest.mark.parametrize(("wide", "apart"), [(False, False), (True, False), (True, True)])
def test_weights_meet_their_activations(quads: bool, wide: bool, apart: bool) -> None:
    """What sxtb16 makes of a word, or the two words of 16 bits: bytes 0 and 2, then 1 and 3 with `quads`.

    With `apart` the first words of all channels of a block precede the second ones.
    """
    weights = np.random.default_rng(0).integers(-128, 128, (2, 3, 8, 5)).astype(np.int8)
    panels = DspPanels(2, quads, 1, 8, 8, 16 if wide else 8, apart=apart)
    packed = panels.pack(weights)
    assert packed.dtype == np.int32
    halves = packed.view(np.int16) if wide else packed.view(np.int8)
    order = [0, 2, 1, 3] if quads else [0, 1, 2, 3]
    stored = order if wide else [order[i] for i in (0, 2, 1, 3)]
    groups = weights.reshape(12, 4, 5)[:, stored].swapaxes(1, 2)
    blocks = [groups[:, at : at + 2] for at in (0, 2, 4)]
    if apart:
        blocks = [block.reshape(12, -1, 2, 2).swapaxes(1, 2) for block in blocks]
    np.testing.assert_array_equal(halves, np.concatenate([block.ravel() for block in blocks]))
    assert replace(panels, block=4).label != panels.label
