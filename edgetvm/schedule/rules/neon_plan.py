"""How int8 convolutions and products are tiled on NEON without dot product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_window import GROUP, Load, Window, loads_of, window_of
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_products import Form
from edgetvm.schedule.rules.neon_strip import VECTOR, Strip, strip_of
from edgetvm.schedule.rules.neon_windows import windows_of
from edgetvm.schedule.types import Tiles, TileSize, pick


@dataclass(frozen=True)
class Plan:
    """How a kernel is computed: tiles of `rows` x `columns`, their form, and how many products join in 16 bits.

    If it is `shared`, threads take strips of rows, or panels where there is one strip.
    """

    kernel: DotKernel
    neon: Neon
    form: Form
    rows: int
    columns: int
    chain: int
    window: Window
    loads: list[tuple[int, int, list[Load]]]
    panels: Panels
    strip: Strip
    tiles: Tiles = field(default_factory=dict)
    shared: bool = False


def plan_tiles(kernel: DotKernel, neon: Neon, machine: Machine, weights: Sequence[np.ndarray]) -> Plan:
    """Choose the tile, and whether windows are copied to be one run."""
    recipe = machine.recipe
    shared = bool(recipe.parallel_operations) and kernel.products // GROUP >= recipe.parallel_operations
    bands = recipe.thread_bands if shared else 1
    window = window_of(kernel, VECTOR // GROUP)
    strip: Strip = strip_of(kernel, machine, window.length % GROUP != 0, bands)
    tiles = tiles_of(kernel, window, strip.copied, machine)
    copied = windows_of(kernel, machine, bands) if recipe.neon_windows else None
    if copied is not None:
        fewer = tiles_of(copied[0], copied[1], True, machine)
        moved = copied[2].cost / kernel.channels / window.runs / window.length
        fewer = {tile: cost + moved for tile, cost in fewer.items()}
        if 100 * min(fewer.values()) <= recipe.neon_windows * min(tiles.values()):
            (kernel, window, strip), tiles = copied, fewer
    tile = pick(tiles, machine.tile)
    rows, columns, form = tile.pixels, tile.columns, Form(tile.by_eight)
    panels = Panels(columns, form.group, window.joined)
    chain = form.longest_chain([panels.pack(array) for array in weights])
    multiplied = 2 * recipe.unrolled_operations // (rows * columns)
    most = min(multiplied, recipe.neon_loads // (rows + columns)) * (VECTOR // GROUP)
    loads = loads_of(window, VECTOR // GROUP, strip.copied, most)
    return Plan(kernel, neon, form, rows, columns, chain, window, loads, panels, strip, tiles, shared)


def tiles_of(kernel: DotKernel, window: Window, copied: bool, machine: Machine) -> dict[TileSize, float]:
    """Every tile that the registers hold, and its cost. `copied` tells that what lies behind a run may be read."""
    recipe = machine.recipe
    pixels = kernel.extents[2] if kernel.extents[0] * kernel.extents[1] > 1 else kernel.pixels
    tiles: dict[TileSize, float] = {}
    for form in (Form(by_eight=True), Form(by_eight=False)):
        if form.by_eight and window.length % VECTOR and not copied:
            continue
        for columns in (GROUP << n for n in range((recipe.neon_columns // GROUP).bit_length())):
            for rows in range(1, min(recipe.max_rows, pixels) + 1):
                cost = tile_cost(form, rows, columns, kernel, window, pixels, machine)
                if cost is not None:
                    tiles[TileSize(rows, columns, form.by_eight)] = cost
    return tiles


def tile_cost(
    form: Form, rows: int, columns: int, kernel: DotKernel, window: Window, pixels: int, machine: Machine
) -> float | None:
    """Instructions a product in closed form; None where the registers do not suffice."""
    rows = min(rows, pixels)
    registers = form.registers(rows, columns)
    weights = 3 if form.by_eight else 2 * (columns // 4) + 4
    # LLVM loads the activations of two steps at once, where pixels do not share them.
    activations = rows + window.shared - 1 if window.shared > 1 else 2 * rows
    if registers + weights + activations > machine.vector_registers:
        return None
    length = -(-window.length // form.group) * form.group * window.runs
    products = rows * columns * length
    # Two multiplications are added at once where a run has two; one load brings two vectors.
    multiplied = 1.5 if length > window.runs * form.step else 2
    inner = products / 8 * multiplied + (columns + rows) * length / VECTOR / 2
    if not form.by_eight:
        inner += rows * length / 4
    joined = 3 if form.by_eight else 1  # additions of neighbours that make four outputs of partial sums
    fours, eights = columns // 4, -(-columns // 8)
    recipe = machine.recipe
    outer = rows * (fours * (joined + recipe.neon_epilogue) + eights * recipe.neon_narrow) + recipe.neon_tile
    wanted = -(-kernel.channels // columns) * columns / kernel.channels
    tiles = -(-pixels // rows)
    # A short last tile costs as much as a whole one, less what it does not load and add.
    return (inner + outer) * tiles * wanted / (pixels * columns * window.length * window.runs)
