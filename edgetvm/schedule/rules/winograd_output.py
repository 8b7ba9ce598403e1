"""Sums of a tile -> its pixels, with the epilogue while they are in registers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.float_epilogue import FloatEpilogue
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.winograd_code import algebra, where
from edgetvm.schedule.rules.winograd_grid import TileGrid
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import Algebra
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, piece, store


@dataclass(frozen=True)
class OutputWriter:
    """Writes the pixels of one tile. `sums` is ``[position][tile][channel of a panel]``."""

    code: Code
    plan: WinogradPlan
    rows: Rows

    def write(self, sums: tirx.Buffer, at: Offset, place: tuple[Offset, Offset, Offset], channel: Offset) -> None:
        """One vector of channels from `channel` on, whose first sum is `at`. `place`: image and first pixel."""
        code, lanes, channels = self.code, self.plan.lanes, self.plan.kernel.channels
        rest = channels % lanes
        if rest == 0 and channels % self.plan.columns == 0:
            self._tile(sums, at, place, channel, lanes)
            return
        if channels >= lanes:
            with code.when(number(channel + lanes) <= number(channels)):
                self._tile(sums, at, place, channel, lanes)
        if rest:
            with code.when(number(channel).equal(number(channels - rest))):
                self._tile(sums, at, place, channel, rest)

    def _tile(
        self, sums: tirx.Buffer, at: Offset, place: tuple[Offset, Offset, Offset], channel: Offset, outputs: int
    ) -> None:
        def read(position: int) -> tirx.Expr:
            return load(sums, at + position * self.plan.sum_pitch, self.plan.lanes)

        write_tile(self.code, self.plan, algebra(self.code), read, place, self._finish(channel, outputs))

    def _finish(self, channel: Offset, outputs: int) -> Callable[[tirx.Expr, Place], None]:
        """What writes a pixel of so many channels: on vectors, or where the epilogue has no such form, in a loop."""
        code, kernel, lanes = self.code, self.plan.kernel, self.plan.lanes
        machine, numbers = self.plan.machine, self.plan.numbers
        if can_lift(kernel.value):
            # NEON's epilogue of integers is in fours.
            neon = Neon(machine.neon) if numbers.places and machine.neon else None
            widths = tuple(width for width in ((8, 4, 1) if neon else (16, 8, 4, 2, 1)) if width <= lanes)
            epilogue = ChannelEpilogue(code, kernel, self.rows, widths, neon, {})

            def write(value: tirx.Expr, place: Place) -> None:
                back = constant(numbers.places, numbers.total, lanes)
                pixel = code.let("p", tirx.RShift(value, back) if numbers.places else value)
                epilogue.write(lambda first, count: piece([pixel], first, count), place, channel, outputs, biased=False)

            return write
        pixel = code.array("pixel", lanes, "float32", "local")
        loop = FloatEpilogue(code, kernel, self.rows, pixel)

        def write_elements(value: tirx.Expr, place: Place) -> None:
            code.add(store(pixel, 0, value))
            done = 0
            while done < outputs:
                width = min(lanes, 1 << ((outputs - done).bit_length() - 1))
                loop.write(done, width, place, channel + done)
                done += width

        return write_elements


def write_tile(
    code: Code,
    grid: TileGrid,
    arithmetic: Algebra,
    read: Callable[[int], tirx.Expr],
    place: Place,
    finish: Callable[[tirx.Expr, Place], None],
) -> None:
    """The pixels of one tile that lie in the output. `read` gives its sums by position; `place` is its first pixel."""
    form, side = grid.form, grid.form.side
    columns: list[list[tirx.Expr]] = []
    for j in range(side):
        values = [code.let("m", read(i * side + j)) for i in range(side)]
        columns.append([arithmetic.let(value) for value in form.output(arithmetic, values)])
    image, y, z = place
    for i in range(form.outputs):
        with _inside(code, grid, y, i, 1):
            across = form.output(arithmetic, [column[i] for column in columns])
            for j, value in enumerate(across):
                with _inside(code, grid, z, j, 2):
                    finish(value, (image, y + i, z + j))


def _inside(code: Code, grid: TileGrid, first: Offset, more: int, axis: int) -> AbstractContextManager[None]:
    """What runs where pixel `first + more` is one of the output."""
    extent = grid.kernel.extents[axis]
    beyond = extent % grid.form.outputs
    return where(code, number(first + more) < number(extent), always=beyond == 0 or more < beyond)
