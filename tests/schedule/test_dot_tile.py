"""Dot-product tiles: exact in every shape, with every epilogue, and the rule fired."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import EPILOGUES, Layer, convolutions, products
from tests.schedule.kernels import machine, run, schedule
from tests.schedule.reference import Window

SAME = Window((3, 3), pads=(1, 1, 1, 1))
VNNI = machine("host").dot is not None
MANY = settings(max_examples=60, deadline=None, derandomize=True)


def sums_nothing(layer: Layer) -> bool:
    """A 1x1 window over one channel multiplies elements; TVM leaves no reduction."""
    return int(np.prod(layer.weights().shape[:-1])) == 1


@pytest.mark.skipif(not VNNI, reason="this machine has no dot product")
@MANY
@given(layer=convolutions())
def test_convolutions(layer: Layer) -> None:
    inputs = layer.inputs()
    scheduled = schedule(layer.body, inputs)
    assert scheduled.rules == ["dot_tile"] or sums_nothing(layer)
    np.testing.assert_array_equal(run(scheduled, inputs), layer.expected(inputs))


@pytest.mark.skipif(not VNNI, reason="this machine has no dot product")
@MANY
@given(layer=products())
def test_products(layer: Layer) -> None:
    inputs = layer.inputs()
    scheduled = schedule(layer.body, inputs)
    assert scheduled.rules == ["dot_tile"] or sums_nothing(layer)
    np.testing.assert_array_equal(run(scheduled, inputs), layer.expected(inputs))


def chosen() -> list[Layer]:
    """Layers in which every way through the rule is taken."""
    layers = [Layer((1, 8, 8, 16), 24, SAME, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((49, 32), 40, None, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((rows, depth), 10, None, "requantize") for rows in (1, 5) for depth in (1, 3, 7, 17, 64, 640)]
    for depth in (1, 3, 7, 17, 48):
        for outputs in (1, 3, 7, 17, 48):
            layers.append(Layer((1, 5, 6, depth), outputs, SAME, "requantize"))
    for strides in ((1, 1), (2, 2), (4, 3)):
        layers.append(Layer((2, 9, 7, 8), 16, Window((2, 3), strides, (0, 1, 2, 0)), "relu"))
        layers.append(Layer((2, 9, 7, 16), 8, Window((3, 3), strides, (2, 1, 0, 3), (2, 2)), "residual"))
        layers.append(Layer((2, 9, 7, 12), 12, Window((1, 1), strides), "requantize"))
        layers.append(Layer((1, 9, 7, 6), 12, Window((2, 2), strides), "requantize"))
    layers.append(Layer((1, 1, 1, 16), 16, SAME, "requantize"))
    layers.append(Layer((1, 49, 10, 1), 64, Window((10, 4), (2, 2), (4, 1, 5, 1)), "relu"))
    layers.append(Layer((1, 20, 20, 16), 32, SAME, "residual"))  # large enough for threads
    return layers


@pytest.mark.parametrize("target", ["host", "cortex-a76"])
def test_nothing_is_read_or_written_outside(target: str) -> None:
    """Every tensor ends where memory ends, and once begins where it begins."""
    if target == "host" and not VNNI:
        pytest.skip("this machine has no dot product")
    cases = []
    for layer in chosen():
        inputs = layer.inputs()
        scheduled = schedule(layer.body, inputs, target)
        assert scheduled.rules == ["dot_tile"] or sums_nothing(layer), layer
        cases.append(Fenced(scheduled, inputs))
    for layer, found in zip(chosen(), run_fenced(cases, target), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))


@pytest.mark.parametrize("target", ["host", "cortex-a76", "cortex-a53", "cortex-m4"])
def test_groups_and_other_machines_are_left_to_other_rules(target: str) -> None:
    grouped = Layer((1, 6, 6, 16), 16, SAME, "requantize", groups=4)
    assert "dot_tile" not in schedule(grouped.body, grouped.inputs(), target).rules
    if target.startswith("cortex") and target != "cortex-a76":
        plain = Layer((1, 6, 6, 16), 16, SAME, "requantize")
        assert schedule(plain.body, plain.inputs(), target).rules == ["register_tile"]
