"""Products whose rows or columns nothing divides: right in every shape, and the rule fires where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.float_block import block_sizes
from edgetvm.schedule.rules.panel_plan import PanelPlan
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.kernels import Emit, Scheduled, assert_close, run, schedule
from tests.schedule.reference import Window
from tests.schedule.winograd_layers import EPILOGUES, layer, normal

MANY = settings(max_examples=60, deadline=None, derandomize=True)
TARGETS = st.sampled_from(["host", "x86-64-v3", "cortex-a53", "cortex-a7"])
DEPTHS = st.sampled_from([2, 3, 7, 16, 17, 40])
COLUMNS = st.sampled_from([1, 3, 7, 10, 17, 24, 40, 100])


@contextmanager
def planned(choice: int, threads: int) -> Iterator[None]:
    """Whatever it costs, block number `choice`, shared among threads or not."""

    def choose(kernel: DotKernel, machine: Machine) -> PanelPlan:
        machine = replace(machine, recipe=replace(machine.recipe, parallel_operations=threads))
        plans = [PanelPlan(kernel, machine, *block) for block in block_sizes(kernel.channels, machine)]
        plans = [plan for plan in plans if plan.rows <= plan.pixels]
        return plans[choice % len(plans)]

    with patch("edgetvm.schedule.rules.float_panels.choose_panels", choose):
        yield


def product(rows: int, depth: int, columns: int, target: str) -> tuple[Scheduled, list[np.ndarray], np.ndarray]:
    """``relu(a @ b + bias)``, scheduled, its input and what numpy computes."""
    a, b, bias = normal(rows, depth), normal(depth, columns), normal(columns)

    def body(p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        y = emit(relax.op.matmul(p[0], relax.const(b)))
        return relax.op.nn.relu(emit(relax.op.add(y, relax.const(bias))))

    return schedule(body, [a], target), [a], np.maximum(a.astype(np.float64) @ b + bias, 0)


@MANY
@given(target=TARGETS, rows=st.integers(1, 40), depth=DEPTHS, columns=COLUMNS, choice=st.integers(0, 99))
def test_any_product(target: str, rows: int, depth: int, columns: int, choice: int) -> None:
    with planned(choice, choice % 2):
        scheduled, inputs, expected = product(rows, depth, columns, target)
    assert scheduled.rules == ["float_panels"]
    assert_close(run(scheduled, inputs), expected)


@MANY
@given(data=st.data(), target=TARGETS, batch=st.integers(1, 3), depth=DEPTHS, columns=COLUMNS)
def test_any_pointwise_convolution(data: st.DataObject, target: str, batch: int, depth: int, columns: int) -> None:
    """With borders too: around the image is what the epilogue makes of 0."""
    pads = tuple(data.draw(st.integers(0, 2)) for _ in range(4))
    height, width, choice = (data.draw(st.integers(*limits)) for limits in ((1, 7), (1, 7), (0, 99)))
    with planned(choice, choice % 2):
        x, window = normal(batch, height, width, depth), Window((1, 1), pads=pads)
        scheduled, inputs, expected = layer(x, columns, window, data.draw(st.sampled_from(EPILOGUES)), target)
    assert scheduled.rules == ["float_panels"]
    assert_close(run(scheduled, inputs), expected)


@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a7"])
def test_nothing_is_read_or_written_outside(target: str) -> None:
    """Every tensor ends where memory ends, and once begins where it begins."""
    cases, wanted = [], []
    for choice in range(0, 40, 3):
        pads = [(0, 0, 0, 0), (1, 1, 1, 1), (2, 0, 1, 3)][choice % 3]
        with planned(choice, choice % 2):
            x, window = normal(1 + choice % 2, 5, 7, 17), Window((1, 1), pads=pads)
            scheduled, inputs, expected = layer(x, 23 + choice, window, "residual", target)
        assert scheduled.rules == ["float_panels"]
        cases.append(Fenced(scheduled, inputs))
        wanted.append(expected)
    for found, expected in zip(run_fenced(cases, target), wanted, strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("target", ["host", "x86-64-v3", "cortex-a53"])
def test_it_fires_where_nothing_divides(target: str) -> None:
    """The last convolution of SqueezeNet, and a product that has as many rows and columns as a tile likes."""
    scheduled, inputs, expected = layer(normal(1, 13, 13, 64), 1000, Window((1, 1), pads=(1, 1, 1, 1)), "bias", target)
    assert scheduled.rules == ["float_panels"]
    ((_, packing),) = scheduled.only.packing.items()
    assert isinstance(packing, Panels)
    assert_close(run(scheduled, inputs), expected)
    assert product(112, 64, 128, target)[0].rules != ["float_panels"]


def test_machines_without_vectors_keep_theirs() -> None:
    assert product(13, 64, 1000, "cortex-m4")[0].rules == ["register_tile"]
