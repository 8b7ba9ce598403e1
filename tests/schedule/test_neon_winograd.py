"""int8 3x3 convolution by Winograd's tiles on NEON: bit for bit the direct one, where it is wanted and pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgetvm
from edgetvm.schedule.packing import WinogradPanels
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.winograd_choice import plans_of
from edgetvm.schedule.rules.winograd_numbers import WORDS
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import F2
from edgetvm.schedule.types import Tiles, TileSize
from edgetvm.target.load import load_target
from tests.schedule.assembly import instructions
from tests.schedule.exact_layers import ExtremeTiles, check_layers, optimizing
from tests.schedule.int8_layers import CHANNELS, EPILOGUES, Layer
from tests.schedule.kernels import Scheduled, schedule
from tests.schedule.reference import Window
from tests.schedule.residual_block import residual_block
from tests.tools import require_tool

WITHOUT_DOT = ["cortex-a53", "cortex-a7"]
SAME = Window((3, 3), pads=(1, 1, 1, 1))
FEW = settings(max_examples=3, deadline=None, derandomize=True)
SIZES = st.sampled_from([1, 2, 3, 4, 5, 8, 9, 13])


@contextmanager
def planned(target: str, choice: int, band: int, spans: int = 1, **recipe: int) -> Iterator[None]:
    """Whatever it costs, plan number `choice`, with so many rows of tiles and parts of a row."""

    def choose(kernel: DotKernel, machine: Machine, _: Sequence[np.ndarray]) -> tuple[WinogradPlan, Tiles]:
        plans = plans_of(kernel, F2, machine, WORDS)
        plan = plans[choice % len(plans)]
        cut = replace(plan, band=min(band, plan.tile_rows), span=-(-plan.tile_columns // spans))
        return (cut if cut.tiles >= cut.rows else plan), {}

    chosen = patch("edgetvm.schedule.rules.neon_winograd.choose_plan", choose)
    with optimizing(target, "speed", **recipe), chosen:
        yield


def scheduled(layer: Layer, target: str = "cortex-a53", optimize: str = "speed", **recipe: int) -> Scheduled:
    with optimizing(target, optimize, **recipe):
        return schedule(layer.body, layer.inputs(), target)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    sizes, pads = (draw(SIZES), draw(SIZES)), tuple(draw(st.integers(0, 3)) for _ in range(4))
    window = Window((3, 3), pads=pads)
    x = (draw(st.integers(1, 2)), *sizes, draw(CHANNELS))
    return Layer(x, draw(CHANNELS), window if window.fits(*sizes) else SAME, draw(st.sampled_from(EPILOGUES)))


@FEW
@given(
    convolutions=st.lists(layers(), min_size=8, max_size=8),
    target=st.sampled_from(WITHOUT_DOT),
    threads=st.sampled_from([0, 1]),
    choice=st.integers(0, 99),
    band=st.integers(1, 4),
    spans=st.integers(1, 3),
)
def test_law_any_convolution_is_exact(
    convolutions: list[Layer], target: str, threads: int, choice: int, band: int, spans: int
) -> None:
    with planned(target, choice, band, spans, parallel_operations=threads):
        check_layers(convolutions, "neon_winograd", target)


@pytest.mark.parametrize("target", WITHOUT_DOT)
def test_extreme_operands(target: str) -> None:
    extreme = [
        ExtremeTiles((1, 6, 5, 64), 8, SAME, epilogue, seed=seed) for seed in (0, 1) for epilogue in ("none", "bias")
    ]
    with planned(target, 3, 1):
        check_layers(extreme, "neon_winograd", target)


@pytest.mark.parametrize(
    ("x", "outputs", "window", "fires"),
    [
        ((1, 32, 32, 16), 16, SAME, True),
        ((1, 8, 8, 64), 64, SAME, True),
        ((1, 32, 32, 16), 1, SAME, False),  # the transforms cost more than the products
        ((1, 32, 32, 16), 16, Window((3, 3), (2, 2), (0, 0, 1, 1)), False),
        ((1, 32, 32, 16), 16, Window((3, 3), pads=(2, 2, 2, 2), dilation=(2, 2)), False),
        ((1, 4, 4, 404), 8, SAME, True),
        ((1, 4, 4, 408), 8, SAME, False),  # sums of sums might overflow
    ],
    ids=str,
)
def test_the_choice(x: tuple[int, ...], outputs: int, window: Window, fires: bool) -> None:
    rules = scheduled(Layer(x, outputs, window, "requantize"), neon_winograd=90).rules
    assert rules == ["neon_winograd" if fires else "neon_tile"]


@pytest.mark.parametrize(
    ("target", "optimize", "rule"),
    [
        ("cortex-a72", "speed", "neon_winograd"),
        ("cortex-a72", "balanced", "neon_tile"),
        ("cortex-a72", "size", "neon_tile"),
        ("cortex-a76", "speed", "dot_tile"),
    ],
)
def test_weights_grow_for_speed_only(target: str, optimize: str, rule: str) -> None:
    assert scheduled(Layer((1, 32, 32, 16), 16, SAME, "requantize"), target, optimize).rules == [rule]


def test_a_tile_can_be_fixed() -> None:
    layer = Layer((1, 16, 16, 32), 32, SAME, "requantize")
    tiles = scheduled(layer).only.tiles
    assert TileSize(2, 16) in tiles
    machine = machine_for(load_target("cortex-a53"), "library", "speed")
    with patch("tests.schedule.kernels.machine", lambda _: replace(machine, tile=TileSize(2, 16))):
        fixed = schedule(layer.body, layer.inputs(), "cortex-a53").only
    assert fixed.packing == {1: WinogradPanels(2, 16, "int16", 2)}
    assert fixed.tiles == tiles


def test_products_are_by_lane() -> None:
    """Four products an instruction, and nothing widens or repeats their factors."""
    used = instructions(scheduled(Layer((1, 32, 32, 16), 16, SAME, "requantize")), "cortex-a53")
    products = used["smull"] + used["smull2"] + used["smlal"] + used["smlal2"]
    assert products >= 128
    assert used["smlal2"] >= 0.4 * products
    assert used["dup"] < 0.1 * products


def test_panels_hold_transformed_weights() -> None:
    """Four times G g G^T."""
    weights = np.random.default_rng(0).integers(-128, 128, (3, 3, 8, 5)).astype(np.int8)
    packed = WinogradPanels(2, 8, "int16", 2).pack(weights)
    g = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
    whole = np.einsum("ai,bj,ijco->abco", g, g, weights.astype(int)).reshape(1, 16, 8, 5)
    assert packed.dtype == np.int16
    np.testing.assert_array_equal(packed[..., :5], whole)
    np.testing.assert_array_equal(packed[..., 5:], 0)


def test_a_residual_block(tmp_path: Path) -> None:
    """Against the interpreter."""
    require_tool("qemu-aarch64")
    model = residual_block(tmp_path, (31, 32))
    package = edgetvm.compile(model, "cortex-a53", tmp_path / "package", optimize="speed", integer_io=True)
    assert [kernel["rule"] for kernel in package.manifest["kernels"]].count("neon_winograd") == 2
    assert package.verify(samples=2).integer_mismatches == 0
