"""int8 convolutions and products on NEON without dot product: sums in registers, weights in panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel
from edgetvm.schedule.rules.dot_window import GROUP, Load, Window, loads_of, over_runs, window_of
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_products import Form, Tile
from edgetvm.schedule.rules.neon_strip import Strip, strip_of
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.write_code import Code, Offset, shuffle
from edgetvm.schedule.types import Answer, Constants, Loops, Tiles, TileSize, pick

SPARE = 16  # bytes behind the last activation of a copy, which a load may touch
VECTOR = 16


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


def neon_tile(sch: Schedule, machine: Machine, constants: Constants) -> Answer:
    """Write the loops of a convolution or product of int8 by constant int8 weights."""
    if not machine.neon:
        return None
    kernel = dot_kernel(sch, list(constants))
    if kernel is None or not can_lift(kernel.value):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    return write_loops(func, position, plan_tiles(kernel, Neon(machine.neon), machine, constants[position]))


def write_loops(func: tirx.PrimFunc, position: int, plan: Plan) -> Loops:
    """The function that a plan stands for; `position` is that of the weights among its parameters."""
    kernel = plan.kernel
    packed = packed_weights(kernel, plan.panels)
    code = Code()
    Writer(plan, code, packed, rows_of(code, kernel, packed)).write()
    return Loops(rewritten(func, {position: packed}, code), {position: plan.panels}, tiles=plan.tiles)


def plan_tiles(kernel: DotKernel, neon: Neon, machine: Machine, weights: Sequence[np.ndarray]) -> Plan:
    """Choose the tile."""
    window = window_of(kernel, VECTOR // GROUP)
    recipe = machine.recipe
    shared = bool(recipe.parallel_operations) and kernel.products // GROUP >= recipe.parallel_operations
    strip = strip_of(kernel, machine, window.length % GROUP != 0, recipe.thread_bands if shared else 1)
    pixels = kernel.extents[2] if kernel.extents[0] * kernel.extents[1] > 1 else kernel.pixels
    tiles: dict[TileSize, float] = {}
    for form in (Form(by_eight=True), Form(by_eight=False)):
        if form.by_eight and window.length % VECTOR and not strip.copied:
            continue
        for columns in (GROUP << n for n in range((recipe.neon_columns // GROUP).bit_length())):
            for rows in range(1, min(recipe.max_rows, pixels) + 1):
                cost = tile_cost(form, rows, columns, kernel, window, pixels, machine)
                if cost is not None:
                    tiles[TileSize(rows, columns, form.by_eight)] = cost
    tile = pick(tiles, machine.tile)
    rows, columns, form = tile.pixels, tile.columns, Form(tile.by_eight)
    panels = Panels(columns, form.group, window.joined)
    chain = form.longest_chain([panels.pack(array) for array in weights])
    multiplied = 2 * recipe.unrolled_operations // (rows * columns)
    most = min(multiplied, recipe.neon_loads // (rows + columns)) * (VECTOR // GROUP)
    loads = loads_of(window, VECTOR // GROUP, strip.copied, most)
    return Plan(kernel, neon, form, rows, columns, chain, window, loads, panels, strip, tiles, shared)


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
    # Two multiplications are added at once; one load brings two vectors.
    inner = products / 8 * 1.5 + (columns + rows) * length / VECTOR / 2
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


@dataclass(frozen=True)
class Writer:
    """Writes the loops of a plan: strips of rows, panels of outputs, rows, tiles of pixels."""

    plan: Plan
    code: Code
    packed: tirx.Buffer
    rows: Rows

    @property
    def epilogue(self) -> ChannelEpilogue:
        return ChannelEpilogue(self.code, self.plan.kernel, self.rows, (16, 8, 4, 1), self.plan.neon)

    def write(self) -> None:
        """All of it."""
        plan, code, kernel = self.plan, self.code, self.plan.kernel
        strip = plan.strip
        whole, rest = divmod(kernel.channels, plan.columns)
        with code.loop("b", kernel.extents[0]) as b:
            for count, height, first in strip.pieces:
                with code.loop("strip", count, plan.shared) as number:
                    y0 = first + number * strip.height
                    x, at = strip.write(code, self.rows.of(kernel.x.buffer), b, y0, height)
                    if whole:
                        with code.loop("panel", whole, plan.shared and not strip.copied) as panel:
                            self._rows(x, at, b, y0, height, panel, plan.columns)
                    if rest:
                        self._rows(x, at, b, y0, height, whole, rest)

    def _rows(
        self, x: tirx.Buffer, at: Offset, b: Offset, y0: Offset, height: int, panel: Offset, outputs: int
    ) -> None:
        code, plan = self.code, self.plan
        pixels = plan.kernel.extents[2]
        with code.loop("y", height) as y:
            row = at + y * plan.kernel.x.rows[1]
            whole, rest = divmod(pixels, plan.rows)
            if whole:
                with code.loop("z", whole) as z:
                    self._tile(x, row, (b, y0 + y, z * plan.rows), plan.rows, panel, outputs)
            if rest:
                self._tile(x, row, (b, y0 + y, whole * plan.rows), rest, panel, outputs)

    def _tile(
        self, x: tirx.Buffer, row: Offset, place: tuple[Offset, Offset, Offset], rows: int, panel: Offset, outputs: int
    ) -> None:
        code, plan, kernel = self.code, self.plan, self.plan.kernel
        acc = code.array("acc", plan.form.registers(rows, plan.columns), "int32x4", "local")
        tile = Tile(code, plan.neon, plan.form, rows, plan.columns, plan.chain, acc)
        channel = panel * plan.columns
        biased = outputs == plan.columns and not plan.form.by_eight and self.epilogue.bias is not None
        tile.start(self.epilogue.load_bias(channel, plan.columns // 4, 4) if biased else [])
        step = kernel.x.rows[2]
        first = row + place[2] * step
        group = plan.form.group
        chunks = -(-plan.window.length // group)
        for iterations, moved, loads in plan.loads:
            with over_runs(code, plan.window) as (offset, run), code.loop("k", iterations) as k:
                reach = (rows - 1) * step + max(one.x for one in loads) + VECTOR
                xp = code.view("xp", x, first + offset + k * (moved * GROUP), reach)
                size = (max(one.w for one in loads) * GROUP + VECTOR) * plan.columns
                begin = (panel * plan.window.runs + run) * (chunks * group) + k * (moved * GROUP)
                wp = code.view("wp", self.rows.of(self.packed), begin * plan.columns, size)
                for one in loads:
                    places = [p * step + one.x for p in range(rows)]
                    tile.add(xp, places, wp, one.w * GROUP * plan.columns, one.groups * GROUP)
        for p in range(rows):
            sums = tile.sums(p)

            def lanes(first: int, count: int, sums: list[tirx.Expr] = sums) -> tirx.Expr:
                return _lanes(sums, first, count)

            self.epilogue.write(lanes, (place[0], place[1], place[2] + p), channel, outputs, biased)


def _lanes(sums: list[tirx.Expr], first: int, lanes: int) -> tirx.Expr:
    if lanes == 1:
        return tirx.Shuffle([sums[first // 4]], [tirx.const(first % 4, "int32")])
    chosen = sums[first // 4 : (first + lanes) // 4]
    return chosen[0] if len(chosen) == 1 else shuffle(chosen, list(range(lanes)))
