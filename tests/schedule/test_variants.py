"""Kernels for several kinds of cores on one layout of weights: exact on each, and each core's own rule fired."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.codegen.assemble import constant_operands
from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.schedule.variants import schedule_alike
from edgetvm.target.load import load_target
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import EPILOGUES, Layer, convolutions, products
from tests.schedule.kernels import Scheduled, machine, schedule
from tests.schedule.reference import Window

SAME = Window((3, 3), pads=(1, 1, 1, 1))
RULES = {"cortex-a53": "neon_panels", "cortex-a76": "dot_panels"}
RECIPE = machine("cortex-a53").recipe
FEW = settings(max_examples=4, deadline=None, derandomize=True)


def sums(layer: Layer) -> bool:
    """A 1x1 window over one channel multiplies elements; TVM leaves no reduction."""
    return int(np.prod(layer.weights().shape[:-1])) > 1


def shared(layer: Layer, target: str, columns: int) -> Scheduled:
    """The layer for `target`, of weights in panels of so many columns."""
    given_machine = replace(machine(target), columns=columns)
    with patch("tests.schedule.kernels.machine", return_value=given_machine):
        return schedule(layer.body, layer.inputs(), target)


def check(layers: list[Layer], target: str, columns: int) -> None:
    cases = []
    for layer in layers:
        scheduled = shared(layer, target, columns)
        assert scheduled.rules == [RULES[target]], layer
        (packing,) = scheduled.only.packing.values()
        assert isinstance(packing, Panels)
        assert (packing.block, packing.group, packing.offset) == (columns, 4, 0)
        cases.append(Fenced(scheduled, layer.inputs()))
    for layer, found in zip(layers, run_fenced(cases, target), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))


# Many layers share one run of the emulator.
LAYERS = st.lists(st.one_of(convolutions(), products()).filter(sums), min_size=15, max_size=15)


@FEW
@given(layers=LAYERS, target=st.sampled_from(sorted(RULES)), columns=st.sampled_from([4, 8, 12, 16]))
def test_any_layer(layers: list[Layer], target: str, columns: int) -> None:
    check(layers, target, columns)


@pytest.mark.parametrize("target", RULES)
def test_every_epilogue(target: str) -> None:
    layers = [Layer((1, 8, 8, 16), 24, SAME, epilogue) for epilogue in EPILOGUES]
    check([*layers, *(Layer((49, 32), 40, None, epilogue) for epilogue in EPILOGUES)], target, RECIPE.shared_columns)


def machines() -> list[Machine]:
    target = load_target("aarch64-generic")
    kinds = [target, *(target.with_variant(variant) for variant in target.processor.variants)]
    return [machine_for(kind, "library") for kind in kinds]


def alike(layer: Layer, kinds: list[Machine]) -> list[ScheduledKernel]:
    """The kernel of each kind of core, from the blocks that a rule saw."""
    scheduled = schedule(layer.body, layer.inputs(), "cortex-a76")
    ((name, kernel),) = scheduled.kernels.items()
    return schedule_alike(kernel.blocks, kinds, constant_operands(scheduled.program)[name])


def test_each_core_has_its_own_kernel_and_all_read_the_same_weights() -> None:
    kernels = alike(Layer((1, 16, 16, 32), 32, SAME, "requantize"), machines())
    assert [kernel.rule for kernel in kernels] == ["neon_panels", "dot_panels", "smmla_tile"]
    assert all(kernel.packing == {1: Panels(RECIPE.shared_columns, 4, 2)} for kernel in kernels)


def test_a_kernel_that_is_no_better_is_the_same_object() -> None:
    base, dot, matrix = alike(Layer((1, 64), 32, None, "requantize"), machines())
    assert dot is matrix
    assert [base.rule, dot.rule] == ["neon_panels", "dot_panels"]
    assert base.packing == {1: Panels(RECIPE.shared_columns_one, 4)}


def test_one_kind_of_core_lays_weights_out_as_it_likes() -> None:
    (kernel,) = alike(Layer((1, 16, 16, 32), 32, SAME, "requantize"), [machine("cortex-a53")])
    assert kernel.rule == "neon_tile"
