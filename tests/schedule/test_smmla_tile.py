"""smmla tiles: exact in every shape, with every epilogue and in both layouts of weights, and the rule fired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.codegen.lower import build, lower
from edgetvm.schedule.packing import Panels
from edgetvm.schedule.rules import smmla_tile
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import EPILOGUES, Layer, convolutions, products
from tests.schedule.kernels import Scheduled, machine, schedule
from tests.schedule.reference import Window

TARGET = "cortex-a710"
SAME = Window((3, 3), pads=(1, 1, 1, 1))
FEW = settings(max_examples=4, deadline=None, derandomize=True)


def always(layer: Layer, columns: int = 0) -> Scheduled:
    """The layer by smmla, whether it pays or not; with `columns`, from weights that other cores read too."""
    given_machine = replace(machine(TARGET), columns=columns)
    with (
        patch.object(smmla_tile, "pays", return_value=True),
        patch("tests.schedule.kernels.machine", return_value=given_machine),
    ):
        return schedule(layer.body, layer.inputs(), TARGET)


def check(layers: Sequence[Layer], columns: int = 0) -> None:
    """Each layer gives what numpy gives, and touches nothing around its tensors."""
    cases = []
    for layer in layers:
        scheduled = always(layer, columns)
        assert scheduled.rules == ["smmla_tile"], layer
        packing = next(iter(scheduled.only.packing.values()))
        assert isinstance(packing, Panels)
        assert (packing.group, packing.block) == (4, columns) if columns else packing.group == 8
        cases.append(Fenced(scheduled, layer.inputs()))
    for layer, found in zip(layers, run_fenced(cases, TARGET), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))


def sums(layer: Layer) -> bool:
    """A 1x1 window over one channel multiplies elements; TVM leaves no reduction."""
    return int(np.prod(layer.weights().shape[:-1])) > 1


# Many layers share one run of the emulator.
LAYERS = st.lists(st.one_of(convolutions(), products()).filter(sums), min_size=15, max_size=15)


@FEW
@given(layers=LAYERS)
def test_any_layer(layers: list[Layer]) -> None:
    check(layers)


@FEW
@given(layers=LAYERS, columns=st.sampled_from([4, 8, 16, 32]))
def test_any_layer_from_weights_of_the_dot_product(layers: list[Layer], columns: int) -> None:
    check(layers, columns)


@pytest.mark.parametrize("columns", [0, 8])
def test_every_way_through_the_rule(columns: int) -> None:
    layers = [Layer((1, 8, 8, 16), 24, SAME, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((49, 32), 40, None, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((rows, depth), 10, None, "requantize") for rows in (1, 5, 8) for depth in (3, 7, 8, 17, 24, 64)]
    layers += [Layer((1, 5, 6, depth), 17, SAME, "requantize") for depth in (1, 3, 4, 7, 8, 12, 17, 48)]
    for strides in ((1, 1), (2, 2), (4, 3)):
        layers.append(Layer((2, 9, 7, 8), 16, Window((2, 3), strides, (0, 1, 2, 0)), "relu"))
        layers.append(Layer((2, 9, 7, 16), 8, Window((3, 3), strides, (2, 1, 0, 3), (2, 2)), "residual"))
        layers.append(Layer((2, 9, 7, 12), 12, Window((1, 1), strides), "requantize"))
    layers.append(Layer((1, 20, 20, 16), 32, SAME, "residual"))  # large enough for threads
    check(layers, columns)


def test_single_pixels_and_shallow_layers_are_left_to_the_dot_product() -> None:
    for layer in (Layer((1, 64), 16, None, "requantize"), Layer((1, 16, 16, 8), 16, Window((1, 1)), "requantize")):
        assert schedule(layer.body, layer.inputs(), TARGET).rules == ["dot_tile"]
    for layer in (Layer((8, 64), 16, None, "requantize"), Layer((1, 16, 16, 16), 16, SAME, "requantize")):
        assert schedule(layer.body, layer.inputs(), TARGET).rules == ["smmla_tile"]
        assert schedule(layer.body, layer.inputs(), "cortex-a76").rules == ["dot_tile"]


@pytest.mark.parametrize("window", [SAME, Window((1, 1))])
def test_sums_stay_in_registers(window: Window) -> None:
    layer = Layer((1, 16, 16, 64), 64, window, "requantize")
    scheduled = schedule(layer.body, layer.inputs(), TARGET)
    compiler = tvm_target(load_target(TARGET))
    text = build([lower("kernel", scheduled.only.func, compiler)], compiler).inspect_source("asm")
    assert len(re.findall(r"\bsmmla\s", text)) >= 32
    assert len(re.findall(r"\bst[ur]*\s+q\S+, \[sp", text)) <= 8
