"""Sums of a tile -> its pixels, with the epilogue while they are in registers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.float_epilogue import FloatEpilogue
from edgetvm.schedule.rules.winograd_code import algebra, where
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, piece, store


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
        code, plan, form = self.code, self.plan, self.plan.form
        columns: list[list[tirx.Expr]] = []
        for j in range(form.side):
            position = [(i * form.side + j) * plan.sum_pitch for i in range(form.side)]
            values = [code.let("m", load(sums, at + offset, plan.lanes)) for offset in position]
            columns.append([code.let("h", value) for value in form.output(algebra(code), values)])
        finish = self._finish(channel, outputs)
        image, y, z = place
        for i in range(form.outputs):
            with self._inside(y, i, 1):
                across = form.output(algebra(code), [column[i] for column in columns])
                for j, value in enumerate(across):
                    with self._inside(z, j, 2):
                        finish(value, (image, y + i, z + j))

    def _finish(self, channel: Offset, outputs: int) -> Callable[[tirx.Expr, Place], None]:
        """What writes a pixel of so many channels: on vectors, or where the epilogue has no such form, in a loop."""
        code, kernel, lanes = self.code, self.plan.kernel, self.plan.lanes
        if can_lift(kernel.value):
            widths = tuple(width for width in (16, 8, 4, 2, 1) if width <= lanes)
            epilogue = ChannelEpilogue(code, kernel, self.rows, widths, None, {})

            def write(value: tirx.Expr, place: Place) -> None:
                pixel = code.let("p", value)
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

    def _inside(self, first: Offset, more: int, axis: int) -> AbstractContextManager[None]:
        """What runs where pixel `first + more` is one of the output."""
        extent = self.plan.kernel.extents[axis]
        beyond = extent % self.plan.form.outputs
        return where(self.code, number(first + more) < number(extent), always=beyond == 0 or more < beyond)
