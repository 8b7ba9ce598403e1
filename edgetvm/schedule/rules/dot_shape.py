"""How many pixels and channels a tile of sums has, by a closed-form count of instructions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_instruction import DotInstruction
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_window import Window
from edgetvm.schedule.types import TileSize

REGISTERS = 32  # of which the recipe tells how many are spare


@dataclass(frozen=True)
class DotTile:
    """`pixels` x (`vectors` x `lanes`) sums in registers."""

    pixels: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes


def dot_tiles(
    kernel: DotKernel, window: Window, instruction: DotInstruction, machine: Machine
) -> dict[TileSize, float]:
    """Tiles that the registers hold, and the instructions of the kernel in each."""
    vectors = -(-kernel.channels // instruction.lanes)
    row, spare = kernel.extents[-1], machine.recipe.dot_spare_registers * machine.vector_registers // REGISTERS
    tiles: dict[TileSize, float] = {}
    for height in range(1, min(row, machine.recipe.max_rows) + 1):
        for width in range(1, min(vectors, machine.recipe.max_vectors) + 1):
            if registers(height, width, window, instruction) > machine.vector_registers - spare:
                continue
            tiles[TileSize(height, width * instruction.lanes)] = sum(
                count_rows * count_panels * _tile_cost(rows, wide, window, instruction, machine)
                for rows, count_rows in ((height, row // height), (row % height, 1))
                for wide, count_panels in ((width, vectors // width), (vectors % width, 1))
                if rows and wide
            )
    return tiles


def dot_tile_of(size: TileSize, lanes: int) -> DotTile:
    """The same in vectors of `lanes`."""
    return DotTile(size.pixels, size.columns // lanes, lanes)


def registers(pixels: int, vectors: int, window: Window, instruction: DotInstruction) -> int:
    """Vector registers in use at once: sums, activations, weights."""
    sums = pixels * vectors
    if instruction.unit == 1:
        per_operand = 1 if instruction.halves == 1 else 3  # bytes, and the words made of them
        return sums + per_operand * (min(pixels, vectors) + 1)
    return sums + pixels + window.shared - 1 + vectors


def _tile_cost(pixels: int, vectors: int, window: Window, instruction: DotInstruction, machine: Machine) -> float:
    groups = window.panel_groups
    products = groups * pixels * vectors
    if instruction.unit == 1:
        loads = float(groups * (pixels + vectors))
    else:
        taps = window.shared
        wide = math.ceil(window.groups / instruction.unit) * window.runs
        loads = wide * (pixels + taps - 1) / taps + groups * vectors / 2
    recipe = machine.recipe
    finished = pixels * (vectors if instruction.unit == 1 else 2 * -(-vectors // 2))  # NEON narrows two at a time
    return products + loads + recipe.dot_epilogue * finished + recipe.dot_tile
