"""The tile that a closed form picks against tiles counted under the emulator; tiles fixed from outside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from tvm_ffi import structural_equal

from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.recipe import machine_for
from edgetvm.schedule.types import TileSize, pick
from edgetvm.target.load import load_target
from tests.tools import require_tool

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import enumerate_tiles

    return enumerate_tiles


@pytest.mark.parametrize(
    ("name", "target", "rule", "layer"),
    [
        ("int8 dense", "cortex-a53", "neon_tile", ("int8", (1, 160), 64)),
        ("int8 pointwise", "cortex-a53", "neon_tile", ("int8", (1, 8, 8, 64), 32, 1)),
        ("int8 3x3", "cortex-a76", "dot_tile", ("int8", (1, 8, 8, 32), 32, 3)),
        ("int8 depthwise", "cortex-a53", "depthwise_int8", ("int8", (1, 7, 5, 64), 64, 3, 1, 64)),
        ("float 3x3", "cortex-a53", "matrix_tile", ("float32", (1, 9, 9, 16), 32, 3, 2)),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_the_first_guess_is_near_the_best(
    name: str, target: str, rule: str, layer: tuple[object, ...], tool: ModuleType
) -> None:
    del name
    require_tool("qemu-aarch64")
    found = tool.enumerate_tiles(tool.Layer(*layer), target, every=4)
    assert found.rule == rule
    assert len(found.points) >= 3
    assert found.ratio <= 1.15
    assert found.correlation > 0.3


@pytest.mark.parametrize("target", ["cortex-a53", "cortex-a76", "cortex-a710", "x86-64-v4-vnni"])
@pytest.mark.parametrize("name", ["int8_conv", "int8_dense", "int8_depthwise", "float_pointwise", "float_depthwise"])
def test_a_tile_can_be_fixed(name: str, target: str, tool: ModuleType) -> None:
    machine = machine_for(load_target(target), "library")
    func, constants = tool.function_of(tool.LAYERS[name])
    free = schedule_kernel(func, machine, constants)
    chosen, other = pick(free.tiles, None), max(free.tiles, key=free.tiles.__getitem__)
    fixed, same, elsewhere = (
        schedule_kernel(func, replace(machine, tile=tile), constants) for tile in (other, chosen, TileSize(99, 7))
    )
    assert fixed.rule == free.rule
    assert not structural_equal(fixed.func, free.func)
    assert structural_equal(same.func, free.func)
    assert structural_equal(elsewhere.func, free.func)


def test_spearman_by_hand(tool: ModuleType) -> None:
    assert tool.spearman([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert tool.spearman([1, 2, 3], [9, 5, 1]) == pytest.approx(-1)
    assert tool.spearman([1, 1, 2], [3, 4, 5]) == pytest.approx(0.866, abs=1e-3)
