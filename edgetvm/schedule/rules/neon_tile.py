"""int8 convolutions and products on NEON without dot product: sums in registers, weights in panels."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.dot_window import GROUP, over_runs
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_plan import Plan, plan_tiles
from edgetvm.schedule.rules.neon_products import Tile
from edgetvm.schedule.rules.neon_strip import VECTOR
from edgetvm.schedule.rules.packed_weights import packed_weights, position_of, rewritten
from edgetvm.schedule.rules.write_code import Code, Offset, shuffle
from edgetvm.schedule.types import Answer, Constants, Loops


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
