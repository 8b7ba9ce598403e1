"""3x3 convolutions for tests of Winograd's, and the choice of their tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import tvm
from tvm import relax

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.winograd_choice import plans_of
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import Winograd
from edgetvm.schedule.types import Tiles
from tests.schedule import reference
from tests.schedule.kernels import Emit, Scheduled, schedule
from tests.schedule.reference import Window

# Largest error as a part of the largest output, by outputs of a tile's side. Measured with 512 channels: 9e-7, 1.2e-5.
BOUND = {2: 2e-6, 4: 2e-5}
PLAIN = Window((3, 3), pads=(1, 1, 1, 1))
EPILOGUES = ("none", "bias", "residual", "swish")


@contextmanager
def planned(form: Winograd, choice: int, band: int, spans: int = 1, **recipe: int) -> Iterator[None]:
    """Whatever it costs, plan number `choice` of those of `form`, with so many rows of tiles and parts of a row."""

    def choose(kernel: DotKernel, machine: Machine) -> tuple[WinogradPlan, Tiles]:
        machine = replace(machine, recipe=replace(machine.recipe, **recipe))
        plans = plans_of(kernel, form, machine)
        plan = plans[choice % len(plans)]
        cut = replace(plan, band=min(band, plan.tile_rows), span=-(-plan.tile_columns // spans))
        return (cut if cut.tiles >= cut.rows else plan), {}

    with patch("edgetvm.schedule.rules.winograd.choose_plan", choose):
        yield


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def layer(
    x: np.ndarray, outputs: int, window: Window, epilogue: str, target: str
) -> tuple[Scheduled, list[np.ndarray], np.ndarray]:
    """A convolution, scheduled, with its inputs and what numpy computes in double precision."""
    w, bias = normal(*window.kernel, x.shape[3], outputs), normal(outputs)
    expected = reference.conv2d(x, w, window)
    inputs = [x]
    if epilogue != "none":
        expected = expected + bias
    if epilogue == "residual":
        inputs.append(normal(*expected.shape))
        expected = np.maximum(expected + inputs[1], 0)
    if epilogue == "swish":
        expected = expected / (1 + np.exp(-expected))

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        y = relax.op.nn.conv2d(
            p[0],
            relax.const(w),
            padding=window.pads,
            strides=window.strides,
            dilation=window.dilation,
            data_layout="NHWC",
            kernel_layout="HWIO",
        )
        if epilogue != "none":
            y = relax.op.add(emit(y), relax.const(bias))
        if epilogue == "residual":
            y = relax.op.nn.relu(emit(relax.op.add(emit(y), p[1])))
        if epilogue == "swish":
            y = emit(y)
            y = relax.op.multiply(y, emit(relax.op.sigmoid(y)))
        return y

    return schedule(body, inputs, target), inputs, expected
