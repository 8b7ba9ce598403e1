"""Winograd's convolution is chosen where it pays, shares its work among threads and keeps sums in registers."""

from __future__ import annotations

import re
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from edgetvm.codegen.lower import build, lower
from edgetvm.schedule.packing import WinogradPanels
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.winograd_choice import plans_of
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import FORMS
from edgetvm.schedule.types import TileSize, pick
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.kernels import assert_close, run
from tests.schedule.reference import Window
from tests.schedule.winograd_layers import BOUND, PLAIN, layer, normal

CHOICES = [
    ("host", (1, 32, 32, 16), 16, 4),
    ("host", (1, 13, 13, 64), 256, 4),
    ("cortex-a53", (1, 32, 32, 16), 16, 4),
    ("cortex-a53", (1, 8, 8, 64), 64, 2),  # 590 kB of weights for F(4x4): no cache keeps them
    ("cortex-a53", (1, 32, 32, 3), 16, None),  # the transforms cost more than the products
    ("cortex-a53", (1, 1, 1, 16), 16, None),
    ("cortex-a7", (1, 32, 32, 16), 16, 4),
]


@pytest.mark.parametrize(("target", "shape", "outputs", "side"), CHOICES)
def test_the_choice(target: str, shape: tuple[int, ...], outputs: int, side: int | None) -> None:
    scheduled, _, _ = layer(normal(*shape), outputs, PLAIN, "bias", target)
    if side is None:
        assert "winograd" not in scheduled.rules
        return
    assert scheduled.rules == ["winograd"]
    ((_, packing),) = scheduled.only.packing.items()
    assert isinstance(packing, WinogradPanels)
    assert packing.outputs == side


@pytest.mark.parametrize(
    "window",
    [
        Window((3, 3), (2, 2), (1, 1, 1, 1)),
        Window((3, 3), (1, 2), (1, 1, 1, 1)),
        Window((3, 3), pads=(2, 2, 2, 2), dilation=(2, 2)),
        Window((5, 5), pads=(2, 2, 2, 2)),
        Window((1, 3), pads=(0, 1, 0, 1)),
        Window((1, 1)),
    ],
    ids=str,
)
def test_other_windows_are_left_to_other_rules(window: Window) -> None:
    scheduled, inputs, expected = layer(normal(1, 16, 16, 16), 16, window, "bias", "host")
    assert "winograd" not in scheduled.rules
    assert_close(run(scheduled, inputs), expected)


@pytest.mark.parametrize("target", ["host", "cortex-a53"])
@pytest.mark.parametrize("shape", [(1, 120, 224, 64), (1, 28, 28, 256), (1, 14, 14, 512)], ids=str)
def test_law_scratch_is_bounded(target: str, shape: tuple[int, ...]) -> None:
    """Rows of tiles too long for it are cut."""
    plans: list[WinogradPlan] = []

    def keep(kernel: DotKernel, machine: Machine) -> None:
        plans.extend(plan for form in FORMS for plan in plans_of(kernel, form, machine))

    with patch("edgetvm.schedule.rules.winograd.choose_plan", keep):
        layer(np.zeros(shape, np.float32), 64, PLAIN, "bias", target)
    assert plans
    for plan in plans:
        assert plan.scratch_bytes <= plan.machine.recipe.winograd_bytes or plan.tiles == 1
        assert plan.rows <= plan.tiles


@pytest.mark.parametrize("target", ["x86-64-v4", "x86-64-v3", "host"])
def test_a_tile_can_be_fixed(target: str) -> None:
    free, _, _ = layer(normal(1, 16, 16, 32), 48, PLAIN, "bias", target)
    tiles = free.only.tiles
    chosen, other = pick(tiles, None), max(tiles, key=tiles.__getitem__)
    for tile in (chosen, other, TileSize(99, 7)):
        fixed = replace(machine_for(load_target(target), "library"), tile=tile)
        with patch("tests.schedule.kernels.machine", lambda _, machine=fixed: machine):
            scheduled, inputs, expected = layer(normal(1, 16, 16, 32), 48, PLAIN, "bias", target)
        assert scheduled.rules == ["winograd"]
        assert scheduled.only.tiles == tiles
        columns = tile.columns if tile in tiles else chosen.columns
        ((_, packing),) = scheduled.only.packing.items()
        assert isinstance(packing, WinogradPanels) and packing.block == columns
        assert_close(run(scheduled, inputs), expected, BOUND[4])


def test_small_packages_keep_their_weights() -> None:
    """And so do machines without vectors."""
    for target, form in (("host", "library"), ("cortex-a53", "library"), ("cortex-m4", "library"), ("host", "c")):
        machine = machine_for(load_target(target), form, "size")
        with patch("tests.schedule.kernels.machine", lambda _, machine=machine: machine):
            scheduled, _, _ = layer(normal(1, 32, 32, 16), 16, PLAIN, "bias", target)
        assert "winograd" not in scheduled.rules


@pytest.mark.parametrize(("shape", "outputs", "loops"), [((1, 32, 32, 32), 32, 1), ((1, 8, 8, 128), 128, 2)])
def test_threads_share_bands_or_panels(shape: tuple[int, ...], outputs: int, loops: int) -> None:
    """Few tiles make one band: then threads share the channels to transform and the panels to multiply."""
    scheduled, inputs, expected = layer(normal(*shape), outputs, PLAIN, "residual", "host")
    assert scheduled.rules == ["winograd"]
    assert scheduled.only.func.script().count("T.parallel") == loops
    assert_close(run(scheduled, inputs), expected, BOUND[4])


SUMS = [
    ("x86-64-v4", r"\bvfmadd\S+\s.*%zmm"),
    ("x86-64-v3", r"\bvfmadd\S+\s.*%ymm"),
    ("cortex-a53", r"\bfmla\s.*\.s\[[0-3]\]"),
]


@pytest.mark.parametrize(("target", "sums"), SUMS)
def test_sums_stay_in_registers(target: str, sums: str) -> None:
    scheduled, _, _ = layer(normal(1, 32, 32, 32), 32, PLAIN, "bias", target)
    assert scheduled.rules == ["winograd"]
    compiler = tvm_target(load_target(target))
    text = build([lower("kernel", scheduled.only.func, compiler)], compiler).inspect_source("asm")
    assert len(re.findall(sums, text)) >= 64
    assert (
        len(re.findall(r"vmovups\s+%[yz]mm\d+, \S*\(%rsp\)|str\s+q\d+, \[sp", text)) <= 32
    )  # 16 registers cannot hold the 24 values between the output's passes
