"""Shifts that differ take a byte each in kernels of Arm's DSP and vector instructions, biases keep their words."""

from __future__ import annotations

import numpy as np
import pytest

from edgetvm.schedule.rules.byte_constants import Bytes
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import schedule
from tests.schedule.test_depthwise_int8 import depthwise
from tests.schedule.test_dot_tile import SAME


@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("epilogue", ["own shifts", "requantize"])
def test_only_what_fits(target: str, epilogue: str) -> None:
    layer = Layer((1, 6, 5, 8), 16, SAME, epilogue)
    packing = schedule(layer.body, layer.inputs(), target).only.packing
    assert list(packing.values()).count(Bytes()) == (epilogue == "own shifts")


def test_depthwise() -> None:
    layer = depthwise((1, 9, 9, 8), SAME, "own shifts")
    scheduled = schedule(layer.body, layer.inputs(), "cortex-m4").only
    assert scheduled.rule == "dsp_depthwise"
    assert Bytes() in scheduled.packing.values()


def test_values_stay() -> None:
    shifts = np.array([33, 52, 40], np.int32)
    packed = Bytes().pack(shifts)
    assert packed.dtype == np.int8
    np.testing.assert_array_equal(packed, shifts)
