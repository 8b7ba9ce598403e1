"""int8 3x3 convolution by Winograd's tiles with DSP instructions, bit for bit the direct one.

Tiles of 2x2 outputs: 16 products instead of 36 for each pair of channels. Weights are transformed at compile time,
four times as large so that they are integers of 16 bits, and take 3.56 times the memory. Sums are then four times
those of the direct convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.byte_constants import byte_constants
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows, rows_of
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.dsp_block import Block
from edgetvm.schedule.rules.dsp_instructions import add_words, keep_order, wait_for
from edgetvm.schedule.rules.dsp_panels import GROUP
from edgetvm.schedule.rules.dsp_tile import in_pieces
from edgetvm.schedule.rules.dsp_winograd_cells import WordCells
from edgetvm.schedule.rules.dsp_winograd_plan import DspWinogradPlan, choose_plan
from edgetvm.schedule.rules.packed_weights import position_of, rewritten
from edgetvm.schedule.rules.winograd_code import algebra
from edgetvm.schedule.rules.winograd_grid import is_plain_3x3
from edgetvm.schedule.rules.winograd_input import InputWriter, TilePlace
from edgetvm.schedule.rules.winograd_output import write_tile
from edgetvm.schedule.rules.word_epilogue import has_word_epilogue
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, store
from edgetvm.schedule.types import Constants, Loops

PLACES = 2  # by which a sum is shifted that is four times too large


def dsp_winograd(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such convolution; None where it is none, or where the direct one is as fast."""
    if not machine.dsp or not machine.recipe.winograd_percent:
        return None
    kernel = dot_kernel(sch, tuple(constants))
    if kernel is None or not is_plain_3x3(kernel) or not has_word_epilogue(sch, kernel, constants):
        return None
    func = sch.mod["main"]
    position = position_of(kernel, func)
    kernel, narrowed, as_bytes = byte_constants(kernel, func.params, constants)
    chosen = choose_plan(kernel, machine)
    if chosen is None:
        return None
    plan, tiles = chosen
    packed = plan.packed()
    code = Code()
    _Writer(code, plan, rows_of(code, kernel, packed), packed).write()
    written = rewritten(func, {**narrowed, position: packed}, code, aliased=True)
    return Loops(written, {**as_bytes, position: plan.packing}, tiles=tiles)


@dataclass(frozen=True)
class _Writer:
    """Writes one kernel: spans of tiles, of each the transforms, then panels of channels."""

    code: Code
    plan: DspWinogradPlan
    rows: Rows
    packed: tirx.Buffer

    def write(self) -> None:
        """The whole function."""
        code, plan = self.code, self.plan
        strip = code.array("strip", plan.strip_words, "int32", "global")
        tiles = code.array("tiles", plan.form.products * plan.pitch, "int32", "global")
        source = InputWriter(code, plan, WordCells(code, plan, self.rows.of(plan.kernel.x.buffer)))
        source.clear(strip)

        with (
            code.loop("b", plan.kernel.extents[0]) as b,
            code.loop("row", plan.tile_rows) as row,
            code.loop("span", plan.spans) as span,
        ):
            with code.loop("g", plan.kernel.depth // GROUP) as g:
                source.write(strip, tiles, TilePlace(b, row, 0, span), g * GROUP, lanes=1)

            def panel_of(panel: Offset, channels: int) -> None:
                self._products(tiles, panel, channels)
                place = (b, row * plan.form.outputs, span * (plan.span * plan.form.outputs))
                self._outputs(tiles, panel, place, channels)

            in_pieces(code, "o", plan.kernel.channels, plan.block.channels, panel_of, by_piece=True)

    def _products(self, tiles: tirx.Buffer, panel: Offset, channels: int) -> None:
        """All positions of a span of tiles by a panel of channels."""
        code, plan, side = self.code, self.plan, self.plan.form.side
        before = panel * (plan.block.channels * plan.form.products * plan.steps)
        with code.loops("p", (side, side)) as (i, j):  # of one loop LLVM keeps more addresses than registers hold
            position, size = i * side + j, plan.steps * channels
            w = code.view("w", self.rows.of(self.packed), before + position * size, size)

            def block_of(first: Offset, count: int) -> None:
                x = code.view("x", tiles, position * plan.pitch + first, plan.pitch)
                block = Block(code, count, channels)
                for t, row in enumerate(block.sums(x, w, plan.steps, plan.span, plan.unrolled)):
                    for c, value in enumerate(row):
                        code.add(store(x, (plan.steps + c) * plan.span + t, value))

            in_pieces(code, "t", plan.span, plan.block.pixels, block_of)

    def _outputs(self, tiles: tirx.Buffer, panel: Offset, place: Place, channels: int) -> None:
        """The pixels of a span of tiles, of which `place` is the first, of a panel of channels."""
        plan, (image, y, z) = self.plan, place
        with self.code.loop("t", plan.span) as t:
            for c in range(channels):
                first = (plan.steps + c) * plan.span + t
                at = (image, y, z + t * plan.form.outputs)
                self._tile(tiles, first, at, panel * plan.block.channels + c)

    def _tile(self, tiles: tirx.Buffer, first: Offset, place: Place, channel: Offset) -> None:
        """One tile of one channel, whose first sum is word `first`."""
        code, plan = self.code, self.plan
        epilogue = ChannelEpilogue(code, plan.kernel, self.rows, (1,), None, {}, words=True)
        bias = epilogue.load_bias(channel, 1, 1) if epilogue.bias is not None else []

        def read(position: int) -> tirx.Expr:
            return load(tiles, first + position * plan.pitch)

        def finish(total: tirx.Expr, at: Place) -> None:
            acc = tirx.RShift(total, number(PLACES))
            acc = code.let("acc", add_words(acc, bias[0]) if bias else acc)
            epilogue.write(lambda _first, _lanes: acc, at, channel, 1, biased=bool(bias))

        write_tile(code, plan, replace(algebra(code), let=self._in_time), read, place, finish)

    def _in_time(self, value: tirx.Expr) -> tirx.Expr:
        """The value, before anything is loaded that is written after it."""
        value = self.code.let("h", keep_order(value))
        self.code.add(tirx.Evaluate(wait_for(value)))
        return value
