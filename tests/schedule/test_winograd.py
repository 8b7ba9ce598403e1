"""Winograd's convolution is right in every shape and way of sharing, fires where it pays, and is as exact as stated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.codegen.in_place import reusable_inputs
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.winograd_plan import WinogradPlan, plans_of
from edgetvm.schedule.rules.winograd_transform import F2, F4, FORMS, Algebra, Winograd, transform_weights
from edgetvm.target.load import load_target
from tests.schedule import reference
from tests.schedule.assembly import instructions
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.kernels import Emit, Scheduled, assert_close, run, schedule
from tests.schedule.reference import Window

# Largest error, of the largest output: measured are 5e-7 and 3e-6.
BOUND = {2: 2e-6, 4: 1e-5}
PLAIN = Window((3, 3), pads=(1, 1, 1, 1))
EPILOGUES = ("none", "bias", "residual")
TARGETS = ("host", "x86-64-v3", "cortex-a53", "cortex-a7")
MANY = settings(max_examples=60, deadline=None, derandomize=True)


@contextmanager
def planned(form: Winograd, choice: int, band: int, **recipe: int) -> Iterator[list[WinogradPlan]]:
    """Whatever it costs, plan number `choice` of those of `form`, with `band` rows of tiles. Gives the plans made."""
    made: list[WinogradPlan] = []

    def choose(kernel: DotKernel, machine: Machine) -> WinogradPlan:
        machine = replace(machine, recipe=replace(machine.recipe, **recipe))
        plans = plans_of(kernel, form, machine)
        plan = plans[choice % len(plans)]
        most = max(d for d in range(1, plan.tile_rows + 1) if d <= max(band, plan.band))
        made.append(replace(plan, band=most))
        return made[-1]

    with patch("edgetvm.schedule.rules.winograd.choose_plan", choose):
        yield made


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
        return y

    return schedule(body, inputs, target), inputs, expected


def numpy_algebra() -> Algebra:
    arithmetic: Any = (lambda value: value, lambda value, factor: value * factor)
    return Algebra(*arithmetic)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"F{form.outputs}")
def test_law_the_transforms_correlate(form: Winograd) -> None:
    """In two dimensions, in double precision."""
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal((form.side, form.side)), rng.standard_normal((3, 3, 1, 1))

    def both(function: Any, values: np.ndarray) -> np.ndarray:
        down = np.array(function(numpy_algebra(), list(values)))
        return np.array(function(numpy_algebra(), list(down.T))).T

    u = transform_weights(form, g).reshape(form.side, form.side)
    found = both(form.output, u * both(form.input, d))
    wanted = reference.conv2d(d[None, :, :, None], g, Window((3, 3)))[0, :, :, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


SIZES = st.sampled_from([1, 2, 3, 4, 5, 8, 9, 13])


@MANY
@given(
    data=st.data(),
    target=st.sampled_from(TARGETS),
    batch=st.integers(1, 3),
    sizes=st.tuples(SIZES, SIZES),
    channels=st.tuples(st.sampled_from([1, 3, 4, 7, 17, 24, 32]), st.sampled_from([1, 3, 7, 8, 17, 32, 40])),
)
def test_any_convolution(
    data: st.DataObject, target: str, batch: int, sizes: tuple[int, int], channels: tuple[int, int]
) -> None:
    pads = tuple(data.draw(st.integers(0, 3)) for _ in range(4))
    window = Window((3, 3), pads=pads if Window((3, 3), pads=pads).fits(*sizes) else (1, 1, 1, 1))
    form, epilogue = data.draw(st.sampled_from(FORMS)), data.draw(st.sampled_from(EPILOGUES))
    threads = data.draw(st.sampled_from([0, 1]))  # never, always
    with planned(form, data.draw(st.integers(0, 99)), data.draw(st.integers(1, 4)), parallel_operations=threads):
        scheduled, inputs, expected = layer(normal(batch, *sizes, channels[0]), channels[1], window, epilogue, target)
    assert scheduled.rules == ["winograd"]
    assert_close(run(scheduled, inputs), expected, BOUND[form.outputs])


def chosen() -> Iterator[tuple[Winograd, int, int, tuple[int, ...], int, Window, str]]:
    """Every way through the rule: (form, plan, band, x, outputs, window, epilogue)."""
    uneven = Window((3, 3), pads=(2, 0, 1, 3))
    for form in FORMS:
        yield form, 0, 1, (1, 8, 8, 16), 32, PLAIN, "residual"
        yield form, 5, 2, (2, 13, 9, 17), 23, PLAIN, "bias"
        yield form, 9, 3, (1, 9, 14, 7), 40, uneven, "residual"
        yield form, 2, 1, (1, 1, 1, 3), 1, PLAIN, "none"
        yield form, 3, 1, (1, 3, 3, 5), 8, Window((3, 3)), "bias"


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a7"])
def test_nothing_is_read_or_written_outside(target: str, threads: int) -> None:
    """Every tensor ends where memory ends, and once begins where it begins; scratch is the kernel's own."""
    cases, wanted = [], []
    for form, choice, band, shape, outputs, window, epilogue in chosen():
        with planned(form, choice, band, parallel_operations=threads):
            scheduled, inputs, expected = layer(normal(*shape), outputs, window, epilogue, target)
        assert scheduled.rules == ["winograd"]
        cases.append(Fenced(scheduled, inputs))
        wanted.append(expected)
    for found, expected in zip(run_fenced(cases, target), wanted, strict=True):
        assert_close(found, expected, BOUND[4])
