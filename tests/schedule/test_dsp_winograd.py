"""int8 3x3 convolution by Winograd's tiles with DSP instructions: bit for bit the direct one, where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import edgetvm
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dsp_panels import DspWinogradPanels
from edgetvm.schedule.rules.dsp_winograd_plan import DspWinogradPlan, plans_of
from edgetvm.schedule.types import Tiles, TileSize
from edgetvm.target.load import load_target
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import ExtremeTiles, check_layers, optimizing
from tests.schedule.int8_layers import EPILOGUES, Layer
from tests.schedule.kernels import Scheduled, schedule
from tests.schedule.reference import Window
from tests.schedule.residual_block import residual_block
from tests.tools import require_tool

TARGET = "cortex-m4"
RUNNER = "cortex-a7"  # has the same instructions, and an operating system under the emulator
SAME = Window((3, 3), pads=(1, 1, 1, 1))
UNEVEN = Window((3, 3), pads=(2, 0, 1, 2))
INSIDE = Window((3, 3))


@contextmanager
def planned(choice: int, scratch: int) -> Iterator[None]:
    """Whatever it costs, plan number `choice` of those with so many bytes of scratch."""

    def choose(kernel: DotKernel, machine: Machine) -> tuple[DspWinogradPlan, Tiles]:
        plans = list(plans_of(kernel, machine))
        return plans[choice % len(plans)], {}

    chosen = patch("edgetvm.schedule.rules.dsp_winograd.choose_plan", choose)
    with optimizing(TARGET, "speed", winograd_bytes=scratch), chosen:
        yield


def scheduled(layer: Layer, optimize: str = "speed", **recipe: int) -> Scheduled:
    with optimizing(TARGET, optimize, **recipe):
        return schedule(layer.body, layer.inputs(), TARGET)


SHAPES = [
    ((1, 8, 8, 16), 16, SAME),
    ((2, 7, 9, 8), 5, UNEVEN),
    ((1, 1, 1, 4), 1, SAME),
    ((1, 3, 6, 12), 7, INSIDE),
    ((1, 13, 5, 24), 8, SAME),
    ((1, 4, 12, 8), 6, UNEVEN),
]


@pytest.mark.parametrize(("choice", "scratch"), [(0, 1 << 14), (9, 1 << 14), (13, 1500), (-1, 1 << 14)])
def test_every_way_through_the_rule(choice: int, scratch: int) -> None:
    """Odd sizes, borders of any code, single tiles, batches, parts of rows, panels with a rest, every epilogue."""
    epilogues = [EPILOGUES[(choice + n) % len(EPILOGUES)] for n in range(len(SHAPES))]
    layers = [
        Layer(x, outputs, window, epilogue) for (x, outputs, window), epilogue in zip(SHAPES, epilogues, strict=True)
    ]
    with planned(choice, scratch):
        check_layers(layers, "dsp_winograd", TARGET, RUNNER)


def test_extreme_operands() -> None:
    layers = [
        ExtremeTiles((1, 6, 5, 64), 4, SAME, epilogue, seed=seed)
        for seed in (0, 1)
        for epilogue in ("none", "residual")
    ]
    with planned(7, 1 << 14):
        check_layers(layers, "dsp_winograd", TARGET, RUNNER)


@pytest.mark.parametrize(
    ("x", "outputs", "window", "fires"),
    [
        ((1, 32, 32, 16), 16, SAME, True),
        ((1, 8, 8, 64), 64, SAME, True),
        ((1, 32, 32, 16), 1, SAME, False),  # the transforms cost more than the products
        ((1, 32, 32, 6), 16, SAME, False),  # no words of four channels
        ((1, 32, 32, 16), 16, Window((3, 3), (2, 2), (0, 0, 1, 1)), False),
        ((1, 32, 32, 16), 16, Window((3, 3), pads=(2, 2, 2, 2), dilation=(2, 2)), False),
        ((1, 32, 32, 16), 16, Window((1, 3), pads=(0, 1, 0, 1)), False),
        ((1, 4, 4, 404), 8, SAME, True),
        ((1, 4, 4, 408), 8, SAME, False),  # sums of sums might overflow
    ],
    ids=str,
)
def test_the_choice(x: tuple[int, ...], outputs: int, window: Window, fires: bool) -> None:
    rules = scheduled(Layer(x, outputs, window, "requantize"), winograd_bytes=1 << 16).rules
    assert rules == ["dsp_winograd" if fires else "dsp_tile"]


@pytest.mark.parametrize("optimize", ["balanced", "size"])
def test_weights_grow_for_speed_only(optimize: str) -> None:
    assert scheduled(Layer((1, 32, 32, 16), 16, SAME, "requantize"), optimize).rules == ["dsp_tile"]


def test_a_tile_can_be_fixed() -> None:
    layer = Layer((1, 16, 16, 32), 32, SAME, "requantize")
    tiles = scheduled(layer).only.tiles
    machine = machine_for(load_target(TARGET), "library", "speed")
    with patch("tests.schedule.kernels.machine", lambda _: replace(machine, tile=TileSize(1, 8))):
        fixed = schedule(layer.body, layer.inputs(), TARGET).only
    assert TileSize(1, 8) in tiles
    assert fixed.packing == {1: DspWinogradPanels(8)}
    assert fixed.tiles == tiles


def test_law_scratch_is_bounded() -> None:
    found: list[DspWinogradPlan] = []

    def keep(kernel: DotKernel, machine: Machine) -> None:
        found.extend(plans_of(kernel, machine))

    with patch("edgetvm.schedule.rules.dsp_winograd.choose_plan", keep), optimizing(TARGET, "speed"):
        layer = Layer((1, 48, 96, 32), 8, SAME, "requantize")
        schedule(layer.body, layer.inputs(), TARGET)
    assert found
    for plan in found:
        assert plan.scratch_bytes <= plan.machine.recipe.winograd_bytes
        assert plan.tile_columns % plan.span == 0
        assert plan.block.pixels <= plan.span


def test_sums_stay_in_registers() -> None:
    """Two products an instruction and one load for two words, no double words."""
    used = instructions(scheduled(Layer((1, 32, 32, 16), 16, SAME, "requantize")), TARGET)
    assert used["smuad"] >= 8
    assert used["smlad"] == 7 * used["smuad"]
    assert used["ldrd"] >= 24
    assert used["qadd16"]
    assert used["ssat"]
    assert used["mla"] == used["smlal"] == used["smull"] == used["adc"] == 0


def test_panels_hold_transformed_weights() -> None:
    """Four times G g G^T, of two channels a word, as sxtb16 orders them."""
    weights = np.random.default_rng(0).integers(-128, 128, (3, 3, 8, 5)).astype(np.int8)
    packed = DspWinogradPanels(2).pack(weights)
    g = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
    whole = np.einsum("ai,bj,ijco->abco", g, g, weights.astype(int)).reshape(16, 8, 5)[:, [0, 2, 1, 3, 4, 6, 5, 7]]
    assert packed.dtype == np.int32
    first = packed[: 16 * 4 * 2].view(np.int16).reshape(16, 4, 2, 2)
    np.testing.assert_array_equal(first.swapaxes(2, 3), whole[..., :2].reshape(16, 4, 2, 2))
    last = packed[16 * 4 * 4 :].view(np.int16).reshape(16, 8)
    np.testing.assert_array_equal(last, whole[..., 4])
    assert DspWinogradPanels(4).label != DspWinogradPanels(2).label


@pytest.mark.parametrize("form", ["object", "c"])
def test_a_residual_block(form: str, tmp_path: Path) -> None:
    """Against the interpreter on a Cortex-M4, zero points at both ends, the result over what is added."""
    require_tool("qemu-system-arm")
    model = residual_block(tmp_path, (13, 11))
    options = {"format": form, "optimize": "speed", "integer_io": True}
    package = edgetvm.compile(model, "qemu-mps2-an386", tmp_path / "package", **options)
    assert [kernel["rule"] for kernel in package.manifest["kernels"]].count("dsp_winograd") == 2
    assert package.verify(samples=2).integer_mismatches == 0
