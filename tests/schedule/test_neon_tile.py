"""int8 tiles for NEON without dot product: exact in every shape, with every epilogue, and the rule fired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.rules.neon_products import Form
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import AllLeast, check_layers
from tests.schedule.int8_layers import Layer, convolutions, products
from tests.schedule.kernels import schedule
from tests.schedule.reference import Window
from tests.schedule.test_dot_tile import SAME, chosen

WITHOUT_DOT = ["cortex-a53", "cortex-a7"]
FEW = settings(max_examples=3, deadline=None, derandomize=True)


def check(layers: list[Layer], target: str) -> None:
    check_layers(layers, "neon_tile", target)


@pytest.mark.parametrize("target", [*WITHOUT_DOT, "cortex-a72", "cortex-a8"])
def test_every_way_through_the_rule(target: str) -> None:
    check(chosen(), target)


@FEW
@given(layers=st.lists(convolutions(), min_size=20, max_size=20), target=st.sampled_from(WITHOUT_DOT))
def test_law_convolutions(layers: list[Layer], target: str) -> None:
    check(layers, target)


@FEW
@given(layers=st.lists(products(), min_size=20, max_size=20), target=st.sampled_from(WITHOUT_DOT))
def test_law_products(layers: list[Layer], target: str) -> None:
    check(layers, target)


@pytest.mark.parametrize("target", WITHOUT_DOT)
def test_extreme_weights(target: str) -> None:
    """Two products of -128 by -128 do not fit 16 bits, four products of small weights do."""
    plain = [Layer((3, 32), 16, None, "bias"), Layer((1, 4, 5, 16), 8, SAME, "bias")]
    check([replace(layer, largest=most) for layer in plain for most in (1, 31, 63, 64, 85, 127)], target)
    check([AllLeast((3, 32), 16, None, "none"), AllLeast((1, 4, 5, 16), 8, SAME, "none")], target)


@pytest.mark.parametrize(("by_eight", "most"), [(True, 2), (False, 4)])
@pytest.mark.parametrize("largest", [20, 63, 64, 127, 128])
def test_chains_never_leave_16_bits(by_eight: bool, most: int, largest: int) -> None:
    form = Form(by_eight)
    rng = np.random.default_rng(largest)
    weights = rng.integers(-largest, min(largest, 127) + 1, (48, 8)).astype(np.int8)
    packed = Panels(8, form.group).pack(weights)
    chain = form.longest_chain([packed])
    by_lane = np.abs(weights.astype(int)).reshape(-1, form.step, 8)
    sums = by_lane.reshape(-1, chain, form.step, 8).sum(1)
    assert sums.max() <= 255 or chain == 1
    if chain < most:
        assert by_lane.reshape(-1, 2 * chain, form.step, 8).sum(1).max() > 255


@pytest.mark.parametrize(
    ("target", "wanted"), [("cortex-a53", "smull smlal sadalp"), ("cortex-a7", "vmull vmlal vpadal")]
)
@pytest.mark.parametrize(
    "layer",
    [Layer((49, 64), 64, None, "relu"), Layer((1, 8, 8, 16), 16, SAME, "relu"), Layer((1, 640), 128, None, "relu")],
)
def test_instructions(target: str, wanted: str, layer: Layer) -> None:
    scheduled = schedule(layer.body, layer.inputs(), target)
    used = instructions(scheduled, target)
    for name in wanted.split():
        assert any(instruction.startswith(name) for instruction in used), name
    assert used["smulh"] == used["mul"] == 0  # requantization is done in vectors


def test_threads_share_strips_or_panels() -> None:
    layers = [Layer((1, 32, 32, 16), 32, SAME, "requantize"), Layer((196, 64), 96, None, "relu")]
    for layer in layers:
        assert "T.parallel" in schedule(layer.body, layer.inputs(), "cortex-a53").only.func.script()
    check(layers, "cortex-a53")


def test_first_layers_make_one_run_of_a_row() -> None:
    """Three taps of three channels are nine neighbouring bytes."""
    layer = Layer((1, 9, 9, 3), 16, Window((3, 3), (2, 2), (0, 0, 1, 1)), "relu")
    scheduled = schedule(layer.body, layer.inputs(), "cortex-a53")
    (packing,) = scheduled.only.packing.values()
    assert isinstance(packing, Panels)
    assert packing.joined == 2


def test_without_neon_or_constant_weights_the_rule_declines() -> None:
    layer = Layer((1, 6, 6, 16), 16, SAME, "requantize")
    assert schedule(layer.body, layer.inputs(), "generic-c").rules == ["register_tile"]
