"""How many pixels and channels a tile of smmla has, by a closed-form count of instructions."""

from __future__ import annotations

import math

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_shape import DotTile
from edgetvm.schedule.rules.dot_window import Window
from edgetvm.schedule.types import TileSize

LANES = 4
DEPTH = 8  # products that one lane gets at a time


def smmla_tiles(
    kernel: DotKernel, window: Window, machine: Machine, paired: bool, columns: int = 0
) -> dict[TileSize, float]:
    """Tiles that the registers hold, and the instructions of the kernel in each.

    `paired` tells that weights lie as the instruction wants them; `columns`, if given, how many channels it has.
    """
    vectors, row = -(-kernel.channels // LANES), kernel.extents[-1]
    widths = [columns // LANES] if columns else list(range(1, min(vectors, machine.recipe.max_vectors) + 1))
    tiles: dict[TileSize, float] = {}
    for height in range(1, min(row, machine.recipe.max_rows) + 1):
        for width in widths:
            # One pixel must do, whatever the panel.
            if height > 1 and registers(height, width) > machine.vector_registers - machine.recipe.dot_spare_registers:
                continue
            tiles[TileSize(height, width * LANES)] = sum(
                count_rows * count_panels * _tile_cost(rows, wide, window, machine, paired)
                for rows, count_rows in ((height, row // height), (row % height, 1))
                for wide, count_panels in ((width, vectors // width), (vectors % width, 1))
                if rows and wide
            )
    return tiles


def registers(pixels: int, vectors: int) -> int:
    """Vector registers in use at once: sums, activations, weights."""
    return 2 * -(-pixels // 2) * vectors + pixels + vectors


def pays(window: Window, tile: DotTile, paired: bool) -> bool:
    """Whether a tile takes fewer instructions than one of the same size by dot products."""
    saved = window.panel_groups * tile.pixels * tile.vectors - _products(tile.pixels, tile.vectors, window)
    return saved > _sorting(tile.pixels, tile.vectors, window, paired)


def _products(pixels: int, vectors: int, window: Window) -> int:
    return _steps(window) * 2 * -(-pixels // 2) * vectors


def _steps(window: Window) -> int:
    return -(-window.groups // 2) * window.runs


def _sorting(pixels: int, vectors: int, window: Window, paired: bool) -> int:
    """Instructions that bring start values, activations, weights and sums into the order that is wanted."""
    operands = pixels - 1 if window.shared > 1 else -(-pixels // 2)
    weights = 0 if paired else 2 * vectors
    return 2 * vectors + _steps(window) * (operands + weights) + pixels * vectors


def _tile_cost(pixels: int, vectors: int, window: Window, machine: Machine, paired: bool) -> float:
    wide = math.ceil(window.groups / 4) * window.runs
    loads = wide * (pixels + window.shared - 1) / window.shared + _steps(window) * vectors
    sums = _products(pixels, vectors, window) + _sorting(pixels, vectors, window, paired)
    finished = pixels * 2 * -(-vectors // 2)  # NEON narrows two at a time
    return sums + loads + machine.recipe.dot_epilogue * finished + machine.recipe.dot_tile
